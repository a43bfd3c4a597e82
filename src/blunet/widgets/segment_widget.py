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
from blunet.widgets.compiling import Compiling
from blunet.widgets.layer_facts import command_line, frames_of, unwrap_viewer
from blunet.widgets.preferences import preference, recall, remember
from blunet.widgets.scroll import DockContent, fill
from blunet.widgets.segment_form import SegmentForm
from blunet.widgets.segment_result import Result
from blunet.widgets.worker import Job

if TYPE_CHECKING:
    import napari.viewer

#: After a change the labels wait so long (milliseconds) for the next one.
PATIENCE = 10
#: Cells of another size than the model's by more than this factor are worth a word.
UNLIKE = 1.7
NOTHING = "Open an image first: File, Open, or the Load widget, or the sample (File, Open Sample, BLU-Net)."


class SegmentWidget(DockContent):
    """Finds the cells in an image layer.

    The network runs once; threshold, smallest size and kind of objects then change the labels from its probability.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    """

    finished = Signal()
    """A run or an update has ended, however it did."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:  # napari knows the parameter by this very annotation
        super().__init__()
        self.viewer = viewer = unwrap_viewer(viewer)
        self.result: Result | None = None
        """The latest run's."""
        self.job: Job | None = None
        self._update: Job | None = None
        self._waiting = False
        """Whether the labels are to be made again when what runs has ended."""
        self.form = SegmentForm(viewer)
        fill(self, self.form)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(PATIENCE)
        self._timer.timeout.connect(self._relabel)
        self.form.start_button.clicked.connect(self.start)
        self.form.cancel_button.clicked.connect(self.cancel)
        self.closed.connect(self.cancel)
        self.form.copy_button.clicked.connect(self._copy)
        self.form.live_changed.connect(self._timer.start)
        self.form.probability_box.toggled.connect(self._on_probability)
        self.form.picker.changed.connect(self._on_model)
        self.form.picker.refused.connect(self.form.warn)
        self.form.image_changed.connect(self._on_image)
        viewer.layers.events.removed.connect(self._on_removed)
        Compiling(self).told.connect(self.form.tell)
        self._restore()
        self._show_state()

    # What others call ------------------------------------------------------------------------------------------------

    def use_model(self, path: str | Path | None) -> bool:
        """Choose a model file, None for the bundled one; tell whether it could be used."""
        return self.form.picker.use(path)

    def settings(self) -> SegmentationSettings:
        """Return what the form says."""
        return self.form.settings()

    @property
    def busy(self) -> bool:
        """Whether a run or an update goes on."""
        return any(job is not None and job.running for job in (self.job, self._update))

    def start(self) -> None:
        """Segment the chosen layer."""
        image = self.form.image
        if image is None or (self.job is not None and self.job.running):
            return
        try:
            frames = frames_of(image)
        except InputError as e:
            self.form.warn(str(e))
            return
        shown = self._shown_frame(image, frames)
        chosen = [shown] if not (frames.stack and self.form.all_frames) else _first(shown, frames.count)
        settings, model = self.settings(), self.form.picker.path
        self._remember()
        self._waiting = False
        self.form.warn("")
        self.result = Result(self.viewer, image, frames, model, settings.diameter, self._provenance(settings))
        threads, tile = preference("threads", 0) or None, preference("tile", 0) or None
        measured, tell = self.form.measured, self.result

        def run(token: CancelToken) -> Iterable[Any]:
            return segment_frames(
                frames, model, settings, token, chosen=chosen, measured=measured, threads=threads, tile=tile
            )

        self.job = Job(run, self, f"Segmenting {image.name}")
        self.job.event.connect(lambda event, job=self.job: self._on_event(event, tell, job, len(chosen)))
        self.job.done.connect(lambda: self._on_done(tell, settings))
        self.job.stopped.connect(lambda: self.form.tell("Stopped. What was found so far stays."))
        self.job.failed.connect(self.form.warn)
        self.job.ended.connect(self._on_ended)
        self.form.set_busy(True)
        self.form.tell("Segmenting…")
        self.job.start()

    def cancel(self) -> None:
        """Stop the run."""
        for job in (self.job, self._update):
            if job is not None and job.running:
                job.cancel()

    # A run -----------------------------------------------------------------------------------------------------------

    def _on_event(self, event: Any, result: Result, job: Job, count: int) -> None:
        if result.labels is not None and not result.alive:
            job.cancel()  # the user has thrown its labels away
            return
        if isinstance(event, FramePredicted):
            assert event.probability is not None
            result.keep(event.t, event.probability)
            done = len(result.probabilities)
            self.form.show_progress(done, count)
            job.show_progress(done, count, f"frame {done} of {count}" if count > 1 else "")
            if event.warning:
                self.form.warn(event.warning)
        elif isinstance(event, FirstLook | FrameLabelled):
            found = event.found if isinstance(event, FirstLook) else event
            if result.edited:  # painted on while others are made: those go to a layer of their own
                self._waiting = result is self.result
                return
            result.show(found)
            if result.image is self.form.image:
                self.form.diameter.set_found(found.diameter)

    def _on_done(self, result: Result, settings: SegmentationSettings) -> None:
        if not result.alive or result.labels is None:
            return
        self._tell_found(result, settings)
        self._on_probability()
        self.viewer.layers.selection.active = result.labels
        self._compare_size(settings)
        if self._waiting:
            self._relabel()

    def _tell_found(self, result: Result, settings: SegmentationSettings) -> None:
        result.finish(settings.to_dict())
        assert result.labels is not None
        count = int(result.labels.data.max())
        cells = "area of cells" if settings.objects == "mask" else f"{count} cell{'s' * (count != 1)}"
        where = f" in {len(result.probabilities)} frames" if len(result.probabilities) > 1 else ""
        self.form.tell(f"Found {cells}{where}." if count else "No cell found: try a lower threshold.")

    def _compare_size(self, settings: SegmentationSettings) -> None:
        known, found = self.form.picker.model.info.card.object_diameter, self.form.diameter.found
        if settings.diameter is not None or settings.objects == "mask" or not known or not np.isfinite(found):
            return
        if not 1 / UNLIKE < found / known < UNLIKE:
            self.form.warn(
                f"The objects found are about {found:.0f} px wide, the cells that the model has learnt "
                f"{known:.0f} px. If your cells are of another size, set their diameter and segment again."
            )

    def _on_ended(self) -> None:
        self.form.set_busy(False)
        self._show_state()
        self.finished.emit()

    # Updating the labels ---------------------------------------------------------------------------------------------

    def _relabel(self) -> None:
        result = self.result
        if self.job is not None and self.job.running:
            self._waiting = True
            return
        if result is None or not result.alive or not result.probabilities or result.model != self.form.picker.path:
            self._waiting = False
            return
        if self._update is not None and self._update.running:
            self._waiting = True
            self._update.cancel()
            return
        self._waiting = False
        if result.edited:
            result = self.result = result.renewed()
            self.form.tell("The labels that you have edited stay; the new settings go to a layer of their own.")
        settings = self.settings().changed(diameter=result.diameter)
        frames, found = result.frames, dict(result.probabilities)
        shown, measured = self._shown_frame(result.image, frames), self.form.measured

        def run(token: CancelToken) -> Iterable[Any]:
            return relabel_frames(frames, found, settings, token, shown=shown, measured=measured)

        update = self._update = Job(run, self)
        update.event.connect(lambda event: self._on_event(event, result, update, len(found)))
        update.done.connect(lambda: self._tell_found(result, settings) if result.alive else None)
        update.failed.connect(self.form.warn)
        update.ended.connect(self._on_updated)
        update.start()

    def _on_updated(self) -> None:
        if self._waiting:
            self._relabel()
        else:
            self.finished.emit()

    # State -----------------------------------------------------------------------------------------------------------

    def _on_probability(self) -> None:
        """Add the probability that is there already."""
        if self.form.wants_probability and self.result is not None and self.result.alive:
            self.result.show_probability()

    def _on_model(self) -> None:
        self.form.set_threshold(self.form.picker.model.info.threshold)
        self.form.warn("")
        if self.result is not None and self.result.alive and self.result.model != self.form.picker.path:
            self.form.tell("The labels that are there stay; press Segment to find the cells with this model.")

    def _on_image(self) -> None:
        self.form.warn("")
        self._show_state()

    def _on_removed(self, event: Any) -> None:
        if self.result is not None and event.value is self.result.labels:
            self.cancel()

    def _show_state(self) -> None:
        image = self.form.image
        self.form.diameter.set_image(image)
        if image is None:
            self.form.set_stack(1)
            self.form.set_ready(False, NOTHING)
            return
        try:
            frames = frames_of(image)
        except InputError as e:
            self.form.set_ready(False, str(e))
            return
        self.form.set_stack(frames.count if frames.stack else 1)
        self.form.set_ready(True, "")

    def _shown_frame(self, image: Image, frames: FrameSource) -> int:
        if not frames.stack:
            return 0
        point = image.world_to_data(self.viewer.dims.point[-image.ndim :])
        return int(np.clip(round(float(point[0])), 0, frames.count - 1))

    def _provenance(self, settings: SegmentationSettings) -> dict[str, Any]:
        model = self.form.picker.model
        return describe_segmentation(model.network, model.info, model.path, settings)

    def _copy(self) -> None:
        image = self.form.image
        if image is None:
            return
        try:
            line = command_line(
                image, self.form.picker.path, self.settings(), self.form.measured, self.form.wants_probability
            )
        except InputError as e:
            self.form.warn(str(e))
            return
        clipboard = QGuiApplication.clipboard()
        assert clipboard is not None
        clipboard.setText(line)
        self.form.tell("Copied: " + line)

    def _remember(self) -> None:
        remember("segment", self.form.values())

    def _restore(self) -> None:
        self.form.picker.restore()
        self.form.set_threshold(self.form.picker.model.info.threshold)
        self.form.set_values(recall("segment", {}))


def _first(shown: int, count: int) -> list[int]:
    return [shown, *(t for t in range(count) if t != shown)]
