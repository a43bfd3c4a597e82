"""Measuring a length in an image with a line that the user draws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtOpenGLWidgets import QOpenGLWidget
from vispy.gloo import gl

from blunet.widgets.layer_facts import plane_of

if TYPE_CHECKING:
    from napari.layers import Image, Shapes
    from napari.viewer import Viewer

LAYER_NAME = "Draw a line across one cell"
INSTRUCTION = (
    "Draw a line across one typical cell in the image: press the mouse button, drag, and release. Press Measure once "
    "more to stop."
)


class Ruler(QObject):
    """A layer on top of an image in which the user draws one line.

    Parameters
    ----------
    viewer : Viewer
    parent : QObject
    """

    measured = Signal(float)
    """Emitted with the length of the line in pixels of the image, however that is turned and stretched."""
    ended = Signal()
    """Emitted when the layer was removed, after a line was drawn or before."""

    def __init__(self, viewer: Viewer, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._image: Image | None = None
        self._layer: Shapes | None = None
        viewer.layers.events.removing.connect(self._on_removing)
        viewer.layers.events.removed.connect(self._on_removed)

    @property
    def active(self) -> bool:
        """Whether the layer is there."""
        return self._layer is not None

    def start(self, image: Image) -> None:
        """Add the layer, in which the mouse draws a line."""
        self.stop()
        self._image = image
        layer = self._layer = self._viewer.add_shapes(
            None, ndim=2, name=LAYER_NAME, edge_color="yellow",
            edge_width=max(1.0, float(np.ptp(image.extent.data[:, -1])) / 400), **plane_of(image),
        )  # fmt: skip
        layer.mode = "add_line"
        layer.events.data.connect(self._on_drawn)

    def stop(self) -> None:
        """Remove the layer, if it is there, and select the image."""
        if self._layer is not None and self._layer in self._viewer.layers:
            self._viewer.layers.remove(self._layer)

    def _on_drawn(self, event: Any) -> None:
        if self._layer is None or not len(self._layer.data) or str(getattr(event, "action", "added")) not in (
            "added", "ActionType.ADDED",
        ):  # fmt: skip
            return
        first, *_, last = (self._pixel(point) for point in np.asarray(self._layer.data[0]))
        length = float(np.linalg.norm(last - first))
        if length >= 1:
            self.measured.emit(length)
            QTimer.singleShot(0, self.stop)  # not while the layer emits the event

    def _pixel(self, point: NDArray[Any]) -> NDArray[Any]:
        """Return where a point (Y, X) of the line lies in the image."""
        assert self._layer is not None
        assert self._image is not None
        world = np.zeros(self._image.ndim)
        world[-2:] = self._layer.data_to_world(point)
        return np.asarray(self._image.world_to_data(world))[-2:]

    def _on_removing(self, event: Any) -> None:
        if self._layer is not None and self._viewer.layers[event.index] is self._layer:
            disable_vertex_arrays(self._viewer)

    def _on_removed(self, event: Any) -> None:
        if self._layer is None or event.value is not self._layer:
            return
        self._layer.events.data.disconnect(self._on_drawn)
        image, self._layer, self._image = self._image, None, None
        if image in self._viewer.layers:
            self._viewer.layers.selection.active = image
        self.ended.emit()


def disable_vertex_arrays(viewer: Viewer) -> None:
    """Make OpenGL forget the vertex arrays of what was drawn last.

    vispy enables the arrays that a program needs before it draws and leaves them enabled. Shapes need more of them than
    images and labels. When a Shapes layer is removed its buffers are deleted; the next program draws with the other
    arrays still enabled, of buffers that are gone, and some drivers end the process with a segmentation fault.
    """
    window = viewer.window.main_menu.window()
    for canvas in window.findChildren(QOpenGLWidget) if window is not None else ():
        if canvas.isValid():
            canvas.makeCurrent()
            for index in range(int(gl.glGetParameter(gl.GL_MAX_VERTEX_ATTRIBS))):
                gl.glDisableVertexAttribArray(index)
