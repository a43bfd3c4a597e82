"""A part of a frame: read alone, normalised as the whole, with its places in the whole."""

from __future__ import annotations

import numpy as np
import pytest
import zarr

import blunet
from blunet.errors import InputError
from blunet.images import image_part
from blunet.images.frame_source import FrameSource
from blunet.images.image_part import ImagePart, enclose
from blunet.images.pixel_size import PixelSize
from blunet.jobs.events import CancelToken
from blunet.jobs.layer_segmentation import relabel_frames, segment_frames
from blunet.segmentation.frames import FrameLabelled, FramePredicted
from blunet.segmentation.measurements import measure
from blunet.segmentation.segmentation_settings import SegmentationSettings
from blunet.simulation.dic_fields import simulate_dic
from blunet.simulation.dic_settings import DicSettings


@pytest.fixture(scope="module")
def image():
    return simulate_dic(DicSettings(shape=(512, 608)), seed=2).image


class Counted:
    """An array that counts the pixels that are read of it."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.read = array, array.shape, array.dtype, 0

    def __getitem__(self, key):
        values = self.array[key]
        self.read += values.size
        return values


def segment_part(part, **options):
    settings = SegmentationSettings().for_model(blunet.load_model().info)
    events = list(
        segment_frames(part.frames, None, settings, CancelToken(), chosen=[0], measured=True, part=part, **options)
    )
    return next(event for event in events if isinstance(event, FrameLabelled)), events


def test_a_part_has_the_objects_of_the_whole(image):
    """Away from its border, the foreground is that of the whole; the table has the places in the whole, in µm."""
    size = PixelSize(0.5, 0.25, "µm")
    whole = FrameSource.from_array(np.stack([image[::-1], image]), pixel_size=size)
    part = enclose(whole, 1, slice(190, 330), slice(200, 420), margin=128, multiple=16)
    assert (part.rows, part.columns, part.origin) == (slice(48, 458), slice(64, 548), (1, 48, 64))
    found, events = segment_part(part)
    labels = blunet.segment(whole.reader.array)[1]
    inside = (slice(190, 330), slice(200, 420))
    shown = found.labels[190 - 48 : 330 - 48, 200 - 64 : 420 - 64]
    assert ((shown > 0) != (labels[inside] > 0)).mean() < 0.01
    for row, label in enumerate(found.table["label"]):
        top, left = (int(found.table[f"bbox_{name}_px"][row]) for name in ("top", "left"))
        y, x = np.nonzero(found.labels == label)
        assert (top, left) == (y.min() + 48, x.min() + 64)
        assert found.table["centroid_y_um"][row] == pytest.approx((y.mean() + 48) * 0.5)
        assert found.table["centroid_x_um"][row] == pytest.approx((x.mean() + 64) * 0.25)
    assert set(found.table["frame"]) == {1}
    assert sorted(found.table["label"]) == list(range(1, found.objects + 1)) == sorted(set(np.unique(shown)) - {0})
    maps = {0: next(event for event in events if isinstance(event, FramePredicted))}
    settings = SegmentationSettings().for_model(blunet.load_model().info)
    (again,) = relabel_frames(part.frames, maps, settings, CancelToken(), measured=True, part=part)
    for name, column in found.table.items():
        np.testing.assert_array_equal(again.table[name], column)


def test_only_the_part_of_a_large_frame_is_read(image, monkeypatch, tmp_path):
    """Of a frame that is too large, 16 patches are read for the normalisation, and the part; a Zarr can be one."""
    monkeypatch.setattr(image_part, "READ_WHOLE", image.size - 1)
    monkeypatch.setattr(image_part, "PATCH", 40)
    array = Counted(image)
    part = ImagePart(FrameSource.from_array(array), 0, slice(96, 224), slice(64, 192))
    found, _ = segment_part(part)
    assert array.read == 16 * 40**2 + 128**2
    stored = zarr.create_array(tmp_path / "x.zarr", shape=image.shape, chunks=(64, 64), dtype=image.dtype)
    stored[...] = image
    same, _ = segment_part(ImagePart(FrameSource.from_array(stored), 0, slice(96, 224), slice(64, 192)))
    np.testing.assert_array_equal(found.labels, same.labels)


def test_a_table_without_a_pixel_size_is_moved_in_pixels(image):
    labels = np.zeros((20, 30), np.int32)
    labels[4:8, 10:20] = 3
    part = ImagePart(FrameSource.from_array(image), 0, slice(100, 120), slice(200, 230))
    moved = part.move_table(measure(labels))
    assert (moved["centroid_y_px"][0], moved["centroid_x_px"][0]) == (105.5, 214.5)
    assert (moved["bbox_bottom_px"][0], moved["bbox_right_px"][0]) == (108, 220)
    assert part.move_table({}) == {}


def test_a_part_beside_the_image_is_refused(image):
    with pytest.raises(InputError, match="Nothing of the image is visible"):
        enclose(FrameSource.from_array(image), 0, slice(-90, -10), slice(0, 50), margin=128, multiple=16)
