"""Label and probability files."""

from dataclasses import astuple

import numpy as np
import pytest
import tifffile

from blunet.errors import InputError
from blunet.images.frame_source import FrameSource
from blunet.images.image_writer import read_description, write_labels, write_probability
from blunet.images.pixel_size import PixelSize

DESCRIPTION = {"model": "zélle=1\n.blunet", "settings": {"threshold": 0.5, "min_size": 20, "diameter": None}}


def labels_of(shape, largest):
    labels = np.random.default_rng(0).integers(0, largest, shape, np.int64)
    labels.flat[-1] = largest
    return labels


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (40, 30), (4, 40, 30), (2, 1, 3)])
@pytest.mark.parametrize(("largest", "dtype"), [(65_535, np.uint16), (65_536, np.uint32)])
@pytest.mark.parametrize("size", [PixelSize(0.2, 0.1, "µm"), PixelSize(50.0, 25.0, "nm"), None])
def test_labels_keep_values_axes_pixel_size_and_settings(tmp_path, shape, largest, dtype, size):
    path = tmp_path / "Zéllen 1.b_labels.tif"
    labels = labels_of(shape, largest)
    write_labels(path, labels, pixel_size=size, description=DESCRIPTION)
    np.testing.assert_array_equal(tifffile.imread(path).reshape(shape), labels)
    file = FrameSource.from_file(path)
    assert (file.axes, file.array_shape, file.dtype) == ("TYX"[-len(shape) :], shape, dtype)
    if size is None:
        assert file.pixel_size is None
    else:
        assert astuple(file.pixel_size) == (pytest.approx(size.y), pytest.approx(size.x), size.unit)
    assert read_description(path) == DESCRIPTION
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_imagej_finds_its_metadata(tmp_path):
    path = tmp_path / "x_labels.tif"
    write_labels(path, labels_of((3, 20, 20), 9), pixel_size=PixelSize(0.2, 0.1, "µm"), description=DESCRIPTION)
    with tifffile.TiffFile(path) as tif:
        assert tif.is_imagej
        assert tif.imagej_metadata["frames"] == 3
        assert tif.imagej_metadata["unit"] == "micron"
        assert tif.series[0].axes == "TYX"
        assert tif.pages[0].tags["XResolution"].value == (10, 1)
        assert tif.pages[0].compression == tifffile.COMPRESSION.ADOBE_DEFLATE


def test_frames_of_an_iterable_are_written_in_the_type_of_the_largest_label(tmp_path):
    stack = labels_of((3, 20, 30), 70_000)
    stack[:2] %= 500
    write_labels(tmp_path / "l.tif", iter(stack), description={})
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "l.tif"), stack)
    write_labels(tmp_path / "s.tif", iter(stack[:2]), description={})
    assert tifffile.imread(tmp_path / "s.tif").dtype == np.uint16
    maps = np.random.default_rng(0).random((3, 20, 30))
    write_probability(tmp_path / "p.tif", iter(maps), frames=3, description=DESCRIPTION)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "p.tif"), maps.astype(np.float32))
    assert FrameSource.from_file(tmp_path / "p.tif").axes == "TYX"


def test_probability_is_float32(tmp_path):
    probability = np.random.default_rng(0).random((20, 30), np.float32)
    path = tmp_path / "p.tif"
    write_probability(path, probability, pixel_size=PixelSize(0.5, 0.5, "µm"), description=DESCRIPTION)
    read = FrameSource.from_file(path)
    np.testing.assert_array_equal(read.frame(), probability)
    assert (read.dtype, read.pixel_size) == (np.float32, PixelSize(0.5, 0.5, "µm"))
    assert read_description(path) == DESCRIPTION


def test_a_unit_beyond_ascii(tmp_path):
    write_labels(tmp_path / "l.tif", np.ones((5, 5), int), pixel_size=PixelSize(2, 1, "Å"), description={})
    file = FrameSource.from_file(tmp_path / "l.tif")
    assert file.pixel_size == PixelSize(2, 1, "Å")


def test_labels_are_compressed(tmp_path):
    write_labels(tmp_path / "l.tif", np.ones((500, 500), np.int32), description={})
    assert (tmp_path / "l.tif").stat().st_size < 5000


def test_a_failed_write_leaves_the_older_file_and_no_other(tmp_path):
    path = tmp_path / "l.tif"
    write_labels(path, np.ones((5, 5), np.int32), description={"a": 1})

    def frames():
        yield np.zeros((5, 5), np.float32)
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError):
        write_probability(path, frames(), frames=2, description={})
    with pytest.raises(InputError, match="float64"):
        write_labels(path, np.zeros((5, 5)), description={})
    with pytest.raises(InputError, match="no labels"):
        write_labels(path, iter([]), description={})
    with pytest.raises(InputError, match="cannot be written"):
        write_labels(tmp_path / "nowhere" / "l.tif", np.ones((5, 5), np.int32), description={})
    assert read_description(path) == {"a": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["l.tif"]


def test_other_files_hold_no_description(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", np.zeros((5, 5), np.uint8))
    tifffile.imwrite(tmp_path / "y.tif", np.zeros((5, 5), np.uint8), imagej=True)
    tifffile.imwrite(tmp_path / "z.tif", np.zeros((5, 5), np.uint8), ome=True)
    for name in "xyz":
        with pytest.raises(InputError, match="no description"):
            read_description(tmp_path / f"{name}.tif")
    with pytest.raises(InputError, match="no file"):
        read_description(tmp_path / "nowhere.tif")
