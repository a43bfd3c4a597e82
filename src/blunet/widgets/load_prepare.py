"""What can be done to the look of an image: contrast, and taking the slow shading away, with a preview."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from blunet.errors import InputError
from blunet.images.frame_source import FrameSource
from blunet.images.normalisation_settings import Normalisation
from blunet.jobs.events import CancelToken
from blunet.jobs.shading import AllFlattened, ContrastFound, FrameFlattened, find_contrast, flatten_all, flatten_frame
from blunet.widgets.layer_facts import frames_of, spatial
from blunet.widgets.layer_list import LayerList
from blunet.widgets.preferences import recall, remember
from blunet.widgets.text import remark
from blunet.widgets.worker import Job

if TYPE_CHECKING:
    import napari.viewer

#: After a change the preview waits so long (milliseconds) for the next one.
PATIENCE = 120
#: Twice the diameter of a usual cell (pixels): wide enough that the cells themselves stay.
SIGMA = 100.0
EXPLAINED = "Segment goes on taking the image as the microscope gave it; a corrected one you can add as a layer."


class PrepareBox(QWidget):
    """Contrast of a layer, and a preview of it without its slow shading.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    """

    def __init__(self, viewer: napari.viewer.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self.preview: Image | None = None
        """The layer that shows a frame without its shading."""
        self._of: Image | None = None
        self._jobs: dict[str, Job] = {}
        self._again: set[str] = set()
        self._make_controls()
        self._contrast_timer = self._timer(self._set_contrast)
        self._preview_timer = self._timer(self._show_preview)
        for spin in (self.low, self.high):
            spin.valueChanged.connect(self._contrast_timer.start)
            spin.valueChanged.connect(self._preview_timer.start)
        self.sigma.valueChanged.connect(self._preview_timer.start)
        self.shading.toggled.connect(self._on_toggled)
        self.add_button.clicked.connect(self.add)
        self.images.changed.connect(self._on_image)
        viewer.dims.events.current_step.connect(self._on_frame)
        viewer.layers.events.removed.connect(self._on_removed)
        self._on_image()

    @property
    def percentiles(self) -> tuple[float, float]:
        """Percentiles of the grey values that are shown black and white."""
        return float(self.low.value()), float(self.high.value())

    @property
    def busy(self) -> bool:
        """Whether something is being computed, or will be in a moment."""
        waiting = self._contrast_timer.isActive() or self._preview_timer.isActive() or bool(self._again)
        return waiting or any(job.running for job in self._jobs.values())

    def add(self) -> None:
        """Add the image without its slow shading as a layer of its own; of a time-lapse all frames."""
        layer, frames = self._chosen()
        if layer is None or frames is None:
            return
        settings = self._settings()

        def show(event: AllFlattened) -> None:
            self.viewer.add_image(
                event.data, name=f"{layer.name} – without shading", contrast_limits=(0, 1), **spatial(layer),
                metadata={"made from": layer.name, "normalisation": settings.to_dict()},
            )  # fmt: skip
            self.shading.setChecked(False)

        self._run("add", lambda token: flatten_all(frames, settings, token), show, f"Taking the shading off {layer}")

    # Contrast and preview --------------------------------------------------------------------------------------------

    def _set_contrast(self) -> None:
        layer, frames = self._chosen()
        if layer is None or frames is None:
            return
        t, (low, high) = self._shown_frame(layer, frames), self.percentiles

        def show(event: ContrastFound) -> None:
            if event.limits.low < event.limits.high:
                layer.contrast_limits = tuple(event.limits)

        self._run("contrast", lambda token: find_contrast(frames, t, low, high, token), show)

    def _show_preview(self) -> None:
        layer, frames = self._chosen()
        if layer is None or frames is None or not self.shading.isChecked():
            return
        t, settings = self._shown_frame(layer, frames), self._settings()

        def show(event: FrameFlattened) -> None:
            if self.shading.isChecked() and layer is self.images.layer:
                self._place_preview(layer, frames, event)

        self._run("preview", lambda token: flatten_frame(frames, t, settings, token), show)

    def _place_preview(self, layer: Image, frames: FrameSource, flat: FrameFlattened) -> None:
        """Show a frame where it lies: of a time-lapse at its time only."""
        data = flat.image[None] if frames.stack else flat.image
        where = spatial(layer)
        if frames.stack:
            first = np.array(where["translate"], float)
            first[-3] += flat.t * float(layer.scale[-3])
            where["translate"] = first
        if self.preview is not None and self._of is layer and self.preview.data.shape == data.shape:
            self.preview.data = data
            self.preview.translate = where["translate"]
            return
        self._remove_preview()
        active = self.viewer.layers.selection.active
        self.preview = self.viewer.add_image(
            data, name=f"{layer.name} – without shading (preview)", contrast_limits=(0, 1), **where,
            metadata={"blunet": {"preview of": layer.name}},
        )  # fmt: skip
        self._of = layer
        self.viewer.layers.move(len(self.viewer.layers) - 1, self.viewer.layers.index(layer) + 1)  # under its labels
        self.viewer.layers.selection.active = active

    def _remove_preview(self) -> None:
        preview, self.preview, self._of = self.preview, None, None
        if preview is not None:
            with contextlib.suppress(ValueError):
                self.viewer.layers.remove(preview)

    def _run(self, kind: str, make: Any, show: Any, title: str | None = None) -> None:
        """Run a job, or once more when the one of this kind that still runs has stopped."""
        before = self._jobs.get(kind)
        if before is not None and before.running:
            self._again.add(kind)
            before.cancel()
            return

        def run(token: CancelToken) -> Iterable[Any]:
            return make(token)

        job = self._jobs[kind] = Job(run, self, title)
        job.event.connect(lambda event: None if job.token.cancelled else show(event))
        job.failed.connect(self.note.setText)
        job.ended.connect(lambda: self._on_ended(kind))
        self.note.setText(EXPLAINED)
        job.start()

    def _on_ended(self, kind: str) -> None:
        if kind in self._again:
            self._again.discard(kind)
            {"contrast": self._set_contrast, "preview": self._show_preview, "add": self.add}[kind]()

    # State -----------------------------------------------------------------------------------------------------------

    def _chosen(self) -> tuple[Image, FrameSource] | tuple[None, None]:
        layer = self.images.layer
        if layer is None:
            return None, None
        try:
            return layer, frames_of(layer)
        except InputError:
            return None, None

    def _settings(self) -> Normalisation:
        remember("prepare", {"low": self.low.value(), "high": self.high.value(), "sigma": self.sigma.value()})
        low, high = self.percentiles
        return Normalisation(method="percentile", low=low, high=high, shading=float(self.sigma.value()))

    def _shown_frame(self, layer: Image, frames: FrameSource) -> int:
        if not frames.stack:
            return 0
        point = layer.world_to_data(self.viewer.dims.point[-layer.ndim :])
        return int(np.clip(round(float(point[-3])), 0, frames.count - 1))

    def _on_image(self) -> None:
        layer, usable, note = self.images.layer, False, "Open an image first."
        if layer is not None:
            try:
                frames_of(layer)
                usable, note = True, EXPLAINED
            except InputError as e:
                note = str(e)
        self.note.setText(note)
        for control in (self.low, self.high, self.shading, self.sigma, self.add_button):
            control.setEnabled(usable)
        if self.preview is not None and self._of is not layer:
            self._remove_preview()
        if usable and self.shading.isChecked():
            self._preview_timer.start()

    def _on_toggled(self, checked: bool) -> None:
        if checked:
            self._show_preview()
        else:
            self._remove_preview()

    def _on_frame(self, _: object = None) -> None:
        if self.shading.isChecked():
            self._preview_timer.start()

    def _on_removed(self, event: Any) -> None:
        if self.preview is not None and event.value is self.preview:
            self.preview = self._of = None
            self.shading.setChecked(False)

    def _timer(self, then: Any) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(PATIENCE)
        timer.timeout.connect(then)
        return timer

    def _make_controls(self) -> None:
        values = recall("prepare", {})
        self.images = LayerList(self.viewer, Image)
        self.images.setToolTip("The image whose look is changed.")
        self.low = _percentile(0, 49, float(values.get("low", 0.1)))
        self.low.setToolTip("So many percent of the pixels are shown black.")
        self.high = _percentile(51, 100, float(values.get("high", 99.9)))
        self.high.setToolTip("The pixels above this percentage are shown white.")
        self.shading = QCheckBox("Preview without slow shading")
        self.shading.setToolTip("Shows the frame without the slow change of brightness across the field.")
        self.sigma = QDoubleSpinBox()
        self.sigma.setRange(5, 5000)
        self.sigma.setDecimals(0)
        self.sigma.setSuffix(" px")
        self.sigma.setValue(float(values.get("sigma", SIGMA)))
        self.sigma.setToolTip("What changes over fewer pixels than this stays. Take about twice a cell's diameter.")
        self.add_button = QPushButton("Add as a layer")
        self.add_button.setToolTip("Adds the image without its shading as a layer of its own, which can be segmented.")
        self.note = remark()
        percentiles, slow = QHBoxLayout(), QHBoxLayout()
        percentiles.addWidget(self.low)
        percentiles.addWidget(QLabel("to"))
        percentiles.addWidget(self.high)
        slow.addWidget(self.sigma, 1)
        slow.addWidget(self.add_button, 1)
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(QLabel("<b>Contrast and shading</b>"))
        form.addRow("Image", self.images)
        form.addRow("Contrast", percentiles)
        form.addRow("", self.shading)
        form.addRow("Slower than", slow)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(form)
        layout.addWidget(self.note)


def _percentile(lowest: float, highest: float, value: float) -> QDoubleSpinBox:
    spin = QDoubleSpinBox()
    spin.setRange(lowest, highest)
    spin.setDecimals(2)
    spin.setSingleStep(0.1)
    spin.setSuffix(" %")
    spin.setValue(value)
    return spin
