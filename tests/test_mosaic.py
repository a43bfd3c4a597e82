"""Large images are segmented piece by piece, with the objects of the whole image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from blunet import load_model
from blunet.dataset.targets import compute_distance_map
from blunet.errors import InputError
from blunet.images.frame_source import FrameSource
from blunet.images.grey_image import check_image
from blunet.jobs import image_segmentation
from blunet.packed.packed_model import PackedModel
from blunet.segmentation import mosaic
from blunet.segmentation.frames import FrameLabelled, label_frames, predict_frames
from blunet.segmentation.mosaic import MosaicLabelled, segment_mosaic
from blunet.segmentation.objects import label_and_count
from blunet.segmentation.scale import RescaledImage, rescale
from blunet.segmentation.scratch import Scratch
from blunet.segmentation.segmentation_settings import SegmentationSettings
from blunet.simulation.dic_fields import simulate_dic
from blunet.simulation.dic_settings import DicSettings

KINDS = ("watershed", "components", "mask")
SHAPE = (211, 303)


@pytest.fixture(scope="module")
def model() -> PackedModel:
    """The bundled model, in tiles of 96 pixels."""
    return replace(load_model(), tile=96)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return simulate_dic(DicSettings(shape=SHAPE, object_diameter=30, coverage=0.5), seed=4).image


@pytest.fixture
def everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_segmentation, "LARGE", 1)


def segment_whole(image: np.ndarray, model: PackedModel, settings: SegmentationSettings) -> FrameLabelled:
    source, settings = FrameSource.from_array(image), settings.for_model(model.info)
    predicted = predict_frames(source, model, settings, keep_probability=True)
    (found,) = label_frames(predicted, source, settings, measured=True)
    return found


def segment_in_pieces(
    image: Any, model: PackedModel, settings: SegmentationSettings, folder: Path, **options: Any
) -> tuple[MosaicLabelled, np.ndarray, np.ndarray]:
    """Return what was found, and the labels and probabilities in memory."""
    options = {"keep_probability": True, "measured": True, "tile": 70, **options}
    with FrameSource.from_array(image).windows() as windows, Scratch(folder) as scratch:
        *_, found = segment_mosaic(windows, model, settings, scratch, **options)
        assert isinstance(found, MosaicLabelled)
        assert found.probability is not None
        result = found, found.labels[:, :], found.probability[:, :]
    assert not list(folder.iterdir())
    return result


@pytest.mark.parametrize("objects", KINDS)
def test_pieces_give_what_the_whole_image_gives(objects, image, model, tmp_path, monkeypatch):
    """Labels, their table and the probability, with cells on every kind of border and on corners of four tiles."""
    monkeypatch.setattr(mosaic, "MARGIN", 60)
    settings = SegmentationSettings(objects=objects, min_size=30)
    whole = segment_whole(image, model, settings)
    found, labels, probability = segment_in_pieces(image, model, settings, tmp_path)
    np.testing.assert_array_equal(labels, whole.labels)
    np.testing.assert_array_equal(probability, whole.probability)
    assert found.objects == whole.objects > (0 if objects == "mask" else 3)
    assert found.foreground_fraction == whole.foreground_fraction
    assert found.dropped == whole.dropped
    np.testing.assert_equal(found.diameter, whole.diameter)
    assert list(found.table) == list(whole.table)
    for name, column in whole.table.items():
        np.testing.assert_allclose(found.table[name], column, rtol=1e-9, atol=1e-9)
    borders = {(int(y) // 70, int(x) // 70) for y, x in np.argwhere(labels == labels[labels > 0][0])}
    assert objects != "mask" or len(borders) > 4


def on_disk(values: np.ndarray, folder: Path, name: str) -> Any:
    array = Scratch(folder).make(name, values.shape, values.dtype.type)
    array[:, :] = values
    return array


def label_in_tiles(
    foreground: np.ndarray, distance: np.ndarray | None, settings: SegmentationSettings, tile: int
) -> tuple[np.ndarray, int]:
    """Find objects as `segment_mosaic` does, from given maps."""

    class Maps:
        pass

    maps: Any = Maps()
    maps.foreground, maps.distance = foreground, distance
    labels = np.zeros(foreground.shape, np.int32)
    parts = mosaic._find_parts(maps, labels, settings, tile, lambda: None)
    numbers, _, dropped = mosaic._number_objects(parts, settings, mapped=distance is not None)
    return numbers[labels], dropped


@pytest.mark.parametrize("mapped", [True, False])
@pytest.mark.parametrize("tile", [64, 97, 200])
def test_given_maps_are_labelled_in_tiles_as_in_one_piece(tile, mapped, monkeypatch):
    monkeypatch.setattr(mosaic, "MARGIN", 80)
    truth = simulate_dic(DicSettings(shape=(300, 401), object_diameter=30, coverage=0.8, clustering=0.9), 3).labels
    blurred = gaussian_filter(np.random.default_rng(0).standard_normal(truth.shape), 3)
    noisy = np.clip(compute_distance_map(truth) + 0.1 * blurred / blurred.std(), 0, 1).astype(np.float16)
    distance = noisy if mapped else None
    for splitting, min_size in ((0.4, 20), (0.8, 200)):
        settings = SegmentationSettings(splitting=splitting, min_size=min_size)
        expected, dropped = label_and_count(truth > 0, "watershed", min_size, splitting, distance)
        found, also_dropped = label_in_tiles(truth > 0, distance, settings, tile)
        differ = np.count_nonzero(found != expected)
        assert differ <= (0 if mapped else 1e-3 * expected.size)  # distances in whole pixels have ties
        assert (found.max(), also_dropped) == (expected.max(), dropped)


def test_a_cell_much_larger_than_tiles_and_margins_is_one(monkeypatch):
    """Far from its middle, a tile sees the cell's slope alone: its highest pixel in sight belongs to another tile."""
    monkeypatch.setattr(mosaic, "MARGIN", 8)
    y, x = np.ogrid[:300, :300]
    distance = np.clip(1 - np.hypot(y - 140, x - 160) / 130, 0, 1).astype(np.float16)
    settings = SegmentationSettings(splitting=0.9)
    found, _ = label_in_tiles(distance > 0, distance, settings, 32)
    np.testing.assert_array_equal(found, distance > 0)


def test_spirals_and_combs_are_one_component():
    """Components that meet only far from where they begin."""
    comb = np.zeros((130, 130), bool)
    comb[:, ::4] = True
    comb[-1] = True
    comb[60, 1::8] = False
    settings = SegmentationSettings(objects="components", splitting=0.4, min_size=1)
    expected, _ = label_and_count(comb, "components", 1, 0.4)
    found, _ = label_in_tiles(comb, None, settings, 16)
    np.testing.assert_array_equal(found, expected)
    assert found.max() == 1


def test_seventy_thousand_cells(monkeypatch):
    monkeypatch.setattr(mosaic, "MARGIN", 16)
    side = 265
    tent = np.array([1, 2, 3, 4, 3, 2, 1]) / 4
    distance = np.tile(np.minimum.outer(tent, tent), (side, side)).astype(np.float16)
    settings = SegmentationSettings(splitting=0.9)
    found, _ = label_in_tiles(np.ones(distance.shape, bool), distance, settings, 700)
    assert found.max() == side**2
    assert np.bincount(found.ravel())[1:].min() >= 30


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (16, 700), (97, 64)])
@pytest.mark.filterwarnings("error")
def test_odd_sizes_and_constant_images(shape, model, tmp_path):
    """Nothing is found, and the warning says why."""
    settings = SegmentationSettings()
    found, labels, _ = segment_in_pieces(np.full(shape, 7, np.uint8), model, settings, tmp_path)
    assert (found.objects, labels.any(), found.table["label"].size) == (0, False, 0)
    assert "constant" in found.warning
    noise = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    _, labels, _ = segment_in_pieces(noise, model, settings, tmp_path)
    np.testing.assert_array_equal(labels, segment_whole(noise, model, settings).labels)


def test_a_value_that_is_no_number_is_named(image, model, tmp_path):
    spoilt = image.astype(np.float32)
    spoilt[150, 290] = np.nan
    with pytest.raises(InputError, match=r"1 NaN .* row 150 and column 290"):
        segment_in_pieces(spoilt, model, SegmentationSettings(), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("diameter", [35.0, 80.0])
def test_a_diameter_resamples_in_windows(diameter, image, model, tmp_path):
    """Windows are resampled as the whole image is."""
    settings = SegmentationSettings(diameter=diameter)
    whole = segment_whole(image, model, settings)
    found, labels, probability = segment_in_pieces(image, model, settings, tmp_path)
    np.testing.assert_array_equal(probability, whole.probability)
    np.testing.assert_array_equal(labels, whole.labels)
    assert found.objects == whole.objects > 3


@pytest.mark.parametrize("factor", [0.31, 0.77, 1.6, 3.2])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, bool])
def test_windows_of_a_rescaled_image(factor, dtype):
    rng = np.random.default_rng(0)
    image = (rng.random((61, 83)) * 200 if dtype is not bool else rng.random((61, 83)) > 0.5).astype(dtype)
    whole = rescale(image, factor)
    windows = RescaledImage(check_image(image), factor)
    assert windows.shape == whole.shape
    for rows, columns in ((slice(0, 7), slice(0, 9)), (slice(5, 40), slice(11, 12)), (slice(0, 200), slice(3, 300))):
        part = windows[rows, columns]
        assert part.dtype == whole.dtype
        np.testing.assert_array_equal(part, whole[rows, columns])
    assert not windows[3:3, 2:5].size
