"""How an image is shown: its contrast, and a preview without its slow shading, which can become a layer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QCheckBox, QFormLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from blunet.errors import InputError
from blunet.images.frame_source import FrameSource
from blunet.images.normalisation_settings import Normalisation
from blunet.jobs.events import CancelToken
from blunet.jobs.shading import AllFlattened, ContrastFound, FrameFlattened, find_contrast, flatten_all, flatten_frame
from blunet.widgets.layer_facts import frames_of, placement_of, shown_frame
from blunet.widgets.layer_list import LayerList
from blunet.widgets.preferences import recall, remember
from blunet.widgets.settings_form import SettingsForm
from blunet.widgets.settings_state import SettingsState
from blunet.widgets.text import make_remark_label
from blunet.widgets.worker import Job

if TYPE_CHECKING:
    import napari.viewer

#: A change waits for the next one before contrast and preview follow, in milliseconds.
DELAY = 120
#: About twice the diameter of a usual cell (pixels): wide enough that the cells themselves are kept.
SHADING = 100.0
NAMES = ("low", "high", "shading")
EXPLANATION = "Segment uses the original image. To segment the corrected one, add it as a layer."


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
        self.state = SettingsState(_remembered())
        self._of: Image | None = None
        self._percentiles = self.state.settings.low, self.state.settings.high
        self._jobs: dict[str, Job] = {}
        self._again: set[str] = set()
        self._make_controls()
        self._contrast_timer = self._timer(self._set_contrast)
        self._preview_timer = self._timer(self._show_preview)
        self.state.changed.connect(self._on_settings)
        self.shading.toggled.connect(self._on_toggled)
        self.add_button.clicked.connect(self.add)
        self.images.changed.connect(self._on_image)
        viewer.dims.events.current_step.connect(self._on_frame)
        viewer.layers.events.removed.connect(self._on_removed)
        self._on_image()

    @property
    def busy(self) -> bool:
        """Whether something is being computed, or will be in a moment."""
        waiting = self._contrast_timer.isActive() or self._preview_timer.isActive() or bool(self._again)
        return waiting or any(job.running for job in self._jobs.values())

    def settings(self) -> Normalisation:
        """Return the percentiles that are shown black and white, and the shading that is removed.

        Raises
        ------
        InputError
            If a number that was typed cannot be used.
        """
        return self.state.checked()

    def add(self) -> None:
        """Add the image without its slow shading as a layer of its own; of a time-lapse all frames."""
        layer, frames = self._chosen()
        if layer is None or frames is None:
            return
        settings = self.state.settings

        def show(event: AllFlattened) -> None:
            self.viewer.add_image(
                event.data, name=f"{layer.name} – without shading", contrast_limits=(0, 1), **placement_of(layer),
                metadata={"made from": layer.name, "normalisation": settings.to_dict()},
            )  # fmt: skip
            self.shading.setChecked(False)

        title = f"Removing the shading of {layer.name}"
        self._run("add", lambda token: flatten_all(frames, settings, token), show, title)

    # Contrast and preview --------------------------------------------------------------------------------------------

    def _set_contrast(self) -> None:
        layer, frames = self._chosen()
        if layer is None or frames is None:
            return
        t, low, high = shown_frame(self.viewer, layer, frames), self.state.settings.low, self.state.settings.high

        def show(event: ContrastFound) -> None:
            if event.limits.low < event.limits.high:
                layer.contrast_limits = tuple(event.limits)

        self._run("contrast", lambda token: find_contrast(frames, t, low, high, token), show)

    def _show_preview(self) -> None:
        layer, frames = self._chosen()
        if layer is None or frames is None or not self.shading.isChecked():
            return
        t, settings = shown_frame(self.viewer, layer, frames), self.state.settings

        def show(event: FrameFlattened) -> None:
            if self.shading.isChecked() and layer is self.images.layer:
                self._place_preview(layer, frames, event)

        self._run("preview", lambda token: flatten_frame(frames, t, settings, token), show)

    def _place_preview(self, layer: Image, frames: FrameSource, flat: FrameFlattened) -> None:
        """Show a frame where it lies: of a time-lapse at its time only."""
        data = flat.image[None] if frames.stack else flat.image
        where = placement_of(layer)
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
        """Run a job; if one of this kind goes on, once more when it has stopped."""
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
        self.note.setText(EXPLANATION)
        job.start()

    def _on_ended(self, kind: str) -> None:
        if kind in self._again:
            self._again.discard(kind)
            {"contrast": self._set_contrast, "preview": self._show_preview, "add": self.add}[kind]()

    # What the user changes -------------------------------------------------------------------------------------------

    def _chosen(self) -> tuple[Image, FrameSource] | tuple[None, None]:
        layer = self.images.layer
        if layer is None or self.state.problem:
            return None, None
        try:
            return layer, frames_of(layer)
        except InputError:
            return None, None

    def _on_settings(self) -> None:
        if self.state.problem:
            self.note.setText(self.state.problem)
            return
        settings = self.state.settings
        remember("prepare", {name: getattr(settings, name) for name in NAMES})
        self.note.setText(EXPLANATION)
        self._preview_timer.start()
        if (settings.low, settings.high) != self._percentiles:  # else contrast that was set by hand is kept
            self._percentiles = settings.low, settings.high
            self._contrast_timer.start()

    def _on_image(self) -> None:
        layer, usable, note = self.images.layer, False, "Open an image first."
        if layer is not None:
            try:
                frames_of(layer)
                usable, note = True, EXPLANATION
            except InputError as e:
                note = str(e)
        self.note.setText(note)
        for control in (self.form, self.shading, self.add_button):
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
        timer.setInterval(DELAY)
        timer.timeout.connect(then)
        return timer

    def _make_controls(self) -> None:
        self.images = LayerList(self.viewer, Image)
        self.images.setToolTip("The image whose contrast is changed.")
        self.form = SettingsForm(self.state, NAMES, unset={"shading": "not removed"})
        self.shading = QCheckBox("Preview without shading")
        self.shading.setToolTip("Show the frame without the slow changes of brightness across the field.")
        self.add_button = QPushButton("Add as a layer")
        self.add_button.setToolTip("Add the image without its shading as a layer of its own, which can be segmented.")
        self.note = make_remark_label()
        self.rows = rows = QFormLayout()
        rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        rows.addRow(QLabel("<b>Contrast and shading</b>"))
        rows.addRow("Image", self.images)
        foot = QHBoxLayout()
        foot.addWidget(self.shading, 1)
        foot.addWidget(self.add_button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(rows)
        layout.addWidget(self.form)
        layout.addLayout(foot)
        layout.addWidget(self.note)


def _remembered() -> Normalisation:
    """Return the values of the session before, or the usual ones if they cannot be used."""
    usual = Normalisation(method="percentile", shading=SHADING)
    values = recall("prepare", {})
    try:
        return usual.changed(**{name: values[name] for name in NAMES if name in values})
    except InputError:
        return usual
