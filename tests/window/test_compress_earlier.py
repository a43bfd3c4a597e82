"""The Compress widget and earlier sessions: runs that were begun, values that are remembered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from compressing import said
from napari.utils.notifications import notification_manager
from PIL import Image as Picture
from qtpy.QtWidgets import QLabel

from blunet.compression.presets import preset
from blunet.compression.run_directory import RunDirectory
from blunet.compression.run_request import Request
from blunet.compression.settings_file import write_settings
from blunet.compression.steps import STEPS
from blunet.dataset.dataset_check import check_dataset
from blunet.dataset.split_settings import SplitSettings
from blunet.jobs.validation_preview import Preview, read_preview
from blunet.simulation.dic_fields import simulate_dic
from blunet.simulation.dic_settings import DicSettings
from blunet.widgets.compress_form import LAYERS, SCRATCH, SIMULATED
from blunet.widgets.compress_widget import CompressWidget
from blunet.widgets.preferences import add_recent_run
from blunet.widgets.text import wrap_tooltip
from blunet.widgets.validation_layers import ValidationLayers


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for i in range(5):  # as many as the study has folds
        field = simulate_dic(DicSettings(shape=(64, 64), object_diameter=24), seed=i)
        tifffile.imwrite(folder / "images" / f"f{i}.tif", field.image)
        tifffile.imwrite(folder / "masks" / f"f{i}.tif", field.labels.astype(np.uint16))
    return folder


@pytest.fixture
def begun(tmp_path, data):
    """A run that was killed before its first checkpoint."""
    settings = preset("quick").changed(base_filters=8)
    request = Request(data=str(data), run=str(tmp_path / "run"), settings=settings, teacher="scratch")
    with RunDirectory(request.run).enter(request, check_dataset(data, crop=64, split=SplitSettings())):
        pass
    return request


@pytest.fixture
def widget(make_napari_viewer):
    viewer = make_napari_viewer()
    widget = CompressWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Compress")
    return widget


def test_a_run_is_resumed_from_its_folder_alone(widget, qtbot, begun):
    assert not widget.view.start_button.isEnabled()
    widget.form.run.set_text(begun.run)
    qtbot.waitUntil(widget.view.start_button.isEnabled, timeout=30_000)
    assert widget.view.start_button.text() == "Resume"
    assert widget.form.folder.text == begun.data
    assert widget.form.teacher_name() == "scratch"
    assert widget.form.settings() == begun.settings


def test_resuming_with_other_settings_is_refused(widget, qtbot, begun):
    widget.form.run.set_text(begun.run)
    qtbot.waitUntil(widget.view.start_button.isEnabled, timeout=30_000)
    widget.form.steps.control("transfer", "epochs").value = 7
    assert "'transfer.epochs' was " in widget.view.warning.text()
    assert not widget.view.start_button.isEnabled()
    widget.start()
    assert not widget.busy
    assert "epochs = 7" not in RunDirectory(begun.run).settings.read_text()


def test_a_damaged_run_cannot_be_started(widget, qtbot, begun):
    RunDirectory(begun.run).facts.write_text("{")
    widget.form.run.set_text(begun.run)
    qtbot.waitUntil(lambda: "cannot be read" in widget.view.warning.text(), timeout=10_000)
    assert not widget.view.start_button.isEnabled()


def test_a_run_of_an_exact_learning_rate_is_resumed(widget, qtbot, begun):
    """A rate that a form can only show rounded: it has to be the very same, or the run is refused."""
    rate = 3.1234567e-4
    settings = begun.settings.changed(transfer=begun.settings.transfer.changed(learning_rate=rate))
    write_settings(settings, RunDirectory(begun.run).settings)
    widget.form.run.set_text(begun.run)
    qtbot.waitUntil(widget.view.start_button.isEnabled, timeout=30_000)
    assert widget.form.steps.control("transfer", "learning_rate").value == "0.000312346"
    widget.form.steps.control("binarise", "epochs").native.setFocus()
    assert widget.form.settings() == settings
    assert widget.form.settings().transfer.learning_rate == rate


def test_last_values_are_remembered(widget, qtbot, data, tmp_path):
    widget.form.run.set_text(str(tmp_path / "new"))
    widget.form.folder.set_text(str(data))
    widget.form.teacher.setCurrentText(SCRATCH)
    study = widget.form.preset.findData("study")
    widget.form.preset.setCurrentIndex(study)
    widget.form.preset.activated.emit(study)
    widget.form.preview.setChecked(False)
    qtbot.waitUntil(widget.view.start_button.isEnabled, timeout=30_000)
    widget.start()
    widget.cancel()
    widget.cancel()
    qtbot.waitUntil(lambda: not widget.busy, timeout=60_000)
    other = CompressWidget(widget.viewer)
    qtbot.addWidget(other)
    assert other.form.values() == widget.form.values()
    assert other.form.settings() == preset("study")


def test_more_folds_than_images_are_refused_before_the_start(widget, qtbot, data, tmp_path):
    for path in data.glob("*/f4.tif"):
        path.unlink()
    widget.form.run.set_text(str(tmp_path / "new"))
    widget.form.folder.set_text(str(data))
    widget.form.teacher.setCurrentText(SCRATCH)
    widget.form.state.replace(preset("study"))
    qtbot.waitUntil(lambda: "5 folds of 4 images are not possible" in said(widget), timeout=30_000)
    assert "preset quick" in said(widget)
    assert not widget.view.start_button.isEnabled()
    widget.form.state.replace(preset("quick"))
    qtbot.waitUntil(widget.view.start_button.isEnabled, timeout=30_000)


def test_validation_layers_are_placed_beside_the_others(widget):
    viewer = widget.viewer
    image = viewer.add_image(np.zeros((2, 40, 50)), scale=(60, 0.3, 0.3), units=("s", "um", "um"))
    shown, field, mask = ValidationLayers(viewer), np.arange(400.0).reshape(20, 20), np.eye(20, dtype=bool)
    notification_manager.records.clear()
    for values in (mask, ~mask):
        shown.show(Preview(field, values), widget.form.image.layer)
        below, above = (layer for layer in viewer.layers if layer is not image)
        np.testing.assert_array_equal(below.data, field)
        np.testing.assert_array_equal(above.data, values)
        for layer in (below, above):
            np.testing.assert_allclose(layer.scale, (0.3, 0.3))
            np.testing.assert_allclose(layer.translate, (0, 50 * 0.3 + 0.3))  # beside it, at its top
            assert layer.units == image.units[-2:]
        assert viewer.layers.selection.active is image
    assert widget.form.image.layer is image
    assert not notification_manager.records


def test_a_preview_is_the_middle_of_its_image(data, tmp_path):
    mask = np.eye(32, dtype=bool)
    Picture.fromarray(mask).save(tmp_path / "mask.png")
    (preview,) = read_preview(tmp_path / "mask.png", data, "f1")
    np.testing.assert_array_equal(preview.mask, mask)
    np.testing.assert_array_equal(preview.image, tifffile.imread(data / "images" / "f1.tif")[16:48, 16:48])
    assert not list(read_preview(tmp_path / "gone.png", data, "f1"))
    assert not list(read_preview(tmp_path / "mask.png", data, "gone"))


def test_closing_the_dock_stops_the_run_and_saves_it(widget, qtbot, begun):
    widget.form.run.set_text(begun.run)
    qtbot.waitUntil(widget.view.start_button.isEnabled, timeout=30_000)
    widget.start()
    with qtbot.waitSignal(widget.finished, timeout=120_000):
        widget.viewer.window.remove_dock_widget(widget)
    assert widget.job.token.cancelled
    assert RunDirectory(begun.run).facts.is_file()
    assert widget.state.model is None


def test_a_change_that_the_run_cannot_be_resumed_with_is_refused_at_once(widget, qtbot, begun):
    widget.form.run.set_text(begun.run)
    qtbot.waitUntil(widget.view.start_button.isEnabled, timeout=30_000)
    widget.form.state.change("base_filters", 12)
    assert "'base_filters' was 8" in widget.view.warning.text()
    assert not widget.view.warning.isHidden()
    assert not widget.view.start_button.isEnabled()
    widget.form.state.change("base_filters", 8)
    widget.form.state.change("binarise.epochs", 99)  # may change
    assert widget.view.warning.text() == ""
    widget.form.teacher.setCurrentText(SIMULATED)
    assert "begun with the teacher 'scratch'" in widget.view.warning.text()
    widget.form.run.set_text(begun.run + " 2")  # a new run may have any settings
    qtbot.waitUntil(widget.view.start_button.isEnabled, timeout=30_000)
    assert widget.view.warning.text() == ""


def test_earlier_runs_are_in_a_menu(widget, qtbot, begun):
    menu = widget.form.run.earlier_button.menu()
    menu.aboutToShow.emit()
    assert [(action.text(), action.isEnabled()) for action in menu.actions()] == [("No earlier runs", False)]
    add_recent_run(Path(begun.run))
    add_recent_run(Path(begun.run).parent / "gone")
    menu.aboutToShow.emit()
    (action,) = menu.actions()
    assert action.text() == "run: stopped"
    action.trigger()
    assert widget.form.run.text == begun.run


def test_every_term_is_explained_where_it_stands(widget):
    form = widget.form
    remarks = set()
    for choice, remark in ((form.teacher, form.teacher_remark), (form.preset, form.preset_remark)):
        for index in range(choice.count()):
            choice.setCurrentIndex(index)
            choice.activated.emit(index)
            remarks.add(remark.text())
    assert len(remarks) == form.teacher.count() + 3  # presets; "your own" shows the preset that it equals
    assert all(len(remark) > 20 for remark in remarks)
    form.sections[0].set_open(True)
    table = form.steps.table
    for row, step in enumerate(STEPS.values()):
        assert table.item(row, 0).toolTip() == wrap_tooltip(step.purpose)
        table.setCurrentCell(row, 0)
        labels = form.steps.form(step.name).findChildren(QLabel)
        assert any(label.text() == step.purpose for label in labels)
    for column in range(table.columnCount()):
        assert table.horizontalHeaderItem(column).toolTip()


def test_the_model_is_called_as_the_user_says(widget, qtbot):
    assert widget.form.model_name() == ""
    widget.form.name.setText(" HeLa on the new microscope ")
    assert widget.form.model_name() == "HeLa on the new microscope"
    widget.form.name.clear()
    widget.viewer.add_image(np.zeros((2, 64, 64)), name="Lapse")
    widget.form.source.setCurrentText(LAYERS)
    assert widget.form.model_name() == "BLU-Net of Lapse"
