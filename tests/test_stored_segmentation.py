"""Labels that are written straight into an OME-Zarr: equal to those in memory, kept when the job is stopped."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaozarrs
import zarr
from bright_model import bright_model, squares

import blunet
from blunet.errors import InputError
from blunet.images import labels_store
from blunet.images.frame_source import FrameSource
from blunet.images.labels_store import LabelsStore, open_levels
from blunet.images.ome_zarr import open_images
from blunet.images.pixel_size import PixelSize
from blunet.jobs.events import Cancelled, CancelToken
from blunet.jobs.stored_segmentation import FrameStored, PieceDone, StoreFinished, StoreOpened, segment_into_store
from blunet.segmentation.provenance import LABELS_HASH, hash_labels
from blunet.segmentation.segmentation_settings import SegmentationSettings

SETTINGS = SegmentationSettings(min_size=20)


@pytest.fixture
def folder(tmp_path) -> Path:
    bright_model().save(tmp_path / "model.blunet")
    return tmp_path


@pytest.fixture
def stack():
    return np.stack([np.roll(squares((120, 200)), 3 * t, 1) for t in range(5)])


def run(folder, source, token=None, **options):
    options.setdefault("chosen", range(source.count))
    path, model = folder / "x_labels.ome.zarr", folder / "model.blunet"
    return segment_into_store(
        source, path, model, SETTINGS, token or CancelToken(), description={"model": {"name": "bright"}}, **options
    )


def test_labels_equal_those_in_memory(folder, stack, monkeypatch):
    """Levels, axes and sizes are those that other programs read; the table has all objects."""
    monkeypatch.setattr(labels_store, "COARSEST", 64)
    monkeypatch.setattr(labels_store, "CHUNK", 16)
    source = FrameSource.from_array(stack, pixel_size=PixelSize(0.5, 0.25, "µm"), interval=30)
    *_, finished = run(folder, source, measured=True)
    wanted = blunet.segment(stack, folder / "model.blunet", min_size=20)
    levels = open_levels(finished.path)
    assert [array.shape for array in levels] == [(5, 120, 200), (5, 60, 100), (5, 30, 50)]
    for level, array in enumerate(levels):
        np.testing.assert_array_equal(array[...], wanted[:, :: 2**level, :: 2**level])
    assert list(finished.table["label"]) == list(range(1, wanted.max() + 1))
    yaozarrs.validate_zarr_store(str(finished.path))
    about = zarr.open_group(finished.path, mode="r").attrs.asdict()
    (multiscale,) = about["ome"]["multiscales"]
    assert [(axis["name"], axis["unit"]) for axis in multiscale["axes"]] == [
        ("t", "second"), ("y", "micrometer"), ("x", "micrometer")
    ]  # fmt: skip
    assert multiscale["datasets"][1]["coordinateTransformations"][0]["scale"] == [30, 1.0, 0.5]
    assert about["blunet"]["frames"] == [0, 1, 2, 3, 4]
    assert about["blunet"][LABELS_HASH] == hash_labels(wanted)
    with pytest.raises(InputError, match="holds labels; give the image"):
        open_images(finished.path)


def test_a_single_image_is_done_piece_by_piece(folder, stack):
    """Its labels are those of the whole, its places too; nothing but the Zarr is left."""
    image = np.tile(stack[0], (3, 2))
    *events, finished = run(folder, FrameSource.from_array(image), measured=True)
    assert [event.done for event in events if isinstance(event, PieceDone)][-1] > 0.9
    wanted = blunet.segment(image, folder / "model.blunet", min_size=20)
    np.testing.assert_array_equal(open_levels(finished.path)[0][...], wanted)
    assert finished.table["bbox_bottom_px"].max() == np.nonzero(wanted)[0].max() + 1
    assert sorted(path.name for path in folder.iterdir()) == ["model.blunet", "x_labels.ome.zarr"]


def test_what_is_done_can_be_seen_and_is_kept(folder, stack):
    """After a stop the Zarr has its name and the frames that were done; without any, nothing is left."""
    token = CancelToken()
    events = []

    def follow():
        for event in run(folder, FrameSource.from_array(stack), token, chosen=[4, 0, 2]):
            events.append(event)
            if isinstance(event, FrameStored):
                assert events[0].levels[0][event.t].any()
                if event.t == 2:
                    token.cancel()

    with pytest.raises(Cancelled):
        follow()
    assert [type(event) for event in events] == [StoreOpened, FrameStored, FrameStored, StoreFinished]
    assert events[-1].stopped
    (array,) = open_levels(folder / "x_labels.ome.zarr")
    assert [bool(array[t].any()) for t in range(5)] == [True, False, True, False, False]
    shutil.rmtree(folder / "x_labels.ome.zarr")
    with pytest.raises(Cancelled):
        list(run(folder, FrameSource.from_array(stack), token))
    assert [path.name for path in folder.iterdir()] == ["model.blunet"]


def test_frames_before_one_that_cannot_be_read_are_kept(folder, stack):
    def read(indices):
        for t in indices:
            if t == 3:
                raise OSError("the chunk is damaged")
            yield stack[t]

    source = FrameSource.from_array(stack)
    object.__setattr__(source, "reader", read)
    source._ranges.update({t: (stack[t].min(), stack[t].max()) for t in range(5)})
    with pytest.raises(InputError, match="frame 4 of 5: the image cannot be read: the chunk is damaged"):
        list(run(folder, source))
    (array,) = open_levels(folder / "x_labels.ome.zarr")
    assert [bool(array[t].any()) for t in range(5)] == [True, True, True, False, False]


def test_nothing_is_overwritten(folder, stack):
    target = folder / "x_labels.ome.zarr"
    target.mkdir()
    (target / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="is there already and is not overwritten"):
        list(run(folder, FrameSource.from_array(stack)))
    assert (target / "mine.txt").read_text() == "mine"
    shutil.rmtree(target)
    left = folder / f".x_labels.ome.zarr.{2**22 + 1}"
    left.mkdir()
    list(run(folder, FrameSource.from_array(stack)))
    assert not left.exists()


def test_a_place_that_cannot_be_written_is_named(folder, stack):
    with pytest.raises(
        InputError, match=r"Labels cannot be written to '.*x_labels\.ome\.zarr': (File exists|Not a directory)"
    ):
        LabelsStore(folder / "model.blunet" / "x_labels.ome.zarr", FrameSource.from_array(stack))
