"""Basins of a distance, of which those that belong to one object are joined."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.segmentation.bands import PIXELS_PER_BAND, split_into_bands
from blunet.segmentation.flooding import find_saddles, flood
from blunet.segmentation.tiled_parts import find_parts

#: Basins of larger images are found in tiles of this side, which overlap by twice this margin (pixels).
TILE, MARGIN = 2048, 256
#: What is never this high in a network's map is no object: the map should be 1 in the middle of each.
MIDDLE = 0.5
#: Valleys between objects are shallower in a network's map than in the distance to the background, so that they are
#: compared with the square root of the splitting.
MAP_EXPONENT = 0.5
#: Pairs of basins that are turned into Python's numbers at once.
_PAIRS_AT_ONCE = 2**16


@dataclass(frozen=True, eq=False)
class Basins:
    """The parts of a foreground, of which those that belong to one object are to be joined.

    Attributes
    ----------
    labels : ndarray of shape (Y, X), int32
        The number of each pixel's basin, 0 in the background.
    maxima : ndarray of shape (N + 1,), float32
        The highest distance in each basin; the first is the background's.
    pairs : ndarray of shape (M, 2)
        Basins that touch.
    saddles : ndarray of shape (M,), float32
        The highest distance between them.
    mapped : bool
        Whether the distance is that of a network's map.
    """

    labels: NDArray[np.int32]
    maxima: NDArray[np.float32]
    pairs: NDArray[Any]
    saddles: NDArray[np.float32]
    mapped: bool

    def find_roots(self, splitting: float) -> NDArray[np.int32]:
        """Return for each basin the first basin of its object; see `find_roots`."""
        return find_roots(self.maxima, self.pairs, self.saddles, splitting, mapped=self.mapped)


def find_basins(
    foreground: NDArray[np.bool_], distance: NDArray[np.floating[Any]] | None = None, *, tile: int = TILE
) -> Basins:
    """Part the foreground (Y, X) into the basins of a distance (Y, X); see `split_touching`.

    With a network's map the work on large images is done in tiles of about `tile` pixels, which takes less memory. The
    result is that of the whole image, but where two basins reach a pixel at the same height, and for the borders of
    basins that reach further than `MARGIN` pixels into another tile.
    """
    if distance is not None and max(foreground.shape) > tile:
        return _find_basins_in_tiles(foreground, distance, tile)
    labels, smooth = flood(foreground, distance)
    maxima = np.zeros(int(labels.max(initial=0)) + 1, np.float32)
    np.maximum.at(maxima, labels.ravel(), smooth.ravel())
    return Basins(labels, maxima, *find_saddles(labels, smooth), distance is not None)


def _find_basins_in_tiles(foreground: NDArray[np.bool_], distance: NDArray[np.floating[Any]], tile: int) -> Basins:
    labels = np.zeros(foreground.shape, np.int32)
    parts = find_parts(lambda window: flood(foreground[window], distance[window]), labels, tile, MARGIN, _never_stop)
    renumber(labels, parts.numbers)
    return Basins(labels, parts.maxima, parts.pairs, parts.saddles, True)


def _never_stop() -> None:
    """Let the work go on."""


def renumber(labels: NDArray[np.int32], numbers: NDArray[np.int32]) -> None:
    """Replace each label by its number, in place and in bands of rows."""
    for rows in split_into_bands(labels.shape, PIXELS_PER_BAND):
        labels[rows] = numbers[labels[rows]]


def join_basins(basins: Basins, splitting: float) -> NDArray[np.int32]:
    """Return the labels (Y, X) of the objects that the basins belong to; see `split_touching`."""
    labels = basins.labels.copy()
    renumber(labels, basins.find_roots(splitting))
    return labels


def find_roots(
    maxima: NDArray[np.float32], pairs: NDArray[Any], saddles: NDArray[np.float32], splitting: float, *, mapped: bool
) -> NDArray[np.int32]:
    """Return for each basin the first basin of its object, 0 if it belongs to none.

    Parameters
    ----------
    maxima, pairs, saddles, mapped
        As in `Basins`.
    splitting : float
        As in `split_touching`.
    """
    fraction, middle = (splitting**MAP_EXPONENT, MIDDLE) if mapped else (splitting, 0.0)
    parent, height = array("i", range(maxima.size)), array("f", maxima.tobytes())  # lists take nine times as much

    def root(basin: int) -> int:
        while parent[basin] != basin:
            parent[basin] = parent[parent[basin]]
            basin = parent[basin]
        return basin

    order = np.argsort(-saddles, kind="stable")
    for start in range(0, order.size, _PAIRS_AT_ONCE):
        some = order[start : start + _PAIRS_AT_ONCE]
        for (first, second), saddle in zip(pairs[some].tolist(), saddles[some].tolist(), strict=True):
            a, b = root(first), root(second)
            lower = min(height[a], height[b])
            if a != b and (saddle >= fraction * lower or lower < middle):
                parent[max(a, b)] = min(a, b)
                height[min(a, b)] = max(height[a], height[b])
    roots = np.array([root(basin) for basin in parent], np.int32)
    roots[np.frombuffer(height, np.float32)[roots] < middle] = 0
    return roots
