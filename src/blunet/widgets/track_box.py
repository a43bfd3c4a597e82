"""The part of *Segment* that follows the cells of a time-lapse: *Track*."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QFormLayout, QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from blunet.errors import InputError
from blunet.images.allocation import allocate
from blunet.images.frame_source import FrameSource
from blunet.jobs.events import CancelToken
from blunet.jobs.layer_tracking import FrameMeasured, measure_painted, track_layer
from blunet.segmentation.provenance import describe_software
from blunet.tracking.corrections import replace_frame
from blunet.tracking.tracker import FrameTracked
from blunet.tracking.tracking_settings import DEFAULTS, TrackingSettings
from blunet.tracking.tracks import Tracks
from blunet.widgets.layer_facts import frame_interval, image_of, is_z_stack, pixel_size
from blunet.widgets.layer_list import LayerList
from blunet.widgets.settings_form import SettingsForm
from blunet.widgets.settings_state import SettingsState
from blunet.widgets.text import WarningLabel, make_sentence_label
from blunet.widgets.track_clicks import CellClicks
from blunet.widgets.track_layers import TRACKED, TrackLayers
from blunet.widgets.track_panel import TrackPanel
from blunet.widgets.track_saving import ask_for_folder, start_saving
from blunet.widgets.track_state import NO_LABELS, Done, TrackState
from blunet.widgets.worker import Job

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

#: Settings that are shown, in this order.
NAMES = ("max_step", "step_unit", "gap", "divisions", "mend")
#: Strokes of a brush wait for the next one before their frames are measured, in milliseconds.
DELAY = 250


class UntrackedLabels(LayerList):
    """A list of the Labels layers that were not made by tracking."""

    def _fits(self, layer: Layer) -> bool:
        return super()._fits(layer) and TRACKED not in layer.metadata


class TrackBox(QWidget):
    """Chooses labels, tracks them, and shows and corrects the tracks.

    Parameters
    ----------
    viewer : Viewer
    """

    finished = Signal()
    """Emitted when a run, or saving, has ended, whichever way."""

    def __init__(self, viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self.state = TrackState()
        self.job: Job | None = None
        self.layers: TrackLayers | None = None
        """The layers of the tracks that are shown."""
        self._measuring: Job | None = None
        self._painted: set[int] = set()
        self._results: list[tuple[TrackLayers, Tracks]] = []
        self.labels = UntrackedLabels(viewer, Labels, own=True)
        self.labels.setToolTip("The labels of a time-lapse, from Segment or any other source.")
        self.settings_state = SettingsState(DEFAULTS)
        self.settings_form = SettingsForm(self.settings_state, NAMES, unset={"max_step": "Estimated"})
        self.start_button, self.cancel_button = QPushButton("Track"), QPushButton("Cancel")
        self.cancel_button.setToolTip("Stop within a moment. The labels stay as they are.")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(6)
        self.status, self.warning = make_sentence_label(), WarningLabel(viewer)
        self.panel = TrackPanel(viewer, self.state)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DELAY)
        self._lay_out()
        self._clicks = CellClicks(viewer, self._clickable, self.state.click)
        clicks, dims, layers = self._clicks, viewer.dims, viewer.layers
        self.destroyed.connect(lambda: clicks.stop())
        self._timer.timeout.connect(self._measure_painted)
        self.start_button.clicked.connect(self.start)
        self.cancel_button.clicked.connect(self.cancel)
        self.labels.changed.connect(self._on_labels)
        self.panel.went.connect(self._go_to)
        self.panel.save_button.clicked.connect(self._save)
        self.panel.cut_asked.connect(lambda: self.state.cut(self._frame()))
        self.settings_state.changed.connect(self._show_state)
        self.state.changed.connect(self._show_state)
        self.state.corrected.connect(self._on_corrected)
        self.state.tracks_changed.connect(self._on_tracks)
        self.state.selected_changed.connect(self._on_selected)
        dims.events.current_step.connect(self._on_frame)
        layers.events.removed.connect(self._on_removed)
        self._on_labels()

    @property
    def busy(self) -> bool:
        """Whether a run goes on, or tracks are saved."""
        return self.state.running or self.state.saving

    def start(self) -> None:
        """Track the chosen labels."""
        source = self.labels.layer
        self._check()
        if not isinstance(source, Labels) or not self.state.can_start:
            return
        try:
            settings: TrackingSettings = self.settings_state.checked()
            size, interval = pixel_size(source), frame_interval(source)
            frames = FrameSource.from_array(source.data, name=source.name, pixel_size=size, interval=interval)
            image = image_of(self.viewer, source.metadata, source.data.shape)
            grey = None if image is None else FrameSource.from_array(image.data, name=image.name, pixel_size=size)
            array = allocate(frames.array_shape, np.int32)
        except InputError as e:
            self.state.warn(str(e))
            return
        run = _Run(source)

        def work(token: CancelToken) -> Iterable[Any]:
            for event in track_layer(frames, grey, settings, token):
                if isinstance(event, FrameTracked):
                    array[event.t] = event.labels
                yield event

        job = self.job = Job(work, self, f"Tracking {source.name}")
        job.event.connect(lambda event: self._on_event(event, run, job))
        job.done.connect(lambda: self._on_done(run, array, settings))
        job.stopped.connect(self.state.stop)
        job.failed.connect(self.state.fail)
        job.ended.connect(run.stop)
        job.ended.connect(self.finished)
        self.state.start()
        job.start()

    def cancel(self) -> None:
        """Stop the run."""
        if self.job is not None and self.job.running:
            self.job.cancel()

    # A run -----------------------------------------------------------------------------------------------------------

    def _on_event(self, event: object, run: _Run, job: Job) -> None:
        if run.source not in self.viewer.layers:
            job.cancel()
            return
        if isinstance(event, Tracks):
            run.tracks = event
        self.state.add(event)
        job.show_progress(self.state.done, self.state.total, self.state.status.rstrip("."))

    def _on_done(self, run: _Run, array: np.ndarray[Any, np.dtype[np.int32]], settings: TrackingSettings) -> None:
        if run.tracks is None or run.source not in self.viewer.layers:
            self.state.stop()
            return
        made = {**describe_software(), "tracking": settings.to_dict()}
        layers = TrackLayers(self.viewer, run.source, array, run.tracks, made, self._on_painted)
        self._results = [kept for kept in self._results if kept[0].source is not run.source]
        self.labels.choose(run.source)
        self._show_layers(layers)
        self.state.finish(run.tracks, edited=run.source.name if run.edited else "")

    # What is shown ---------------------------------------------------------------------------------------------------

    def _on_labels(self) -> None:
        """Show the tracks of the labels that are chosen, if they were tracked."""
        self._check()
        source = self.labels.layer
        shown = self.layers
        if shown is not None and (not shown.alive or shown.source is not source):
            if self.state.tracks is not None and shown.alive:
                self._results = [kept for kept in self._results if kept[0] is not shown] + [(shown, self.state.tracks)]
            found = next((kept for kept in self._results if kept[0].source is source and kept[0].alive), None)
            self._show_layers(None if found is None else found[0])
            self.state.show(None if found is None else found[1])
        elif shown is None:
            found = next((kept for kept in self._results if kept[0].source is source and kept[0].alive), None)
            if found is not None:
                self._show_layers(found[0])
                self.state.show(found[1])

    def _show_layers(self, layers: TrackLayers | None) -> None:
        self.layers = layers
        self.panel.show_layers(layers)
        self._painted.clear()
        if layers is not None:
            self.panel.set_frame(self._frame())

    def _check(self) -> None:
        """Tell whether the chosen labels can be tracked."""
        self.state.accept(describe_refusal(self.labels.layer))

    def _on_tracks(self) -> None:
        if self.layers is not None and self.layers.alive and self.state.tracks is not None:
            self.layers.show(self.state.tracks)

    def _on_selected(self) -> None:
        if self.layers is not None and self.layers.alive and self.state.tracks is not None:
            self.layers.show_family(self.state.tracks, self.state.selected)

    def _on_corrected(self, done: Done) -> None:
        if self.layers is not None and self.layers.alive:
            self.layers.correct(done)

    def _on_frame(self, _: object = None) -> None:
        if self.layers is not None:
            self.panel.set_frame(self._frame())

    def _on_removed(self, event: Any) -> None:
        if self.layers is not None and event.value is self.layers.labels:
            self._show_layers(None)
            self.state.show(None)
            self._check()

    def _frame(self) -> int:
        """Return the frame of the tracked labels that is shown."""
        if self.layers is None:
            return 0
        labels = self.layers.labels
        t = float(labels.world_to_data(self.viewer.dims.point[-labels.ndim :])[0])
        return int(np.clip(round(t), 0, labels.data.shape[0] - 1))

    def _go_to(self, t: int) -> None:
        """Show a frame of the tracked labels."""
        if self.layers is None:
            return
        labels, dims = self.layers.labels, self.viewer.dims
        dims.set_point(dims.ndim - labels.ndim, float(labels.data_to_world((t, 0, 0))[0]))

    def _clickable(self) -> Labels | None:
        """Return the tracked labels while clicks on them mean something."""
        seen = self.isVisible() and self.layers is not None and self.layers.alive and not self.state.running
        return self.layers.labels if seen and self.layers is not None and not self.state.saving else None

    def _save(self) -> None:
        """Ask for a folder and write the tracks into it."""
        layers, tracks = self.layers, self.state.tracks
        if layers is None or tracks is None or not layers.alive:
            return
        folder = ask_for_folder(self.viewer)
        if folder is None:
            return
        self.state.start_saving()
        job = self.job = start_saving(layers, tracks, folder, self)
        job.done.connect(lambda: self.state.end_saving(f"Saved masks and tables in '{folder}'."))
        job.stopped.connect(lambda: self.state.end_saving("Stopped. Nothing was saved."))
        job.failed.connect(self.state.warn)
        job.failed.connect(lambda _: self.state.end_saving("Nothing was saved."))
        job.ended.connect(self.finished)

    # Painting --------------------------------------------------------------------------------------------------------

    def _on_painted(self, frames: set[int]) -> None:
        self._painted |= frames
        self._timer.start()

    def _measure_painted(self) -> None:
        """Measure the frames that were painted on, so that tracks and tables follow."""
        layers = self.layers
        if layers is None or not layers.alive or not self._painted:
            return
        if self._measuring is not None and self._measuring.running:
            self._timer.start()
            return
        copies = {t: layers.labels.data[t].copy() for t in sorted(self._painted)}
        self._painted.clear()
        found: list[FrameMeasured] = []
        job = self._measuring = Job(lambda token: measure_painted(copies, token), self)
        job.event.connect(found.append)
        job.done.connect(lambda: self._take_measured(layers, found))
        job.start()

    def _take_measured(self, layers: TrackLayers, found: list[FrameMeasured]) -> None:
        tracks = self.state.tracks
        if layers is not self.layers or tracks is None:
            return
        for frame in found:
            tracks = replace_frame(tracks, frame.t, frame.table)
        self.state.replace(tracks)

    # The form --------------------------------------------------------------------------------------------------------

    def _show_state(self) -> None:
        state, problem = self.state, self.settings_state.problem
        self.start_button.setEnabled(state.can_start and not problem)
        self.start_button.setToolTip(state.refusal or "Follow every cell from frame to frame.")
        self.cancel_button.setEnabled(state.running or state.saving)
        for control in (self.labels, self.settings_form):
            control.setEnabled(not state.running and not state.saving)
        self.bar.setVisible(state.running)
        self.bar.setRange(0, state.total)
        self.bar.setValue(state.done)
        warning = "\n".join(filter(None, (problem, state.warning)))
        for label, text in ((self.status, state.status), (self.warning, warning)):
            label.setText(text)
            label.setVisible(bool(text))

    def _lay_out(self) -> None:
        rows = self.rows = QFormLayout()
        rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        rows.addRow("Labels", self.labels)
        buttons = QHBoxLayout()
        buttons.addWidget(self.start_button, 2)
        buttons.addWidget(self.cancel_button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(rows)
        layout.addWidget(self.settings_form)
        layout.addLayout(buttons)
        for widget in (self.bar, self.status, self.warning, self.panel):
            layout.addWidget(widget)


class _Run:
    """A run: the layer that it was started from, and whether that was painted on meanwhile."""

    def __init__(self, source: Labels) -> None:
        self.source, self.edited = source, False
        self.tracks: Tracks | None = None
        self._emitters = (source.events.paint, source.events.labels_update, source.events.data)
        for emitter in self._emitters:
            emitter.connect(self._on_edited)

    def stop(self) -> None:
        """Watch the layer no longer."""
        for emitter in self._emitters:
            emitter.disconnect(self._on_edited)

    def _on_edited(self, _: object = None) -> None:
        self.edited = True


def describe_refusal(layer: object) -> str:
    """Return why a layer cannot be tracked, in one sentence; empty if it can."""
    if not isinstance(layer, Labels):
        return NO_LABELS
    if layer.multiscale:
        return f"'{layer.name}' has several levels of resolution: use labels of one."
    if layer.ndim != 3:
        return f"'{layer.name}' has {layer.ndim} dimensions: tracking needs a time-lapse (T, Y, X)."
    if layer.data.shape[0] < 2:
        return f"'{layer.name}' has one frame: tracking needs at least two."
    if is_z_stack(layer):
        return f"'{layer.name}' is a Z stack: tracking needs a time-lapse (T, Y, X)."
    return ""
