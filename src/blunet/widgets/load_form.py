"""The form of the Load widget: controls and what they say, without what they do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from blunet.images.pixel_size import PixelSize
from blunet.jobs.layer_plan import Plan, PlannedLayer
from blunet.widgets.load_source import SourceBox
from blunet.widgets.text import WarningLabel, sentence

if TYPE_CHECKING:
    from napari.viewer import Viewer

NOTHING = "Drop your images above, or choose them: files, a folder, or a pattern."
#: So many sentences on what was left out are shown.
MOST_SENTENCES = 4


class LoadForm(QWidget):
    """Controls of the Load widget.

    Signals
    -------
    changed
        What is to be opened, or how, was changed.
    """

    changed = Signal()

    def __init__(self, viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.source = SourceBox()
        self.source.changed.connect(self.changed)
        self.together = QComboBox()
        self.together.addItem("are the frames of one time-lapse", True)
        self.together.addItem("are layers of their own", False)
        self.together.setToolTip("What becomes of several images. A file with many pages always is a time-lapse.")
        self.together.currentIndexChanged.connect(self.changed)
        self.masks = QCheckBox("Open masks that lie beside the images")
        self.masks.setChecked(True)
        self.masks.setToolTip("Cells drawn by hand: 'x_mask.tif' beside 'x.tif', or a folder 'masks' beside 'images'.")
        self.masks.toggled.connect(self.changed)
        self.found = sentence()
        self.pixel_size = _spin(" µm", 10_000, 4)
        self.pixel_size.setToolTip(
            "Side of a pixel in the specimen, in micrometres. At the lowest value, what the file says."
        )
        self.interval = _spin(" s", 10_000_000, 3)
        self.interval.setToolTip("Seconds from one frame to the next. At the lowest value, what the file says.")
        self.open_button = QPushButton("Open")
        self.open_button.setToolTip("Open the images as layers. Frames of a time-lapse are read when you look at them.")
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Stop; layers that are there already stay.")
        self.bar = QProgressBar()
        self.bar.setRange(0, 0)
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(6)
        self.status, self.warning = sentence(), WarningLabel(viewer)
        self._lay_out()
        self.show_plan(None)
        self.set_busy(False)
        self.warn(())

    def show_plan(self, plan: Plan | None) -> None:
        """Show what would be opened, and ask for what its files do not say."""
        layers = plan.layers if plan is not None else ()
        self.open_button.setEnabled(bool(layers))
        self.found.setText(_described(layers))
        self.found.setVisible(bool(layers))
        stacks = [layer for layer in layers if layer.frames.stack]
        self._form.setRowVisible(self.pixel_size, bool(layers))
        self._form.setRowVisible(self.interval, bool(stacks))
        places = {layer.pixel_size for layer in layers}
        self._ask(self.pixel_size, [_place(p) for p in places])
        self._ask(self.interval, [f"{s:g} s" if s else "" for s in {layer.interval for layer in stacks}])
        self.tell("" if layers else NOTHING)

    def set_busy(self, busy: bool) -> None:
        """Show whether images are being opened."""
        self.bar.setVisible(busy)
        self.cancel_button.setEnabled(busy)
        self.source.setEnabled(not busy)
        if busy:
            self.open_button.setEnabled(False)

    def tell(self, text: str) -> None:
        """Say what is going on; empty takes it away."""
        self.status.setText(text)
        self.status.setVisible(bool(text))

    def warn(self, sentences: Sequence[str]) -> None:
        """Say what the user should know; none takes it away."""
        shown = list(sentences[:MOST_SENTENCES])
        shown += [f"… and {len(sentences) - MOST_SENTENCES} more."] if len(sentences) > MOST_SENTENCES else []
        self.warning.setText("\n".join(shown))
        self.warning.setVisible(bool(shown))

    def _ask(self, spin: QDoubleSpinBox, said: list[str]) -> None:
        """Say in the field what the files tell; what was typed stays only where they tell nothing."""
        if any(said):
            spin.setValue(0)
            spin.setSpecialValueText(f"{said[0]}, from the file" if len(said) == 1 else "from each file")
        else:
            spin.setSpecialValueText("not in the file: type it")

    def _lay_out(self) -> None:
        self._form = QFormLayout()
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
        self._form.addRow("Several images", self.together)
        self._form.addRow("", self.masks)
        self._form.addRow(self.found)
        self._form.addRow("Pixel size", self.pixel_size)
        self._form.addRow("Time per frame", self.interval)
        buttons = QHBoxLayout()
        buttons.addWidget(self.open_button, 2)
        buttons.addWidget(self.cancel_button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.source)
        layout.addLayout(self._form)
        layout.addLayout(buttons)
        for widget in (self.bar, self.status, self.warning):
            layout.addWidget(widget)


def _described(layers: Sequence[PlannedLayer]) -> str:
    if not layers:
        return ""
    masks = sum(len(layer.masks) for layer in layers)
    with_masks = f", {masks} mask{'s' * (masks != 1)}" if masks else ""
    if len(layers) > 1:
        return f"{len(layers)} layers{with_masks}"
    source = layers[0].frames
    frames = f"{source.count} frames of " if source.stack else ""
    return f"{layers[0].name}: {frames}{source.shape[1]} × {source.shape[0]} pixels ({source.dtype}){with_masks}"


def _place(size: PixelSize | None) -> str:
    if size is None:
        return ""
    if abs(size.x - size.y) <= 1e-6 * size.x:
        return f"{size.x:.4g} {size.unit}"
    return f"{size.x:.4g} × {size.y:.4g} {size.unit}"


def _spin(suffix: str, most: float, decimals: int) -> QDoubleSpinBox:
    spin = QDoubleSpinBox()
    spin.setRange(0, most)
    spin.setDecimals(decimals)
    spin.setSuffix(suffix)
    return spin
