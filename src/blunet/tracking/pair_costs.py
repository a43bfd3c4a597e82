"""What it costs to take objects of two frames for one, and for a mother and her daughters."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from blunet.tracking.detections import Detections

#: Weights of the squared distance relative to the largest step, and of the pixels that are not shared. Objects that are
#: a whole step apart and share nothing cost 1, which is the most that a link may cost.
DISTANCE_WEIGHT, UNSHARED_WEIGHT = 0.5, 0.5
#: Weight of the squared logarithm of the ratio of two areas: twice as large costs 0.05.
AREA_WEIGHT = 0.1
#: Cost of each frame in which an object is missing.
MISSING_FRAME = 0.15


class Pairs(NamedTuple):
    """Pairs of objects and their costs, K each: `earlier` and `later` are indices of `Detections`."""

    earlier: NDArray[np.int64]
    later: NDArray[np.int64]
    cost: NDArray[np.float64]


def find_near(
    detections: Detections, earlier: NDArray[np.int64], later: NDArray[np.int64], reach: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return pairs of objects whose centres are less than `reach` pixels apart, and how far they are apart."""
    from scipy.spatial import cKDTree

    if not earlier.size or not later.size:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    found = cKDTree(detections.centre[earlier]).sparse_distance_matrix(
        cKDTree(detections.centre[later]), reach, output_type="ndarray"
    )
    return earlier[found["i"]], later[found["j"]], found["v"]


def cost_links(detections: Detections, t: int, step: float) -> Pairs:
    """Return which objects of frames t and t + 1 may be the same, and the costs.

    Parameters
    ----------
    detections : Detections
    t : int
    step : float
        Largest step in pixels. Objects that share pixels may be further apart.
    """
    here, there = detections.within(t), detections.within(t + 1)
    earlier, later, distance = find_near(
        detections, np.arange(here.start, here.stop), np.arange(there.start, there.stop), step
    )
    low, high = np.searchsorted(detections.overlaps[:, 0], [here.start, here.stop])
    first, second, shared = detections.overlaps[low:high].T
    count = max(there.stop - there.start, 1)
    near, overlapping = ((a - here.start) * count + (b - there.start) for a, b in ((earlier, later), (first, second)))
    keys = np.union1d(near, overlapping)
    squared = np.ones(keys.size)
    squared[np.searchsorted(keys, near)] = (distance / step) ** 2
    pixels = np.zeros(keys.size)
    pixels[np.searchsorted(keys, overlapping)] = shared
    earlier, later = keys // count + here.start, keys % count + there.start
    area, after = detections.area[earlier], detections.area[later]
    iou = pixels / (area + after - pixels)
    cost = DISTANCE_WEIGHT * squared + UNSHARED_WEIGHT * (1 - iou) + AREA_WEIGHT * np.log(area / after) ** 2
    return Pairs(earlier, later, cost)


def cost_gaps(
    detections: Detections, ends: NDArray[np.int64], starts: NDArray[np.int64], step: float, gap: int
) -> Pairs:
    """Return which objects that vanish may be objects that appear up to `gap` frames later, and the costs.

    Parameters
    ----------
    detections : Detections
    ends, starts : ndarray of int64, sorted
        Indices of the last objects of tracks and of the first ones.
    step : float
        Largest step of one frame in pixels; over n frames an object may move by this times the root of n.
    gap : int
        Number of frames in which an object may be missing; 0: none.
    """
    found = [Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
    end_frames, start_frames = (detections.frame[which] for which in (ends, starts))
    for t in np.unique(start_frames):
        appearing = starts[start_frames == t]
        for frames in range(1, gap + 2):
            reach = step * np.sqrt(frames)
            earlier, later, distance = find_near(detections, ends[end_frames == t - frames], appearing, reach)
            change = np.log(detections.area[earlier] / detections.area[later]) ** 2
            cost = DISTANCE_WEIGHT * (distance / reach) ** 2 + AREA_WEIGHT * change + MISSING_FRAME * frames
            found.append(Pairs(earlier, later, cost))
    return Pairs(*(np.concatenate(part) for part in zip(*found, strict=True)))
