"""Files of microscopes: read in frames, channels and slices, segmented, and one sentence where a library is missing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from bright_model import put_model_and_image, squares
from microscope_writers import write_czi, write_lif, write_nd2
from typer.testing import CliRunner

from blunet.cli import app
from blunet.errors import InputError
from blunet.images.frame_source import FrameSource
from blunet.images.microscope_files import open_microscope_images
from blunet.images.plane_choice import PlaneChoice
from blunet.jobs.events import CancelToken
from blunet.jobs.layer_plan import plan_layers


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return put_model_and_image(tmp_path)


def run(*arguments: str):
    return CliRunner().invoke(app, ["segment", *arguments, "--model", "model.blunet", "--out", "out"])


def czi(path: str = "x.czi", scenes: int = 1, names=("GFP", "DIC")) -> np.ndarray:
    """Write scenes of two frames, two channels and two slices; return the first scene."""
    pytest.importorskip("pylibCZIrw", reason="the extra 'microscopes' is not installed")
    image = np.zeros((scenes, 2, 2, 2, 60, 90), np.uint8)
    image[:, :, 1, 1] = squares()
    image[:, 1, 1, 0] = 9
    write_czi(Path(path), image, names)
    return image[0]


def lif(path: str = "x.lif", contrasts=("FLUO", "DIC")) -> np.ndarray:
    """Write two images of three frames and two channels; return the first."""
    pytest.importorskip("liffile", reason="the extra 'microscopes' is not installed")
    image = np.stack([np.stack([np.full((60, 90), 7), squares() * 100 + t]) for t in range(3)]).astype(np.uint16)
    write_lif(Path(path), [image, image[:2, :, ::-1]], contrasts)
    return image


def test_czi(folder):
    image = czi()
    source = FrameSource.from_file("x.czi", PlaneChoice(z=1))
    assert (source.axes, source.count, source.shape, source.dtype) == ("TYX", 2, (60, 90), np.uint8)
    assert (source.pixel_size.y, source.pixel_size.unit) == (pytest.approx(0.5), "µm")
    np.testing.assert_array_equal(np.stack(list(source.each())), image[:, 1, 1])
    np.testing.assert_array_equal(FrameSource.from_file("x.czi", PlaneChoice("GFP", 0)).frame(1), image[1, 0, 0])
    with pytest.raises(InputError, match="2 frames of 2 slices; choose the slice"):
        FrameSource.from_file("x.czi")


def test_scenes_of_a_czi_are_images(folder):
    """Each is segmented, has results of its own, and can be given by itself."""
    czi("x.czi", scenes=2)
    result = run("x.czi", "--z", "1", "--json", "--summary", "images.csv")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)["images"]
    assert [(Path(each["image"]).name, each["objects"]) for each in found] == [("0", 4), ("1", 4)]
    assert sorted(path.name for path in Path("out").iterdir()) == ["x_0_labels.tif", "x_1_labels.tif"]
    assert len(Path("images.csv").read_text().splitlines()) == 3
    assert "2 finished before" in run("x.czi", "--z", "1", "--resume").stdout
    assert run(str(Path("x.czi/1")), "--z", "1").exit_code == 0
    assert "has no image '2'; it has 2" in run(str(Path("x.czi/2"))).stderr
    with pytest.raises(InputError, match="holds 2 images; give one of them, such as"):
        FrameSource.from_file("x.czi")
    plan = plan_layers(["x.czi"], planes=PlaneChoice(z=0), token=CancelToken())
    assert [layer.name for layer in plan.layers] == ["x_0", "x_1"]


def test_lif(folder):
    """DIC is known by its contrast method; times and sizes are read."""
    image = lif()
    first, second = open_microscope_images(Path("x.lif"))
    assert (first.interval, second.size("t")) == (30, 2)
    source = FrameSource.from_file("x.lif/0")
    assert (source.pixel_size.x, source.pixel_size.unit, source.dtype) == (pytest.approx(0.5), "µm", np.uint16)
    np.testing.assert_array_equal(np.stack(list(source.each())), image[:, 1])
    np.testing.assert_array_equal(FrameSource.from_file("x.lif/1").frame(1), image[1, 1, ::-1])
    lif("y.lif", ("BF", "BF"))
    with pytest.raises(InputError, match=r"it is not clear which is DIC: 0 Gray BF, 1 Gray BF; choose the channel"):
        FrameSource.from_file("y.lif/0")


def test_nd2(folder):
    """DIC is known by the flags of its microscope; frames, slices and steps are read."""
    pytest.importorskip("nd2", reason="the extra 'microscopes' is not installed")
    image = np.zeros((2, 3, 2, 60, 90), np.uint16)
    image += np.arange(12).reshape(2, 3, 2, 1, 1).astype(np.uint16)
    image[..., 1, :, :] += squares()
    write_nd2(Path("x.nd2"), image, ("first", "second"), (0x101, 0x122))
    source = FrameSource.from_file("x.nd2", PlaneChoice(z=2))
    assert (source.axes, source.count, source.shape, source.dtype) == ("TYX", 2, (60, 90), np.uint16)
    assert (source.pixel_size.x, source.pixel_size.unit, source.interval) == (0.5, "µm", 30)
    np.testing.assert_array_equal(np.stack(list(source.each())), image[:, 2, 1])
    np.testing.assert_array_equal(FrameSource.from_file("x.nd2", PlaneChoice("first", 1)).frame(1), image[1, 1, 0])
    (found,) = open_microscope_images(Path("x.nd2"))
    assert (found.spacing, found.channels, found.contrasts) == (2, ("first", "second"), ("", "DIC"))
    assert "-> out" in run("x.nd2", "--z", "1").stdout


def test_labels_equal_those_of_the_same_tiff(folder):
    image = lif()
    tifffile.imwrite("y.tif", image[:, 1], imagej=True, metadata={"axes": "TYX"})
    assert run("x.lif/0", "y.tif").exit_code == 0
    np.testing.assert_array_equal(tifffile.imread("out/x_0_labels.tif"), tifffile.imread("out/y_labels.tif"))


@pytest.mark.parametrize(("name", "library"), [("x.nd2", "nd2"), ("x.czi", "pylibCZIrw"), ("x.lif", "liffile")])
def test_a_missing_library_is_one_sentence(folder, monkeypatch, name, library):
    """The other images of the folder go on."""
    Path(name).write_bytes(b"microscope")
    monkeypatch.setitem(sys.modules, library, None)
    result = run(".")
    assert result.exit_code == 1
    assert f"'{name}' needs {library}, which is not installed: pip install napari-blunet[microscopes]" in result.stderr
    assert Path("out/a_labels.tif").exists()


@pytest.mark.parametrize("name", ["x.nd2", "x.czi", "x.lif"])
def test_a_damaged_file_is_one_sentence(folder, name):
    pytest.importorskip({"x.nd2": "nd2", "x.czi": "pylibCZIrw", "x.lif": "liffile"}[name], reason="no such extra")
    Path(name).write_bytes(b"no microscope has written this" * 9)
    result = run(name)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert name in result.stderr
