"""The crop of a large validation image by which epochs are judged while training."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Rows and columns of a crop.
Region = tuple[slice, slice]


def find_validation_crop(labels: NDArray[np.int32], size: int) -> Region:
    """Return where a field is cropped for validation.

    Parameters
    ----------
    labels : ndarray of shape (Y, X)
        0 is background, numbers above it are objects.
    size : int
        Largest side of the crop in pixels; a shorter side of the field is kept whole.

    Returns
    -------
    tuple of slice
        The middle of the field. Where the middle holds no object, the crop is centred on the object's pixel that is
        nearest to it, but stays within the field. A field without objects is cropped to its middle.
    """
    shape = (labels.shape[0], labels.shape[1])
    sides = (min(shape[0], size), min(shape[1], size))
    middle = _region(((shape[0] - sides[0]) // 2, (shape[1] - sides[1]) // 2), sides)
    if (labels[middle] > 0).any() or not (labels > 0).any():
        return middle
    nearest = _find_nearest_to_middle(labels)
    y, x = (min(max(0, at - side // 2), length - side) for at, side, length in zip(nearest, sides, shape, strict=True))
    return _region((y, x), sides)


def _find_nearest_to_middle(labels: NDArray[np.int32]) -> tuple[int, int]:
    """Return the foreground pixel (Y, X) nearest to the middle.

    Rows are searched from the middle outwards, one at a time, as images can be large.
    """
    middle_y, middle_x = ((length - 1) / 2 for length in labels.shape)
    least, nearest = np.inf, (0, 0)
    for y in sorted(range(labels.shape[0]), key=lambda y: abs(y - middle_y)):
        if (y - middle_y) ** 2 >= least:
            break
        columns = np.flatnonzero(labels[y] > 0)
        if columns.size:
            x = int(columns[np.argmin(np.abs(columns - middle_x))])
            distance = (y - middle_y) ** 2 + (x - middle_x) ** 2
            if distance < least:
                least, nearest = distance, (y, x)
    return nearest


def _region(origin: tuple[int, int], sides: tuple[int, int]) -> Region:
    (y, x), (height, width) = origin, sides
    return slice(y, y + height), slice(x, x + width)
