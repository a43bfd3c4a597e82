"""*Many files* in Segment: a folder is segmented without being opened, as the command does."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from bright_model import bright_model, squares
from ome_zarr.writer import write_image, write_plate_metadata, write_well_metadata
from qtpy.QtCore import Qt
from typer.testing import CliRunner

from blunet.cli import app
from blunet.jobs.batch import suggest_results
from blunet.widgets.segment_widget import SegmentWidget

pytestmark = pytest.mark.window


@pytest.fixture
def folder(tmp_path) -> Path:
    images = tmp_path / "images"
    images.mkdir()
    bright_model().save(tmp_path / "model.blunet")
    for i in range(4):
        tifffile.imwrite(images / f"t{i}.tif", np.roll(squares(), i, 0))
    (images / "t4.tif").write_bytes(b"II*\0broken")
    return images


@pytest.fixture
def widget(viewer, folder, qtbot) -> SegmentWidget:
    widget = SegmentWidget(viewer)
    viewer.window.add_dock_widget(widget)
    assert widget.use_model(folder.parent / "model.blunet")
    widget.form.settings_state.change("min_size", 20)  # the command's; the widget's follows the model's cells
    widget.form.batch_section.set_open(True)
    return widget


def start(widget, folder: Path, qtbot) -> None:
    batch = widget.form.batch
    batch.source.set_text(str(folder))
    with qtbot.waitSignal(batch.finished, timeout=60_000):
        qtbot.mouseClick(batch.start_button, Qt.MouseButton.LeftButton)


def test_a_folder_is_segmented_as_by_the_command(widget, folder, viewer, qtbot):
    """The labels equal those of the command; the bad file is left out and named; no layer appears."""
    batch = widget.form.batch
    assert not batch.start_button.isEnabled()
    start(widget, folder, qtbot)
    out = folder / "labels"
    assert batch.results.text == str(out)
    assert batch.state.status == f"Found 8 cells in 4 images. Labels and tables are in '{out}'."
    assert "t4.tif" in batch.warning.text()
    assert not viewer.layers
    arguments = [
        "segment",
        str(folder),
        "--out",
        str(folder.parent / "cli"),
        "--model",
        str(folder.parent / "model.blunet"),
    ]
    assert CliRunner().invoke(app, arguments).exit_code == 1
    for i in range(4):
        labels = tifffile.imread(out / f"t{i}_labels.tif")
        assert np.array_equal(labels, tifffile.imread(folder.parent / "cli" / f"t{i}_labels.tif"))
    rows = list(csv.DictReader((out / "batch_images.csv").read_text(encoding="utf-8").splitlines()))
    assert {Path(row["image"]).name: row["status"] for row in rows} == {
        "t4.tif": "skipped", **{f"t{i}.tif": "segmented" for i in range(4)}
    }  # fmt: skip


def test_a_batch_goes_on_where_it_was_stopped(widget, folder, qtbot):
    batch = widget.form.batch
    widget.form.measure_box.setChecked(True)
    stopped = []

    def stop_once(_: object) -> None:
        if batch.state.done >= 1 and not stopped:
            stopped.append(batch.state.done)
            batch.cancel()

    batch.state.changed.connect(lambda: stop_once(None))
    start(widget, folder, qtbot)
    kept = len(list((folder / "labels").glob("*_labels.tif")))
    assert kept >= 1
    if kept < 4:
        assert batch.state.status.startswith("Stopped. What was found in")
    start(widget, folder, qtbot)
    assert f"{kept} of them finished before" in batch.state.status
    cells = list(csv.DictReader((folder / "labels" / "batch_objects.csv").read_text(encoding="utf-8").splitlines()))
    assert len(cells) == 8


def test_tables_of_others_are_not_replaced(widget, folder, qtbot):
    out = folder / "labels"
    out.mkdir()
    (out / "batch_images.csv").write_text("my,own\n1,2\n")
    start(widget, folder, qtbot)
    assert "is no table of a batch and would be overwritten" in widget.form.batch.warning.text()
    assert (out / "batch_images.csv").read_text() == "my,own\n1,2\n"
    assert [path.name for path in out.iterdir()] == ["batch_images.csv"]


def test_an_empty_folder_and_bad_settings_are_said(widget, folder, qtbot):
    batch = widget.form.batch
    empty = folder.parent / "empty"
    empty.mkdir()
    start(widget, empty, qtbot)
    assert "holds no images" in batch.warning.text()
    assert batch.state.status == "The batch was not started."
    widget.form.diameter.control.native.setText("large")
    widget.form.diameter.control.native.editingFinished.emit()
    batch.source.set_text(str(folder))
    batch.start()
    assert "'large'" in batch.warning.text()
    assert not batch.busy


def test_the_suggested_folder_follows_until_another_is_chosen(widget, folder, qtbot):
    batch = widget.form.batch
    batch.source.set_text(str(folder))
    assert batch.results.text == str(folder / "labels")
    other = folder.parent / "other"
    shutil.copytree(folder, other)
    batch.source.set_text(str(other))
    assert batch.results.text == str(other / "labels")
    batch.results.set_text(str(folder.parent / "mine"))
    batch.source.set_text(str(folder))
    assert batch.results.text == str(folder.parent / "mine")


def test_closing_the_dock_stops_the_batch(widget, folder, viewer, qtbot):
    batch = widget.form.batch
    batch.source.set_text(str(folder))
    batch.start()
    viewer.window.remove_dock_widget(widget)
    qtbot.waitUntil(lambda: not batch.busy, timeout=30_000)


def test_the_folder_that_is_suggested_exists_or_can_be_made(folder, monkeypatch):
    """That of a pattern is no pattern; that of a plate or its well lies beside the plate."""
    tables = str(folder.parent / "labels")
    for pattern in ("images*/*.tif", "*/t0.tif", "*.nowhere"):
        assert suggest_results(str(folder.parent / pattern)) == tables
    assert suggest_results(str(folder / "*.tif")) == suggest_results(str(folder / "t0.tif")) == str(folder / "labels")
    write_plate(folder.parent / "plate.zarr")
    monkeypatch.chdir(folder.parent / "plate.zarr")
    for source in ("", "/", "/A/1", "/*/*"):
        assert suggest_results(str(folder.parent / "plate.zarr") + source) == str(folder.parent / "plate labels")
    assert suggest_results(".") == str(folder.parent / "plate labels")
    assert suggest_results("  ") == ""


def write_plate(path: Path) -> None:
    """Write a plate of one well, whose image has two channels without names: bright squares are in the second."""
    root = zarr.open_group(path, mode="w", zarr_format=3)
    write_plate_metadata(root, ["A"], ["1"], ["A/1"])
    write_well_metadata(root.require_group("A/1"), ["0"])
    write_image(np.stack([np.zeros_like(squares()), squares()]), root.require_group("A/1/0"), axes=["c", "y", "x"])


def test_the_channel_of_a_plate_can_be_given(widget, folder, qtbot):
    batch = widget.form.batch
    write_plate(folder.parent / "plate.zarr")
    start(widget, folder.parent / "plate.zarr", qtbot)
    assert "choose the channel" in batch.warning.text()
    assert "Found 0 cells in 0 images" in batch.state.status
    batch.channel.setText(" 1 ")
    start(widget, folder.parent / "plate.zarr", qtbot)
    assert "Found 2 cells in 1 image" in batch.state.status
    assert (folder.parent / "plate labels" / "plate_A1_0_labels.tif").exists()
    batch.slice.setText("top")
    batch.start()
    assert "The slice is 'top'" in batch.warning.text()
    assert not batch.busy


def test_a_table_of_objects_of_an_earlier_batch_is_named(widget, folder, qtbot):
    """A batch without measuring leaves it as it is, and says so."""
    batch = widget.form.batch
    widget.form.measure_box.setChecked(True)
    start(widget, folder, qtbot)
    table = folder / "labels" / "batch_objects.csv"
    before = table.read_bytes()
    widget.form.measure_box.setChecked(False)
    batch.resume_box.setChecked(False)
    start(widget, folder, qtbot)
    assert "batch_objects.csv' is of an earlier batch" in batch.warning.text()
    assert table.read_bytes() == before


def test_results_of_others_stay_and_the_rest_goes_on(widget, folder, qtbot):
    """Labels of a person in the folder of results are not replaced; the other images are segmented."""
    batch = widget.form.batch
    (folder / "labels").mkdir()
    tifffile.imwrite(folder / "labels" / "t1_labels.tif", squares())
    start(widget, folder, qtbot)
    assert "t1_labels.tif' was not made by BLU-Net" in batch.warning.text()
    assert "Found 6 cells in 3 images" in batch.state.status
    assert np.array_equal(tifffile.imread(folder / "labels" / "t1_labels.tif"), squares())
    batch.results.set_text(str(folder / "t0.tif"))
    batch.start()
    qtbot.waitUntil(lambda: not batch.busy, timeout=30_000)
    assert "t0.tif" in batch.warning.text()
    assert batch.state.status == "The batch was not started."
