"""Truth masks: reading the labels of the objects in an image."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blunet.dataset.mask_doubts import Doubt, find_doubts, has_smooth_outlines, has_two_levels
from blunet.errors import InputError
from blunet.images.image_reader import read_values

#: Connected components of a binary mask that are smaller than this, in pixels, are slips of the pen and not cells.
SMALLEST_SPECK = 50


class Truth(NamedTuple):
    """What a truth mask holds.

    Attributes
    ----------
    labels : ndarray of shape (Y, X), int32
        0 is background; see `interpret_mask`.
    instances : bool
        Whether the mask's values tell objects apart. Else its connected components are the objects.
    doubts : tuple of Doubt
        What may be wrong with the mask.
    """

    labels: NDArray[np.int32]
    instances: bool
    doubts: tuple[Doubt, ...] = ()


def read_mask(path: str | Path, shape: tuple[int, int] | None = None) -> NDArray[np.int32]:
    """Read a truth mask as labels; the parameters and errors are those of `read_truth`."""
    return read_truth(path, shape).labels


def read_truth(path: str | Path, shape: tuple[int, int] | None = None) -> Truth:
    """Read a truth mask.

    Parameters
    ----------
    path : str or Path
        TIFF or PNG. In a colour or palette image every colour is a value; black is the background.
    shape : (Y, X), optional
        Shape of the image that the mask belongs to.

    Returns
    -------
    Truth
        A mask may be empty.

    Raises
    ------
    InputError
        If the file cannot be read, is a stack, has another size, or is refused by `interpret_mask`.
    """
    path = Path(path)
    mask, coloured, lossy = read_values(path)
    if shape is not None and mask.shape != tuple(shape):
        raise InputError(
            f"The mask '{path}' is {mask.shape[0]} x {mask.shape[1]} pixels (Y x X) but its image is "
            f"{shape[0]} x {shape[1]}; give a mask of the image's size."
        )
    try:
        return interpret_mask(mask, coloured=coloured, lossy=lossy)
    except InputError as e:
        raise InputError(f"'{path}': {e}") from e


def interpret_mask(mask: NDArray[Any], *, coloured: bool = False, lossy: bool = False) -> Truth:
    """Convert the values of a truth mask to labels.

    Parameters
    ----------
    mask : ndarray of shape (Y, X)
        Booleans, integers, or floats that are whole numbers; 0 is background.
    coloured : bool
        Whether the values number colours, so that their order means nothing.
    lossy : bool
        Whether the values come from a file that does not keep them exactly (JPEG).

    Returns
    -------
    Truth
        The labels of a binary mask are its 4-connected components of at least 50 pixels, numbered from 1. Those of
        other masks are their values; a value in several pieces stays one object. A binary mask whose outlines were
        smoothed is cut in the middle between its two values, which is a doubt.

    Raises
    ------
    InputError
        If a value is negative, fractional or not finite, or the outlines of more than two values were smoothed.
    """
    if mask.ndim != 2:
        raise InputError(f"The mask has the shape {mask.shape}; give one of shape (Y, X).")
    if mask.dtype.kind not in "buif":
        raise InputError(f"The mask's values are of type {mask.dtype}; give whole numbers.")
    values = np.unique(mask)
    wrong = values[~((values >= 0) & (values == np.floor(values)) & (values < np.inf))]
    if wrong.size:
        raise InputError(f"The mask holds the value {wrong[0]:g}; give whole numbers, 0 for the background.")
    objects = values[values > 0]
    smooth = objects.size > 1 and (lossy or has_smooth_outlines(mask))
    if smooth and (coloured or not has_two_levels(mask)):
        raise InputError(
            f"The mask holds {values.size} values that run into each other, as those of an image do, or as smoothing "
            "and JPEG make them; save masks as PNG or TIFF, and resize them without smoothing."
        )
    if smooth or objects.size == 1:
        labels = _label_components(mask > (float(values[0]) + float(values[-1])) / 2 if smooth else mask > 0)
    elif objects.size and objects[-1] > np.iinfo(np.int32).max:
        labels = (np.searchsorted(objects, mask) + (mask > 0)).astype(np.int32)
    else:
        labels = mask.astype(np.int32)
    instances = objects.size > 1 and not smooth
    doubts: tuple[Doubt, ...] = ("cut",) if smooth else ()
    return Truth(labels, instances, doubts + find_doubts(labels, instances))


def _label_components(foreground: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Label the 4-connected components without specks."""
    from scipy.ndimage import label

    components, _ = label(foreground)
    keep = np.bincount(components.ravel()) >= SMALLEST_SPECK
    keep[0] = False
    numbers = np.where(keep, np.cumsum(keep), 0).astype(np.int32)
    labels: NDArray[np.int32] = numbers[components]
    return labels


def separate_touching(labels: NDArray[np.int32], width: Literal[1, 2] = 1) -> NDArray[np.int32]:
    """Separate touching objects by a gap, so that a network learns the border between them.

    For training only: scores use the unchanged truth.

    Parameters
    ----------
    labels : ndarray of shape (Y, X), int32
        0 is background.
    width : {1, 2}
        Width of the gap in pixels: 1 removes pixels of the upper or left one of two touching objects, 2 of both.

    Returns
    -------
    ndarray of shape (Y, X), int32
        A copy in which no two objects are 4-connected. Objects one pixel thin may vanish.
    """
    gap = np.zeros(labels.shape, bool)
    for axis in (0, 1):
        first, second = np.moveaxis(labels, axis, 0)[:-1], np.moveaxis(labels, axis, 0)[1:]
        touching = (first != second) & (first > 0) & (second > 0)
        along = np.moveaxis(gap, axis, 0)
        along[:-1] |= touching
        if width == 2:
            along[1:] |= touching
    return np.where(gap, np.int32(0), labels)


def measure_diameter(masks: Iterable[NDArray[np.integer[Any]]]) -> float | None:
    """Return the median equivalent diameter, sqrt(4 area / pi), of all objects in pixels; None without objects.

    Parameters
    ----------
    masks : iterable of ndarray of shape (Y, X)
        Labels; 0 is background. Equal labels of different masks are different objects.
    """
    areas = [np.unique(labels[labels > 0], return_counts=True)[1] for labels in masks]
    if not any(area.size for area in areas):
        return None
    return float(np.median(np.sqrt(4 * np.concatenate(areas) / np.pi)))
