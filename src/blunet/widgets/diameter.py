"""The typical diameter of the cells in an image: typed, measured with a line, or taken from what was found."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QDoubleSpinBox, QHBoxLayout, QPushButton, QWidget

from blunet.widgets.layer_facts import flat

if TYPE_CHECKING:
    from napari.layers import Image, Shapes
    from napari.viewer import Viewer

RULER = "Draw a line across one cell"


class DiameterBox(QWidget):
    """A number of pixels, "model's" at 0, with two helpers.

    Signals
    -------
    changed
    """

    changed = Signal()

    def __init__(self, viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._ruler: Shapes | None = None
        self.found = float("nan")
        """Median diameter (pixels) of the objects found last."""
        self.image: Image | None = None
        """The layer that is measured."""
        self.spin = QDoubleSpinBox()
        self.spin.setRange(0, 10_000)
        self.spin.setDecimals(0)
        self.spin.setSuffix(" px")
        self.spin.setSpecialValueText("model's")
        self.spin.setToolTip(
            "Typical diameter of the cells in this image, in pixels. Set it if they are much larger or smaller than "
            "those the model has learnt: the image is resampled for the network."
        )
        self.spin.valueChanged.connect(self.changed)
        self.ruler_button = QPushButton("Measure")
        self.ruler_button.setToolTip("Draw a line across a typical cell: its length becomes the diameter.")
        self.ruler_button.clicked.connect(self.measure)
        self.estimate_button = QPushButton("Estimate")
        self.estimate_button.setToolTip("Take the median size of the objects found last. Segment once before.")
        self.estimate_button.setEnabled(False)
        self.estimate_button.clicked.connect(self._estimate)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.spin, 1)
        layout.addWidget(self.ruler_button)
        layout.addWidget(self.estimate_button)

    @property
    def value(self) -> float | None:
        """The diameter in pixels; None: as in the model."""
        return float(self.spin.value()) or None

    def set_found(self, diameter: float) -> None:
        """Tell the median diameter (pixels) of the objects found last, NaN for none."""
        self.found = diameter
        self.estimate_button.setEnabled(bool(np.isfinite(diameter) and diameter >= 1))

    def set_image(self, image: Image | None) -> None:
        """Tell the layer that is measured; what was found in another counts no more."""
        if image is not self.image:
            self.image = image
            self.set_found(float("nan"))
            self.remove_ruler()

    def measure(self) -> None:
        """Put a layer on top in which the user draws a line."""
        self.remove_ruler()
        if self.image is None:
            return
        ruler = self._viewer.add_shapes(
            None, ndim=2, name=RULER, edge_color="yellow",
            edge_width=max(1.0, float(np.ptp(self.image.extent.data[:, -1])) / 400), **flat(self.image),
        )  # fmt: skip
        ruler.mode = "add_line"
        ruler.events.data.connect(self._on_drawn)
        self._ruler = ruler

    def remove_ruler(self) -> None:
        """Take the layer away if it is still there."""
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
            from qtpy.QtCore import QTimer

            self.spin.setValue(round(length))
            QTimer.singleShot(0, self.remove_ruler)  # not while the layer is telling of it

    def _pixel(self, point: NDArray[Any]) -> NDArray[Any]:
        """Return where a point (Y, X) of the ruler lies in the image, however that is turned and stretched."""
        assert self._ruler is not None
        assert self.image is not None
        world = np.zeros(self.image.ndim)
        world[-2:] = self._ruler.data_to_world(point)
        return np.asarray(self.image.world_to_data(world))[-2:]

    def _estimate(self) -> None:
        if np.isfinite(self.found):
            self.spin.setValue(round(self.found))
