"""Keras networks in `.keras` files that also hold the model's description, and their conversion to `.blunet`."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from blunet.architecture import NetworkSettings
from blunet.errors import InputError
from blunet.files import replacing
from blunet.images.grey_image import GreyImage
from blunet.images.normalisation import Limits, normalise
from blunet.networks.build import build_network
from blunet.networks.normalised_layers import fold_normalisation
from blunet.networks.weight_transfer import get_weights
from blunet.packed.binary_weights import binarise_weights
from blunet.packed.keras_description import DESCRIPTION_MEMBER, read_keras_description
from blunet.packed.model_card import ModelInfo
from blunet.packed.packed_model import PackedModel
from blunet.packed.tiles import pad_to_multiple


@dataclass(frozen=True, eq=False)
class KerasModel:
    """A Keras network with its settings and description; it predicts as `PackedModel` does.

    Attributes
    ----------
    network : keras.Model
        From `build_network(settings)`.
    settings : NetworkSettings
    info : ModelInfo
    path : Path or None
        The file that it was read from.
    """

    network: keras.Model
    settings: NetworkSettings
    info: ModelInfo
    path: Path | None = None

    def predict(
        self, image: NDArray[Any] | GreyImage, *, limits: Limits | None = None, check: Callable[[], None] | None = None
    ) -> NDArray[np.float32]:
        """Return the probability of foreground (Y, X) of a raw image (Y, X); see `PackedModel.predict`."""
        return self.predict_maps(image, limits=limits, check=check)[0]

    def predict_maps(
        self, image: NDArray[Any] | GreyImage, *, limits: Limits | None = None, check: Callable[[], None] | None = None
    ) -> NDArray[np.float32]:
        """Return all maps (K, Y, X) of a raw image (Y, X); see `PackedModel.predict_maps`."""
        scaled = normalise(image, self.info.normalisation, limits)
        if check is not None:
            check()
        return run_network(self.network, scaled, self.settings.multiple)

    def packed(self) -> PackedModel:
        """Return the packed form of a binary network.

        Raises
        ------
        InputError
            If the network is not binary.
        """
        if not self.settings.binary:
            raise InputError(f"Only a BLU-Net can be packed, and this is a '{self.settings.network}' network.")
        normalised = self.settings.form == "normalised"
        weights = (fold_normalisation if normalised else get_weights)(self.network, self.settings)
        return PackedModel(binarise_weights(self.settings, weights), self.info)

    def save(self, path: str | Path) -> None:
        """Write a `.keras` file, with the settings and the description in its zip member `blunet.json`.

        Raises
        ------
        InputError
            If the name does not end in `.keras`.
        """
        path = Path(path)
        if path.suffix.lower() != ".keras":
            raise InputError(f"A Keras model is written to a .keras file, not to '{path.name}'.")
        described = {"network": self.settings.to_dict(), **self.info.to_dict()}
        with replacing(path) as temporary:
            self.network.save(temporary)
            with zipfile.ZipFile(temporary, "a") as archive:
                archive.writestr(DESCRIPTION_MEMBER, json.dumps(described, sort_keys=True))


def run_network(network: keras.Model, scaled: NDArray[np.float32], multiple: int) -> NDArray[np.float32]:
    """Return the maps (K, Y, X) of an image (Y, X) in [0, 1] of any size, padded by reflection and cropped back."""
    padded = pad_to_multiple(scaled, multiple)
    result = keras.ops.convert_to_numpy(network.predict_on_batch(padded[None, ..., None]))
    return np.ascontiguousarray(np.moveaxis(result[0, : scaled.shape[0], : scaled.shape[1]], -1, 0), np.float32)


def load_keras(path: str | Path) -> KerasModel:
    """Read a `.keras` file written by `KerasModel.save`.

    Raises
    ------
    InputError
        If there is no such file, it is not a `.keras` file of this project, or its weights do not match its settings.
    """
    path = Path(path)
    settings, info = read_keras_description(path)
    network = build_network(settings)
    try:
        network.load_weights(path)
    except (ValueError, OSError, KeyError, zipfile.BadZipFile) as e:
        raise InputError(f"The weights in '{path}' cannot be read; the file may be cut short: copy it again.") from e
    return KerasModel(network, settings, info, path)
