"""Warnings about images that a model cannot segment well."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from bright_model import bright_model, squares

from blunet.images.frame_source import FrameSource
from blunet.images.grey_image import check_image
from blunet.images.normalisation_settings import Normalisation
from blunet.packed.model_card import ModelInfo
from blunet.packed.packed_model import PackedModel, load_model
from blunet.segmentation.frames import predict_frames
from blunet.segmentation.image_mismatch import HotPixels, describe_mismatch
from blunet.segmentation.segmentation_settings import DEFAULTS
from blunet.simulation.dic_fields import simulate_dic
from blunet.simulation.dic_settings import DicSettings

RANDOM = np.random.default_rng(0)
RANGE, ADAPTING = (
    ModelInfo(normalisation=Normalisation(method="range")),
    ModelInfo(normalisation=Normalisation(method="percentile")),
)


@cache
def field(seed: int = 2) -> np.ndarray:
    """Return a simulated DIC image of 16 bits; do not write into it."""
    return simulate_dic(DicSettings(shape=(256, 256), object_diameter=40), seed=seed).image


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


def with_single_pixels(image: np.ndarray, share: float, value: float) -> np.ndarray:
    image = image.copy()
    image[np.random.default_rng(1).random(image.shape) < share] = value
    return image


@pytest.mark.parametrize("kind", [np.uint16, np.float32, np.int32, np.dtype(">f8")])
@pytest.mark.parametrize("share", [0.002, 0.006, 0.02])
@pytest.mark.parametrize("value", [65_535, 0])
def test_hot_and_dead_pixels_are_named(kind: type, share: float, value: float) -> None:
    image = (field().astype(float) / 65_535 * 2000 + 30_000).astype(kind)
    pixels = HotPixels(ADAPTING.normalisation)
    assert pixels.add(check_image(image)) == ""
    image = with_single_pixels(image, share, value)
    assert "hot pixels" in pixels.add(check_image(image))
    assert pixels.add(check_image(image)) == ""
    assert HotPixels(RANGE.normalisation).add(check_image(image)) == ""


def test_a_few_hot_pixels_that_change_nothing_are_not_named() -> None:
    image = with_single_pixels(field() // 64 + 5000, 0.0003, 65_535)
    assert HotPixels(ADAPTING.normalisation).add(check_image(image)) == ""


def test_hot_pixels_are_sought_over_the_whole_of_a_large_frame() -> None:
    image = np.tile(field() // 64 + 5000, (4, 4))
    half = image.shape[0] // 4
    image[:half] = with_single_pixels(image[:half], 0.02, 65_535)
    assert "hot pixels" in HotPixels(ADAPTING.normalisation).add(check_image(image))


def test_hot_pixels_of_a_later_frame_are_named_once() -> None:
    frames = [field(seed)[:128, :128] // 64 + 5000 for seed in range(4)]
    frames[2:] = [with_single_pixels(frame, 0.01, 65_535) for frame in frames[2:]]
    warnings = warnings_of(np.stack(frames), model=load_model())
    assert warnings[0] == warnings[1] == warnings[3] == ""
    assert warnings[2].startswith("'lapse': frame 3 of 4: Single pixels that are far brighter")


def test_two_warnings_about_a_frame_are_both_given() -> None:
    frames = np.stack([squares(), squares() // 99, squares() // 99])
    warnings = warnings_of(frames, chosen=[1, 2])
    assert "frame 2 of 3" in warnings[1]
    assert "equal in every pixel" in warnings[2]


def warnings_of(stack: np.ndarray, chosen: list[int] | None = None, model: PackedModel | None = None) -> dict[int, str]:
    source = FrameSource.from_array(stack, name="lapse")
    found = predict_frames(source, model or bright_model(), DEFAULTS, chosen=chosen)
    return {frame.t: frame.warning for frame in found}


def test_a_time_lapse_of_one_repeated_frame_is_named_once() -> None:
    warnings = warnings_of(np.stack([squares()] * 4))
    assert warnings[0] == warnings[2] == warnings[3] == ""
    assert warnings[1].startswith("'lapse': frame 2 of 4: This frame and frame 1 are equal in every pixel")


def test_two_equal_neighbours_are_named_in_any_order_and_others_are_not() -> None:
    frames = np.stack([squares()] * 5)
    frames[:, 0, 0] = [1, 2, 3, 3, 1]
    assert [t for t, warning in warnings_of(frames).items() if warning] == [3]
    assert [t for t, warning in warnings_of(frames, chosen=[3, 0, 1, 2, 4]).items() if warning] == [2]
    frames[3, 0, 0] = 4
    assert not any(warnings_of(frames).values())
