"""A form for any settings object, made by magicgui from what its fields say about themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from magicgui.widgets.bases import ValueWidget
from qtpy.QtWidgets import QFormLayout, QLabel, QWidget

from blunet.widgets.scroll import WheelGuard
from blunet.widgets.setting_control import SettingControl
from blunet.widgets.settings_state import SettingsState
from blunet.widgets.text import make_remark_label, wrap_tooltip


class SettingsForm(QWidget):
    """Rows of titles and controls for some settings. The values are held by `state`, which the controls change.

    Parameters
    ----------
    state : SettingsState
    names : iterable of str
        The settings that are shown, in this order; those of nested tables have dotted names.
    headings : mapping of str to (str, str), optional
        A heading that stands above a setting, and a remark below it that may be empty, by the setting's name.
    choices : mapping of str to mapping of str to str, optional
        Titles of the choices of a setting of words. Without them, the words themselves are shown.
    unset : mapping of str to str, optional
        What is shown for a number that is not set (None).
    """

    def __init__(
        self,
        state: SettingsState[Any],
        names: Iterable[str],
        *,
        headings: Mapping[str, tuple[str, str]] | None = None,
        choices: Mapping[str, Mapping[str, str]] | None = None,
        unset: Mapping[str, str] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.state = state
        self.names = tuple(names)
        """The settings that are shown."""
        self.rows = QFormLayout(self)
        self.rows.setContentsMargins(0, 0, 0, 0)
        self.rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._controls: dict[str, SettingControl] = {}
        self._wheel_guard = WheelGuard(self)
        for name in self.names:
            control = SettingControl(state.facts(name), (choices or {}).get(name, {}), (unset or {}).get(name, ""))
            self._controls[name] = control
            if headings is not None and name in headings:
                self._add_heading(*headings[name])
            self._add_row(control)
            control.edited.connect(lambda value, name=name: self.state.change(name, value))
        state.changed.connect(self._show_values)
        self._show_values()

    def control(self, name: str) -> ValueWidget[Any]:
        """Return magicgui's widget of a setting; setting its `value` is what typing does."""
        return self._controls[name].widget

    def set_unset(self, name: str, text: str) -> None:
        """Change what is shown for a number that is not set."""
        self._controls[name].set_unset(text)

    def set_row_visible(self, name: str, visible: bool) -> None:
        """Show or hide a setting."""
        self.rows.setRowVisible(self._controls[name].native, visible)

    def _add_heading(self, title: str, remark: str) -> None:
        heading = QLabel(f"<b>{title}</b>")
        heading.setContentsMargins(0, 6 * (self.rows.rowCount() > 0), 0, 0)
        self.rows.addRow(heading)
        if remark:
            self.rows.addRow(make_remark_label(remark))

    def _add_row(self, control: SettingControl) -> None:
        help_text = wrap_tooltip(control.facts.help)
        control.native.setToolTip(help_text)
        control.native.setAccessibleName(control.facts.title)
        label = QLabel(control.label)
        label.setToolTip(help_text)
        label.setBuddy(control.native)
        self.rows.addRow(label, control.native)
        self._wheel_guard.protect(control.native)

    def _show_values(self) -> None:
        for name, control in self._controls.items():
            control.show(self.state.value(name))
