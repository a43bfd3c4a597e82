"""Clicks on cells of a Labels layer in the viewer, whichever layer is active."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from napari.layers import Labels
    from napari.viewer import Viewer

#: Modes of a layer in which a click is not a stroke or a new point.
_QUIET = ("pan_zoom", "pick", "select", "transform")
#: How far the mouse may move between press and release, in pixels of the screen.
_STILL = 4.0


class CellClicks:
    """Tells which label was clicked, and in which frame. Dragging, and clicks that paint, are left to napari.

    Parameters
    ----------
    viewer : Viewer
    find_labels : callable
        Returns the layer, or None while clicks mean nothing.
    on_click : callable
        Called with the label, 0 in the background, and the frame.
    """

    def __init__(
        self, viewer: Viewer, find_labels: Callable[[], Labels | None], on_click: Callable[[int, int], None]
    ) -> None:
        self._viewer, self._find_labels, self._on_click = viewer, find_labels, on_click
        viewer.mouse_drag_callbacks.append(self._on_press)

    def stop(self) -> None:
        """Take no more clicks."""
        if self._on_press in self._viewer.mouse_drag_callbacks:
            self._viewer.mouse_drag_callbacks.remove(self._on_press)

    def _on_press(self, viewer: Viewer, event: Any) -> Generator[None, None, None]:
        labels = self._find_labels()
        active = viewer.layers.selection.active
        if labels is None or event.button != 1 or viewer.dims.ndisplay != 2 or not labels.visible:
            return
        if str(getattr(active, "mode", "pan_zoom")) not in _QUIET:
            return
        pressed = np.asarray(event.pos, float)
        moved = 0.0
        yield
        while event.type == "mouse_move":
            moved = max(moved, float(np.abs(np.asarray(event.pos, float) - pressed).max()))
            yield
        if moved > _STILL:
            return
        value = labels.get_value(
            event.position, view_direction=event.view_direction, dims_displayed=event.dims_displayed, world=True
        )
        frame = round(float(labels.world_to_data(event.position)[0]))
        if 0 <= frame < labels.data.shape[0]:
            self._on_click(int(value or 0), frame)
