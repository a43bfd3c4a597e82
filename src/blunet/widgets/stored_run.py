"""A run of Segment whose labels are written straight to an OME-Zarr and shown from there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psygnal import Signal

from blunet.images.labels_store import open_levels
from blunet.jobs.stored_segmentation import FrameStored, PieceDone, StoreFinished, StoreOpened
from blunet.widgets.layer_facts import FILE, IMAGE, placement_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari.layers import Image, Labels
    from napari.viewer import Viewer

    from blunet.segmentation.segmentation_settings import SegmentationSettings
    from blunet.widgets.segment_state import SegmentState
    from blunet.widgets.worker import Job


class StoredRun:
    """Shows what a run writes, as a layer that is read from the disk.

    Parameters
    ----------
    viewer : Viewer
    image : Image
        The layer that is segmented.
    state : SegmentState
        It is told how the run goes.
    settings : SegmentationSettings
    provenance : dict
        For the layer's metadata, under "blunet".
    """

    progressed = Signal()
    """Emitted when a frame is written."""

    def __init__(
        self, viewer: Viewer, image: Image, state: SegmentState, settings: SegmentationSettings,
        provenance: dict[str, Any],
    ) -> None:  # fmt: skip
        self.viewer, self.image, self.provenance = viewer, image, provenance
        self.state, self.settings = state, settings
        self.labels: Labels | None = None
        self.path: Path | None = None
        """The Zarr, once it has its name."""
        self.objects = self.dropped = self.frames = 0

    @property
    def deleted(self) -> bool:
        """Whether there were labels and the user has deleted them."""
        return self.labels is not None and self.labels not in self.viewer.layers

    def follow(self, job: Job) -> None:
        """Show what a job of `segment_into_store` writes, and say how it ends."""
        job.event.connect(lambda event: self._on_event(event, job))
        job.done.connect(self._on_done)
        job.stopped.connect(self._on_stopped)

    def _on_event(self, event: StoreOpened | PieceDone | FrameStored | StoreFinished, job: Job) -> None:
        if self.deleted and not isinstance(event, StoreFinished):
            job.cancel()
            return
        match event:
            case StoreOpened(levels):
                self.labels = self._add_layer(levels)
            case PieceDone(done):
                self.state.note(f"{done:.0%} of the image are done.")
                job.show_progress(done, 1.0)
            case FrameStored():
                self.objects += event.objects
                self.dropped += event.dropped
                self.frames += 1
                if self.labels is not None:
                    self.labels.refresh()
                if event.warning:
                    self.state.warn(event.warning, "image")
                self.progressed.emit()
            case StoreFinished():
                self.path = event.path
                self._show_finished(event)

    def _on_done(self) -> None:
        settings = self.settings
        self.state.find(
            self.objects, self.frames, mask=settings.objects == "mask", dropped=self.dropped,
            min_size=settings.min_size,
        )  # fmt: skip
        self.state.note(f"The labels are in '{self.path}'.")

    def _on_stopped(self) -> None:
        self.state.stop(self.frames)
        if self.path is not None:
            self.state.note(f"They are in '{self.path}'.")
        elif self.labels is not None and not self.deleted:  # nothing was written
            self.viewer.layers.remove(self.labels)

    def _add_layer(self, levels: Sequence[Any]) -> Labels:
        layer = self.viewer.add_labels(
            _data(levels), multiscale=len(levels) > 1, name=f"{self.image.name} – cells",
            metadata={"blunet": self.provenance, IMAGE: self.image.name}, **placement_of(self.image),
        )  # fmt: skip
        layer.editable = False  # painting would not be written
        return layer

    def _show_finished(self, event: StoreFinished) -> None:
        if self.labels is None or self.deleted:
            return
        self.labels.data = _data(open_levels(event.path))
        self.labels.editable = False
        self.labels.metadata = {**self.labels.metadata, FILE: str(event.path)}
        if event.table:
            self.labels.features = {"index": event.table["label"], **event.table}


def _data(levels: Sequence[Any]) -> Any:
    return list(levels) if len(levels) > 1 else levels[0]
