"""Reading the description in a `.keras` file of this project, without Keras."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from blunet.architecture import NetworkSettings
from blunet.errors import InputError
from blunet.packed.model_card import ModelInfo

#: The member of the zip archive that holds the description.
DESCRIPTION_MEMBER = "blunet.json"


def read_keras_description(path: str | Path) -> tuple[NetworkSettings, ModelInfo]:
    """Read the settings and the description of the network in a `.keras` file.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    settings : NetworkSettings
    info : ModelInfo

    Raises
    ------
    InputError
        If there is no such file, it is not a zip archive, or lacks a sound member `blunet.json`.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            text = archive.read(DESCRIPTION_MEMBER)
        held = json.loads(text)
    except FileNotFoundError as e:
        raise InputError(f"There is no file '{path}'.") from e
    except KeyError as e:
        raise InputError(
            f"'{path}' lacks '{DESCRIPTION_MEMBER}': it was not written by BLU-Net; "
            "import it from a published checkpoint."
        ) from e
    except (OSError, ValueError, zipfile.BadZipFile) as e:
        raise InputError(f"'{path}' is not a sound .keras file; it may be cut short: copy it again.") from e
    if not isinstance(held, dict) or "network" not in held:
        raise InputError(f"'{path}': '{DESCRIPTION_MEMBER}' does not describe a network of BLU-Net.")
    network = held.pop("network")
    return NetworkSettings.from_dict(network), ModelInfo.from_dict(held)
