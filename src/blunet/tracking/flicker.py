"""Objects that are in pieces, or merged with others, for a single frame."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.tracking.detections import Detections

#: An object belongs to the one of the next frame that most of its pixels lie in, if this part of them does.
WITHIN = 0.3
#: The areas of the pieces and of the whole object differ at most by this factor.
LARGEST_CHANGE = 1.4


def find_pieces(detections: Detections) -> NDArray[np.int64]:
    """Return which objects are pieces of others.

    Returns
    -------
    ndarray of shape (N,), int64
        Index of the largest piece of the same object; -1 for this piece itself and for whole objects.

    Notes
    -----
    Objects are pieces where they all belong to one object of the frame before and to one of the frame after, and
    together have the area of each.
    """
    within_before, within_after = find_whole(detections, later=True), find_whole(detections, later=False)
    found = np.flatnonzero((within_before >= 0) & (within_after >= 0))
    _, place, count = np.unique(
        np.stack([within_before[found], within_after[found]]), axis=1, return_inverse=True, return_counts=True
    )
    place = place.ravel()
    area = np.bincount(place, detections.area[found], count.size)[place]
    before, after = (detections.area[whole[found]] for whole in (within_before, within_after))
    pieces = (count[place] > 1) & _similar(area, before) & _similar(area, after)
    found, place = found[pieces], place[pieces]
    largest = np.zeros(count.size, np.int64)
    rising = np.argsort(detections.area[found], kind="stable")
    largest[place[rising]] = found[rising]  # the last one stays
    piece_of = np.full(detections.count, -1, np.int64)
    piece_of[found] = np.where(largest[place] == found, -1, largest[place])
    return piece_of


def find_merged(detections: Detections) -> NDArray[np.bool_]:
    """Tell which objects are several objects of the frame before, and as many of the frame after, together."""
    next_whole, last_whole = find_whole(detections, later=False), find_whole(detections, later=True)
    merged = np.ones(detections.count, bool)
    counts = []
    for whole in (next_whole, last_whole):
        parts = np.flatnonzero(whole >= 0)
        count = np.bincount(whole[parts], minlength=detections.count)
        merged &= (count > 1) & _similar(
            np.bincount(whole[parts], detections.area[parts], detections.count), detections.area
        )
        counts.append(count)
    found: NDArray[np.bool_] = merged & (counts[0] == counts[1])
    return found


def bridge_merged(detections: Detections, before: NDArray[np.int64], merged: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return links in which the objects before and after a merged one are linked with each other instead of with it.

    Parameters
    ----------
    detections : Detections
    before : ndarray of shape (N,), int64
        As in `Links`.
    merged : ndarray of shape (N,), bool
        From `find_merged`.

    Returns
    -------
    ndarray of shape (N,), int64
    """
    from scipy.optimize import linear_sum_assignment

    before = before.copy()
    next_whole, last_whole = find_whole(detections, later=False), find_whole(detections, later=True)
    before[merged] = -1
    before[(before >= 0) & merged[before]] = -1
    for each in np.flatnonzero(merged):
        earlier, later = np.flatnonzero(next_whole == each), np.flatnonzero(last_whole == each)
        distance = np.linalg.norm(detections.centre[earlier][:, None] - detections.centre[later][None], axis=2)
        rows, columns = linear_sum_assignment(distance**2)
        before[later[columns]] = earlier[rows]
    return before


def find_whole(detections: Detections, *, later: bool) -> NDArray[np.int64]:
    """Return the object of the next frame that each object belongs to, -1 if there is none.

    Parameters
    ----------
    later : bool
        Whether later objects belong to those of the frame before instead.
    """
    first, second, pixels = detections.overlaps.T
    inner, outer = (second, first) if later else (first, second)
    rising = np.argsort(pixels, kind="stable")
    rising = rising[pixels[rising] >= WITHIN * detections.area[inner[rising]]]
    whole = np.full(detections.count, -1, np.int64)
    whole[inner[rising]] = outer[rising]  # the last one, of the most pixels, stays
    return whole


def _similar(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.bool_]:
    alike: NDArray[np.bool_] = (first <= LARGEST_CHANGE * second) & (second <= LARGEST_CHANGE * first)
    return alike
