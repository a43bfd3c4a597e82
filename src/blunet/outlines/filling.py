"""From outlines to labels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError
from blunet.outlines.outline import Outline, Patch, Ring

#: Crossings of rows and edges that are computed at once.
CROSSINGS = 2**21
#: Filled objects are kept up to this many bytes; others are filled a second time.
KEPT_BYTES = 2**28


@dataclass(frozen=True)
class FillCounts:
    """What became of the outlines of an image.

    Attributes
    ----------
    objects : int
        Objects in the labels.
    overlapping : int
        Outlines that lie partly or wholly on a larger one.
    hidden : int
        Outlines that are wholly covered by smaller ones.
    outside : int
        Outlines that do not touch the image.
    empty : int
        Outlines that surround the centre of no pixel.
    unusable : int
        Outlines of less than three corners, or with coordinates that are not finite.
    """

    objects: int = 0
    overlapping: int = 0
    hidden: int = 0
    outside: int = 0
    empty: int = 0
    unusable: int = 0

    @property
    def lost(self) -> int:
        """Number of outlines that are no object in the labels."""
        return self.hidden + self.outside + self.empty + self.unusable

    def __add__(self, other: FillCounts) -> FillCounts:
        return FillCounts(*(a + b for a, b in zip(self._all(), other._all(), strict=True)))

    def _all(self) -> tuple[int, ...]:
        return (self.objects, self.overlapping, self.hidden, self.outside, self.empty, self.unusable)

    def describe(self) -> list[str]:
        """Return what the user should know, in words such as "3 outside the image"."""
        told = (
            (self.overlapping, "lie on top of larger ones, which lose these pixels"),
            (self.hidden, "left out, as smaller ones cover them"),
            (self.outside, "left out, as they lie outside the image"),
            (self.empty, "left out, as they surround no pixel's centre"),
            (self.unusable, "left out, as they have less than three corners, or coordinates that are no numbers"),
        )
        return [f"{count:,} {words}" for count, words in told if count]


def fill_outlines(outlines: Sequence[Outline], shape: tuple[int, int]) -> tuple[NDArray[np.int32], FillCounts]:
    """Turn the outlines of one image into labels.

    A pixel belongs to an object if its centre is inside. Where outlines overlap, the smaller object is on top.

    Parameters
    ----------
    outlines : sequence of Outline
    shape : (Y, X)
        Of the image.

    Returns
    -------
    labels : ndarray of shape (Y, X), int32
        0 is background. The objects have the outlines' own numbers if all have one and no two the same, otherwise
        1 to N in the order of the outlines.
    counts : FillCounts
    """
    boxes: dict[int, Patch] = {}
    areas: dict[int, int] = {}
    lost = dict.fromkeys(("unusable", "outside", "empty"), 0)
    kept = 0
    for index, outline in enumerate(outlines):
        if not outline.usable:
            lost["unusable"] += 1
            continue
        if _is_outside(outline, shape):
            lost["outside"] += 1
            continue
        patch = fill_outline(outline, shape)
        if patch is None:
            lost["empty"] += 1
            continue
        areas[index] = int(np.count_nonzero(patch.mask))
        if kept + patch.mask.nbytes <= KEPT_BYTES:
            kept += patch.mask.nbytes
            boxes[index] = patch
    labels = np.zeros(shape, np.int32)
    overlapping = 0
    for index in sorted(areas, key=lambda index: (-areas[index], index)):
        patch = boxes.pop(index, None) or fill_outline(outlines[index], shape)
        assert patch is not None
        mask, top, left = patch
        under = labels[top : top + mask.shape[0], left : left + mask.shape[1]]
        overlapping += bool(under[mask].any())
        under[mask] = index + 1
    visible = np.unique(labels)
    visible = visible[visible > 0]
    labels = _number(labels, visible, [outlines[index - 1].number for index in visible.tolist()])
    return labels, FillCounts(visible.size, overlapping, len(areas) - visible.size, **lost)


def _number(labels: NDArray[np.int32], visible: NDArray[np.int32], own: Sequence[int | None]) -> NDArray[np.int32]:
    """Give the objects their own numbers if these tell them apart, otherwise 1 to N."""
    known = [number for number in own if number is not None and 0 < number <= np.iinfo(np.int32).max]
    distinct = len(set(known)) == len(own)
    numbers = np.zeros(int(visible[-1]) + 1 if visible.size else 1, np.int32)
    numbers[visible] = known if distinct else np.arange(1, visible.size + 1)
    found: NDArray[np.int32] = numbers[labels]
    return found


def _is_outside(outline: Outline, shape: tuple[int, int]) -> bool:
    top, left, bottom, right = outline.bounds
    return bottom <= 0 or right <= 0 or top >= shape[0] or left >= shape[1]


def fill_outline(outline: Outline, shape: tuple[int, int]) -> Patch | None:
    """Return the pixels of a usable outline within an image, cut to a box around them; None if there are none.

    Parameters
    ----------
    outline : Outline
    shape : (Y, X)
        Of the image.
    """
    top, left, bottom, right = outline.bounds
    rows = max(0, math.floor(top)), min(shape[0], math.ceil(bottom))
    columns = max(0, math.floor(left)), min(shape[1], math.ceil(right))
    if rows[0] >= rows[1] or columns[0] >= columns[1]:
        return None
    if outline.patch is not None:
        mask, first, begin = outline.patch
        mask = mask[rows[0] - first : rows[1] - first, columns[0] - begin : columns[1] - begin]
    else:
        mask = np.zeros((rows[1] - rows[0], columns[1] - columns[0]), bool)
        for part in outline.parts:
            mask |= _fill_part(part, mask.shape, rows[0], columns[0])
    return Patch(mask, rows[0], columns[0]) if mask.any() else None


def _fill_part(rings: Sequence[Ring], shape: tuple[int, ...], top: int, left: int) -> NDArray[np.bool_]:
    """Return which pixels' centres an odd number of rings surround, in a box of an image.

    Along each row of pixels' centres, every edge that crosses it turns inside into outside at one column: the work is
    in proportion to the crossings and not, as with a test of every pixel against every edge (`skimage.draw.polygon`),
    to the product of pixels and corners, which takes many seconds for a single outline of 3,000 corners.
    """
    height, width = shape
    turns = np.zeros((height, width + 1), np.uint8)
    for row, column in _find_crossings(rings, height, top):
        columns = np.minimum(np.maximum(np.ceil(column - (0.5 + left)), 0), width).astype(np.int64)
        np.bitwise_xor.at(turns, (row, columns), 1)
    inside: NDArray[np.bool_] = np.bitwise_xor.accumulate(turns[:, :width], axis=1).view(bool)
    return inside


def _find_crossings(
    rings: Sequence[Ring], height: int, top: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Yield the row in a box, and x, of points where edges cross the centres of rows, many at once."""
    one, other = np.concatenate(rings), np.concatenate([each for ring in rings for each in (ring[1:], ring[:1])])
    falls = (one[:, 1] > other[:, 1])[:, None]  # the same edge of a neighbour has to give the same numbers
    begin, end = np.where(falls, other, one), np.where(falls, one, other)
    rows = np.minimum(np.maximum(np.ceil(np.stack([begin[:, 1], end[:, 1]]) - (0.5 + top)), 0), height).astype(np.int64)
    crossing = rows[1] > rows[0]
    begin, end, first = begin[crossing], end[crossing], rows[0][crossing]
    count = rows[1][crossing] - first
    slope = (end[:, 0] - begin[:, 0]) / (end[:, 1] - begin[:, 1])
    per_piece = max(1, CROSSINGS // max(height, 1))
    for start in range(0, count.size, per_piece):
        piece = slice(start, start + per_piece)
        edge = start + np.repeat(np.arange(count[piece].size), count[piece])
        before = np.cumsum(count[piece]) - count[piece]
        row = first[edge] + np.arange(edge.size) - before[edge - start]
        yield row, begin[edge, 0] + (row + (top + 0.5) - begin[edge, 1]) * slope[edge]


def check_place(counts: FillCounts, name: str, shape: tuple[int, int]) -> None:
    """Check that outlines are those of an image.

    Raises
    ------
    InputError
        If all of them lie outside.
    """
    if counts.outside and not counts.objects:
        raise InputError(
            f"'{name}': all {counts.outside:,} outlines lie outside the image of {shape[1]} x {shape[0]} pixels; they "
            "belong to another image, or to a larger one that it was cut from (give --offset)."
        )
