"""Which part of a large validation image is looked at while training. No Keras here."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Rows and columns of an image.
Window = tuple[slice, slice]


def window(labels: NDArray[np.int32], size: int) -> Window:
    """Return the part of a field by which epochs are judged.

    Parameters
    ----------
    labels : ndarray of shape (Y, X)
        0 is background.
    size : int
        Side of the part in pixels; a shorter side of the field is taken whole.

    Returns
    -------
    tuple of slice
        The middle; where no object reaches into it, the part around the object's pixel nearest to it, moved inwards as
        far as the field ends. A field without objects gives its middle.
    """
    whole = labels.shape
    sides = [min(length, size) for length in whole]
    middle = _part([(length - side) // 2 for length, side in zip(whole, sides, strict=True)], sides)
    if labels[middle].any() or not labels.any():
        return middle
    nearest = _nearest_to_middle(labels)
    begins = [
        min(max(0, at - side // 2), length - side) for at, side, length in zip(nearest, sides, whole, strict=True)
    ]
    return _part(begins, sides)


def _nearest_to_middle(labels: NDArray[np.int32]) -> tuple[int, int]:
    """Find the object's pixel (Y, X) nearest to the middle, a row at a time from there outwards: images are large."""
    middle_y, middle_x = ((length - 1) / 2 for length in labels.shape)
    least, found = np.inf, (0, 0)
    for y in sorted(range(labels.shape[0]), key=lambda y: abs(y - middle_y)):
        if (y - middle_y) ** 2 >= least:
            break
        columns = np.flatnonzero(labels[y])
        if columns.size:
            x = int(columns[np.argmin(np.abs(columns - middle_x))])
            distance = (y - middle_y) ** 2 + (x - middle_x) ** 2
            if distance < least:
                least, found = distance, (y, x)
    return found


def _part(begins: list[int], sides: list[int]) -> Window:
    rows, columns = (slice(begin, begin + side) for begin, side in zip(begins, sides, strict=True))
    return rows, columns
