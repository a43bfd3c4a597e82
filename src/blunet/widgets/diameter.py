"""The typical diameter of the cells in an image: typed, measured with a line, or taken from what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from blunet.segmentation.segmentation_settings import SegmentationSettings
from blunet.widgets.ruler import INSTRUCTION, Ruler
from blunet.widgets.setting_control import SettingControl
from blunet.widgets.settings_state import SettingsState
from blunet.widgets.text import wrap_tooltip

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

DIAMETER = "diameter"

#: What the line says while no diameter is given.
AS_IN_THE_MODEL = "as in the model"


class DiameterBox(QWidget):
    """A line for the diameter in pixels, and two buttons that fill it in.

    Parameters
    ----------
    viewer : Viewer
    state : SettingsState of SegmentationSettings
        Holds the diameter.
    """

    instructed = Signal(str)
    """Emitted with what the user is to do while a cell is measured, and with an empty sentence afterwards."""

    def __init__(self, viewer: Viewer, state: SettingsState[SegmentationSettings]) -> None:
        super().__init__()
        self._viewer, self._state = viewer, state
        self.ruler = Ruler(viewer, self)
        self.image: Image | None = None
        """The layer that is measured."""
        self.found = float("nan")
        """Median diameter of the objects that were found last in this layer, in pixels."""
        self.control = SettingControl(state.facts(DIAMETER), {}, AS_IN_THE_MODEL, at_every_key=True)
        self.control.native.setToolTip(wrap_tooltip(self.control.facts.help))
        letters = self.control.native.fontMetrics().horizontalAdvance(AS_IN_THE_MODEL)
        self.control.native.setMinimumWidth(letters + 16)
        self.control.edited.connect(lambda value: state.change(DIAMETER, value))
        state.changed.connect(self._show_value)
        self.ruler_button = QPushButton("Measure")
        self.ruler_button.setToolTip("Draw a line across a typical cell: its length becomes the diameter.")
        self.ruler_button.setCheckable(True)
        self.ruler_button.clicked.connect(self.measure)
        self.ruler.measured.connect(lambda length: state.change(DIAMETER, float(round(length))))
        self.ruler.ended.connect(self._on_ruler_ended)
        self.estimate_button = QPushButton("Estimate")
        self.estimate_button.setToolTip("Take the median diameter of the cells found last. Press Segment first.")
        self.estimate_button.setEnabled(False)
        self.estimate_button.clicked.connect(self._estimate)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.control.native, 1)
        layout.addWidget(self.ruler_button)
        layout.addWidget(self.estimate_button)

    def set_found(self, diameter: float) -> None:
        """Set the median diameter (pixels) of the objects that were found last, NaN for none."""
        self.found = diameter
        self.estimate_button.setEnabled(bool(np.isfinite(diameter) and diameter >= 1))

    def set_image(self, image: Image | None) -> None:
        """Set the layer that is measured; what was found in another one is forgotten."""
        if image is not self.image:
            self.image = image
            self.set_found(float("nan"))
            self.ruler.stop()

    def measure(self) -> None:
        """Let the user draw a line across a cell; if that goes on already, stop it."""
        if self.ruler.active or self.image is None:
            self.ruler.stop()
        else:
            self.ruler.start(self.image)
            self.instructed.emit(INSTRUCTION)
        self.ruler_button.setChecked(self.ruler.active)

    def _on_ruler_ended(self) -> None:
        self.ruler_button.setChecked(False)
        self.instructed.emit("")

    def _estimate(self) -> None:
        if np.isfinite(self.found):
            self._state.change(DIAMETER, float(round(self.found)))

    def _show_value(self) -> None:
        self.control.show(self._state.value(DIAMETER))
