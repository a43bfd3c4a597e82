"""Frames from files, folders, arrays and layers."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import tifffile

from blunet.errors import InputError
from blunet.images.frame_source import FrameSource
from blunet.images.pixel_size import PixelSize, pixel_size_of_layer, spell_unit

STACK = np.random.default_rng(0).integers(0, 60_000, (12, 20, 30)).astype(np.uint16)
METADATA = {"unit": "um", "finterval": 30.0}


@pytest.fixture
def folder(tmp_path):
    for t, frame in enumerate(STACK):
        resolution = {"imagej": True, "resolution": (4, 2), "metadata": {**METADATA, "axes": "YX"}}
        tifffile.imwrite(tmp_path / f"t{t}.tif", frame, **resolution)
    return tmp_path


def of_file(folder):
    path = folder / "stack" / "all.tif"
    path.parent.mkdir()
    tifffile.imwrite(path, STACK, imagej=True, resolution=(4, 2), metadata={**METADATA, "axes": "TYX"})
    return FrameSource.from_file(path)


SIZE = PixelSize(0.5, 0.25, "µm")
WAYS = {
    "file": of_file,
    "files": lambda folder: FrameSource.from_files([folder / f"t{t}.tif" for t in range(12)]),
    "folder": FrameSource.from_folder,
    "array": lambda _: FrameSource.from_array(STACK, pixel_size=SIZE, interval=30.0),
    "dask array": lambda _: FrameSource.from_array(da.from_array(STACK, (5, 7, 30)), pixel_size=SIZE, interval=30.0),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_source_gives_the_same_frames_and_facts(folder, way):
    source = WAYS[way](folder)
    assert (source.axes, source.count, source.shape, source.dtype) == ("TYX", 12, (20, 30), np.uint16)
    assert (source.pixel_size, source.interval) == (SIZE, 30.0)
    np.testing.assert_array_equal(source.frame(11), STACK[11])
    np.testing.assert_array_equal(np.stack(list(source.each())), STACK)
    np.testing.assert_array_equal(np.stack([image.values for image in source.each_checked([3, 1])]), STACK[[3, 1]])
    assert source.sample(3) == [0, 6, 11] or source.sample(3) == [0, 5, 11]
    with pytest.raises(InputError, match="no frame 12"):
        source.frame(12)
    lazy = source.to_dask()
    assert lazy.chunks == ((1,) * 12, (20,), (30,))
    np.testing.assert_array_equal(lazy[2:5, 4].compute(), STACK[2:5, 4])


@pytest.mark.parametrize("way", ["file", "array", "dask array"])
def test_a_single_image(folder, way):
    ways = {
        "file": lambda: FrameSource.from_file(folder / "t3.tif"),
        "array": lambda: FrameSource.from_array(STACK[3]),
        "dask array": lambda: FrameSource.from_array(da.from_array(STACK)[3]),
    }
    source = ways[way]()
    assert (source.axes, source.count, source.shape, source.array_shape) == ("YX", 1, (20, 30), (20, 30))
    np.testing.assert_array_equal(source.frame(), STACK[3])
    np.testing.assert_array_equal(source.to_dask().compute(), STACK[3])


def test_frames_of_a_dask_array_are_computed_one_at_a_time():
    computed = []

    def block(block_info=None):
        t = block_info[None]["array-location"][0][0]
        computed.append(t)
        return STACK[t : t + 1]

    lazy = da.map_blocks(block, chunks=((1,) * 12, (20,), (30,)), dtype=STACK.dtype, meta=STACK[:0])
    frames = FrameSource.from_array(lazy).each([4, 2])
    assert computed == []
    np.testing.assert_array_equal(next(frames), STACK[4])
    assert computed == [4]
    np.testing.assert_array_equal(next(frames), STACK[2])
    assert computed == [4, 2]


def test_a_frame_that_is_not_finite_is_named(folder):
    holes = STACK.astype(np.float32)
    holes[7, 2, 3] = np.inf
    source = FrameSource.from_array(holes, name="Lapse")
    frames = source.each_checked([6, 7])
    assert next(frames).darkest == STACK[6].min()
    with pytest.raises(InputError, match=r"^'Lapse': frame 8 of 12: The image holds 1 NaN or infinite value;"):
        next(frames)
    tifffile.imwrite(folder / "t9.tif", holes[7])
    with pytest.raises(InputError, match=r"t9\.tif': the image is 30 × 20 float32 and the first frame 30 × 20 uint16"):
        FrameSource.from_folder(folder)


def test_frames_that_cannot_be_joined(folder, tmp_path):
    tifffile.imwrite(folder / "t1.tif", STACK[:2], photometric="minisblack")
    with pytest.raises(InputError, match=r"t1\.tif': .*stack of 2 frames"):
        FrameSource.from_folder(folder)
    with pytest.raises(InputError, match="no frames"):
        FrameSource.from_files([])
    for shape in [(3,), (2, 3, 4, 5), (0, 4), (3, 0, 4)]:
        with pytest.raises(InputError, match=r"\(T, Y, X\)"):
            FrameSource.from_array(np.zeros(shape))


def test_a_file_that_has_changed_since_it_was_opened(folder):
    source = FrameSource.from_folder(folder)
    tifffile.imwrite(folder / "t2.tif", STACK[2, :9])
    with pytest.raises(InputError, match=r"t2\.tif' has changed"):
        list(source.each())
    with pytest.raises(InputError, match=r"t2\.tif' has changed"):
        source.to_dask()[2].compute()
    (folder / "t3.tif").unlink()
    with pytest.raises(InputError, match=r"no file '.*t3\.tif'"):
        source.frame(3)


@pytest.mark.parametrize(
    ("name", "spelled"),
    [
        ("um", "µm"), ("\u03bcm", "µm"), ("\\u00B5m", "µm"), ("micron", "µm"), (" Microns ", "µm"), ("in", "inch"),
        ("nm", "nm"), ("Å", "Å"), ("pixel", None), ("px", None), ("", None),
    ],
)  # fmt: skip
def test_units_have_one_spelling(name, spelled):
    assert spell_unit(name) == spelled


def test_pixel_size_of_a_layer():
    assert pixel_size_of_layer((60, 0.5, 0.25), ("s", "um", "um")) == SIZE
    assert pixel_size_of_layer((1, 1), ("pixel", "pixel")) is None
    assert pixel_size_of_layer((1, 1), ("um", "nm")) is None
    assert pixel_size_of_layer((1, 1), None) is None
