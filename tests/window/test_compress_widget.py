"""The Compress widget in a real window: a tiny run through all phases, in a real child process."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from compressing import said
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from blunet.compression.presets import preset
from blunet.compression.run_events import EpochDone, StepDone, StepStarted
from blunet.compression.steps import STEPS
from blunet.jobs.earlier_run import read_run
from blunet.jobs.model_files import inspect_model
from blunet.simulation.dic_fields import simulate_dic
from blunet.simulation.dic_settings import DicSettings
from blunet.widgets.compress_form import FOLDER, LAYERS, SCRATCH
from blunet.widgets.compress_state import CHECKING, NO_DATA
from blunet.widgets.compress_widget import CompressWidget
from blunet.widgets.curves import Curves
from blunet.widgets.segment_widget import SegmentWidget

LONG = 240_000


@pytest.fixture(scope="module")
def fields():
    return [simulate_dic(DicSettings(shape=(64, 64), object_diameter=24), seed=i) for i in range(3)]


@pytest.fixture
def data(tmp_path, fields):
    folder = tmp_path / "data"
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for i, field in enumerate(fields):
        tifffile.imwrite(folder / "images" / f"f{i}.tif", field.image)
        tifffile.imwrite(folder / "masks" / f"f{i}.tif", field.labels.astype(np.uint16))
    return folder


@pytest.fixture
def widget(make_napari_viewer, qtbot):
    viewer = make_napari_viewer()
    widget = CompressWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Compress")
    return widget


def tiny(epochs: int = 1):
    settings = preset("quick").changed(levels=2, base_filters=4)
    steps = {
        name: settings.step(name).changed(epochs=epochs, batches=2, crop=32, batch=1, ignored_epochs=0)
        for name in STEPS
    }
    return settings.changed(**steps)


def choose(qtbot, widget, data, run, settings=None):
    widget.form.teacher.setCurrentText(SCRATCH)
    widget.form.state.replace(settings or tiny())
    widget.form.run.set_text(str(run))
    widget.form.folder.set_text(str(data))
    qtbot.waitUntil(widget.view.start_button.isEnabled, timeout=30_000)


def test_nothing_is_chosen(widget, qtbot):
    qtbot.waitUntil(lambda: said(widget) == NO_DATA, timeout=5000)
    assert not widget.view.start_button.isEnabled()
    assert not widget.view.cancel_button.isEnabled()
    widget.start()
    assert not widget.busy


def test_a_run_from_start_to_use(widget, qtbot, data, tmp_path):
    run = tmp_path / "run"
    choose(qtbot, widget, data, run)
    assert "3 images with masks" in said(widget)
    assert "A run takes about" in said(widget)
    widget.start()
    assert widget.busy
    assert not widget.view.start_button.isEnabled()
    assert widget.view.cancel_button.isEnabled()
    qtbot.waitUntil(lambda: not widget.busy, timeout=LONG)
    assert widget.state.model == run / "model.blunet", widget.view.status.text()
    assert [step.name for step in widget.view.curves.steps] == [s for s in STEPS if s != "pretrain"]
    assert all(step.epochs for step in widget.view.curves.steps)
    best = {e.step: e.best_epoch for e in read_run(run).events if isinstance(e, StepDone)}
    assert {step.name: step.best for step in widget.view.curves.steps} == best
    report = json.loads((run / "report.json").read_text())
    assert widget.view.table.rowCount() == len(report["models"])
    last = widget.view.table.rowCount() - 1
    assert widget.view.table.item(last, 0).text() == "BLU-Net"
    reached = report["models"][-1]["validation"]
    assert widget.view.table.item(last, 1).text() == f"{reached['cells']['found']}/{reached['cells']['cells']}"
    assert widget.view.table.item(last, 2).text() == f"{reached['iou']:.3f}"
    assert f"{reached['cells']['found']} of {reached['cells']['cells']} cells found" in widget.view.scored.text()
    qtbot.waitUntil(lambda: len(widget.viewer.layers) == 2, timeout=10_000)
    image, mask = widget.viewer.layers
    assert (image.name, mask.name) == ("Validation image", "Validation mask")
    names = {tuple(path.stem for path in data.glob("images/*") if np.array_equal(tifffile.imread(path), image.data))}
    assert names == {tuple(read_run(run).events[0].validation)}
    widget.view.use_button.click()
    segment = widget.viewer.window._qt_window.findChildren(SegmentWidget)[0]
    assert segment.form.picker.path == widget.state.model
    assert inspect_model(widget.state.model).network.base_filters == 4
    # another widget finds the finished run
    other = CompressWidget(widget.viewer)
    qtbot.addWidget(other)
    other.form.run.set_text(str(run))
    qtbot.waitUntil(lambda: other.view.start_button.text() == "Continue", timeout=10_000)
    assert [step.name for step in other.view.curves.steps] == [step.name for step in widget.view.curves.steps]
    assert other.state.model == run / "model.blunet"


def test_cancelled_and_resumed(widget, qtbot, data, tmp_path):
    run = tmp_path / "run"
    choose(qtbot, widget, data, run, tiny(epochs=40))
    widget.start()
    qtbot.waitUntil(lambda: bool(widget.view.curves.steps and widget.view.curves.steps[0].epochs), timeout=LONG)
    widget.cancel()
    qtbot.waitUntil(lambda: not widget.busy, timeout=60_000)
    assert "Resume continues" in widget.view.status.text()
    assert widget.view.start_button.text() == "Resume"
    assert widget.view.start_button.isEnabled()
    before = sum(len(step.epochs) for step in widget.view.curves.steps)
    widget.start()
    qtbot.waitUntil(lambda: sum(len(step.epochs) for step in widget.view.curves.steps) > before, timeout=LONG)
    widget.viewer.close()  # the run is stopped, and can be resumed
    qtbot.waitUntil(lambda: widget.job.wait(0), timeout=60_000)
    assert (run / "run.json").is_file()
    assert not (run / "lock").exists()


def test_training_on_layers(widget, qtbot, fields, tmp_path):
    image = np.stack([field.image for field in fields] * 2)
    labels = np.stack([field.labels for field in fields] * 2)
    labels[4:] = 0  # frames without labels are not used
    widget.viewer.add_image(image, name="Lapse")
    widget.viewer.add_labels(labels, name="Outlined")
    widget.form.source.setCurrentText(LAYERS)
    widget.form.teacher.setCurrentText(SCRATCH)
    widget.form.state.replace(tiny())
    widget.form.run.set_text(str(tmp_path / "run"))
    qtbot.waitUntil(widget.view.start_button.isEnabled, timeout=30_000)
    assert "4 of 6 frames have labels" in said(widget)
    assert "A run takes about" in said(widget)
    widget.start()
    pairs = tmp_path / "run data" / "masks"
    qtbot.waitUntil(lambda: pairs.is_dir() and len(list(pairs.glob("*.tif"))) == 4, timeout=30_000)
    qtbot.waitUntil(lambda: bool(widget.view.curves.steps), timeout=LONG)
    widget.cancel()
    qtbot.waitUntil(lambda: not widget.busy, timeout=60_000)
    assert np.array_equal(tifffile.imread(pairs / "frame_0002.tif"), labels[1])
    widget.viewer.layers.clear()  # what was written is enough to resume
    qtbot.waitUntil(lambda: "4 images with masks" in said(widget), timeout=30_000)
    assert widget.view.start_button.text() == "Resume"
    assert widget.view.start_button.isEnabled()


def test_layers_with_too_few_labels_until_there_are_some(widget, qtbot, fields, tmp_path):
    widget.form.run.set_text(str(tmp_path / "run"))
    widget.form.source.setCurrentText(LAYERS)
    widget.viewer.add_image(np.stack([field.image for field in fields]), name="Lapse")
    labels = widget.viewer.add_labels(np.zeros((3, 64, 64), np.uint8), name="Painted")
    qtbot.waitUntil(lambda: "no frame has labels" in said(widget), timeout=10_000)
    assert not widget.view.start_button.isEnabled()
    labels.brush_size = 20
    labels.paint((0, 30, 30), 1)
    qtbot.waitUntil(lambda: "only one frame has labels" in said(widget), timeout=10_000)
    assert not widget.view.start_button.isEnabled()
    labels.paint((2, 30, 30), 1)
    qtbot.waitUntil(widget.view.start_button.isEnabled, timeout=10_000)
    assert "2 of 3 frames have labels" in said(widget)
    labels.paint((1, 30, 30), 1)  # what is said follows also where a run could begin
    qtbot.waitUntil(lambda: "3 of 3 frames have labels" in said(widget), timeout=10_000)
    labels.data = np.zeros((3, 64, 64), np.uint8)
    qtbot.waitUntil(lambda: "no frame has labels" in said(widget), timeout=10_000)
    assert not widget.view.start_button.isEnabled()


def test_what_is_painted_as_reviewed_is_what_is_learnt_from(widget, qtbot, fields, tmp_path):
    form, viewer = widget.form, widget.viewer
    form.run.set_text(str(tmp_path / "run"))
    form.teacher.setCurrentText(SCRATCH)
    form.state.replace(tiny())
    form.source.setCurrentText(LAYERS)
    assert not form.reviewed.button.isEnabled()  # there is nothing to mark
    viewer.add_image(np.stack([field.image for field in fields]), name="Lapse", scale=(1, 0.5, 0.5))
    cells = viewer.add_labels(np.stack([field.labels for field in fields]), name="Guessed", scale=(1, 0.5, 0.5))
    qtbot.waitUntil(lambda: "3 of 3 frames have labels" in said(widget), timeout=10_000)
    QTest.mouseClick(form.reviewed.button, Qt.MouseButton.LeftButton)
    marked = viewer.layers["Reviewed"]
    assert (form.reviewed.layer, form.labels.layer, viewer.layers.selection.active) == (marked, cells, marked)
    assert (marked.mode, marked.selected_label) == ("paint", 1)
    np.testing.assert_array_equal(marked.scale, cells.scale)
    qtbot.waitUntil(lambda: "no frame was reviewed" in said(widget), timeout=10_000)
    marked.data[0], marked.data[2, :, :40] = 1, 1
    marked.paint((2, 50, 50), 1)
    qtbot.waitUntil(lambda: "2 of 3 frames were reviewed" in said(widget), timeout=10_000)
    assert "of the images in part" in said(widget)
    QTest.mouseClick(widget.view.start_button, Qt.MouseButton.LeftButton)
    written = tmp_path / "run data" / "reviewed"
    qtbot.waitUntil(lambda: written.is_dir() and len(list(written.glob("*.tif"))) == 2, timeout=30_000)
    assert not form.reviewed.isEnabled()
    widget.cancel()
    qtbot.waitUntil(lambda: not widget.busy, timeout=60_000)
    assert np.array_equal(tifffile.imread(written / "frame_0003.tif"), marked.data[2])
    viewer.layers.remove(marked)
    assert form.reviewed.layer is None


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: [p.unlink() for p in (folder / "masks").iterdir()], "no"),
        (
            lambda folder: [p.unlink() for p in sorted((folder / "masks").iterdir())[1:]],
            "too small, or has too few cells",
        ),
        (
            lambda folder: [tifffile.imwrite(p, np.zeros((64, 64), np.uint8)) for p in (folder / "masks").iterdir()],
            "empty",
        ),
        (lambda folder: tifffile.imwrite(folder / "masks" / "f0.tif", np.ones((8, 8), np.uint8)), "f0"),
    ],
)
def test_data_that_cannot_be_trained_on(widget, qtbot, data, tmp_path, spoil, words):
    spoil(data)
    widget.form.run.set_text(str(tmp_path / "run"))
    widget.form.source.setCurrentText(FOLDER)
    widget.form.folder.set_text(str(data))
    qtbot.waitUntil(lambda: said(widget) not in (NO_DATA, "", CHECKING), timeout=30_000)
    assert words in said(widget)
    assert not widget.view.start_button.isEnabled()


def test_layers_that_do_not_fit(widget, qtbot):
    widget.form.source.setCurrentText(LAYERS)
    qtbot.waitUntil(lambda: "Open an image" in said(widget), timeout=5000)
    widget.viewer.add_image(np.zeros((4, 32, 32), np.uint8), name="Lapse", contrast_limits=(0, 1))
    widget.viewer.add_labels(np.zeros((4, 32, 31), np.uint8), name="Others")
    qtbot.waitUntil(lambda: "made on this image" in said(widget), timeout=5000)
    widget.viewer.layers.clear()
    widget.viewer.add_image(np.zeros((32, 32), np.uint8), name="One", contrast_limits=(0, 1))
    widget.viewer.add_labels(np.zeros((32, 32), np.uint8), name="Its labels")
    qtbot.waitUntil(lambda: "no frame has labels" in said(widget), timeout=5000)
    widget.viewer.layers["Its labels"].data = np.ones((32, 32), np.uint8)
    qtbot.waitUntil(lambda: "too small" in said(widget), timeout=5000)
    assert not widget.view.start_button.isEnabled()


def test_settings_that_are_not_numbers(widget, qtbot, data, tmp_path):
    choose(qtbot, widget, data, tmp_path / "run")
    rate = widget.form.steps.control("transfer", "learning_rate")
    for text, told in (("many", "'many'"), ("0", "0")):
        rate.value = text
        rate.native.editingFinished.emit()
        sentence = f"Transfer learning: Learning rate is {told}"
        qtbot.waitUntil(lambda sentence=sentence: sentence in said(widget), timeout=5000)
        assert not widget.view.start_button.isEnabled()
    rate.value = "0.002"
    rate.native.editingFinished.emit()
    qtbot.waitUntil(widget.view.start_button.isEnabled, timeout=30_000)
    assert widget.form.settings().transfer.learning_rate == 0.002


def test_a_run_folder_that_cannot_be_made(widget, qtbot, data, tmp_path):
    choose(qtbot, widget, data, tmp_path / "run")
    (tmp_path / "file").write_text("in the way")
    for folder, words in (
        (tmp_path / "file" / "run", "is a file"),
        (data, "holds other files"),
        ("", "Choose a folder"),
    ):
        widget.form.run.set_text(str(folder))
        qtbot.waitUntil(lambda words=words: words in widget.view.warning.text(), timeout=10_000)
        assert not widget.view.start_button.isEnabled()
    widget.form.run.new_button.click()
    qtbot.waitUntil(widget.view.start_button.isEnabled, timeout=10_000)
    assert widget.view.warning.text() == ""
    assert not widget.run_folder.exists()


def test_curves_show_the_epochs_of_the_events(qtbot):
    curves = Curves()
    qtbot.addWidget(curves)
    epochs = [EpochDone("transfer", n, 3, 1 / n, 1.1 / n, 0.2 * n, 1e-3, n == 2, 1.0) for n in (1, 2)]
    curves.add(StepStarted("transfer", 1, 3, 10), *epochs, epochs[1])
    curves.add(StepDone("transfer", 2, 0.5, 0.4, 3.0), StepStarted("hint_encoder", 1, 2, 10))
    curves.add(EpochDone("hint_encoder", 1, 2, 3.0, 2.0, None, 1e-3, True, 1.0))
    assert [(step.name, list(step.epochs), step.best) for step in curves.steps] == [
        ("transfer", [1, 2], 2),
        ("hint_encoder", [1], None),
    ]
    drawn = [item.getOriginalDataset() for item in curves._loss.listDataItems()]
    assert any(list(x) == [1, 2] and list(y) == [1.0, 0.5] for x, y in drawn)
    assert any(list(x) == [4] and list(y) == [2.0] for x, y in drawn)
    curves.set_colours("#ffffff", "#000000")
    assert len(curves._loss.listDataItems()) == len(drawn)


def test_the_widget_imports_no_keras():
    import subprocess
    import sys

    heavy = "any(m in sys.modules for m in ('keras', 'tensorflow'))"
    code = f"import blunet.widgets.compress_widget, sys; sys.exit({heavy})"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
