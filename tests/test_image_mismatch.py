"""Warnings about images that a model cannot segment well."""

from __future__ import annotations

import numpy as np
import pytest

from blunet.images.frame_source import FrameSource
from blunet.images.grey_image import check_image
from blunet.images.normalisation_settings import Normalisation
from blunet.packed.model_card import ModelInfo
from blunet.packed.packed_model import load_model
from blunet.segmentation.frames import predict_frames
from blunet.segmentation.image_mismatch import describe_mismatch
from blunet.segmentation.segmentation_settings import DEFAULTS

RANDOM = np.random.default_rng(0)
RANGE, ADAPTING = (
    ModelInfo(normalisation=Normalisation(method="range")),
    ModelInfo(normalisation=Normalisation(method="percentile")),
)


def grey(low: float, high: float, kind: type, side: int = 64) -> np.ndarray:
    return RANDOM.uniform(low, high, (side, side)).astype(kind)


@pytest.mark.parametrize(
    ("image", "model", "diameter", "words"),
    [
        (grey(0, 65535, np.uint16), RANGE, None, ""),
        (grey(900, 4095, np.uint16), ADAPTING, None, ""),
        (grey(0, 255, np.uint8), RANGE, 40.0, ""),
        (grey(900, 4095, np.uint16), RANGE, None, "takes 0 for black and 65535 for white"),
        (grey(0, 4095, np.float32), RANGE, None, "takes 0 for black and 1 for white"),
        (grey(0, 255, np.uint8, 20), ADAPTING, None, "a cell hardly fits"),
        (grey(0, 1, np.float32) > 0.5, ADAPTING, None, "a mask rather than a DIC image"),
        (grey(0, 255, np.uint8), ADAPTING, 300.0, "300 px is larger than the image"),
    ],
)
def test_images_that_a_model_cannot_segment_well(
    image: np.ndarray, model: ModelInfo, diameter: float | None, words: str
) -> None:
    warnings = describe_mismatch(check_image(image), model, diameter)
    assert words in warnings if words else warnings == ""


def test_only_the_first_predicted_frame_is_compared_with_the_model() -> None:
    import dask.array as da

    stack = da.from_array((RANDOM.uniform(0, 1, (3, 40, 40)) > 0.5).astype(np.uint8), (1, 40, 40))
    warnings = [
        event.warning
        for event in predict_frames(FrameSource.from_array(stack), load_model(), DEFAULTS, chosen=[1, 0, 2])
    ]
    assert "hardly any grey values" in warnings[0]
    assert warnings[1:] == ["", ""]
