"""Long batches: going on after an interruption, and tables of the whole batch."""

from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from bright_model import bright_model, put_model_and_image, squares
from pyarrow import parquet
from typer.testing import CliRunner

from blunet.cli import app
from blunet.images.image_writer import read_description
from blunet.jobs.events import Cancelled, CancelToken, Segmented, Warned
from blunet.jobs.file_segmentation import segment_files
from blunet.packed.model_card import ModelCard, ModelInfo


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The current folder, with a model and three images: the second has a pixel size, the third is constant."""
    monkeypatch.chdir(tmp_path)
    put_model_and_image(tmp_path)
    tifffile.imwrite("b.tif", squares((80, 100)), imagej=True, resolution=(2, 2), metadata={"unit": "um"})
    tifffile.imwrite("c.tif", np.full((30, 40), 7, np.uint8))
    return tmp_path


IMAGES = ("a.tif", "b.tif", "c.tif")


def run(*arguments: str):
    return CliRunner().invoke(app, ["segment", *arguments, "--model", "model.blunet", "--out", "out"])


def times() -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in Path("out").iterdir()}


def redone(*arguments: str) -> set[str]:
    """Return the images that a resumed batch segments again."""
    before = times()
    assert run(*IMAGES, "--resume", *arguments).exit_code == 0
    after = times()
    return {name[0] for name in after if name.endswith("_labels.tif") and before.get(name) != after[name]}


def test_a_resumed_batch_does_what_is_missing(folder):
    """A batch that is stopped after its first image goes on with the second, and says what was there."""
    token = CancelToken()
    running = segment_files(IMAGES, "out", load(), cancel=token)
    next(event for event in running if isinstance(event, Segmented))
    token.cancel()
    with pytest.raises(Cancelled):
        list(running)
    assert sorted(times()) == ["a_labels.tif"]
    events = list(segment_files(IMAGES, "out", load(), resume=True))
    done = [event for event in events if isinstance(event, Segmented)]
    assert [(event.image.name, event.earlier, event.objects) for event in done] == [
        ("a.tif", True, 2),
        ("b.tif", False, 2),
        ("c.tif", False, 0),
    ]
    again = list(segment_files(IMAGES, "out", load(), resume=True))
    assert [event.earlier for event in again if isinstance(event, Segmented)] == [True] * 3
    warned = [[event.message for event in some if isinstance(event, Warned)] for some in (events, again)]
    assert warned[0] == warned[1]
    assert "constant" in warned[1][0]


def load():
    from blunet import load_model

    return load_model("model.blunet")


def test_what_has_changed_is_done_again(folder):
    assert run(*IMAGES, "--measure").exit_code == 0
    assert redone("--measure") == set()
    assert redone() == set()  # the labels are there; the tables stay
    tifffile.imwrite("a.tif", squares((70, 90)))
    assert redone("--measure") == {"a"}
    assert redone("--measure", "--threshold", "0.4") == {"a", "b", "c"}
    assert redone("--measure", "--probability", "--threshold", "0.4") == {"a", "b", "c"}
    Path("out/b_probability.tif").unlink()
    assert redone("--measure", "--probability", "--threshold", "0.4") == {"b"}
    bright_model(ModelInfo(card=ModelCard(name="other", object_diameter=20.0))).save("model.blunet")
    assert redone("--threshold", "0.4") == {"a", "b", "c"}


def test_edited_tables_and_labels_are_not_taken_for_finished_ones(folder):
    assert run(*IMAGES, "--measure").exit_code == 0
    with Path("out/a_objects.csv").open("a") as file:
        file.write("\n")
    labels = tifffile.imread("out/b_labels.tif")
    tifffile.imwrite("out/b_labels.tif", labels)
    result = run(*IMAGES, "--measure", "--resume")
    assert result.exit_code == 1
    assert "'out/a_objects.csv' was edited" in result.stderr.replace("\\", "/")
    assert "'out/b_labels.tif' was not made by BLU-Net" in result.stderr.replace("\\", "/")


def test_resumed_results_are_counted(folder):
    assert run("a.tif", "b.tif").exit_code == 0
    result = run(*IMAGES, "--resume")
    assert "3 images with 4 objects -> out (2 finished before)" in result.stdout
    assert "a.tif" not in result.stdout
    content = json.loads(run(*IMAGES, "--resume", "--json").stdout)
    assert [image["objects"] for image in content["images"]] == [2, 2, 0]


def test_labels_name_their_image_and_what_was_found(folder):
    assert run("a.tif").exit_code == 0
    description = read_description("out/a_labels.tif")
    assert description["image"]["file"] == "a.tif"
    assert len(description["image"]["sha256"]) == len(description["model"]["sha256"]) == 64
    assert description["found"]["objects"] == 2


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_tables_of_a_batch(folder, ending):
    """One row an image, skipped ones too; one row an object, in the columns of all images."""
    summary, objects = f"images.{ending}", f"objects.{ending}"
    result = run(*IMAGES, "nowhere.tif", "--summary", summary, "--objects-table", objects)
    assert result.exit_code == 1
    if ending == "csv":
        texts = (Path(each).read_text(encoding="utf-8") for each in (summary, objects))
        rows, cells = (list(csv.DictReader(text.splitlines())) for text in texts)
    else:
        rows, cells = (parquet.read_table(each).to_pylist() for each in (summary, objects))
    status = {row["image"]: row["status"] for row in rows}
    assert status == {"nowhere.tif": "skipped", **dict.fromkeys(IMAGES, "segmented")}
    by_image = {row["image"]: row for row in rows}
    assert "nowhere.tif" in by_image["nowhere.tif"]["reason"]
    assert "constant" in by_image["c.tif"]["warnings"]
    assert int(by_image["a.tif"]["objects"]) == 2
    assert [(cell["image"], int(cell["label"])) for cell in cells] == [
        ("a.tif", 1), ("a.tif", 2), ("b.tif", 1), ("b.tif", 2)
    ]  # fmt: skip
    assert float(cells[0]["area_px2"]) == 400
    assert cells[0]["area_um2"] in ("", None)
    assert float(cells[2]["area_um2"]) == 100


def test_a_table_that_cannot_be_written_stops_the_command_before_it_begins(folder):
    for option, said in (
        (("--summary", "images.txt"), "neither a .csv nor a .parquet file"),
        (("--objects-table", "nowhere/objects.csv"), "There is no folder 'nowhere'"),
    ):
        result = run(*IMAGES, *option)
        assert result.exit_code == 2
        assert said in result.stderr
        assert not Path("out").exists()


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_tables_replace_only_tables_of_a_batch(folder, ending):
    """The command stops before it begins; tables of an earlier batch are replaced."""
    mine = Path(f"mine.{ending}")
    mine.write_text("my,own\n1,2\n")
    for option in ("--summary", "--objects-table"):
        result = run("a.tif", option, str(mine))
        assert result.exit_code == 2
        assert f"'{mine}'" in result.stderr
        assert "would be overwritten; choose another name" in result.stderr
    assert mine.read_text() == "my,own\n1,2\n"
    result = run("a.tif", "--summary", f"x.{ending}", "--objects-table", f"./x.{ending}")
    assert f"Both tables would be 'x.{ending}'" in result.stderr
    Path(f"folder.{ending}").mkdir()
    assert "is a folder" in run("a.tif", "--summary", f"folder.{ending}").stderr
    assert not Path("out").exists()
    tables = ("--summary", f"images.{ending}", "--objects-table", f"objects.{ending}")
    for image in ("a.tif", "c.tif", "a.tif"):  # c.tif has no objects
        assert run(image, *tables).exit_code == 0
    assert run("a.tif", "--summary", f"objects.{ending}").exit_code == 2


def test_a_table_of_the_batch_never_takes_the_place_of_that_of_an_image(folder):
    Path("out").mkdir()
    for code in (1, 2):  # the table of the image is not there yet, and there
        result = run("a.tif", "--objects-table", "out/a_objects.csv", "--json")
        assert result.exit_code == code
        assert "a_objects.csv'" in result.stderr
        assert Path("out/a_objects.csv").read_text().startswith("label,")
        if code == 1:  # the labels are written, and said to be
            assert list(json.loads(result.stdout)) == ["images", "model", "skipped"]
            assert Path("out/a_labels.tif").exists()


@pytest.mark.parametrize("kind", [np.uint64, np.int64])
def test_any_brightness_fits_into_a_parquet_table(folder, kind):
    image = (squares() > 100).astype(kind) * np.iinfo(kind).max + (np.arange(90) % 8).astype(kind)
    image[squares() > 100] = np.iinfo(kind).max - np.arange(809).astype(kind) % 7
    tifffile.imwrite("big.tif", image)
    assert run("big.tif", "--objects-table", "objects.parquet").exit_code == 0
    cells = parquet.read_table("objects.parquet").to_pylist()
    assert [cell["max_intensity"] for cell in cells] == [pytest.approx(np.iinfo(kind).max)] * 2


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="names are UTF-16 or UTF-8 there")
def test_names_that_are_no_utf8_are_written_with_codes(folder):
    name = os.fsdecode(b"caf\xe9.tif")
    tifffile.imwrite(name, squares())
    assert run(name, "--summary", "images.csv", "--objects-table", "objects.csv").exit_code == 0
    assert run(name, "--summary", "images.parquet", "--objects-table", "objects.parquet").exit_code == 0
    rows = list(csv.DictReader(Path("images.csv").read_text(encoding="utf-8").splitlines()))
    assert rows[0]["image"] == parquet.read_table("images.parquet").to_pylist()[0]["image"] == r"caf\udce9.tif"
