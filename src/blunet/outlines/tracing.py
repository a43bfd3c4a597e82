"""From labels to outlines, along the sides of the pixels."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blunet.outlines.outline import Outline, Ring

#: Steps (y, x) to the right, down, left and up: with the object on the right hand, an outer ring runs clockwise.
STEPS = np.array([[0, 1], [1, 0], [0, -1], [-1, 0]])


class _Sides(NamedTuple):
    """Sides of pixels between an object and what it borders on.

    Attributes
    ----------
    corner : ndarray of shape (N,)
        Where a side begins: y * (width + 1) + x.
    direction : ndarray of shape (N,)
        Index of its step in `STEPS`.
    piece : ndarray of shape (N,)
        Number of the connected region on its right hand.
    """

    corner: NDArray[np.int64]
    direction: NDArray[np.int64]
    piece: NDArray[np.int64]


def trace_outlines(labels: NDArray[np.integer[Any]], *, frame: int | None = None) -> list[Outline]:
    """Return the outlines of all objects, in the order of their labels.

    Parameters
    ----------
    labels : ndarray of shape (Y, X)
        0 is background.
    frame : int, optional
        Index of the frame, which the outlines get.

    Returns
    -------
    list of Outline
        `fill_outlines` gives the same labels again. Each part is a 4-connected region with its holes; pixels that touch
        at a corner alone are two parts, and no ring passes a corner twice, as geometry libraries ask of polygons.
    """
    from skimage.measure import label as label_regions

    if not labels.any():
        return []
    pieces = label_regions(labels, background=0, connectivity=1)
    sides = _find_sides(pieces)
    following = _find_following(sides, labels.shape[1] + 1)
    parts: dict[int, list[Ring]] = {}
    for piece, ring, area in _make_rings(sides, following, labels.shape[1] + 1):
        rings = parts.setdefault(piece, [])
        rings.insert(0 if area > 0 else len(rings), ring)  # the one outer ring first
    numbers = _number_of_pieces(pieces, labels)
    of_object: dict[int, list[tuple[Ring, ...]]] = {}
    for piece in sorted(parts):
        of_object.setdefault(int(numbers[piece]), []).append(tuple(parts[piece]))
    return [Outline(tuple(of_object[number]), number=number, frame=frame) for number in sorted(of_object)]


def _number_of_pieces(pieces: NDArray[Any], labels: NDArray[Any]) -> NDArray[Any]:
    numbers = np.zeros(int(pieces.max()) + 1, labels.dtype)
    numbers[pieces] = labels
    return numbers


def _find_sides(pieces: NDArray[Any]) -> _Sides:
    padded = np.pad(pieces, 1)
    inner = padded[1:-1, 1:-1]
    width = pieces.shape[1] + 1
    found = []
    neighbours = (padded[:-2, 1:-1], padded[1:-1, 2:], padded[2:, 1:-1], padded[1:-1, :-2])
    begins = ((0, 0), (0, 1), (1, 1), (1, 0))  # corner of the pixel where its upper, right, lower, left side begins
    for way, (neighbour, (down, right)) in enumerate(zip(neighbours, begins, strict=True)):
        y, x = np.nonzero((inner != neighbour) & (inner > 0))
        found.append(((y + down) * width + x + right, np.full(y.size, way), inner[y, x].astype(np.int64)))
    corner, direction, piece = (np.concatenate(each) for each in zip(*found, strict=True))
    order = np.argsort(corner * 4 + direction)
    return _Sides(corner[order], direction[order], piece[order])


def _find_following(sides: _Sides, width: int) -> NDArray[np.int64]:
    """Return the index of the side that follows each side: to the right where there is one, straight on, or left."""
    corner, direction, piece = sides
    keys = corner * 4 + direction
    ends = corner + (STEPS @ np.array([width, 1]))[direction]
    following = np.full(corner.size, -1)
    for turn in (1, 0, 3):
        open_ = np.flatnonzero(following < 0)
        wanted = ends[open_] * 4 + (direction[open_] + turn) % 4
        place = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
        fits = (keys[place] == wanted) & (piece[place] == piece[open_])
        following[open_[fits]] = place[fits]
    return following


def _make_rings(sides: _Sides, following: NDArray[np.int64], width: int) -> list[tuple[int, Ring, float]]:
    """Return the piece, the corners and the signed area of each ring: positive outside, negative around a hole."""
    rings = []
    order, starts = _order_along_rings(following)
    direction, corner = sides.direction[order], sides.corner[order]
    before = np.roll(direction, 1)
    before[starts[:-1]] = direction[starts[1:] - 1]
    turns = direction != before
    corners = np.stack([corner % width, corner // width], axis=1)
    offsets = np.concatenate([[0], np.cumsum(turns)])[starts]
    corners, corner = corners[turns], corner[turns]
    pieces = sides.piece[order[starts[:-1]]].tolist()
    # Corners that a ring passes twice: sorted by ring and corner, two are equal.
    ring_of = np.repeat(np.arange(len(pieces)), np.diff(offsets))
    ranked = np.lexsort((corner, ring_of))
    same = (np.diff(corner[ranked]) == 0) & (np.diff(ring_of[ranked]) == 0)
    touching = set(ring_of[ranked[1:][same]].tolist())
    for index, (begin, end) in enumerate(pairwise(offsets.tolist())):
        ring = corners[begin:end]
        for simple in _split_ring(ring) if index in touching else [ring]:
            rings.append((pieces[index], simple.astype(np.float64), _signed_area(simple)))
    return rings


def _order_along_rings(following: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the sides in the order of the rings, and where in it each ring begins, with the end at last."""
    after = following.tolist()
    seen = bytearray(len(after))
    order: list[int] = []
    starts = [0]
    for first in range(len(after)):
        if seen[first]:
            continue
        side = first
        while not seen[side]:
            seen[side] = 1
            order.append(side)
            side = after[side]
        starts.append(len(order))
    return np.array(order), np.array(starts)


def _split_ring(ring: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Split a ring where it passes a corner twice."""
    simple: list[NDArray[np.int64]] = []
    path: list[tuple[int, ...]] = []
    places: dict[tuple[int, ...], int] = {}
    for corner in map(tuple, ring.tolist()):
        if corner in places:
            begin = places[corner]
            simple.append(np.array(path[begin:]))
            for left in path[begin:]:
                del places[left]
            del path[begin:]
        places[corner] = len(path)
        path.append(corner)
    return [*simple, np.array(path)]


def _signed_area(ring: NDArray[np.int64]) -> float:
    x, y = ring[:, 0], ring[:, 1]
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
