"""Masks whose values do not mean what they should: smoothed outlines, objects and background exchanged, classes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from blunet.images.image_files import name_files

Doubt = Literal["cut", "full", "inverted", "classes"]
"""What may be wrong with a mask that is used all the same, see `DOUBTS`."""

#: What is said of masks in doubt: how they are called, what they have, and what to do.
DOUBTS: dict[Doubt, tuple[str, str, str]] = {
    "full": ("full mask", ", without any background", "the background must be 0"),
    "inverted": (
        "mask", " with one object that covers more than half of the image and touches all its borders",
        "check that the background is 0 and not the objects",
    ),
    "cut": (
        "mask", " with values between background and objects, as smoothing or JPEG makes them, cut in the middle",
        "save masks as PNG or TIFF, and resize them without smoothing",
    ),
    "classes": (
        "mask", " with values in many separate pieces each, as classes of pixels are",
        "give each object a value of its own, or all objects the same one",
    ),
}  # fmt: skip
#: Outlines are smoothed if at least this share of their pixels has three or more values within 3 x 3 pixels. Of clean
#: masks only the corners have them where objects meet.
MIN_MIXED = 0.3
#: Fewer such pixels are not counted: thin objects that touch have them too.
FEWEST_MIXED = 100
#: A smoothed mask has two main values if its flat areas in the middle half between the lowest and the highest value are
#: at most this share of those above.
MAX_MIDDLE = 0.05
#: Values are taken for classes if there are at most this many, in at least this many pieces each on average.
MOST_CLASSES, MIN_PIECES = 5, 3


def describe_doubts(masks: Mapping[Path, Collection[Doubt]]) -> Iterator[str]:
    """Yield a sentence about each kind of doubt, which names the masks."""
    for doubt, (noun, what, advice) in DOUBTS.items():
        doubted = [path for path, doubts in masks.items() if doubt in doubts]
        if doubted:
            plural = "" if len(doubted) == 1 else "s"
            yield f"{len(doubted)} {noun}{plural}{what}: {name_files(doubted)}; {advice}."


def has_smooth_outlines(mask: NDArray[Any]) -> bool:
    """Return whether the outlines in a mask (Y, X) run through values between those of the objects."""
    from scipy.ndimage import maximum_filter, minimum_filter

    low, high = minimum_filter(mask, 3), maximum_filter(mask, 3)
    rows, columns = np.nonzero(low != high)
    lowest, highest = low[rows, columns], high[rows, columns]
    padded = np.pad(mask, 1, mode="edge")
    mixed = np.zeros(rows.size, bool)
    for y in range(3):
        for x in range(3):
            neighbour = padded[rows + y, columns + x]
            mixed |= (lowest < neighbour) & (neighbour < highest)
    return bool(np.count_nonzero(mixed) >= max(FEWEST_MIXED, MIN_MIXED * rows.size))


def has_two_levels(mask: NDArray[Any]) -> bool:
    """Return whether the flat areas of a mask (Y, X) lie near its lowest and its highest value, hardly any between."""
    from scipy.ndimage import maximum_filter, minimum_filter

    lowest, highest = float(mask.min()), float(mask.max())
    near = (mask.astype(np.float64) - lowest) / max(highest - lowest, 1)
    flat = near[maximum_filter(near, 3) - minimum_filter(near, 3) <= 1 / 16]
    low, high = np.count_nonzero(flat <= 1 / 4), np.count_nonzero(flat >= 3 / 4)
    return bool(low and high and flat.size - low - high <= MAX_MIDDLE * high)


def find_doubts(labels: NDArray[np.int32], instances: bool) -> tuple[Doubt, ...]:
    """Find what may be wrong with the labels of a mask.

    Parameters
    ----------
    labels : ndarray of shape (Y, X), int32
        0 is background.
    instances : bool
        Whether the values of the mask tell objects apart.
    """
    if labels.size and labels.all():
        return ("full",)
    doubts: list[Doubt] = []
    if _surrounds(labels):
        doubts.append("inverted")
    if instances and _has_classes(labels):
        doubts.append("classes")
    return tuple(doubts)


def _surrounds(labels: NDArray[np.int32]) -> bool:
    """Return whether one object covers more than half of the image and touches all its borders."""
    borders = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
    common = set.intersection(*(set(np.unique(border).tolist()) for border in borders)) - {0}
    return any(2 * np.count_nonzero(labels == value) > labels.size for value in common)


def _has_classes(labels: NDArray[np.int32]) -> bool:
    """Return whether a few values are in many pieces each."""
    from skimage.measure import label

    values = np.unique(labels[labels > 0]).size
    return values <= MOST_CLASSES and int(label(labels, connectivity=1).max()) >= MIN_PIECES * values
