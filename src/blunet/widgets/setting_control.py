"""The control of one setting: which of magicgui's widgets it is, and how a value is shown in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from magicgui.widgets import CheckBox, ComboBox, FloatSlider, FloatSpinBox, LineEdit, SpinBox
from magicgui.widgets.bases import ValueWidget
from psygnal import Signal
from qtpy.QtWidgets import QDoubleSpinBox, QSlider

from blunet.settings_model import SettingFacts
from blunet.widgets.layer_list import keep_narrow

#: Largest whole number of a setting without a limit.
LARGEST = 2**31 - 1
#: Decimals of a slider from 0 to 1 and of a percentage.
DECIMALS = 2
#: Of the number beside a slider: it shows the digits alone, for which napari's style would leave no space.
NUMBER_STYLE = """
QDoubleSpinBox { background: transparent; border: 0px; padding: 0px; min-width: 40px; max-width: 40px; }
QDoubleSpinBox::up-button, QDoubleSpinBox::down-button { width: 0px; }
QDoubleSpinBox::up-arrow, QDoubleSpinBox::down-arrow { image: none; }
"""


class SettingControl:
    """A check box, a list of choices, a spin box for whole numbers and percentages, a slider from 0 to 1, or a line.

    It never holds the value: it shows one, rounded to what can be read, and emits what the user changes it to.

    Parameters
    ----------
    facts : SettingFacts
    choices : mapping of str to str
        Titles of the choices. The words that are missing are their own titles.
    unset : str
        Shown in place of a number that is not set. Empty: the number is always set.
    at_every_key : bool
        Whether a number in a line is emitted while it is typed, so that a wrong one is noticed at once.
    """

    edited = Signal(object)
    """Emitted with the value that the user has entered: a number, or the text itself if it is not one."""

    def __init__(
        self, facts: SettingFacts, choices: Mapping[str, str], unset: str, *, at_every_key: bool = False
    ) -> None:
        self.facts = facts
        self._shown: Any = None
        self.widget = _make(facts, choices, unset)
        if isinstance(self.widget, LineEdit):
            self.native.setPlaceholderText(unset)
            self.native.editingFinished.connect(self._on_typed)
            if at_every_key:
                self.native.textEdited.connect(self._on_typed)
        else:
            self.widget.changed.connect(self._on_changed)

    @property
    def native(self) -> Any:
        """The widget of Qt."""
        return self.widget.native

    @property
    def label(self) -> str:
        """The title and the unit, for the label before the control; empty for a check box, which has a title itself."""
        if isinstance(self.widget, CheckBox):
            return ""
        return f"{self.facts.title} ({self.facts.unit})" if self.facts.unit else self.facts.title

    def set_unset(self, text: str) -> None:
        """Change what is shown in place of a number that is not set."""
        self.native.setPlaceholderText(text)

    def show(self, value: Any) -> None:
        """Show a value; nothing is emitted."""
        self._shown = value
        with self.widget.changed.blocked():
            if isinstance(self.widget, LineEdit):
                text = self.widget.value.strip()
                if text != _as_text(value) and _as_number(text) != value:  # while it is typed, "7." stays
                    self.widget.value = _as_text(value)
            elif isinstance(self.widget, SpinBox | FloatSpinBox | FloatSlider):
                self.widget.value = min(max(value, self.widget.min), self.widget.max)
            else:
                self.widget.value = value

    def _on_changed(self, value: Any) -> None:
        if isinstance(self.widget, FloatSpinBox | FloatSlider):
            value = round(value, DECIMALS)
            if value == round(self._shown, DECIMALS):
                return  # it is the same, rounded as it is shown
        if value != self._shown:
            self.edited.emit(value)

    def _on_typed(self, _: object = None) -> None:
        text = self.widget.value.strip()
        if text != _as_text(self._shown) and _as_number(text) != self._shown:
            self.edited.emit(_as_number(text))


def _make(facts: SettingFacts, choices: Mapping[str, str], unset: str) -> ValueWidget[Any]:
    if facts.kind is bool:
        return CheckBox(name=facts.name, text=facts.title)
    if facts.choices:
        box = ComboBox(name=facts.name, choices=[(choices.get(word, word), word) for word in facts.choices])
        keep_narrow(box.native)
        return box
    if facts.kind is int:
        low = -LARGEST if facts.minimum is None else int(facts.minimum) + (not facts.minimum_allowed)
        high = LARGEST if facts.maximum is None else int(facts.maximum) - (not facts.maximum_allowed)
        spin = SpinBox(name=facts.name, min=low, max=high)
        spin.native.setKeyboardTracking(False)  # a number that is half typed is not emitted
        return spin
    if facts.kind is not float:
        raise TypeError(f"There is no control for '{facts.name}', which is {facts.annotation}.")
    if (facts.minimum, facts.maximum) == (0, 1) and facts.minimum_allowed and facts.maximum_allowed and not unset:
        slider = FloatSlider(name=facts.name, min=0, max=1, step=10**-DECIMALS)
        groove, number = slider.native.findChild(QSlider), slider.native.findChild(QDoubleSpinBox)
        groove.setPageStep(10 * groove.singleStep())
        number.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.UpDownArrows)  # of no width: see NUMBER_STYLE
        number.setStyleSheet(NUMBER_STYLE)
        return slider
    if facts.unit == "%" and facts.minimum is not None and facts.maximum is not None:
        percentage = FloatSpinBox(name=facts.name, min=facts.minimum, max=facts.maximum, step=0.1)
        percentage.native.setKeyboardTracking(False)
        return percentage
    return LineEdit(name=facts.name)


def _as_text(value: Any) -> str:
    """Return a number with at most six digits, or a refused text as it was typed."""
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:.6g}"


def _as_number(text: str) -> Any:
    """Return the number that was typed, None if nothing was, or the text if it is not a number.

    A decimal comma counts as a point.
    """
    if not text:
        return None
    try:
        return float(text.replace(",", ".") if text.count(",") == 1 and "." not in text else text)
    except ValueError:
        return text
