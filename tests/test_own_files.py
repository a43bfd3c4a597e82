"""Tables belong to the labels they lie beside, and only our own unedited results are replaced."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from bright_model import put_model_and_image, squares
from typer.testing import CliRunner

from blunet.cli import app
from blunet.errors import InputError
from blunet.images.frame_source import FrameSource
from blunet.images.image_writer import read_description, write_labels
from blunet.jobs.label_saving import save_labels
from blunet.jobs.saved_labels import read_saved_labels
from blunet.segmentation.measurements import measure


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """The current folder, with a model and an image."""
    monkeypatch.chdir(tmp_path)
    return put_model_and_image(tmp_path, "x.tif")


def run(*options: str):
    return CliRunner().invoke(app, ["segment", "x.tif", "--model", "model.blunet", "--out", ".", *options])


def rows(name: str) -> list[dict[str, str]]:
    with open(name, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def layer(labels: np.ndarray, image: np.ndarray | None = None) -> dict[str, object]:
    """Return the attributes of a layer of labels that the command has found and measured."""
    table = measure(labels, image)
    features = pd.DataFrame({"index": table["label"], **table})
    return {"features": features, "metadata": {"blunet": read_description("x_labels.tif")}}


@pytest.fixture
def found() -> np.ndarray:
    assert run("--measure").exit_code == 0
    return tifffile.imread("x_labels.tif")


def edited(labels: np.ndarray) -> np.ndarray:
    """Delete object 2 and paint object 3."""
    other = np.where(labels == 2, 0, labels)
    other[40:44, 20:26] = 3
    return other


def test_labels_that_were_edited_are_measured_again(found):
    remarks: list[str] = []
    attributes = layer(found, squares())
    written = save_labels(Path("y_labels.tif"), edited(found), attributes, remark=remarks.append)
    assert [path.name for path in written] == ["y_labels.tif", "y_objects.csv"]
    assert [(row["label"], row["area_px2"]) for row in rows("y_objects.csv")] == [("1", "400"), ("3", "24")]
    (remark,) = remarks
    assert "measured again" in remark
    assert "left out: mean_intensity, min_intensity, max_intensity" in remark
    image = FrameSource.from_array(squares(), name="DIC")
    save_labels(Path("z_labels.tif"), edited(found), attributes, image=image, remark=remarks.append)
    assert "with the grey values of 'DIC'." in remarks[-1]
    assert float(rows("z_objects.csv")[1]["mean_intensity"]) == pytest.approx(squares()[40:44, 20:26].mean())


def test_an_outline_that_was_edited_is_measured_again(found):
    moved = found.copy()
    moved[10, 10], moved[30, 12] = 0, 1  # the same number of pixels
    remarks: list[str] = []
    save_labels(Path("y_labels.tif"), moved, layer(found), remark=remarks.append)
    assert len(remarks) == 1
    assert rows("y_objects.csv")[0]["bbox_bottom_px"] == "31"


def test_a_table_of_the_same_labels_is_saved_as_it_is(found):
    remarks: list[str] = []
    attributes = layer(found, squares())
    attributes["features"]["note"] = ["round", "flat"]
    save_labels(Path("y_labels.tif"), found, attributes, remark=remarks.append)
    assert remarks == []
    assert [row["note"] for row in rows("y_objects.csv")] == ["round", "flat"]


def test_labels_that_were_edited_do_not_pass_as_made_by_the_model(found):
    save_labels(Path("x_labels.tif"), edited(found), layer(found))
    before = {name: Path(name).read_bytes() for name in ("x_labels.tif", "x_objects.csv")}
    result = run("--measure")
    assert result.exit_code == 2
    assert "'x_labels.tif' was edited after BLU-Net made it and would be overwritten" in result.stderr
    assert {name: Path(name).read_bytes() for name in before} == before
    assert "model" not in read_description("x_labels.tif")
    assert read_description("x_labels.tif")["before"]["model"]["name"] == "bright"


def test_labels_that_another_program_edited_are_not_replaced(found):
    description = read_description("x_labels.tif")
    write_labels("x_labels.tif", edited(found), description=description)
    result = run()
    assert result.exit_code == 2
    assert "was edited after BLU-Net made it" in result.stderr


def test_labels_that_were_saved_unchanged_may_be_replaced(found):
    save_labels(Path("x_labels.tif"), found, layer(found))
    assert run("--measure").exit_code == 0


def test_what_belongs_to_replaced_labels_goes_with_them(folder):
    assert run("--measure", "--probability").exit_code == 0
    result = run("--threshold", "0.9")
    assert (result.exit_code, result.stderr) == (0, "")
    assert sorted(path.name for path in folder.glob("x_*")) == ["x_labels.tif"]


def test_files_of_others_stay(folder):
    Path("x_objects.csv").write_text("well,drug\nA1,none\n")
    tifffile.imwrite("x_probability.tif", np.ones((60, 90), np.float32))
    before = [Path(name).read_bytes() for name in ("x_objects.csv", "x_probability.tif")]
    for option, name in (("--measure", "x_objects.csv"), ("--probability", "x_probability.tif")):
        result = run(option)
        assert result.exit_code == 2
        assert f"'{name}' was" in result.stderr
        assert not Path("x_labels.tif").exists()
    result = run()
    assert result.exit_code == 0
    assert result.stderr.count("does not belong to the new labels") == 2
    assert [Path(name).read_bytes() for name in ("x_objects.csv", "x_probability.tif")] == before


def test_a_table_that_was_edited_stays(found):
    Path("x_objects.csv").write_text(Path("x_objects.csv").read_text() + "# checked by me\n")
    assert "'x_objects.csv' was edited" in run("--measure").stderr
    with pytest.raises(InputError, match=r"'x_objects.csv' was edited"):
        save_labels(Path("x_labels.tif"), found, layer(found))


def test_saving_labels_without_a_table_removes_that_of_the_labels_before(found):
    remarks: list[str] = []
    save_labels(Path("x_labels.tif"), edited(found), {}, remark=remarks.append)
    assert not Path("x_objects.csv").exists()
    assert "was removed" in remarks[0]


def test_a_table_of_other_outlines_is_not_opened(found):
    source = FrameSource.from_file("x.tif")
    assert set(read_saved_labels({0: Path("x_labels.tif")}, source).table) >= {"label", "area_px2"}
    moved = found.copy()
    moved[10, 10] = 0
    write_labels("x_labels.tif", moved, description={})
    opened = read_saved_labels({0: Path("x_labels.tif")}, source)
    assert opened.table == {}
    assert "is not that of its labels" in opened.problems[0]


def test_the_demo_replaces_only_its_own_files(folder):
    (folder / "shown").mkdir()
    tifffile.imwrite("shown/labels.tif", squares())
    result = CliRunner().invoke(app, ["demo", "--out", "shown"])
    assert result.exit_code == 2
    assert "was not made by BLU-Net" in result.stderr
