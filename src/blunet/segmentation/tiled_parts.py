"""The parts of a foreground, found tile by tile and put together over the borders of the tiles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from blunet.images.image_windows import ImageWindows
from blunet.segmentation.flooding import find_contacts, find_saddles, keep_highest

#: Rows and columns.
Window = tuple[slice, slice]


class WindowArray(ImageWindows, Protocol):
    """An array (Y, X) that is read and written in windows: in memory, or on disk."""

    def __setitem__(self, window: tuple[slice, slice], values: Any, /) -> None: ...


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts of a foreground, such as basins or components.

    Attributes
    ----------
    numbers : ndarray of shape (K + 1,), int32
        For each number that was written for a part in a tile, the number of the whole part, from 1 to N in the order
        of their places. The first is the background's, 0.
    maxima : ndarray of shape (N + 1,), float32
        The greatest height in each part; the first is the background's.
    sizes : ndarray of shape (N + 1,), int64
        Pixels of each part; the first is 0.
    pairs : ndarray of shape (M, 2)
        Parts that touch.
    saddles : ndarray of shape (M,), float32
        The greatest height between them.
    """

    numbers: NDArray[np.int32]
    maxima: NDArray[np.float32]
    sizes: NDArray[np.int64]
    pairs: NDArray[Any]
    saddles: NDArray[np.float32]


def find_parts(
    find: Callable[[Window], tuple[NDArray[np.int32], NDArray[np.float32]]],
    out: WindowArray,
    tile: int,
    margin: int,
    check: Callable[[], None],
) -> Parts:
    """Find the parts of a foreground tile by tile.

    Parameters
    ----------
    find : callable
        Given rows and columns, returns the parts in them, numbered from 1, and the heights of their pixels.
    out : WindowArray of shape (Y, X), int32
        Gets a number for each pixel, which `Parts.numbers` translates; 0 in the background.
    tile : int
        Side of the tiles, in pixels.
    margin : int
        How far a tile looks beyond its borders, in pixels.
    check : callable
        Called before every tile. An exception that it raises ends the work.

    Notes
    -----
    A part has the place of its highest pixel as its name, the same in every tile that sees this pixel. Where a tile
    does not see it, as the part reaches further than the margin, the part's highest pixel in sight lies in another
    tile, and belongs to the part that this tile gives it to. So a part that is larger than a tile is one.
    """
    height, width = out.shape
    found = _Found(width)
    above: tuple[NDArray[Any], NDArray[Any]] = np.zeros(width, np.int32), np.zeros(width, np.float32)
    for top in range(0, height, tile):
        beside: tuple[NDArray[Any], NDArray[Any]] | None = None
        for left in range(0, width, tile):
            check()
            core = slice(top, min(top + tile, height)), slice(left, min(left + tile, width))
            extent = tuple(
                slice(max(part.start - margin, 0), min(part.stop + margin, length))
                for part, length in zip(core, out.shape, strict=True)
            )
            parts, heights = find((extent[0], extent[1]))
            inside = tuple(
                slice(part.start - whole.start, part.stop - whole.start)
                for part, whole in zip(core, extent, strict=True)
            )
            numbers = found.add(parts, heights, (inside[0], inside[1]), (extent[0].start, extent[1].start))
            high = heights[inside]
            found.touch(*find_saddles(numbers, high))
            if top:
                found.touch(*find_contacts(above[0][core[1]], above[1][core[1]], numbers[0], high[0]))
            if beside is not None:
                found.touch(*find_contacts(*beside, numbers[:, 0], high[:, 0]))
            above[0][core[1]], above[1][core[1]] = numbers[-1], high[-1]
            beside = numbers[:, -1].copy(), high[:, -1].copy()
            out[core] = numbers
    return found.join(out, tile, check)


class _Found:
    """Collects what the tiles find, in the numbers that are written.

    Parameters
    ----------
    width : int
        Of the image: a place is the index of a pixel in the flat image.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.count = 0
        self._places, self._sizes = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        self._heights, self._own = [np.zeros(0, np.float32)], [np.zeros(0, bool)]
        self._pairs, self._saddles = [np.zeros((0, 2), np.int32)], [np.zeros(0, np.float32)]

    def add(
        self, parts: NDArray[np.int32], heights: NDArray[np.float32], inside: Window, start: tuple[int, int]
    ) -> NDArray[np.int32]:
        """Number the parts of a tile that lie `inside`, its core, and return the numbers there."""
        core = parts[inside]
        counts = np.bincount(core.ravel(), minlength=1)
        counts[0] = 0
        present = np.flatnonzero(counts)
        numbers = np.zeros(int(parts.max(initial=0)) + 1, np.int32)
        numbers[present] = np.arange(self.count + 1, self.count + 1 + present.size)
        self.count += present.size
        places, tops = _highest_pixels(parts, heights)
        row, column = np.divmod(places[present], parts.shape[1])
        rows, columns = inside
        self._own.append((row >= rows.start) & (row < rows.stop) & (column >= columns.start) & (column < columns.stop))
        self._places.append((row + start[0]) * self.width + column + start[1])
        self._heights.append(tops[present])
        self._sizes.append(counts[present])
        return numbers[core]

    def touch(self, pairs: NDArray[Any], saddles: NDArray[np.float32]) -> None:
        """Keep parts that touch."""
        if len(pairs):
            pairs, saddles = keep_highest(pairs, saddles)
            self._pairs.append(pairs)
            self._saddles.append(saddles)

    def join(self, out: WindowArray, tile: int, check: Callable[[], None]) -> Parts:
        """Put the parts of all tiles together."""
        names, part = np.unique(np.concatenate(self._places), return_inverse=True)
        heights = np.zeros(names.size, np.float32)
        np.maximum.at(heights, part, np.concatenate(self._heights))
        known = np.zeros(names.size, bool)
        known[part[np.concatenate(self._own)]] = True
        same = _join_unseen(names, heights, ~known, part, out, self.width, tile, check)
        kept, same = np.unique(same, return_inverse=True)  # in the order of the places
        numbers = np.concatenate([[0], same[part] + 1]).astype(np.int32)
        sizes = np.bincount(numbers[1:], np.concatenate(self._sizes), kept.size + 1).astype(np.int64)
        pairs = numbers[np.concatenate(self._pairs)]
        differ = pairs[:, 0] != pairs[:, 1]
        pairs, saddles = keep_highest(pairs[differ], np.concatenate(self._saddles)[differ])
        return Parts(numbers, np.concatenate([np.zeros(1, np.float32), heights[kept]]), sizes, pairs, saddles)


def _highest_pixels(
    parts: NDArray[np.int32], heights: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the first place of the highest pixel of each part from 0 on, in the flat image, and its height."""
    places = np.flatnonzero(parts)
    own, high = parts.ravel()[places], heights.ravel()[places]
    tops = np.full(int(parts.max(initial=0)) + 1, -np.inf, np.float32)
    np.maximum.at(tops, own, high)
    reached = high == tops[own]
    first = np.zeros(tops.size, np.int64)
    first[own[reached][::-1]] = places[reached][::-1]  # of several the one that is written last: the first
    return first, tops


def _join_unseen(
    names: NDArray[np.int64],
    heights: NDArray[np.float32],
    unseen: NDArray[np.bool_],
    part: NDArray[np.int64],
    out: WindowArray,
    width: int,
    tile: int,
    check: Callable[[], None],
) -> NDArray[np.int64]:
    """Return for each name that of its part: the names that no tile owns are looked up where their places lie."""
    same = np.arange(names.size)
    looked_up = np.flatnonzero(unseen)
    if not looked_up.size:
        return same
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    row, column = np.divmod(names[looked_up], width)
    block = row // tile * (width // tile + 1) + column // tile
    others = np.zeros(looked_up.size, np.int64)
    for each in np.unique(block):
        check()
        here = np.flatnonzero(block == each)
        top, left = row[here].min(), column[here].min()
        written = np.asarray(out[top : row[here].max() + 1, left : column[here].max() + 1])
        others[here] = part[written[row[here] - top, column[here] - left] - 1]
    edges = np.ones(looked_up.size, np.bool_)
    graph = coo_array((edges, (looked_up, others)), shape=(names.size, names.size))
    _, whole = connected_components(graph, directed=False)
    # A group has the name of its highest place, the first of several.
    order = np.lexsort((np.arange(names.size), -heights, whole))
    first = order[np.concatenate([[True], np.diff(whole[order]) > 0])]
    chosen: NDArray[np.int64] = first[whole]
    return chosen
