"""A list of the layers that mark what was reviewed, and a button that adds one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QToolButton, QWidget

from blunet.widgets.layer_list import LayerList

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

#: Name of a new layer; layers whose names begin with it, in any case, mark what was reviewed.
NAME = "Reviewed"
#: Text of the entry that stands for no such layer.
EVERYTHING = "Whole labelled frames"
#: Opacity of a new layer, and its brush as a share of the image's shorter side.
OPACITY, BRUSH = 0.3, 1 / 16


def marks_reviewed(layer: Layer) -> bool:
    """Return whether a layer marks what was reviewed, and holds no cells."""
    return isinstance(layer, Labels) and layer.name.casefold().startswith(NAME.casefold())


class ReviewedBox(QWidget):
    """A list of the layers that mark what was reviewed, and a button that adds one, ready to be painted on."""

    changed = Signal()
    """Emitted when another layer is chosen, or none."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._labels: Labels | None = None
        self.list = LayerList(viewer, Labels, own=True, wanted=marks_reviewed, none=EVERYTHING)
        self.list.setToolTip(
            "Which part of the frames you have checked. Only that part is learnt from and judged by: a painted region "
            "with its cells, or strokes in the background beside the cells that you have labelled."
        )
        self.button = QToolButton()
        self.button.setText("Mark…")
        self.button.setToolTip(
            "Add a layer, and paint on it over what you have checked, in as many frames as you like."
        )
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.list, 1)
        layout.addWidget(self.button)
        self.list.changed.connect(self.changed)
        self.button.clicked.connect(self._add)
        self.setFocusProxy(self.list)
        self.offer(None)

    @property
    def layer(self) -> Layer | None:
        """The chosen layer; None: frames with labels were reviewed as a whole."""
        return self.list.layer

    def values(self) -> Any | None:
        """Return the values of the chosen layer, not 0 where something was reviewed."""
        layer = self.layer
        return None if layer is None else layer.data[0] if layer.multiscale else layer.data

    def offer(self, labels: Layer | None) -> None:
        """Let the button add a layer that fits these labels; None: there is nothing to mark yet."""
        self._labels = labels if isinstance(labels, Labels) else None
        self.button.setEnabled(self._labels is not None)

    def _add(self) -> None:
        labels = self._labels
        if labels is None:
            return
        shape = tuple(int(size) for size in (labels.data[0] if labels.multiscale else labels.data).shape)
        layer = self._viewer.add_labels(
            np.zeros(shape, np.uint8),
            name=NAME,
            opacity=OPACITY,
            scale=labels.scale,
            translate=labels.translate,
            rotate=labels.rotate,
            shear=labels.shear,
            units=labels.units,
        )
        layer.selected_label, layer.brush_size = 1, max(4, round(min(shape[-2:]) * BRUSH))
        layer.mode = "paint"
        self.list.choose(layer)
