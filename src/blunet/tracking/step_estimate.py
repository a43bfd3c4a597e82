"""How far objects move from frame to frame, estimated from where they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blunet.tracking.detections import Detections

#: Pairs of frames that are looked at.
SAMPLED_PAIRS = 100
#: The largest step is this many times the distance that `QUANTILE` of the neighbours do not exceed.
QUANTILE, MARGIN = 0.95, 2.0
#: The largest step lies between these multiples of the median diameter.
SMALLEST, LARGEST = 0.4, 1.5


def estimate_step(detections: Detections) -> float:
    """Return the largest step of an object in pixels.

    Parameters
    ----------
    detections : Detections

    Returns
    -------
    float
        Twice the 95th percentile of the distance between objects that are each other's nearest in successive frames,
        at least 0.4 and at most 1.5 of their median diameter.
    """
    if not detections.count:
        return 1.0
    diameter = float(np.sqrt(4 / np.pi * np.median(detections.area)))
    frames = np.unique(np.linspace(0, max(detections.frames - 2, 0), SAMPLED_PAIRS).astype(int))
    found = [_mutual_distances(detections, int(t)) for t in frames if t + 1 < detections.frames]
    distances = np.concatenate([np.zeros(0), *found])
    if not distances.size:
        return LARGEST * diameter
    return float(np.clip(MARGIN * np.quantile(distances, QUANTILE), SMALLEST * diameter, LARGEST * diameter))


def _mutual_distances(detections: Detections, t: int) -> NDArray[np.float64]:
    """Return the distances between objects of frames t and t + 1 that are each other's nearest."""
    from scipy.spatial import cKDTree

    here, there = detections.centre[detections.within(t)], detections.centre[detections.within(t + 1)]
    if not len(here) or not len(there):
        return np.zeros(0)
    distance, nearest = cKDTree(there).query(here)
    _, back = cKDTree(here).query(there)
    mutual = back[nearest] == np.arange(len(here))
    chosen: NDArray[np.float64] = distance[mutual]
    return chosen
