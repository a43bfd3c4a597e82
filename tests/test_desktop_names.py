"""Patterns, upper-case endings and the ends of masks' names work as on a desktop, and reasons do not blame the file."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from bright_model import bright_model, squares
from PIL import Image
from typer.testing import CliRunner

from blunet.cli import app
from blunet.dataset.masks_beside import find_masks
from blunet.dataset.pairs import find_pairs
from blunet.errors import InputError
from blunet.images.frame_source import FrameSource
from blunet.images.image_files import images_of
from blunet.images.image_reader import read_layout
from blunet.jobs.layer_plan import plan_layers


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(name, squares())


def found(pattern: str) -> list[str]:
    return [path.as_posix() for path in images_of(pattern)]


def test_the_case_of_an_ending_never_counts():
    write("p/A1.TIF", "p/A2.tif", "p/a3.Tif", "p/b.png")
    assert found("p/*.tif") == found("p/*.TIF") == ["p/A1.TIF", "p/A2.tif", "p/a3.Tif"]
    assert found("p/A*.tif") == ["p/A1.TIF", "p/A2.tif"]  # names in this case exist
    assert found("P/B*.PNG") == ["p/b.png"]


def test_patterns_match_folders_and_names_with_brackets():
    write("plate 1/t1.tif", "plate 2/t1.tif", "day [3]/x1.tif", "day [3]/x2.tif")
    assert found("plate*") == ["plate 1/t1.tif", "plate 2/t1.tif"]
    assert found("day [3]/*.tif") == ["day [3]/x1.tif", "day [3]/x2.tif"]
    assert found("day [3]/x[2].tif") == ["day [3]/x2.tif"]
    assert found("**/x*.tif") == ["day [3]/x1.tif", "day [3]/x2.tif"]


def test_files_that_match_and_are_not_used_are_named():
    write("x_labels.tif", "only/y_mask.tif")
    for source, name in (("*_labels.tif", "x_labels.tif"), ("only", "y_mask.tif")):
        with pytest.raises(InputError, match=f"'{name}' and the like, which are labels, probabilities or masks"):
            images_of(source)


@pytest.mark.parametrize(
    "names",
    [
        ("x.TIF", "x_MASK.TIF"),
        ("X1.tif", "x1_mask.tif"),
        ("Images/x.tif", "MASKS/x.tif"),
        ("images/X.tif", "masks/x_Mask.tif"),
        ("x.tif", "x_masks.tif"),
        ("x.tif", "x_cp_masks.png"),
        ("images/x.tif", "masks/x_cp_masks.tif"),
    ],
)
def test_masks_are_found_by_their_names(names):
    write(*names)
    (pair,) = find_pairs(".").pairs
    assert (pair.image, pair.mask) == tuple(map(Path, names))
    assert find_masks([Path(names[0])]) == {Path(names[0]): Path(names[1])}
    assert plan_layers(["."]).layers[0].masks


def test_stems_that_differ_in_case_stay_apart():
    write("a.tif", "A.tif", "a_mask.tif", "A_mask.tif")
    if len(list(Path().iterdir())) < 4:
        pytest.skip("this file system does not distinguish upper and lower case")
    assert [(pair.image.name, pair.mask.name) for pair in find_pairs(".").pairs] == [
        ("A.tif", "A_mask.tif"),
        ("a.tif", "a_mask.tif"),
    ]


def png(height: int, width: int, extra: bytes = b"") -> bytes:
    """Return a grey PNG of zeros."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((1 + (width + 7) // 8) * height), 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_png_and_jpeg_of_more_pixels_than_a_web_browser_shows(monkeypatch):
    Path("big.png").write_bytes(png(13_500, 13_500))
    limit = Image.MAX_IMAGE_PIXELS
    assert read_layout(Path("big.png")).shape == (13_500, 13_500)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for name in ("a.png", "a.jpg"):
        Image.fromarray(squares()).save(name)
        assert FrameSource.from_file(name).frame().shape == (60, 90)
    monkeypatch.undo()
    assert limit == Image.MAX_IMAGE_PIXELS


def test_a_png_with_a_long_comment():
    text = b"Comment\0\0" + zlib.compress(bytes(3 * 2**20))
    extra = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    Path("a.png").write_bytes(png(30, 40, extra))
    assert FrameSource.from_file("a.png").frame().shape == (30, 40)


def test_an_image_that_does_not_fit_into_memory_is_not_called_damaged(monkeypatch):
    write("a.tif")

    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("blunet.images.image_reader.read_tiff_layout", fail)
    with pytest.raises(InputError, match=r"'a.tif' does not fit into memory"):
        read_layout(Path("a.tif"))


def test_the_command_shows_both_warnings():
    bright_model().save("model.blunet")
    large = np.zeros((200, 200), np.uint8)
    large[20:160, 20:160] = 255
    tifffile.imwrite("mask.tif", large)
    result = CliRunner().invoke(app, ["segment", "mask.tif", "--model", "model.blunet", "--out", "out", "--json"])
    assert result.exit_code == 0
    assert "is it a mask rather than a DIC image?" in result.stderr
    assert "'mask.tif': The objects found are about 158 px wide" in result.stderr
    assert json.loads(result.stdout)["images"][0]["objects"] == 1
