"""A packed model made by hand, so that tests know its answers: foreground is what is brighter than half."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile

from blunet.architecture import NetworkSettings, ResidualLevels, list_layers
from blunet.packed.binary_weights import binarise_weights
from blunet.packed.model_card import ModelCard, ModelInfo
from blunet.packed.packed_model import PackedModel

#: What the model answers: sigmoid(2) where the normalised image is at least 0.5, else sigmoid(-2).
BRIGHT, DARK = 0.880797, 0.119203


def bright_model(info: ModelInfo | None = None) -> PackedModel:
    """Three convolutions with one weight each: sign(2 x - 1), sign(2 a), sigmoid(2 a).

    With the gammas [1, 1] a kernel is -2, 0 or 2: 0 is coded as 1 - 1.
    """
    settings = NetworkSettings(
        network="blunet", levels=1, base_filters=1, residual_levels=ResidualLevels(activation=1, convolution=2)
    )
    weights = {}
    for layer in list_layers(settings):
        for weight in layer.weights:
            values = np.ones(weight.shape) if weight.name.endswith("gamma") else np.zeros(weight.shape)
            if weight.name == "kernel":
                values[weight.shape[0] // 2, weight.shape[1] // 2] = 2
            weights[layer.name, weight.name] = values.astype(np.float32)
    weights["level0_contracting_1", "bias"][:] = -1
    info = info or ModelInfo(card=ModelCard(name="bright", object_diameter=20.0))
    return PackedModel(binarise_weights(settings, weights), info)


def put_model_and_image(folder: Path, image: str = "a.tif") -> Path:
    """Write `model.blunet` and an image of `squares` into a folder, and return it."""
    bright_model().save(folder / "model.blunet")
    tifffile.imwrite(folder / image, squares())
    return folder


def squares(shape: tuple[int, int] = (60, 90)) -> np.ndarray:
    """Two bright squares of 20 x 20 px and a speck of 3 x 3 px on dark ground of some grey values, uint8."""
    image = np.broadcast_to(40 + np.arange(shape[1]) % 8, shape).astype(np.uint8)
    image[10:30, 10:30] = image[30:50, 50:70] = image[5:8, 80:83] = 200
    return image
