"""The form of a settings object: what it shows, what typing does, and that showing a value never changes it."""

from __future__ import annotations

from typing import Literal

import pytest
from magicgui.widgets import CheckBox, ComboBox, FloatSlider, LineEdit, SpinBox
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLabel, QSlider

from blunet.settings_model import SettingsModel, setting
from blunet.widgets.settings_form import SettingsForm
from blunet.widgets.settings_state import SettingsState

RATE = 3.1234567e-4


class Optics(SettingsModel):
    aperture: float = setting(0.5, title="Aperture", description="Numerical aperture.", gt=0, lt=1.7)


class Microscope(SettingsModel):
    rate: float = setting(RATE, title="Rate", description="How fast it learns.", gt=0, lt=1)
    count: int = setting(3, title="Count", description="How many <there> are.", unit="px", ge=1, lt=10)
    share: float = setting(0.4567, title="Share", description="How much.", ge=0, le=1)
    kind: Literal["dic", "phase"] = setting("dic", title="Contrast", description="Which light.")
    on: bool = setting(True, title="Lamp on", description="Whether there is light.")
    wait: float | None = setting(None, title="Wait", description="How long.", unit="s", ge=0)
    optics: Optics = setting(default_factory=Optics, title="Optics", description="The lenses.")


NAMES = ("rate", "count", "share", "kind", "on", "wait", "optics.aperture")


@pytest.fixture
def form(qtbot):
    choices = {"kind": {"dic": "Differential interference"}}
    form = SettingsForm(SettingsState(Microscope()), NAMES, choices=choices, unset={"wait": "not at all"})
    qtbot.addWidget(form)
    form.show()
    return form


def type_into(form, name, text):
    native = form.control(name).native
    native.setFocus()
    native.selectAll()
    QTest.keyClicks(native, text)
    QTest.keyClick(native, Qt.Key.Key_Return)


def test_every_setting_has_the_control_of_its_type_and_says_what_it_is(form):
    kinds = [LineEdit, SpinBox, FloatSlider, ComboBox, CheckBox, LineEdit, LineEdit]
    assert [type(form.control(name)) for name in NAMES] == kinds
    labels = [label.text() for label in form.findChildren(QLabel)]
    assert labels == ["Rate", "Count (px)", "Share", "Contrast", "", "Wait (s)", "Aperture"]
    assert form.control("on").text == "Lamp on"
    assert form.control("kind").native.itemText(0) == "Differential interference"
    assert form.control("kind").native.itemText(1) == "phase"
    assert form.control("wait").native.placeholderText() == "not at all"
    assert "How many &lt;there&gt; are. (in px; 1 or more and below 10)" in form.control("count").tooltip
    assert (form.control("count").min, form.control("count").max) == (1, 9)


def test_values_survive_being_shown(form):
    assert form.control("rate").value == "0.000312346"
    assert form.state.checked() == Microscope()
    other = Microscope(rate=1e-7, count=9, share=0.999, kind="phase", on=False, wait=2.5, optics=Optics(aperture=1.4))
    form.state.replace(other)
    assert [form.control(name).value for name in ("rate", "count", "kind", "on", "wait", "optics.aperture")] == [
        "1e-07", 9, "phase", False, "2.5", "1.4",
    ]  # fmt: skip
    assert form.state.checked() == other


def test_visiting_a_field_changes_nothing(form):
    for name in ("rate", "wait", "optics.aperture"):
        native = form.control(name).native
        native.setFocus()
        QTest.keyClick(native, Qt.Key.Key_Return)
    form.control("share").native.findChild(QSlider).setFocus()
    QTest.keyClick(form.control("count").native, Qt.Key.Key_Return)
    assert form.state.checked() == Microscope()


def test_typing_changes_that_setting_alone(form):
    type_into(form, "wait", "12.5")
    type_into(form, "count", "7")
    type_into(form, "optics.aperture", "0.9")
    assert form.state.checked() == Microscope(wait=12.5, count=7, optics=Optics(aperture=0.9))  # the rate as it was
    type_into(form, "rate", "2.7182818e-5")
    assert form.state.checked().rate == 2.7182818e-5
    type_into(form, "wait", " ")
    assert form.state.checked().wait is None


def test_a_text_that_is_not_a_number_is_kept_with_the_reason(form):
    type_into(form, "rate", "fast")
    assert form.state.problem == "Rate is 'fast'; give a number, above 0 and below 1."
    assert form.control("rate").value == "fast"
    type_into(form, "rate", "3")
    assert "is 3" in form.state.problem
    type_into(form, "rate", "0.3")
    assert form.state.checked().rate == 0.3


def test_clicks_change_settings(form):
    QTest.mouseClick(
        form.control("on").native, Qt.MouseButton.LeftButton, pos=form.control("on").native.rect().center() / 8
    )
    assert form.state.checked().on is False
    QTest.keyClick(form.control("kind").native, Qt.Key.Key_Down)
    assert form.state.checked().kind == "phase"
    slider = form.control("share").native.findChild(QSlider)
    QTest.keyClick(slider, Qt.Key.Key_Right)
    assert form.state.checked().share == 0.47
    QTest.keyClick(slider, Qt.Key.Key_PageUp)
    assert form.state.checked().share == 0.57


def test_a_row_can_be_hidden(form):
    form.set_row_visible("wait", False)
    assert not form.control("wait").native.isVisible()
    assert [label.isVisible() for label in form.findChildren(QLabel) if label.text() == "Wait (s)"] == [False]


def test_two_forms_show_one_state(form, qtbot):
    other = SettingsForm(form.state, ["count"])
    qtbot.addWidget(other)
    form.control("count").value = 8
    assert other.control("count").value == 8
    other.control("count").value = 2
    assert form.control("count").value == 2
    assert form.state.checked().count == 2
