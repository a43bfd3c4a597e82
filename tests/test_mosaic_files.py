"""Large files are read in windows, segmented piece by piece, and written tile by tile."""

from __future__ import annotations

import resource
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from bright_model import bright_model
from ome_zarr.format import FormatV04, FormatV05
from ome_zarr.writer import write_image
from typer.testing import CliRunner

from blunet.cli import app
from blunet.images.frame_source import FrameSource
from blunet.images.image_writer import read_description
from blunet.images.ome_zarr import open_image
from blunet.images.plane_choice import PlaneChoice
from blunet.jobs import image_segmentation
from blunet.jobs.events import Cancelled, CancelToken, PieceDone, Segmented
from blunet.jobs.file_segmentation import segment_files
from blunet.segmentation import mosaic

FORMATS = {"0.4": FormatV04(), "0.5": FormatV05()}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """The current folder, with a model; every image counts as large, and tiles are small."""
    monkeypatch.chdir(tmp_path)
    bright_model().save("model.blunet")
    monkeypatch.setattr(image_segmentation, "LARGE", 1)
    monkeypatch.setattr(mosaic, "TILE", 32)
    monkeypatch.setattr(mosaic, "MARGIN", 8)
    return tmp_path


def run(*arguments: str):
    return CliRunner().invoke(app, ["segment", *arguments, "--model", "model.blunet", "--out", "out"])


def random_squares(seed: int = 0, shape: tuple[int, int] = (130, 170)) -> np.ndarray:
    """Dark noise with bright squares of 20 pixels at random places, uint8."""
    rng = np.random.default_rng(seed)
    image = rng.integers(20, 60, shape).astype(np.uint8)
    for y, x in rng.integers(0, np.array(shape) - 20, (12, 2)):
        image[y : y + 20, x : x + 20] = rng.integers(180, 255)
    return image


def write_zarr(path: str, image: np.ndarray, version: str = "0.5", axes: str = "yx", chunk: int = 32) -> Path:
    fmt = FORMATS[version]
    group = zarr.open_group(path, mode="w", zarr_format=fmt.zarr_format)
    write_image(
        image, group, scale_factors=[2, 4], fmt=fmt, axes=list(axes), scale={axis: 0.5 for axis in axes},
        axes_units={axis: "micrometer" for axis in axes if axis != "c"},
        storage_options={"chunks": (1,) * (len(axes) - 2) + (chunk, chunk)},
    )  # fmt: skip
    return Path(path)


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*")]


@pytest.mark.parametrize(
    "options",
    [
        {"tile": (32, 48)}, {"tile": (64, 64), "compression": "lzw", "predictor": True}, {"rowsperstrip": 7},
        {"rowsperstrip": 7, "compression": "zlib"}, {"bigtiff": True, "byteorder": ">"}, {"compression": "zlib"},
        {"photometric": "miniswhite", "tile": (32, 32)}, {"tile": (32, 32), "byteorder": ">"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_windows_of_a_tiff_are_those_of_the_whole_frame(dtype, options):
    image = random_squares().astype(dtype)
    tifffile.imwrite("x.tif", image, **options)
    source = FrameSource.from_file("x.tif")
    whole = source.frame()
    with source.windows() as windows:
        assert not isinstance(windows, np.ndarray)
        assert (windows.shape, windows.dtype) == (whole.shape, whole.dtype)
        for window in (np.s_[:, :], np.s_[3:40, 47:49], np.s_[129:130, :], np.s_[5:5, 2:9], np.s_[100:500, 160:400]):
            np.testing.assert_array_equal(windows[window], whole[window])


def test_windows_of_frames_channels_and_slices():
    stack = np.stack([random_squares(seed) for seed in range(6)])
    tifffile.imwrite("stack.tif", stack, imagej=True, metadata={"axes": "TYX"})
    tifffile.imwrite("pages.tif", stack, tile=(32, 32), metadata={"axes": "TYX"})
    tifffile.imwrite("planes.ome.tif", stack.reshape(2, 3, 130, 170), tile=(32, 32), metadata={"axes": "CZYX"})
    write_zarr("planes.zarr", stack.reshape(2, 3, 130, 170), axes="czyx")
    for name, planes in (
        ("stack.tif", PlaneChoice()),
        ("pages.tif", PlaneChoice()),
        ("planes.ome.tif", PlaneChoice("1")),
        ("planes.zarr", PlaneChoice("1", 2)),
        ("planes.zarr", PlaneChoice("0", "best-focus")),
    ):
        source = FrameSource.from_file(name, planes)
        for index in range(source.count):
            with source.windows(index) as windows:
                np.testing.assert_array_equal(windows[10:90, 20:100], source.frame(index)[10:90, 20:100])


def test_windows_of_a_colour_image_and_of_arrays():
    import dask.array as da

    tifffile.imwrite("colour.tif", np.stack([random_squares()] * 3, axis=-1), photometric="rgb")
    image = random_squares()
    lazy = da.from_array(np.stack([image, image + 1]), chunks=(1, 50, 70))  # type: ignore[no-untyped-call]
    for source in (FrameSource.from_file("colour.tif"), FrameSource.from_array(lazy), FrameSource.from_array(image)):
        with source.windows() as windows:
            np.testing.assert_array_equal(windows[10:90, 20:100], image[10:90, 20:100])


@pytest.mark.parametrize("objects", ["watershed", "components", "mask"])
def test_files_in_pieces_hold_what_files_in_one_piece_hold(folder, objects, monkeypatch):
    size = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25, "PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm"}
    tifffile.imwrite("x.tif", random_squares(), ome=True, tile=(32, 32), metadata={"axes": "YX", **size})
    command = ["x.tif", "--objects", objects, "--measure", "--probability"]
    assert run(*command).exit_code == 0
    assert not hidden(folder)
    Path("out").rename("pieces")
    monkeypatch.setattr(image_segmentation, "LARGE", 10**9)
    assert run(*command).exit_code == 0
    for name in ("x_labels.tif", "x_probability.tif"):
        with tifffile.TiffFile(f"pieces/{name}") as pieces, tifffile.TiffFile(f"out/{name}") as whole:
            assert pieces.is_ome
            assert pieces.pages[0].is_tiled
            np.testing.assert_array_equal(pieces.asarray(), whole.asarray())
            assert pieces.pages[0].dtype == whole.pages[0].dtype
        assert read_description(f"pieces/{name}") == read_description(f"out/{name}")
        sizes = [FrameSource.from_file(f"{place}/{name}").pixel_size for place in ("pieces", "out")]
        assert sizes[0].in_micrometres == pytest.approx(sizes[1].in_micrometres)
    assert Path("pieces/x_objects.csv").read_bytes() == Path("out/x_objects.csv").read_bytes()
    assert tifffile.imread("out/x_labels.tif").max() > (1 if objects != "mask" else 0)


@pytest.mark.parametrize("version", sorted(FORMATS))
def test_an_ome_zarr_gets_its_labels_chunk_by_chunk(folder, version, monkeypatch):
    monkeypatch.setattr("blunet.images.ome_zarr_labels.WRITTEN", 32)
    image = random_squares()
    path = write_zarr("x.zarr", image, version)
    result = run("x.zarr", "--into", "cells", "--measure")
    assert (result.exit_code, result.stderr) == (0, "")
    expected = tifffile.imread("out/x_labels.tif")
    assert expected.max() > 3
    labels = zarr.open_group(path / "labels" / "cells", mode="r")
    for level, step in (("0", 1), ("1", 2), ("2", 4)):
        np.testing.assert_array_equal(labels[level][:], expected[::step, ::step])
    attributes = labels.attrs.asdict()
    about = attributes.get("ome", attributes)["image-label"]
    assert len(about["colors"]) == len(about["properties"]) == expected.max()
    assert not hidden(folder / "out")
    assert "1 finished before" not in run("x.zarr", "--into", "cells", "--measure").stdout
    assert "1 finished before" in run("x.zarr", "--into", "cells", "--measure", "--resume").stdout
    labels = zarr.open_group(path / "labels" / "cells", mode="r+")
    labels["0"][0, 0] = 77
    assert "was edited" in run("x.zarr", "--into", "cells", "--measure").stderr


def test_missing_chunks_are_the_fill_value_and_damaged_ones_an_error(folder):
    path = write_zarr("x.zarr", random_squares())
    chunk = path / open_image(path).array.basename / "c" / "1" / "2"
    before = chunk.read_bytes()
    chunk.unlink()
    result = run("x.zarr")
    assert result.exit_code == 0
    assert result.stderr.count("lacks 1 of its 30 chunks") == 1
    assert not tifffile.imread("out/x_labels.tif")[32:64, 64:96].any()
    chunk.write_bytes(before[: len(before) // 2])
    shutil.rmtree("out")
    result = run("x.zarr", "--into", "cells")
    assert result.exit_code == 2
    assert "'x.zarr' cannot be read in rows 32 to 64 and columns 64 to 96" in result.stderr
    assert not list(Path("out").iterdir())
    assert not (path / "labels").exists()


def test_a_damaged_tile_is_named(folder):
    tifffile.imwrite("x.tif", random_squares(), tile=(32, 32), compression="zlib")
    with tifffile.TiffFile("x.tif") as tif:
        place, count = tif.pages[0].dataoffsets[8], tif.pages[0].databytecounts[8]
    content = bytearray(Path("x.tif").read_bytes())
    content[place : place + count] = bytes(count)
    Path("x.tif").write_bytes(content)
    result = run("x.tif")
    assert result.exit_code == 2
    assert "'x.tif' is damaged in rows 32 to 64 and columns 64 to 96" in result.stderr
    assert not list(Path("out").iterdir())


def test_resume_and_edited_labels(folder):
    tifffile.imwrite("x.tif", random_squares())
    assert run("x.tif", "--measure").exit_code == 0
    assert "1 finished before" in run("x.tif", "--measure", "--resume").stdout
    assert "1 finished before" not in run("x.tif", "--measure", "--resume", "--min-size", "30").stdout
    with tifffile.TiffFile("out/x_labels.tif") as tif:
        labels, description = tif.asarray(), tif.ome_metadata
    labels[0, 0] = 9
    tifffile.imwrite("out/x_labels.tif", labels, description=description.encode(), metadata=None)
    result = run("x.tif", "--measure")
    assert "was edited after BLU-Net made it" in result.stderr


class CountingToken(CancelToken):
    """Is cancelled at the check of this number, counted from 0."""

    def __init__(self, moment: int) -> None:
        super().__init__()
        self.moment, self.checks = moment, 0

    def check(self) -> None:
        if self.checks == self.moment:
            self.cancel()
        self.checks += 1
        super().check()


def test_nothing_is_left_when_it_is_cancelled(folder):
    """At whichever check the job is cancelled, also while results are written, no file of it remains."""
    write_zarr("x.zarr", random_squares(shape=(70, 90)))
    options = {"save_probability": True, "save_measurements": True, "into": "cells"}
    never = CountingToken(-1)
    *_, done = segment_files(["x.zarr"], "out", bright_model(), cancel=never, **options)
    assert isinstance(done, Segmented)
    for path in ("out", "x.zarr/labels"):
        shutil.rmtree(path)
    assert never.checks > 20
    for moment in {*range(0, never.checks, 2), never.checks - 1}:
        with pytest.raises(Cancelled):
            list(segment_files(["x.zarr"], "out", bright_model(), cancel=CountingToken(moment), **options))
        assert not list(Path("out").iterdir())
        assert not list(Path("x.zarr").glob("labels/*"))


def test_nothing_is_left_when_the_job_is_given_up(folder):
    tifffile.imwrite("x.tif", random_squares())
    events = segment_files(["x.tif"], "out", bright_model())
    assert isinstance(next(each for each in events if isinstance(each, PieceDone)), PieceDone)
    assert hidden(folder / "out")
    events.close()
    assert not list(Path("out").iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="limits of files are POSIX's")
def test_a_disk_that_takes_no_more_is_an_error(folder):
    """The limit of a file's size stands in for a full disk."""
    tifffile.imwrite("x.tif", random_squares())
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (100, 1000, 4000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            result = run("x.tif", "--probability")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert result.exit_code == 2
        assert "x.tif" in result.stderr or "out" in result.stderr
        assert "File too large" in result.stderr
        assert not list(Path("out").iterdir())
