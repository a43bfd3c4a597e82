"""The form of the Segment widget: controls and what they say, without what they do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QLabeledDoubleSlider

from blunet.segmentation.segmentation_settings import Objects, SegmentationSettings
from blunet.widgets.diameter import DiameterBox
from blunet.widgets.layer_list import LayerList
from blunet.widgets.model_picker import ModelPicker
from blunet.widgets.text import WarningLabel, sentence

if TYPE_CHECKING:
    from napari.viewer import Viewer

KINDS: tuple[tuple[str, Objects, str], ...] = (
    ("Cells, split where they touch", "watershed", "Connected areas, cut at narrow necks"),
    ("Connected areas", "components", "Cells that touch stay one object"),
    ("One mask", "mask", "Foreground and background alone"),
)


class SegmentForm(QWidget):
    """Controls of the Segment widget."""

    live_changed = Signal()
    """Threshold, smallest size, kind of objects or measuring were changed."""
    image_changed = Signal()

    def __init__(self, viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._ready = self._busy = False
        self._refusal = ""
        self.images = LayerList(viewer, Image)
        self.images.setToolTip("The image, or time-lapse, whose cells are to be found.")
        self.images.changed.connect(self.image_changed)
        self.picker = ModelPicker()
        self.diameter = DiameterBox(viewer)
        self.range = QComboBox()
        self.range.addItems(["This frame", "All frames"])
        self.range.setToolTip("Of a time-lapse: the frame that is shown, or all of them.")
        self.threshold = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.threshold.setRange(0.0, 1.0)
        self.threshold.setSingleStep(0.01)  # type: ignore[arg-type]
        self.threshold.setDecimals(2)
        self.threshold.setToolTip(
            "How sure the network has to be, from 0 to 1: lower finds more. Labels follow at once."
        )
        self.threshold.valueChanged.connect(self.live_changed)
        self.min_size = QSpinBox()
        self.min_size.setRange(0, 10_000_000)
        self.min_size.setSuffix(" px")
        self.min_size.setValue(SegmentationSettings().min_size)
        self.min_size.setToolTip("Objects of a smaller area are dropped. Labels follow at once.")
        self.min_size.valueChanged.connect(self.live_changed)
        self.objects = QComboBox()
        for title, kind, hint in KINDS:
            self.objects.addItem(title, kind)
            self.objects.setItemData(self.objects.count() - 1, hint, Qt.ItemDataRole.ToolTipRole)
        self.objects.setToolTip("What becomes an object. Labels follow at once.")
        self.objects.currentIndexChanged.connect(self.live_changed)
        self.measure_box = QCheckBox("Measure the cells")
        self.measure_box.setToolTip("Area, position, shape and brightness, in the layer's features table.")
        self.measure_box.toggled.connect(self.live_changed)
        self.probability_box = QCheckBox("Keep the probability as a layer")
        self.probability_box.setToolTip("How sure the network is at every pixel, from 0 to 1.")
        self.start_button = QPushButton("Segment")
        self.start_button.setToolTip("Find the cells. The first time after installing takes some seconds longer.")
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Stop within a moment; what was found so far stays.")
        self.copy_button = QToolButton()
        self.copy_button.setText("Copy as command")
        self.copy_button.setToolTip("Copies the line that does the same in a terminal, for many files.")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(6)
        self.status, self.warning = sentence(), WarningLabel(viewer)
        self._lay_out()
        self.set_busy(False)
        self.tell("")
        self.warn("")

    # What it says ----------------------------------------------------------------------------------------------------

    @property
    def image(self) -> Image | None:
        """The chosen layer."""
        layer: Image | None = self.images.layer
        return layer

    @property
    def all_frames(self) -> bool:
        """Whether all frames of a stack are wanted."""
        return bool(self.range.currentIndex() == 1)

    @property
    def measured(self) -> bool:
        """Whether cells are measured."""
        return bool(self.measure_box.isChecked())

    @property
    def wants_probability(self) -> bool:
        """Whether the probability becomes a layer."""
        return bool(self.probability_box.isChecked())

    def settings(self) -> SegmentationSettings:
        """Return the settings of a run."""
        kind: Objects = self.objects.currentData()
        threshold = round(float(self.threshold.value()), 4)
        return SegmentationSettings(
            threshold=threshold, min_size=int(self.min_size.value()), objects=kind, diameter=self.diameter.value
        )

    def values(self) -> dict[str, Any]:
        """Return what is worth remembering."""
        return {
            "min_size": self.min_size.value(),
            "objects": self.objects.currentData(),
            "all_frames": self.all_frames,
            "measure": self.measured,
            "probability": self.wants_probability,
        }

    def set_values(self, values: dict[str, Any]) -> None:
        """Set what was remembered, as far as it is there."""
        self.min_size.setValue(int(values.get("min_size", SegmentationSettings().min_size)))
        self.objects.setCurrentIndex(max(0, self.objects.findData(values.get("objects"))))
        self.range.setCurrentIndex(int(bool(values.get("all_frames"))))
        self.measure_box.setChecked(bool(values.get("measure")))
        self.probability_box.setChecked(bool(values.get("probability")))

    # What it is told -------------------------------------------------------------------------------------------------

    def set_threshold(self, value: float) -> None:
        """Show a threshold."""
        self.threshold.setValue(value)

    def set_ready(self, ready: bool, reason: str) -> None:
        """Enable the button, or say why not."""
        self._ready = ready
        self._enable()
        if not ready:
            self.tell(reason)
            self._refusal = reason
        elif self.status.text() == self._refusal:
            self.tell("")

    def set_stack(self, frames: int) -> None:
        """Offer the choice of frames for a stack of so many."""
        self.range.setVisible(frames > 1)
        label = self._form.labelForField(self.range)
        if label is not None:
            label.setVisible(frames > 1)
        self.range.setItemText(1, f"All {frames} frames")

    def set_busy(self, busy: bool) -> None:
        """Show whether a run goes on."""
        self._busy = busy
        self.bar.setRange(0, 0 if busy else 1)
        self.bar.setValue(0)
        self.bar.setVisible(busy)
        self._enable()

    def show_progress(self, done: int, total: int) -> None:
        """Show that `done` of `total` frames are done; one frame alone has no steps."""
        if total > 1:
            self.bar.setRange(0, total)
            self.bar.setValue(done)

    def tell(self, text: str) -> None:
        """Say what is going on; empty takes it away."""
        self.status.setText(text)
        self.status.setVisible(bool(text))

    def warn(self, text: str) -> None:
        """Say what the user should know; empty takes it away."""
        self.warning.setText(text)
        self.warning.setVisible(bool(text))

    def _enable(self) -> None:
        self.start_button.setEnabled(self._ready and not self._busy)
        self.cancel_button.setEnabled(self._busy)
        self.copy_button.setEnabled(self._ready)
        self.diameter.ruler_button.setEnabled(self._ready)

    def _lay_out(self) -> None:
        """Put what a run needs above the button, and what the labels then follow below it."""
        self._form = _form(
            ("Image", self.images), ("Model", self.picker), ("Cell diameter", self.diameter), ("Frames", self.range)
        )
        buttons, foot = QHBoxLayout(), QHBoxLayout()
        buttons.addWidget(self.start_button, 2)
        buttons.addWidget(self.cancel_button, 1)
        foot.addStretch(1)
        foot.addWidget(self.copy_button)
        live = _form(
            ("Threshold", self.threshold), ("Smallest area", self.min_size), ("Objects", self.objects),
            ("", self.measure_box), ("", self.probability_box),
        )  # fmt: skip
        layout = QVBoxLayout(self)
        layout.addLayout(self._form)
        layout.addLayout(buttons)
        for widget in (self.bar, self.status, self.warning):
            layout.addWidget(widget)
        layout.addLayout(live)
        layout.addLayout(foot)
        layout.addStretch(1)


def _form(*rows: tuple[str, QWidget]) -> QFormLayout:
    """Return rows of titles and controls; forms one above the other have their controls in one line."""
    form = QFormLayout()
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    for title, field in rows:
        label = QLabel(title)
        label.setMinimumWidth(label.fontMetrics().horizontalAdvance("Smallest area "))
        form.addRow(label, field)
    return form
