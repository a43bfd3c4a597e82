"""The dock widget that opens images as layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFrame, QVBoxLayout, QWidget

from blunet.errors import InputError
from blunet.images.ome_zarr_plate import Plate
from blunet.jobs.events import CancelToken
from blunet.jobs.layer_opening import Doubted, LayerOpened, LeftOut, OpenSettings, open_field, open_layers
from blunet.jobs.layer_plan import Plan, Refused, look
from blunet.jobs.plane_options import PlaneOptions
from blunet.widgets.label_alignment import LabelAlignment
from blunet.widgets.layer_facts import FILE, IMAGE, unwrap_viewer
from blunet.widgets.load_form import LoadForm
from blunet.widgets.load_prepare import PrepareBox
from blunet.widgets.preferences import recall, remember
from blunet.widgets.scroll import DockContent, fill
from blunet.widgets.worker import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    import napari.viewer
    from napari.layers import Layer


class LoadWidget(DockContent):
    """Opens files, folders and patterns as image layers, and masks beside them as labels.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    """

    looked = Signal()
    """Emitted when it is known what the chosen files would become, or why they cannot be opened."""
    finished = Signal()
    """Emitted when opening has ended, whichever way."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:  # napari finds the parameter by this annotation
        super().__init__()
        self.viewer = viewer = unwrap_viewer(viewer)
        self.plan: Plan | None = None
        """What *Open* opens."""
        self.job: Job | None = None
        self._planning: Job | None = None
        self._remarks: list[str] = []
        self._opened: list[Layer] = []
        self._field: Layer | None = None
        """The image of the well that was opened last."""
        self.form = LoadForm(viewer)
        self.prepare = PrepareBox(viewer)
        line = QFrame()
        line.setFrameShape(QFrame.Shape.HLine)
        inner = QWidget()
        layout = QVBoxLayout(inner)
        layout.addWidget(self.form)
        layout.addWidget(line)
        layout.addWidget(self.prepare)
        layout.addStretch(1)
        LabelAlignment(
            self,
            self.form.rows,
            self.form.planes.rows,
            self.form.plate.rows,
            self.form.asked.rows,
            self.prepare.rows,
            self.prepare.form.rows,
        )
        fill(self, inner)
        self._restore()
        self.form.changed.connect(self._on_changed)
        self.form.open_button.clicked.connect(self.start)
        self.form.cancel_button.clicked.connect(self.cancel)
        self.form.plate.chosen.connect(self.open_field)
        self.closed.connect(self.cancel)

    def set_sources(self, sources: Sequence[str | Path]) -> None:
        """Choose files, folders or patterns; `looked` follows."""
        self.form.source.set_sources(sources)

    @property
    def busy(self) -> bool:
        """Whether files are looked at or opened."""
        return any(job is not None and job.running for job in (self.job, self._planning))

    def start(self) -> None:
        """Open what was chosen."""
        if self.plan is None or (self.job is not None and self.job.running):
            return
        try:
            plan, settings = self.plan, self._settings()
        except InputError as e:
            self.form.warn([str(e)])
            return
        remember("load", {"together": self.form.together.currentData(), "masks": self.form.masks.isChecked()})
        self._begin(lambda token: open_layers(plan, settings, token))

    def open_field(self, path: Path) -> None:
        """Open an image of a plate; that of the well before is closed, if the form says so."""
        if self.job is not None and self.job.running:
            return
        try:
            settings, planes = self._settings(), self.form.planes.planes
        except InputError as e:
            self.form.warn([str(e)])
            return
        self.form.warn(())
        self._begin(lambda token: open_field(path, planes, settings, token))
        assert self.job is not None
        self.job.done.connect(self._replace_field)

    def _begin(self, make: Callable[[CancelToken], Iterable[Any]]) -> None:
        self._remarks, self._opened = [], []
        self.job = Job(make, self, "Opening images")
        self.job.event.connect(self._on_event)
        self.job.done.connect(self._on_done)
        self.job.stopped.connect(lambda: self.form.note("Stopped. Layers that are open already are kept."))
        self.job.failed.connect(lambda sentence: self.form.warn([sentence]))
        self.job.ended.connect(self._on_ended)
        self.form.set_busy(True)
        self.form.note("Opening…")
        self.job.start()

    def cancel(self) -> None:
        """Stop opening."""
        if self.job is not None:
            self.job.cancel()

    # Planning --------------------------------------------------------------------------------------------------------

    def _on_changed(self) -> None:
        """Read the headers of the chosen files."""
        if self._planning is not None:
            self._planning.cancel()
        self.plan = None
        self.form.show_plan(None)
        self.form.warn(())
        sources = self.form.source.sources
        if not sources:
            self.looked.emit()
            return
        together, masks = bool(self.form.together.currentData()), self.form.masks.isChecked()
        planes = self.form.planes.planes

        def make(token: CancelToken) -> Iterable[Any]:
            return look(sources, together=together, masks=masks, planes=planes, token=token)

        job = self._planning = Job(make, self)
        job.event.connect(lambda event: self._on_looked(event, job))
        self.form.note("Reading the files…")
        job.start()

    def _on_looked(self, found: PlaneOptions | Plate | Plan | Refused, job: Job) -> None:
        if job is not self._planning:
            return  # other files were chosen meanwhile
        if isinstance(found, PlaneOptions):
            self._on_options(found)
            return
        if isinstance(found, Refused):
            self.form.note("")
            self.form.warn([found.sentence])
        elif isinstance(found, Plate):
            self.form.show_plate(found)
        else:
            self.plan = found
            self.form.show_plan(found)
            self.form.warn(found.left_out)
        self.looked.emit()

    def _on_options(self, options: PlaneOptions) -> None:
        """Offer channels and slices; a choice that files of this kind do not have is given up."""
        before = self.form.planes.planes
        self.form.planes.set_options(options)
        if self.form.planes.planes != before:
            self._on_changed()

    # Opening ---------------------------------------------------------------------------------------------------------

    def _settings(self) -> OpenSettings:
        """Return what is opened how.

        Raises
        ------
        InputError
            If a number that was typed cannot be used.
        """
        shown = self.prepare.settings()
        return self.form.settings_state.checked().changed(low=shown.low, high=shown.high)

    def _on_event(self, event: Any) -> None:
        if isinstance(event, LayerOpened):
            self._opened.append(add_layer(self.viewer, event))
        elif isinstance(event, LeftOut | Doubted):
            self._remarks.append(event.sentence)
            self.form.warn(self._remarks)

    def _on_done(self) -> None:
        images = [layer for layer in self._opened if layer in self.viewer.layers and isinstance(layer, Image)]
        if not images:
            self.form.note("Nothing could be opened.")
            return
        self.viewer.layers.selection.active = images[-1]
        names = ", ".join(f"'{layer.name}'" for layer in images[:3]) + (" …" if len(images) > 3 else "")
        self.form.note(f"Opened {names}. Next: Segment.")

    def _replace_field(self) -> None:
        """Close the image of the well before, unless labels were made of it."""
        before, self._field = self._field, next(iter(self._opened), None)
        if before is None or self._field is None or before not in self.viewer.layers:
            return
        used = any(layer.metadata.get(IMAGE) == before.name for layer in self.viewer.layers)
        if self.form.plate.replace_box.isChecked() and not used:
            self.viewer.layers.remove(before)

    def _on_ended(self) -> None:
        self.form.set_busy(False)
        self.finished.emit()

    def _restore(self) -> None:
        values = recall("load", {})
        self.form.together.setCurrentIndex(0 if values.get("together", True) else 1)
        self.form.masks.setChecked(bool(values.get("masks", True)))


def add_layer(viewer: napari.viewer.Viewer, opened: LayerOpened) -> Layer:
    """Add a layer to the viewer; its metadata name the file that it comes from."""
    data, keywords, kind = opened.to_layer()
    if opened.source is not None:
        keywords["metadata"] = {**keywords.get("metadata", {}), FILE: str(opened.source)}
    return viewer.add_labels(data, **keywords) if kind == "labels" else viewer.add_image(data, **keywords)
