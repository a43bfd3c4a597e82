"""The dock widget that segments an image layer."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from qtpy.QtCore import QTimer, Signal
from qtpy.QtGui import QGuiApplication

from blunet.errors import InputError
from blunet.images.frame_source import FrameSource
from blunet.jobs.events import CancelToken
from blunet.jobs.layer_segmentation import FirstLook, relabel_frames, segment_frames
from blunet.segmentation.frames import FrameLabelled, FramePredicted
from blunet.segmentation.provenance import describe_segmentation
from blunet.segmentation.segmentation_settings import SegmentationSettings
from blunet.widgets.compile_notice import CompileNotice
from blunet.widgets.label_files import save_labels_as
from blunet.widgets.layer_facts import frames_of, unwrap_viewer, write_command_line
from blunet.widgets.preferences import read_preference, recall, remember
from blunet.widgets.scroll import DockContent, fill
from blunet.widgets.segment_form import SegmentForm
from blunet.widgets.segment_result import Result
from blunet.widgets.segment_state import OTHER_MODEL, SegmentState
from blunet.widgets.worker import Job

if TYPE_CHECKING:
    import napari.viewer

#: A change waits for the next one before the labels follow, in milliseconds.
DELAY = 10
#: Warn if the objects found are larger or smaller than the cells of the model by more than this factor.
SIZE_RATIO = 1.7


class SegmentWidget(DockContent):
    """Finds the cells in an image layer.

    The network runs once; threshold, smallest area, kind of objects and splitting then change the labels from its maps.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    """

    finished = Signal()
    """Emitted when a run or an update has ended, whichever way, and no other follows."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:  # napari finds the parameter by this annotation
        super().__init__()
        self.viewer = viewer = unwrap_viewer(viewer)
        self.result: Result | None = None
        """What the latest run has made."""
        self.job: Job | None = None
        self._update: Job | None = None
        self.state = SegmentState()
        self.form = SegmentForm(viewer, self.state)
        fill(self, self.form)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DELAY)
        self._timer.timeout.connect(self._follow_settings)
        self.form.start_button.clicked.connect(self.start)
        self.form.cancel_button.clicked.connect(self.cancel)
        self.closed.connect(self.cancel)
        self.form.copy_button.clicked.connect(self._copy)
        self.form.save_button.clicked.connect(self._save)
        self.form.live_changed.connect(self._timer.start)
        self.form.probability_box.toggled.connect(self._show_probability)
        self.form.picker.changed.connect(self._on_model)
        self.form.picker.refused.connect(self.state.warn)
        self.form.image_changed.connect(self._on_image)
        viewer.layers.events.removed.connect(self._on_removed)
        CompileNotice(self).announced.connect(self.state.note)
        self.form.picker.restore()
        self.form.set_values(recall("segment", {}))
        self._check_image()

    def use_model(self, path: str | Path | None) -> bool:
        """Choose a model file, None for the bundled one; return whether it could be used."""
        return self.form.picker.use(path)

    def settings(self) -> SegmentationSettings:
        """Return the settings in the form.

        Raises
        ------
        InputError
            If a number that was typed cannot be used.
        """
        return self.form.settings()

    @property
    def busy(self) -> bool:
        """Whether a run or an update goes on, or follows in a moment."""
        return self.state.busy or self._timer.isActive()

    def start(self) -> None:
        """Segment the chosen layer."""
        image = self.form.image
        if image is None or self.state.running:
            return
        try:
            frames, settings = frames_of(image), self.settings()
        except InputError as e:
            self.state.warn(str(e))
            return
        shown = self._shown_frame(image, frames)
        chosen = [shown] if not (frames.stack and self.form.all_frames) else _first(shown, frames.count)
        model, measured = self.form.picker.path, self.form.measured
        remember("segment", self.form.values())
        result = self.result = Result(
            self.viewer, image, frames, model, settings.diameter, self._provenance(settings), self._on_edited
        )
        threads, tile = read_preference("threads", 0) or None, read_preference("tile", 0) or None

        def run(token: CancelToken) -> Iterable[Any]:
            return segment_frames(
                frames, model, settings, token, chosen=chosen, measured=measured, threads=threads, tile=tile
            )

        job = self.job = Job(run, self, f"Segmenting {image.name}")
        job.event.connect(lambda event: self._on_event(event, result, job))
        job.done.connect(lambda: self._on_done(result, settings))
        job.stopped.connect(self.state.stop)
        job.failed.connect(self.state.warn)
        job.ended.connect(self._on_run_ended)
        self.state.start(len(chosen))
        job.start()

    def cancel(self) -> None:
        """Stop the run."""
        for job in (self.job, self._update):
            if job is not None and job.running:
                job.cancel()

    # A run -----------------------------------------------------------------------------------------------------------

    def _on_event(self, event: Any, result: Result, job: Job) -> None:
        if result.deleted:
            job.cancel()
            return
        if isinstance(event, FramePredicted):
            result.keep(event)
            self.state.advance(len(result.predictions))
            done, count = self.state.done, self.state.count
            job.show_progress(done, count, f"frame {done} of {count}" if count > 1 else "")
            if event.warning:
                self.state.warn(event.warning)
        elif isinstance(event, FirstLook | FrameLabelled):
            found = event.found if isinstance(event, FirstLook) else event
            if result.edited:  # the labels that are still to come get a layer of their own
                if result is self.result:
                    self.state.hold_back()
                return
            result.show(found)
            self.state.show_labels(True)
            if result.image is self.form.image:
                self.form.diameter.set_found(found.diameter)

    def _on_done(self, result: Result, settings: SegmentationSettings) -> None:
        if not result.alive or result.labels is None:
            self.state.stop()
            return
        self._finish(result, settings)
        self._show_probability()
        self.viewer.layers.selection.active = result.labels
        self._compare_size(settings)

    def _finish(self, result: Result, settings: SegmentationSettings) -> None:
        result.finish(settings.to_dict())
        assert result.labels is not None
        mask = settings.objects == "mask"
        self.state.find(int(result.labels.data.max()), len(result.predictions), mask=mask)

    def _compare_size(self, settings: SegmentationSettings) -> None:
        known, found = self.form.picker.model.info.card.object_diameter, self.form.diameter.found
        if settings.diameter is not None or settings.objects == "mask" or not known or not np.isfinite(found):
            return
        if not 1 / SIZE_RATIO < found / known < SIZE_RATIO:
            self.state.warn(
                f"The objects found are about {found:.0f} px wide, but the model was trained with cells of {known:.0f} "
                "px. If your cells are of another size, set their diameter and segment again."
            )

    def _on_run_ended(self) -> None:
        self._go_on(self.state.end_run())

    # Updating the labels ---------------------------------------------------------------------------------------------

    def _follow_settings(self) -> None:
        """Make the labels again from the maps, now or when what goes on has ended."""
        if self.state.change():
            self._go_on(True)
        elif self._update is not None and self._update.running:
            self._update.cancel()

    def _go_on(self, update: bool) -> None:
        """Update the labels if this is wanted and possible; else everything is finished."""
        result = self.result
        if update and result is not None and self._can_follow(result):
            self._update_labels(result)
        elif not self.state.busy:
            self.finished.emit()

    def _can_follow(self, result: Result) -> bool:
        """Return whether labels can be made again: from maps of the chosen model, if they were not deleted."""
        return bool(result.predictions) and not result.deleted and result.model == self.form.picker.path

    def _update_labels(self, result: Result) -> None:
        settings = self.form.settings_state.settings.changed(diameter=result.diameter)
        if result.edited:
            result = self.result = result.renewed()
        frames, found = result.frames, dict(result.predictions)
        shown, measured = self._shown_frame(result.image, frames), self.form.measured

        def run(token: CancelToken) -> Iterable[Any]:
            return relabel_frames(frames, found, settings, token, shown=shown, measured=measured)

        update = self._update = Job(run, self)
        update.event.connect(lambda event: self._on_event(event, result, update))
        update.done.connect(lambda: self._finish(result, settings) if result.alive else None)
        update.failed.connect(self.state.warn)
        update.ended.connect(lambda: self._go_on(self.state.end_update()))
        self.state.update()
        update.start()

    # What the user changes -------------------------------------------------------------------------------------------

    def _show_probability(self) -> None:
        """Add the probability of the latest run as a layer, if it is wanted."""
        if self.form.wants_probability and self.result is not None and self.result.alive:
            self.result.show_probability()

    def _on_edited(self, result: Result) -> None:
        if result is self.result:
            self.state.edit()

    def _on_model(self) -> None:
        info = self.form.picker.model.info
        self.form.settings_state.change("threshold", info.threshold)
        self.form.settings_state.change("splitting", info.splitting)
        self.state.warn("")
        if self.result is not None and self.result.alive and self.result.model != self.form.picker.path:
            self.state.note(OTHER_MODEL)

    def _on_image(self) -> None:
        self.state.warn("")
        self._check_image()

    def _check_image(self) -> None:
        image = self.form.image
        self.form.diameter.set_image(image)
        if image is None:
            self.state.refuse_image()
            return
        try:
            self.state.accept_image(frames_of(image).count)
        except InputError as e:
            self.state.refuse_image(str(e))

    def _on_removed(self, event: Any) -> None:
        if self.result is not None and event.value is self.result.labels:
            self.state.show_labels(False)
            self.cancel()

    def _shown_frame(self, image: Image, frames: FrameSource) -> int:
        if not frames.stack:
            return 0
        point = image.world_to_data(self.viewer.dims.point[-image.ndim :])
        return int(np.clip(round(float(point[0])), 0, frames.count - 1))

    def _provenance(self, settings: SegmentationSettings) -> dict[str, Any]:
        model = self.form.picker.model
        return describe_segmentation(model.network, model.info, model.path, settings)

    def _save(self) -> None:
        """Ask for a name, and save the labels and their table."""
        if self.result is not None and self.result.alive and self.result.labels is not None:
            written = save_labels_as(self.viewer, self.result.labels, self.result.image)
            if written:
                self.state.note(f"Saved {' and '.join(file.name for file in written)}.")

    def _copy(self) -> None:
        image = self.form.image
        if image is None:
            return
        try:
            line = write_command_line(
                image, self.form.picker.path, self.settings(), self.form.measured, self.form.wants_probability
            )
        except InputError as e:
            self.state.warn(str(e))
            return
        clipboard = QGuiApplication.clipboard()
        assert clipboard is not None
        clipboard.setText(line)
        self.state.note(f"Copied: {line}")


def _first(shown: int, count: int) -> list[int]:
    return [shown, *(t for t in range(count) if t != shown)]
