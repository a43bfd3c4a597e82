"""Importing a published checkpoint as a model file."""

from __future__ import annotations

from pathlib import Path

from blunet.architecture import Network
from blunet.errors import InputError
from blunet.files import output_folder
from blunet.packed.binary_weights import binarise_weights
from blunet.packed.model_card import ModelCard, ModelInfo
from blunet.packed.packed_model import PackedModel
from blunet.packed.published_file import read_published


def import_weights(path: str | Path, network: Network, out: str | Path) -> Path:
    """Import a published checkpoint. Levels, filters and residual levels follow from the file.

    Parameters
    ----------
    path : str or Path
        An HDF5 file of Keras' ``save_weights``.
    network : {"unet", "lightweight", "blunet"}
        The network that it holds. Importing a `blunet` needs no Keras.
    out : str or Path
        Where to write: a .blunet file for `blunet`, else a .keras file.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InputError
        If the file is not such a checkpoint, or `out` has another ending or cannot be written.
    """
    out, ending = Path(out), ".blunet" if network == "blunet" else ".keras"
    if out.suffix.lower() != ending:
        raise InputError(f"A '{network}' network is written to a {ending} file, not to '{out}'; change its ending.")
    if out.exists() and Path(path).exists() and out.samefile(path):
        raise InputError(f"'{out}' is the checkpoint itself and would be overwritten; give another name.")
    info = ModelInfo(card=ModelCard(name=Path(path).stem, data=f"Imported from '{Path(path).name}'."))
    if network == "blunet":
        model = PackedModel(binarise_weights(*read_published(path, network)), info)
        output_folder(out.parent)
        model.save(out)
        return out
    try:
        from blunet.networks.keras_file import KerasModel
        from blunet.networks.published_checkpoint import import_published
    except ImportError as e:
        raise InputError(
            f"A '{network}' network needs Keras, and Keras or its backend cannot be imported ({e}); install TensorFlow."
        ) from e
    built, settings = import_published(path, network)
    output_folder(out.parent)
    KerasModel(built, settings, info).save(out)
    return out
