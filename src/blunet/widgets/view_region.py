"""Which part of an image layer can be seen in the viewer, and where a layer of this part lies."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtOpenGLWidgets import QOpenGLWidget

from blunet.errors import InputError
from blunet.widgets.layer_facts import placement_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image, Layer
    from napari.viewer import Viewer
    from numpy.typing import NDArray


def find_visible_window(viewer: Viewer, image: Image) -> tuple[slice, slice]:
    """Return the rows and columns of an image that the canvas shows, also beyond the image's border.

    Raises
    ------
    InputError
        If the viewer shows other axes than rows and columns.
    """
    displayed = viewer.dims.displayed
    if viewer.dims.ndisplay != 2 or sorted(displayed) != [viewer.dims.ndim - 2, viewer.dims.ndim - 1]:
        raise InputError("The view shows other axes than rows and columns; show these, in 2D.")
    middle = np.asarray(viewer.scene.camera.center[-2:])
    half = np.asarray(_canvas_size(viewer)) / viewer.scene.camera.zoom / 2
    world = np.array(viewer.dims.point, float)
    corners = []
    for signs in product((-1, 1), repeat=2):
        world[-2:] = middle + np.asarray(signs) * half
        corners.append(np.asarray(image.world_to_data(world[-image.ndim :]))[-2:])
    first, last = np.floor(np.min(corners, 0) + 0.5), np.ceil(np.max(corners, 0) + 0.5)
    rows, columns = (slice(int(low), int(high)) for low, high in zip(first, last, strict=True))
    return rows, columns


def place_part(layer: Layer, origin: Sequence[int]) -> dict[str, Any]:
    """Return the keywords that place a layer of a part on the layer that it was cut from.

    Parameters
    ----------
    layer : Layer
    origin : sequence of int
        Indices of the part's first pixel in the layer, one for each of its axes.
    """
    keywords = placement_of(layer)
    moved = np.asarray(layer.data_to_world(origin)) - np.asarray(layer.data_to_world(np.zeros(layer.ndim)))
    linear: NDArray[Any] = np.asarray(layer.affine.linear_matrix)[-layer.ndim :, -layer.ndim :]
    return keywords | {"translate": np.asarray(layer.translate) + np.linalg.solve(linear, moved)}


def _canvas_size(viewer: Viewer) -> tuple[int, int]:
    """Return height and width of the canvas, in the pixels that the camera's zoom counts."""
    window = viewer.window.main_menu.window()
    for canvas in window.findChildren(QOpenGLWidget) if window is not None else ():
        return canvas.height(), canvas.width()
    raise InputError("The viewer has no canvas whose view could be segmented.")
