"""The Compress form: steps and details made from the settings, clicked and typed like a user does."""

from __future__ import annotations

import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from blunet.compression.compression_settings import CompressionSettings
from blunet.compression.presets import preset
from blunet.compression.steps import STEPS
from blunet.settings_model import setting_table
from blunet.widgets.compress_form import OWN_SETTINGS, SCRATCH, SIMULATED, CompressForm
from blunet.widgets.settings_form import SettingsForm


@pytest.fixture
def form(make_napari_viewer, qtbot):
    form = CompressForm(make_napari_viewer())
    qtbot.addWidget(form)
    form.resize(420, 900)
    form.show()
    return form


def cell(table, row, x=None):
    """Return a point in the first column of a row: on its check box, or at `x`."""
    rectangle = table.visualItemRect(table.item(row, 0))
    return QPoint(rectangle.left() + (10 if x is None else x), rectangle.center().y())


def test_every_setting_can_be_seen_and_changed(form):
    for section in form.sections:
        section.set_open(True)
    for name in STEPS:
        form.steps.form(name)
    shown = {name for one in form.findChildren(SettingsForm) for name in one.names}
    shown |= {f"{name}.run" for name in STEPS}  # in the table
    unused = {
        f"{name}.{field}"
        for name in ("hint_encoder", "hint_decoder")
        for field in ("monitor", "loss", "border_weights")
    }
    unused |= {f"{name}.l2" for name, step in STEPS.items() if not step.takes_l2}
    assert shown == {facts.name for facts in setting_table(CompressionSettings)} - unused


def test_sections_are_closed_until_their_title_is_clicked(form):
    steps, _ = form.sections
    assert not form.findChildren(SettingsForm)  # not even made
    QTest.mouseClick(steps.button, Qt.MouseButton.LeftButton)
    assert form.steps.isVisible()
    assert [one.isVisible() for one in form.findChildren(SettingsForm)] == [True]  # of the selected step
    QTest.mouseClick(steps.button, Qt.MouseButton.LeftButton)
    assert not form.steps.isVisible()


def test_a_click_on_a_step_shows_all_its_settings(form):
    form.sections[0].set_open(True)
    table = form.steps.table
    for row in (5, 2):
        QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=cell(table, row, 60))
        assert [form.steps.form(name).isVisible() for name in STEPS] == [n == row for n in range(len(STEPS))]
    assert form.settings() == preset("quick")


def test_a_click_on_its_check_box_skips_a_step(form):
    form.sections[0].set_open(True)
    table = form.steps.table
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=cell(table, 4))
    assert not form.settings().retrain.run
    assert [table.item(4, column).text() for column in (1, 2, 3)] == ["", "", ""]
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=cell(table, 4))
    assert form.settings() == preset("quick")
    assert table.item(4, 1).text() == str(preset("quick").retrain.epochs)


def test_pretraining_needs_a_teacher_that_learns_from_simulated_images(form):
    table = form.steps.table
    form.teacher.setCurrentText(SCRATCH)
    assert table.item(0, 0).checkState() == Qt.CheckState.Unchecked
    assert not table.item(0, 0).flags() & Qt.ItemFlag.ItemIsEnabled
    form.teacher.setCurrentText(SIMULATED)
    assert table.item(0, 0).checkState() == Qt.CheckState.Checked
    assert table.item(0, 0).flags() & Qt.ItemFlag.ItemIsEnabled
    assert form.settings() == preset("quick")


def test_the_table_shows_what_is_typed(form, qtbot):
    form.sections[0].set_open(True)
    rate = form.steps.control("transfer", "learning_rate").native
    rate.setFocus()
    rate.selectAll()
    with qtbot.waitSignal(form.data_changed):
        QTest.keyClicks(rate, "2.5e-5")
        QTest.keyClick(rate, Qt.Key.Key_Return)
    assert form.settings().transfer.learning_rate == 2.5e-5
    assert form.steps.table.item(1, 3).text() == "2.5e-05"


def test_another_preset_replaces_what_was_changed(form):
    assert form.preset.currentData() == "quick"
    form.steps.control("transfer", "epochs").value = 77
    assert form.preset.currentText() == OWN_SETTINGS
    form.preset.setFocus()
    QTest.keyClick(form.preset, Qt.Key.Key_Up)
    assert form.settings() == preset("study")
    assert form.preset.currentData() == "study"
    assert form.steps.table.item(1, 1).text() == "400"
    assert form.steps.control("transfer", "decay").value == "0.95"


def turn_wheel(widget):
    place = QPointF(widget.rect().center())
    up, nothing = QPoint(0, 120), QPoint()
    buttons, keys = Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier
    phase = Qt.ScrollPhase.NoScrollPhase
    event = QWheelEvent(place, QPointF(widget.mapToGlobal(place.toPoint())), nothing, up, buttons, keys, phase, False)
    QApplication.sendEvent(widget, event)


def test_the_wheel_scrolls_past_settings_that_were_not_clicked(form, qtbot):
    form.sections[0].set_open(True)
    epochs = form.steps.control("transfer", "epochs")
    turn_wheel(epochs.native)
    assert form.settings() == preset("quick")
    with qtbot.waitActive(form):
        form.activateWindow()
    epochs.native.setFocus()
    turn_wheel(epochs.native)
    assert form.settings().transfer.epochs == preset("quick").transfer.epochs + 1
