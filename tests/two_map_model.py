"""A predictor made by hand that gives two maps, so that tests know its answers: the image itself is the distance."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from blunet.architecture import NetworkSettings
from blunet.images.grey_image import check_image
from blunet.packed.model_card import ModelCard, ModelInfo

#: Probability of foreground where the image is above 0, and elsewhere.
SURE, UNSURE = 0.875, 0.125


@dataclass(eq=False)
class TwoMapModel:
    """Foreground is where an image of uint8 is above 0, and the distance is its grey value over 255."""

    splitting: float = 0.4
    tile: int = 1280
    runs: list[str] = field(default_factory=list)
    """What was asked of the model: "foreground" or "maps"."""
    path: Path | None = None
    settings = NetworkSettings(form="normalised", maps=("foreground", "distance"), levels=1, base_filters=1)

    @property
    def info(self) -> ModelInfo:
        return ModelInfo(splitting=self.splitting, card=ModelCard(name="two maps", object_diameter=20.0))

    def predict(self, image, *, limits=None, check=None):
        self.runs.append("foreground")
        return self._maps(image, check)[0]

    def predict_maps(self, image, *, limits=None, check=None):
        self.runs.append("maps")
        return self._maps(image, check)

    def _maps(self, image, check):
        if check is not None:
            check()
        values = np.asarray(getattr(image, "values", image))
        check_image(values)
        return np.stack([np.where(values > 0, SURE, UNSURE), values / 255]).astype(np.float32)


def touching_cells(shape: tuple[int, int] = (60, 90)) -> np.ndarray:
    """Two cells of 20 x 20 px that share a whole side, and a third one apart, as the model's distance map, uint8.

    Their outlines are rectangles without a neck: from the foreground alone, two cells are found.
    """
    one = 255 * np.minimum.outer(_tent(20), _tent(20)) / _tent(20).max()
    image = np.zeros(shape, np.uint8)
    for y, x in ((10, 10), (10, 30), (36, 60)):
        image[y : y + 20, x : x + 20] = one
    return image


def _tent(length: int) -> np.ndarray:
    return np.minimum(np.arange(length) + 1, length - np.arange(length)).astype(float)
