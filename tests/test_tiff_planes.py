"""TIFF files of several channels, and of slices in time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from bright_model import put_model_and_image, squares
from typer.testing import CliRunner

from blunet.cli import app
from blunet.errors import InputError
from blunet.images.frame_source import FrameSource
from blunet.images.plane_choice import PlaneChoice

DARK = np.full((60, 90), 7, np.uint8)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return put_model_and_image(tmp_path)


def write(image: np.ndarray, axes: str, kind: str, channels: tuple[str, ...] = ()) -> None:
    """Write `x.tif` as OME or ImageJ have it; ImageJ's axes are always TZCYX."""
    if kind == "imagej":
        order = [axes.index(axis) for axis in "TZCYX" if axis in axes]
        tifffile.imwrite("x.tif", image.transpose(order), imagej=True, resolution=(4, 2),
                         metadata={"axes": "".join(axis for axis in "TZCYX" if axis in axes), "unit": "um",
                                   "finterval": 30.0, "spacing": 1.5})  # fmt: skip
        return
    metadata = {"axes": axes, "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 1.5, "TimeIncrement": 30.0}
    tifffile.imwrite(
        "x.ome.tif", image, metadata=metadata | ({"Channel": {"Name": list(channels)}} if channels else {})
    )
    Path("x.ome.tif").rename("x.tif")


def run(*arguments: str):
    return CliRunner().invoke(app, ["segment", "x.tif", *arguments, "--model", "model.blunet", "--out", "out"])


@pytest.mark.parametrize("kind", ["ome", "imagej"])
@pytest.mark.parametrize("axes", ["CYX", "TCYX", "CTYX"])
def test_one_channel_is_read(kind, axes):
    frames = {"T": 3, "C": 2}
    image = np.zeros([frames.get(axis, {"Y": 60, "X": 90}.get(axis)) for axis in axes], np.uint8)
    wanted = np.stack([np.roll(squares(), t, 0) for t in range(3)]) if "T" in axes else squares()
    np.moveaxis(image, axes.index("C"), 0)[1] = wanted
    write(image, axes, kind)
    source = FrameSource.from_file("x.tif", PlaneChoice(channel="1"))
    assert source.axes == ("TYX" if "T" in axes else "YX")
    assert np.array_equal(np.squeeze(np.stack(list(source.each()))), wanted)
    assert (source.pixel_size.y, source.pixel_size.x) == pytest.approx((0.5, 0.25))
    assert source.interval == (30 if "T" in axes else None)
    with pytest.raises(
        InputError, match=r"has 2 channels, and it is not clear which is DIC: 0.*, 1.*choose the channel"
    ):
        FrameSource.from_file("x.tif")


def test_the_channel_of_transmitted_light_is_known_by_ome_names():
    write(np.stack([DARK, squares(), DARK]), "CYX", "ome", ("Hoechst", "DIC", "GFP"))
    assert json.loads(run("--json").stdout)["images"][0]["objects"] == 2
    assert json.loads(run("--json", "--channel", "gfp").stdout)["images"][0]["objects"] == 0
    assert "no channel 'RFP'; its channels are: 0 Hoechst, 1 DIC, 2 GFP" in run("--channel", "RFP").stderr


@pytest.mark.parametrize("kind", ["ome", "imagej"])
def test_a_slice_of_each_frame_is_read(kind):
    blurred = squares() // 4 + 60
    image = np.stack([np.stack([blurred, np.roll(squares(), t, 0), blurred]) for t in range(2)])
    write(image, "TZYX", kind)
    result = run()
    assert result.exit_code == 2
    assert "has 2 frames of 3 slices; choose the slice (in a terminal: --z), or best-focus" in result.stderr
    for z in ("1", "best-focus"):
        assert json.loads(run("--json", "--z", z).stdout)["images"][0]["objects"] == 4
    labels = FrameSource.from_file("out/x_labels.tif")
    assert (labels.axes, labels.count, labels.interval) == ("TYX", 2, 30)


def test_a_file_of_all_axes_gives_every_plane():
    image = np.random.default_rng(0).integers(0, 2**16, (2, 3, 4, 20, 30)).astype(np.uint16)
    write(image, "TCZYX", "ome")
    for z in range(4):
        for c in range(3):
            source = FrameSource.from_file("x.tif", PlaneChoice(channel=str(c), z=z))
            for t, frame in enumerate(source.each()):
                assert np.array_equal(frame, image[t, c, z])


def test_a_cut_file_is_named():
    write(np.random.default_rng(0).integers(0, 256, (2, 2, 60, 90)).astype(np.uint8), "TCYX", "ome")
    content = Path("x.tif").read_bytes()
    Path("x.tif").write_bytes(content[: len(content) - 4000])
    with pytest.raises(InputError, match=r"x\.tif"):
        list(FrameSource.from_file("x.tif", PlaneChoice(channel="0")).each())
