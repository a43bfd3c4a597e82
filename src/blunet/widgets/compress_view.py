"""What the Compress widget shows: the form, the buttons, and how a run goes. It watches a state."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from blunet.widgets.compress_bars import RunBars
from blunet.widgets.compress_form import CompressForm
from blunet.widgets.compress_state import CompressState
from blunet.widgets.compress_table import ReportTable
from blunet.widgets.curves import Curves, read_theme_colours
from blunet.widgets.text import WarningLabel, make_sentence_label

if TYPE_CHECKING:
    from napari.viewer import Viewer

#: What presses the start button, whatever its title is.
START_KEYS = "Alt+S"


class CompressView(QWidget):
    """The controls of *Compress* in a column.

    Parameters
    ----------
    viewer : Viewer
    state : CompressState
    """

    def __init__(self, viewer: Viewer, state: CompressState) -> None:
        super().__init__()
        self.state = state
        self._viewer = viewer
        self.form = CompressForm(viewer)
        self.facts, self.status = make_sentence_label(), make_sentence_label()
        self.data_warning, self.warning = WarningLabel(viewer), WarningLabel(viewer)
        self.start_button, self.cancel_button = QPushButton(), QPushButton("Cancel")
        self.cancel_button.setToolTip("Stop at the next batch and save, to resume later. Twice: stop at once.")
        self.bars = RunBars()
        self.curves, self.table, self.scored = Curves(), ReportTable(), make_sentence_label()
        self.use_button, self.report_button = QPushButton("Use this model"), QPushButton("Open report")
        self.use_button.setToolTip("Segment with the new model.")
        self.report_button.setToolTip("Scores and example masks of all stages, in the browser.")
        self._report: Path | None = None
        self._lay_out()
        state.changed.connect(self._show_state)
        viewer.events.theme.connect(self._on_theme)
        self._on_theme()
        self._show_state()

    def _show_state(self) -> None:
        state = self.state
        self.form.set_editable(not state.busy)
        for label, text in (
            (self.facts, state.data_text),
            (self.data_warning, state.data_warning),
            (self.warning, state.warning),
            (self.status, state.status),
        ):
            label.setText(text)
            label.setVisible(bool(text) and (label is self.status or not state.busy))
        if self.start_button.text() != state.start_title:
            self.start_button.setText(state.start_title)
            self.start_button.setShortcut(START_KEYS)  # a new title takes the keys away
        self.start_button.setToolTip(state.start_hint)
        self.start_button.setEnabled(state.can_start)
        self.cancel_button.setEnabled(state.busy)
        self.bars.setVisible(state.busy)
        self.bars.show_progress(state.progress)
        for button in (self.use_button, self.report_button):
            button.setVisible(state.model is not None)
        self._show_report()

    def _show_report(self) -> None:
        if self.state.report != self._report:
            self._report = self.state.report
            self.scored.setText("" if self._report is None else self.table.show_report(self._report))
        for widget in (self.table, self.scored):
            widget.setVisible(self._report is not None)

    def _on_theme(self, _: object = None) -> None:
        self.curves.set_colours(*read_theme_colours(str(self._viewer.theme)))

    def _lay_out(self) -> None:
        buttons, after = QHBoxLayout(), QHBoxLayout()
        buttons.addWidget(self.start_button, 2)
        buttons.addWidget(self.cancel_button, 1)
        after.addWidget(self.use_button, 1)
        after.addWidget(self.report_button, 1)
        layout = QVBoxLayout(self)
        above: tuple[QWidget, ...] = (self.form, self.facts, self.data_warning, self.warning)
        below: tuple[QWidget, ...] = (self.bars, self.status, self.curves, self.table, self.scored)
        for widget in above:
            layout.addWidget(widget)
        layout.addLayout(buttons)
        for widget in below:
            layout.addWidget(widget)
        layout.addLayout(after)
        layout.addStretch(1)
