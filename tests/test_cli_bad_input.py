"""Bad input ends in one sentence on stderr with exit code 2, and nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from bright_model import bright_model, squares
from PIL import Image
from safetensors.numpy import load, save
from typer.testing import CliRunner

from blunet.cli import app


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    bright_model().save("model.blunet")
    tifffile.imwrite("good.tif", squares())
    Path("empty").mkdir()
    Path("empty/notes.txt").write_text("no image")
    Path("text.tif").write_text("this is text")
    tifffile.imwrite("big.tif", np.random.default_rng(0).integers(0, 255, (300, 300)).astype(np.uint8))
    Path("cut.tif").write_bytes(Path("big.tif").read_bytes()[:20_000])
    holes = (squares() / 255).astype(np.float32)
    holes[3, 4] = np.nan
    tifffile.imwrite("nan.tif", holes)
    tifffile.imwrite("five.tif", np.zeros((2, 3, 4, 20, 30), np.uint8), metadata={"axes": "TZCYX"})
    frames = np.stack([np.nan_to_num(holes), holes])
    tifffile.imwrite("nanstack.tif", frames, imagej=True, metadata={"axes": "TYX"})
    return tmp_path


def run(*arguments: str):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def segment(*arguments: str):
    return run("segment", *arguments, "--model", "model.blunet", "--out", "out")


def refused(result, *words: str) -> None:
    """Assert one sentence with the words on stderr, none elsewhere, and the exit code."""
    lines = result.stderr.splitlines()
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert len(lines) == 1
    assert lines[0].startswith("Error: ")
    assert lines[0].endswith(".")
    assert "Traceback" not in result.output
    for word in words:
        assert word in lines[0]


BAD_IMAGES = [
    ("nowhere.tif", ["nowhere.tif", "no file"]),
    ("empty", ["empty", "no images"]),
    ("none*.tif", ["none*.tif"]),
    ("text.tif", ["text.tif", "no TIFF"]),
    ("cut.tif", ["cut.tif"]),
    ("nan.tif", ["nan.tif", "1 NaN"]),
    ("five.tif", ["five.tif", "(2, 3, 4, 20, 30)"]),
    ("nanstack.tif", ["nanstack.tif", "frame 2 of 2: ", "1 NaN"]),
]


@pytest.mark.parametrize(("image", "words"), BAD_IMAGES)
def test_the_only_image_is_bad(image, words, folder):
    refused(segment(image), *words)
    assert not list(folder.glob("out/*"))


@pytest.mark.parametrize(("image", "words"), BAD_IMAGES)
def test_one_image_of_several_is_bad(image, words, folder):
    result = segment(image, "good.tif", "--json")
    assert result.exit_code == 1
    content = json.loads(result.stdout)
    assert [found["image"] for found in content["images"]] == ["good.tif"]
    assert len(content["skipped"]) == 1
    for word in words:
        assert word in content["skipped"][0]["reason"]
        assert word in result.stderr
    assert [path.name for path in folder.glob("out/*")] == ["good_labels.tif"]


def test_all_images_are_bad():
    result = segment("nan.tif", "text.tif", "nowhere.tif", "--json")
    assert result.exit_code == 2
    content = json.loads(result.stdout)
    assert content["images"] == []
    assert {skipped["image"] for skipped in content["skipped"]} == {"nan.tif", "text.tif", "nowhere.tif"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--threshold", "1.2"], ["'threshold' is 1.2"]),
        (["--threshold", "-0.1"], ["'threshold' is -0.1"]),
        (["--threshold", "nan"], ["'threshold' is nan"]),
        (["--min-size", "-5"], ["'min_size' is -5"]),
        (["--diameter", "0"], ["'diameter' is 0"]),
        (["--diameter", "0.01"], ["diameter is 0.01 px"]),
        (["--threads", "0"], ["threads is 0"]),
    ],
)
def test_a_setting_out_of_range_stops_before_any_work(options, words, folder):
    refused(segment("good.tif", *options), *words)
    assert not (folder / "out").exists()


def test_an_unknown_kind_of_objects_is_refused():
    result = segment("good.tif", "--objects", "cells")
    assert result.exit_code == 2
    assert "'cells'" in result.stderr
    assert "watershed" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["segment", "good.tif", "--out", ""],
        ["segment", "good.tif", "--out", "out", "--model", " "],
        ["evaluate", "model.blunet", "--data", ""],
        ["import-weights", "w.h5", "--network", "unet", "--out", ""],
        ["compress", "--data", "data", "--out", ""],
        ["compress", "--data", "data", "--out", "run", "--teacher", ""],
        ["demo", "--out", ""],
        ["info", ""],
    ],
)
def test_an_empty_name_is_not_taken_for_the_current_folder(arguments, folder):
    before = sorted(folder.iterdir())
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "the name is empty; give one." in result.stderr
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["segment", "nowhere.tif", "--out", "out", "--model", "model.blunet"],
        ["info", "text.tif"],
        ["evaluate", "model.blunet", "--data", "empty"],
        ["benchmark", "--size", "-3"],
    ],
)
def test_after_an_error_stdout_is_empty_with_json_too(arguments):
    refused(run(*arguments, "--json"))


def test_two_inputs_with_the_same_output_are_refused_before_any_work(folder):
    Image.fromarray(squares()).save("good.png")
    refused(segment("good.tif", "good.png"), "good.tif", "good.png", "good_labels.tif")
    (folder / "other").mkdir()
    tifffile.imwrite("other/good.tif", squares())
    refused(segment("big.tif", "good.tif", "other/good.tif"), str(Path("other/good.tif")))
    assert not (folder / "out").exists()


def test_an_input_named_twice_is_segmented_once():
    result = segment("good.tif", "./good.tif", "--json")
    assert result.exit_code == 0
    assert len(json.loads(result.stdout)["images"]) == 1


def test_a_result_never_replaces_an_input(folder):
    (folder / "good_labels.tif").write_bytes((folder / "good.tif").read_bytes())
    before = (folder / "good_labels.tif").read_bytes()
    result = run("segment", "good.tif", "good_labels.tif", "--model", "model.blunet", "--out", ".")
    refused(result, "good.tif", "good_labels.tif", "overwrite")
    assert (folder / "good_labels.tif").read_bytes() == before


def test_the_output_folder_is_a_file(folder):
    (folder / "out").write_text("precious")
    refused(segment("good.tif"), "out", "a file stands in its place")
    refused(run("segment", "good.tif", "--model", "model.blunet", "--out", "out/deeper"), "deeper")
    assert (folder / "out").read_text() == "precious"


def newer(content: bytes) -> bytes:
    length = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + length])["__metadata__"]
    header = json.loads(metadata["blunet"]) | {"format_version": 99}
    return save(load(content), {"blunet": json.dumps(header)})


BAD_MODELS = {
    "missing": (None, ["bad.blunet"]),
    "half": (lambda content: content[: len(content) // 2], ["bad.blunet"]),
    "zeros": (lambda content: bytes(len(content)), ["bad.blunet"]),
    "empty": (lambda content: b"", ["bad.blunet"]),
    "tiff": (lambda content: Path("good.tif").read_bytes(), ["bad.blunet"]),
    "newer": (newer, ["bad.blunet", "99"]),
    "zip": (lambda content: b"PK\x03\x04" + content, ["bad.blunet"]),
}


@pytest.mark.parametrize("command", ["segment", "info", "evaluate"])
@pytest.mark.parametrize("kind", BAD_MODELS)
def test_a_bad_model(kind, command, folder):
    change, words = BAD_MODELS[kind]
    if change:
        Path("bad.blunet").write_bytes(change(Path("model.blunet").read_bytes()))
    if command == "segment":
        result = run("segment", "good.tif", "--model", "bad.blunet", "--out", "out")
    elif command == "info":
        result = run("info", "bad.blunet")
    else:
        result = run("evaluate", "bad.blunet", "--data", ".")
    refused(result, *words)
    assert not (folder / "out").exists()


def pair(name: str, image: np.ndarray, mask: np.ndarray | None) -> None:
    Path("data/images").mkdir(parents=True, exist_ok=True)
    Path("data/masks").mkdir(exist_ok=True)
    if image is not None:
        tifffile.imwrite(f"data/images/{name}.tif", image)
    if mask is not None:
        tifffile.imwrite(f"data/masks/{name}.tif", mask)


def evaluate(*options: str):
    return run("evaluate", "model.blunet", "--data", "data", *options)


def test_a_mask_of_another_size_than_its_image():
    pair("x", squares(), np.zeros((60, 91), np.uint8))
    refused(evaluate(), "x.tif", "60 x 91", "60 x 90")


def test_every_pair_is_checked_before_the_first_is_scored():
    pair("a", squares(), (squares() > 100).astype(np.uint8))
    pair("b", squares(), np.zeros((60, 91), np.uint8))
    refused(evaluate(), "b.tif")


def test_masks_without_images_and_images_without_masks():
    pair("x", None, squares())
    refused(evaluate(), "masks without images")
    Path("data/masks/x.tif").unlink()
    pair("x", squares(), None)
    refused(evaluate(), "images without masks")


def test_no_data_folder_and_an_empty_one():
    refused(evaluate(), "data")
    Path("data").mkdir()
    refused(evaluate(), "no images and masks")


def test_an_image_that_is_not_finite_is_refused_before_the_first_is_scored():
    pair("a", squares(), squares())
    holes = (squares() / 255).astype(np.float32)
    holes[3, 4] = np.nan
    pair("b", holes, squares())
    refused(evaluate(), "b.tif", "1 NaN")


def test_a_stack_cannot_be_scored():
    pair("x", np.stack([squares()] * 5), squares())
    refused(evaluate(), "x.tif", "5 frames")


def test_settings_of_evaluate_out_of_range():
    pair("x", squares(), squares())
    refused(evaluate("--threshold", "2"), "'threshold' is 2")
    refused(evaluate("--diameter", "-1"), "'diameter' is -1")
