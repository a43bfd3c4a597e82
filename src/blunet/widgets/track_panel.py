"""What is shown of tracks below the button *Track*: the selected cell, its lineage, corrections, mends and plots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QGridLayout, QListWidget, QListWidgetItem, QPushButton, QVBoxLayout, QWidget

from blunet.tracking.tracks import Mend
from blunet.widgets.curves import read_theme_colours
from blunet.widgets.lineage_tree import LineageTree
from blunet.widgets.section import Section
from blunet.widgets.text import make_sentence_label
from blunet.widgets.track_plots import TrackPlots
from blunet.widgets.track_state import Task, TrackState

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from blunet.widgets.track_layers import TrackLayers

FLAWS = {"missing": "was missing: filled in", "split": "was in pieces: joined", "merged": "was merged: parted"}
TASKS: dict[Task, tuple[str, str]] = {
    "join": ("Join with…", "Make one track of the selected one and another that you click."),
    "swap": ("Swap with…", "Exchange the selected track with one that you click, from this frame on."),
    "divide": ("Daughters…", "Click the two daughters of the selected track in the first frame after its division."),
}


class TrackPanel(QWidget):
    """Watches a `TrackState` and shows its tracks; the buttons and plots change the state.

    Parameters
    ----------
    viewer : Viewer
    state : TrackState
    """

    went = Signal(int)
    """Emitted with the frame that the user wants to see."""
    cut_asked = Signal()
    """Emitted when the selected track is to be cut at the frame that is shown."""

    def __init__(self, viewer: Viewer, state: TrackState) -> None:
        super().__init__()
        self._viewer, self.state = viewer, state
        self._layers: TrackLayers | None = None
        self.hint = make_sentence_label()
        self.tree, self.plots = LineageTree(), TrackPlots()
        self.task_buttons: dict[Task, QPushButton] = {}
        for task, (title, tip) in TASKS.items():
            button = self.task_buttons[task] = QPushButton(title)
            button.setCheckable(True)
            button.setToolTip(tip)
            button.clicked.connect(lambda checked, task=task: state.ask(task) if checked else state.stop_asking())
        self.cut_button = QPushButton("Cut here")
        self.cut_button.setToolTip(
            "Make the rest of the selected track, from this frame on, a track of its own. In its first frame: remove "
            "its mother."
        )
        self.undo_button, self.redo_button = QPushButton("Undo"), QPushButton("Redo")
        self.mends = QListWidget()
        self.mends.setToolTip("Click a line to go to that cell.")
        self.mends.setMaximumHeight(130)
        self.mends_section = Section("Mended cells", lambda: self.mends)
        self.plots_section = Section("Plots", lambda: self.plots)
        self.save_button = QPushButton("Save tracks…")
        self.save_button.setToolTip(
            "Write masks and res_track.txt as the Cell Tracking Challenge does, and tables of cells and tracks."
        )
        self._lay_out()
        self.cut_button.clicked.connect(self.cut_asked)
        self.undo_button.clicked.connect(state.undo)
        self.redo_button.clicked.connect(state.redo)
        self.tree.picked.connect(self._on_picked)
        self.plots.picked.connect(self.went)
        self.mends.itemClicked.connect(self._on_mend)
        state.changed.connect(self._show_state)
        state.tracks_changed.connect(self._show_tracks)
        state.selected_changed.connect(self._show_selected)
        viewer.events.theme.connect(self._on_theme)
        self._on_theme()
        self._show_state()

    def show_layers(self, layers: TrackLayers | None) -> None:
        """Take colours and units from other layers; tracks are shown after this."""
        self._layers = layers

    def set_frame(self, t: int) -> None:
        """Mark the frame that is shown."""
        self.tree.set_frame(t)
        self.plots.set_frame(t)

    def _show_state(self) -> None:
        state = self.state
        free = not state.running and not state.saving
        chosen = state.selected is not None and free
        self.setVisible(state.tracks is not None)
        self.hint.setText(state.hint)
        for task, button in self.task_buttons.items():
            button.setEnabled(chosen)
            button.setChecked(state.task == task)
        self.cut_button.setEnabled(chosen)
        self.save_button.setEnabled(free)
        for button, title, verb in (
            (self.undo_button, state.can_undo, "Take back"), (self.redo_button, state.can_redo, "Make again"),
        ):  # fmt: skip
            button.setEnabled(bool(title) and free)
            button.setToolTip(f"{verb}: {title}." if title else f"There is no correction to {verb.lower()}.")

    def _show_tracks(self) -> None:
        tracks, layers = self.state.tracks, self._layers
        if tracks is None or layers is None:
            return
        self.plots.show_tracks(tracks, layers.size, layers.interval, layers.colour_of)
        self.mends.clear()
        for mend in tracks.mended:
            item = QListWidgetItem(f"Frame {mend.frame}: track {mend.track} {FLAWS[mend.flaw]}")
            item.setData(Qt.ItemDataRole.UserRole, mend)
            self.mends.addItem(item)
        self.mends_section.set_title(f"Mended cells ({len(tracks.mended)})")
        self.mends_section.setVisible(bool(tracks.mended))

    def _show_selected(self) -> None:
        tracks, layers, selected = self.state.tracks, self._layers, self.state.selected
        if layers is None:
            return
        self.tree.show_family(tracks, selected, layers.colour_of)
        self.plots.select(selected)

    def _on_picked(self, track: int, frame: int) -> None:
        self.state.select(track)
        self.went.emit(frame)

    def _on_mend(self, item: QListWidgetItem) -> None:
        mend: Mend = item.data(Qt.ItemDataRole.UserRole)
        self.state.select(mend.track)
        self.went.emit(mend.frame)

    def _on_theme(self, _: object = None) -> None:
        colours = read_theme_colours(str(self._viewer.theme))
        self.tree.set_colours(*colours)
        self.plots.set_colours(*colours)
        self._show_selected()

    def _lay_out(self) -> None:
        grid = QGridLayout()
        for place, button in enumerate(
            [self.task_buttons["join"], self.cut_button, self.task_buttons["swap"], self.task_buttons["divide"],
             self.undo_button, self.redo_button]
        ):  # fmt: skip
            grid.addWidget(button, *divmod(place, 2))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.hint)
        layout.addWidget(self.tree)
        layout.addLayout(grid)
        layout.addWidget(self.mends_section)
        layout.addWidget(self.plots_section)
        layout.addWidget(self.save_button)
        self.tree.hide()
