"""Where the objects of one frame are: the few numbers that tracking needs, measured in a few passes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Labels up to this many times the number of pixels are looked up in a table instead of by a search.
_TABLE_PER_PIXEL = 8


class PlacedObjects(NamedTuple):
    """The objects of a frame, ordered by label.

    Attributes
    ----------
    label : ndarray of shape (N,), int64
    centre : ndarray of shape (N, 2), float64
        Mean row and column in pixels.
    area : ndarray of shape (N,), int64
        In pixels.
    box : ndarray of shape (N, 4), int64
        Top, left, bottom and right; the object is within `[top:bottom, left:right]`.
    place : ndarray of shape (Y, X), int32
        The place of each pixel's object in these columns, from 1; 0 is background.
    """

    label: NDArray[np.int64]
    centre: NDArray[np.float64]
    area: NDArray[np.int64]
    box: NDArray[np.int64]
    place: NDArray[np.int32]


def place_objects(labels: NDArray[Any]) -> PlacedObjects:
    """Return where the objects of labels (Y, X) are; `blunet.segmentation.measurements.measure` measures more of them.

    Examples
    --------
    >>> placed = place_objects(np.array([[0, 7, 7], [3, 7, 7]]))
    >>> placed.label, placed.area, placed.box[1]
    (array([3, 7]), array([1, 4]), array([0, 1, 2, 3]))
    """
    from scipy.ndimage import find_objects

    label, index = _number(labels)
    count = label.size
    flat = index.ravel()
    area = np.bincount(flat, minlength=count + 1)[1:]
    height, width = np.ogrid[: labels.shape[0], : labels.shape[1]]
    sums = [np.bincount(flat, np.broadcast_to(each, labels.shape).ravel(), count + 1)[1:] for each in (height, width)]
    found: list[tuple[slice, slice]] = find_objects(index, count) if count else []
    box = [(rows.start, columns.start, rows.stop, columns.stop) for rows, columns in found]
    return PlacedObjects(
        label=label,
        centre=np.stack(sums, axis=1) / area[:, None],
        area=area.astype(np.int64),
        box=np.array(box, np.int64).reshape(-1, 4),
        place=index,
    )


def _number(labels: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return the labels that there are, and their place among them from 1 for each pixel."""
    largest = int(labels.max(initial=0))
    if largest > _TABLE_PER_PIXEL * labels.size:
        values, index = np.unique(labels, return_inverse=True)
        shift = int(values[0] != 0)
        return values[values != 0].astype(np.int64), (index.reshape(labels.shape) + shift).astype(np.int32)
    there = np.zeros(largest + 1, bool)
    there[labels] = True
    there[0] = False
    found = np.flatnonzero(there)
    table = np.zeros(largest + 1, np.int32)
    table[found] = np.arange(1, found.size + 1)
    index = table[labels]
    return found.astype(np.int64), index
