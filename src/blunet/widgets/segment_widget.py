"""The dock widget that segments an image layer."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import QTimer, Signal
from qtpy.QtGui import QGuiApplication

from blunet.errors import InputError
from blunet.jobs.events import CancelToken
from blunet.jobs.layer_segmentation import FirstLook, relabel_frames, segment_frames
from blunet.jobs.stored_segmentation import segment_into_store
from blunet.segmentation.frames import FrameLabelled, FramePredicted
from blunet.segmentation.image_mismatch import describe_size_mismatch
from blunet.segmentation.provenance import describe_segmentation
from blunet.segmentation.segmentation_settings import SegmentationSettings
from blunet.widgets.compile_notice import CompileNotice
from blunet.widgets.label_files import save_labels_as
from blunet.widgets.layer_facts import frames_of, is_z_stack, shown_frame, unwrap_viewer, write_command_line
from blunet.widgets.preferences import read_preference, recall, remember
from blunet.widgets.run_plan import RunPlan, plan_run
from blunet.widgets.scroll import DockContent, fill
from blunet.widgets.segment_form import SegmentForm
from blunet.widgets.segment_result import Result, earlier_result, keep_result
from blunet.widgets.segment_state import SegmentState
from blunet.widgets.stored_run import StoredRun
from blunet.widgets.worker import Job

if TYPE_CHECKING:
    import napari.viewer

#: A change waits for the next one before the labels follow, in milliseconds.
DELAY = 10


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
        self.stored: StoredRun | None = None
        """The latest run whose labels were written to a Zarr."""
        self._update: Job | None = None
        self._before: Result | None = None
        """The result of the run before, whose layers are hidden when the first new labels are shown."""
        self._began = 0.0
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
        self.closed.connect(self.form.batch.cancel)
        self.closed.connect(self.form.track.cancel)
        self.form.copy_button.clicked.connect(self._copy)
        self.form.save_button.clicked.connect(self._save)
        self.form.live_changed.connect(self._timer.start)
        self.form.probability_box.toggled.connect(self._show_probability)
        self.form.picker.changed.connect(self._on_model)
        self.form.picker.refused.connect(lambda sentence: self.state.warn(sentence, "model"))
        self.form.image_changed.connect(self._on_image)
        viewer.layers.events.removed.connect(self._on_removed)
        CompileNotice(self).announced.connect(self.state.note)
        self._cells = self.form.picker.model.info.card.object_diameter
        self.form.picker.restore()
        self.form.set_values(recall("segment", {}))
        self._check_image()
        self._go_on_with_earlier()

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
        """Segment the chosen layer, or the part of it that was chosen."""
        image = self.form.image
        if image is None or self.state.running:
            return
        try:
            plan, settings = plan_run(self.viewer, self.form, image), self.settings()
        except InputError as e:
            self.state.warn(str(e), "run")
            return
        remember("segment", self.form.values())
        if self.form.stored:
            self._start_stored(image, plan, settings)
            return
        model, measured, options = self.form.picker.path, self.form.measured, _engine_options()
        result = self._result_for(image, plan, settings)

        def run(token: CancelToken) -> Iterable[Any]:
            return segment_frames(
                plan.frames, model, settings, token, chosen=plan.chosen, measured=measured, part=plan.part, **options
            )

        job = self.job = Job(run, self, f"Segmenting {image.name}")
        job.event.connect(lambda event: self._on_event(event, result, job))
        job.done.connect(lambda: self._on_done(result, settings))
        job.stopped.connect(lambda: self._on_stopped(result, settings))
        self._begin(job, len(plan.chosen))

    def _start_stored(self, image: Image, plan: RunPlan, settings: SegmentationSettings) -> None:
        """Segment frames whose labels are written to a Zarr; they do not follow the settings."""
        model, measured, options = self.form.picker.path, self.form.measured, _engine_options()
        made, path = self._provenance(settings), self.form.store.path
        stored = self.stored = StoredRun(self.viewer, image, self.state, settings, made)
        self.result = None
        self.state.show_labels(False)

        def run(token: CancelToken) -> Iterable[Any]:
            return segment_into_store(
                plan.frames, path, model, settings, token, chosen=plan.chosen, description=made, measured=measured,
                **options,
            )  # fmt: skip

        job = self.job = Job(run, self, f"Segmenting {image.name}")
        stored.follow(job)
        stored.progressed.connect(lambda: self._show_progress(job))
        self._begin(job, len(plan.chosen))

    def _begin(self, job: Job, count: int) -> None:
        job.failed.connect(lambda sentence: self.state.warn(sentence, "run"))
        job.ended.connect(self._on_run_ended)
        self.form.diameter.ruler.stop()
        self.state.start(count)
        self._began = time.monotonic()
        job.start()

    def _result_for(self, image: Image, plan: RunPlan, settings: SegmentationSettings) -> Result:
        """Return the result that a run writes to: the one before, if this is another frame of it, or else a new one."""
        picker, before = self.form.picker, self.result
        single = plan.part is None and len(plan.chosen) == 1
        how = image, picker.path, settings.diameter, plan.chosen[0]
        if single and before is not None and before.goes_on_with(*how):
            return before
        result = self.result = Result(
            self.viewer, image, plan.frames, picker.path, settings.diameter, picker.model.info.card.object_diameter,
            self._provenance(settings), self._on_edited, plan.part,
        )  # fmt: skip
        hides = before is not None and before.image is image and before.overlaps(plan.part)
        self._before = before if hides else None
        return result

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
            self._show_progress(job)
            if event.warning:
                self.state.warn(event.warning, "image")
        elif isinstance(event, FirstLook):
            self._show(event.found, result, provisional=job is self.job)
        elif isinstance(event, FrameLabelled):
            self._show(event, result)

    def _show_progress(self, job: Job) -> None:
        done, count = self.state.done + 1, self.state.count
        left = (time.monotonic() - self._began) / done * (count - done)
        self.state.advance(done, left)
        job.show_progress(done, count, f"frame {done} of {count}" if count > 1 else "")

    def _show(self, found: FrameLabelled, result: Result, *, provisional: bool = False) -> None:
        if not result.takes(found.t):  # the labels that are still to come get a layer of their own
            if result is self.result:
                self.state.hold_back()
            return
        result.show(found, provisional=provisional)
        if result is self.result:
            self.state.show_labels(True)
            if self._before is not None:
                self._before.hide()
                self._before = None
        if result.image is self.form.image:
            self.form.diameter.set_found(found.diameter)

    def _on_done(self, result: Result, settings: SegmentationSettings) -> None:
        if not result.alive or result.labels is None:
            self.state.stop()
            return
        self._finish(result, settings)
        self._show_probability()
        self.viewer.layers.selection.active = result.labels
        self.state.warn(describe_size_mismatch(self.form.diameter.found, result.cells, settings), "size")

    def _on_stopped(self, result: Result, settings: SegmentationSettings) -> None:
        """Keep the labels of the frames that are done, as the sentence says."""
        if result.alive:
            result.settle()
            result.finish(settings.to_dict())
        self.state.stop(result.labelled if result.alive else 0)

    def _finish(self, result: Result, settings: SegmentationSettings) -> None:
        result.finish(settings.to_dict())
        keep_result(self.viewer, result)
        self._note_model()
        mask, dropped = settings.objects == "mask", sum(result.dropped.values())
        self.state.find(result.objects, result.labelled, mask=mask, dropped=dropped, min_size=settings.min_size)

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
        frames, found, part = result.frames, dict(result.predictions), result.part
        shown, measured = shown_frame(self.viewer, result.image, frames), self.form.measured

        def run(token: CancelToken) -> Iterable[Any]:
            return relabel_frames(frames, found, settings, token, shown=shown, measured=measured, part=part)

        update = self._update = Job(run, self)
        update.event.connect(lambda event: self._on_event(event, result, update))
        update.done.connect(lambda: self._finish(result, settings) if result.alive else None)
        update.failed.connect(lambda sentence: self.state.warn(sentence, "run"))
        update.ended.connect(lambda: self._go_on(self.state.end_update()))
        self.state.update()
        update.start()

    def _go_on_with_earlier(self) -> None:
        """Follow the labels that a dock before this one has made in this viewer."""
        result = earlier_result(self.viewer)
        if result is None or not result.alive or result.labels is None:
            return
        self.use_model(result.model)
        if result.model != self.form.picker.path:  # its file is gone
            return
        made = result.labels.metadata.get("blunet", {}).get("settings", {})
        with contextlib.suppress(InputError):
            settings = SegmentationSettings.from_dict(made)
            self.form.settings_state.replace(settings.for_model(self.form.picker.model.info))
        self._timer.stop()  # the labels have these settings already
        result.tell_edited_to(self._on_edited)
        self.result = result
        self.form.images.choose(result.image)
        self.state.show_labels(True)
        if result.edited:
            self.state.edit()

    # What the user changes -------------------------------------------------------------------------------------------

    def _show_probability(self) -> None:
        """Add the probability of the latest run as a layer, if it is wanted."""
        if self.form.wants_probability and self.result is not None and self.result.alive:
            self.result.show_probability()

    def _on_edited(self, result: Result) -> None:
        if result is self.result:
            self.state.edit()

    def _on_model(self) -> None:
        self.form.use_model_values()
        self._scale_smallest_area()
        self.state.clear_warnings("model", "size")
        self._note_model()

    def _note_model(self) -> None:
        result = self.result
        self.state.note_model(result is not None and result.alive and result.model != self.form.picker.path)

    def _scale_smallest_area(self) -> None:
        """Keep the smallest area in proportion to the cells of the model."""
        before, self._cells = self._cells, self.form.picker.model.info.card.object_diameter or self._cells
        if before and self._cells and before != self._cells:
            area = self.form.settings_state.settings.min_size * (self._cells / before) ** 2
            self.form.settings_state.change("min_size", max(1, round(area)))

    def _on_image(self) -> None:
        self.state.clear_warnings()
        self._check_image()

    def _check_image(self) -> None:
        image = self.form.image
        self.form.diameter.set_image(image)
        self.form.frames = None
        if image is None:
            self.state.refuse_image()
            return
        try:
            self.form.frames = frames_of(image)
            self.state.accept_image(self.form.frames.count, slices=is_z_stack(image))
        except InputError as e:
            self.state.refuse_image(str(e))

    def _on_removed(self, event: Any) -> None:
        ours = [each.labels for each in (self.result, self.stored) if each is not None]
        if event.value in ours:
            self.state.show_labels(False)
            self.cancel()

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
            self.state.warn(str(e), "copy")
            return
        self.state.clear_warnings("copy")
        clipboard = QGuiApplication.clipboard()
        assert clipboard is not None
        clipboard.setText(line)
        self.state.note(f"Copied: {line}")


def _engine_options() -> dict[str, Any]:
    """Return how the network runs, from the preferences."""
    return {"threads": read_preference("threads", 0) or None, "tile": read_preference("tile", 0) or None}
