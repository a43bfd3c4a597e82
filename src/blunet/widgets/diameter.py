"""The typical diameter of the cells in an image: typed, measured with a line, or taken from what was found."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from blunet.segmentation.segmentation_settings import SegmentationSettings
from blunet.widgets.layer_facts import plane_of
from blunet.widgets.setting_control import SettingControl
from blunet.widgets.settings_state import SettingsState
from blunet.widgets.text import wrap_tooltip

if TYPE_CHECKING:
    from napari.layers import Image, Shapes
    from napari.viewer import Viewer

RULER = "Draw a line across one cell"
DIAMETER = "diameter"


class DiameterBox(QWidget):
    """A line for the diameter in pixels, and two buttons that fill it in.

    Parameters
    ----------
    viewer : Viewer
    state : SettingsState of SegmentationSettings
        Holds the diameter.
    """

    def __init__(self, viewer: Viewer, state: SettingsState[SegmentationSettings]) -> None:
        super().__init__()
        self._viewer, self._state = viewer, state
        self._ruler: Shapes | None = None
        self.image: Image | None = None
        """The layer that is measured."""
        self.found = float("nan")
        """Median diameter of the objects that were found last in this layer, in pixels."""
        self.control = SettingControl(state.facts(DIAMETER), {}, "as in the model", at_every_key=True)
        self.control.native.setToolTip(wrap_tooltip(self.control.facts.help))
        self.control.edited.connect(lambda value: state.change(DIAMETER, value))
        state.changed.connect(self._show_value)
        self.ruler_button = QPushButton("Measure")
        self.ruler_button.setToolTip("Draw a line across a typical cell: its length becomes the diameter.")
        self.ruler_button.clicked.connect(self.measure)
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
            self.remove_ruler()

    def measure(self) -> None:
        """Add a layer on top in which the user draws a line."""
        self.remove_ruler()
        if self.image is None:
            return
        ruler = self._viewer.add_shapes(
            None, ndim=2, name=RULER, edge_color="yellow",
            edge_width=max(1.0, float(np.ptp(self.image.extent.data[:, -1])) / 400), **plane_of(self.image),
        )  # fmt: skip
        ruler.mode = "add_line"
        ruler.events.data.connect(self._on_drawn)
        self._ruler = ruler

    def remove_ruler(self) -> None:
        """Remove the layer, if it is there."""
        ruler, self._ruler = self._ruler, None
        if ruler is not None:
            ruler.events.data.disconnect(self._on_drawn)
            with contextlib.suppress(ValueError):
                self._viewer.layers.remove(ruler)

    def _on_drawn(self, event: Any) -> None:
        if self._ruler is None or not len(self._ruler.data) or str(getattr(event, "action", "added")) not in (
            "added", "ActionType.ADDED",
        ):  # fmt: skip
            return
        first, *_, last = (self._pixel(point) for point in np.asarray(self._ruler.data[0]))
        length = float(np.linalg.norm(last - first))
        if length >= 1:
            self._state.change(DIAMETER, float(round(length)))
            QTimer.singleShot(0, self.remove_ruler)  # not while the layer emits the event

    def _pixel(self, point: NDArray[Any]) -> NDArray[Any]:
        """Return where a point (Y, X) of the ruler lies in the image, however that is turned and stretched."""
        assert self._ruler is not None
        assert self.image is not None
        world = np.zeros(self.image.ndim)
        world[-2:] = self._ruler.data_to_world(point)
        return np.asarray(self.image.world_to_data(world))[-2:]

    def _estimate(self) -> None:
        if np.isfinite(self.found):
            self._state.change(DIAMETER, float(round(self.found)))

    def _show_value(self) -> None:
        self.control.show(self._state.value(DIAMETER))
