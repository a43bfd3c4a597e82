"""Opening a model file of either kind, and describing what is in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from blunet.architecture import NetworkSettings, compute_compression_ratio, count_parameters
from blunet.errors import InputError
from blunet.packed.blunet_file import read_file
from blunet.packed.engine import time_operations
from blunet.packed.keras_description import read_keras_description
from blunet.packed.model_card import ModelInfo
from blunet.packed.packed_model import BUNDLED, load_model
from blunet.segmentation.predictor import Predictor

#: The first bytes of a zip archive, which a .keras file is.
ZIP = b"PK\x03\x04"


def resolve_model_path(path: str | Path | None) -> Path:
    """Return the file of a model, that of the bundled model for None."""
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
        from blunet.networks.keras_file import load_keras
    except ImportError as e:
        raise InputError(
            f"'{path}' is a Keras model, and Keras or its backend cannot be imported ({e}); "
            "install TensorFlow, or give a .blunet file."
        ) from e
    model: Predictor = load_keras(path)
    return model


@dataclass(frozen=True)
class ModelFile:
    """The description in a model file."""

    path: Path
    network: NetworkSettings
    info: ModelInfo

    def to_dict(self) -> dict[str, Any]:
        """Return the description that `blunet info --json` prints."""
        counted = count_parameters(self.network)
        network = self.network.to_dict()
        return {
            "network": self.network.network,
            "levels": self.network.levels,
            "base_filters": self.network.base_filters,
            "residual_levels": network["residual_levels"] if self.network.binary else None,
            **({"binarize_depthwise": self.network.binarize_depthwise} if self.network.binary else {}),
            "binary_parameters": counted.binary_parameters,
            "float_parameters": counted.float_parameters,
            "size_mib": counted.size_mib,
            "file_bytes": self.path.stat().st_size,
            "compression_ratio": compute_compression_ratio(self.network),
            "card": self.info.card.to_dict(),
        }


def inspect_model(path: str | Path) -> ModelFile:
    """Read the description in a model file, without Keras.

    Raises
    ------
    InputError
        If there is no such file or it is not a model of this package.
    """
    path = Path(path)
    if _is_keras(path):
        return ModelFile(path, *read_keras_description(path))
    weights, info = read_file(path)
    return ModelFile(path, weights.settings, info)


@dataclass(frozen=True)
class OperationCost:
    """What an operation of a packed network costs on an image.

    Attributes
    ----------
    layer, kernel, source : str
        The layer's name, the kind of operation that runs it (see `blunet.packed.operation.Operation`) and what it sees.
    pairs : int
        Pairs of bit planes that are multiplied.
    weight_bytes : int
        Memory of its weights as the kernel reads them.
    float_products, bit_products : int
        Multiply-adds of floats, and of signs.
    seconds : float
        The fastest of three runs.
    """

    layer: str
    kernel: str
    source: str
    pairs: int
    weight_bytes: int
    float_products: int
    bit_products: int
    seconds: float


def measure_program(path: str | Path | None, size: int = 512, threads: int | None = None) -> list[OperationCost]:
    """Compile a packed model and time every operation of its program on a square image.

    Parameters
    ----------
    path : str or Path, optional
        A `.blunet` file. None: the bundled model.
    size : int
        Side of the image in pixels; rounded up to a multiple that the network accepts.
    threads : int, optional
        None: one for each processor.

    Raises
    ------
    InputError
        If the file is not a sound `.blunet` file, or `threads` is not positive.
    """
    model = load_model(path, threads=threads)
    side = -(-size // model.settings.multiple) * model.settings.multiple
    image = np.random.default_rng(0).random((side, side), np.float32)
    costs = []
    for operation, seconds in zip(model.engine.program, time_operations(model.engine, image, runs=3), strict=True):
        floats, bits = operation.multiplications(side, side)
        costs.append(
            OperationCost(
                layer=operation.layer.name,
                kernel=operation.kind,
                source=operation.layer.source,
                pairs=operation.pairs,
                weight_bytes=operation.weight_bytes,
                float_products=floats,
                bit_products=bits,
                seconds=float(seconds),
            )
        )
    return costs


def _is_keras(path: Path) -> bool:
    """Tell whether a file is a zip archive, or has the ending of one."""
    if path.suffix.lower() == ".keras" and path.is_file():
        return True
    try:
        with path.open("rb") as file:
            return file.read(len(ZIP)) == ZIP
    except OSError:
        return False  # the reader of .blunet files reports the error
