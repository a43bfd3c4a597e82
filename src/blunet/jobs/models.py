"""Opening a model file of either kind, and telling what is in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blunet.architecture import NetworkSettings, census, compression_ratio
from blunet.errors import InputError
from blunet.packed.card import ModelInfo
from blunet.packed.description import read_description
from blunet.packed.file import read_file
from blunet.packed.model import BUNDLED, load_model
from blunet.segmentation.predictor import Predictor

#: What a .keras file, which is a zip archive, begins with.
ZIP = b"PK\x03\x04"


def model_path(path: str | Path | None) -> Path:
    """Return the file of a model; None is the one that comes with the package."""
    return BUNDLED if path is None else Path(path)


def open_model(path: str | Path | None = None) -> Predictor:
    """Load a model that can segment.

    Parameters
    ----------
    path : str or Path, optional
        A .blunet file, or a .keras file, for which Keras is needed. None: the bundled model.

    Raises
    ------
    InputError
        If there is no such file or it is not a sound model, or Keras is needed and cannot be imported.
    """
    if path is None or not _is_keras(Path(path)):
        return load_model(path)
    try:
        from blunet.networks.files import load_keras
    except ImportError as e:
        raise InputError(
            f"'{path}' is a Keras model, and Keras or its backend cannot be imported ({e}); "
            "install TensorFlow, or give a .blunet file."
        ) from e
    model: Predictor = load_keras(path)
    return model


@dataclass(frozen=True)
class ModelFile:
    """What a model file says about itself."""

    path: Path
    network: NetworkSettings
    info: ModelInfo

    def to_dict(self) -> dict[str, Any]:
        """Return the description that `blunet info --json` prints."""
        counted = census(self.network)
        network = self.network.to_dict()
        return {
            "network": self.network.network,
            "levels": self.network.levels,
            "base_filters": self.network.base_filters,
            "residual_levels": network["residual_levels"] if self.network.binary else None,
            "binary_parameters": counted.binary_parameters,
            "float_parameters": counted.float_parameters,
            "size_mib": counted.size_mib,
            "file_bytes": self.path.stat().st_size,
            "compression_ratio": compression_ratio(self.network),
            "card": self.info.card.to_dict(),
        }


def inspect_model(path: str | Path) -> ModelFile:
    """Read what a model file says about itself, without Keras.

    Raises
    ------
    InputError
        If there is no such file or it is not a model of this package.
    """
    path = Path(path)
    if _is_keras(path):
        return ModelFile(path, *read_description(path))
    weights, info = read_file(path)
    return ModelFile(path, weights.settings, info)


def _is_keras(path: Path) -> bool:
    """Tell whether a file is a zip archive, or would be one by its ending."""
    if path.suffix.lower() == ".keras" and path.is_file():
        return True
    try:
        with path.open("rb") as file:
            return file.read(len(ZIP)) == ZIP
    except OSError:
        return False  # the reader of .blunet files says what is wrong
