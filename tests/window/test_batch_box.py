"""*Many files* in Segment: a folder is segmented without being opened, as the command does."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from bright_model import bright_model, squares
from qtpy.QtCore import Qt
from typer.testing import CliRunner

from blunet.cli import app
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
