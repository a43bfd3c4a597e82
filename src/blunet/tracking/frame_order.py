"""Whether frames are in the order of time."""

from __future__ import annotations

import numpy as np

from blunet.tracking.detections import Detections

#: Fewer frames than this say nothing about their order.
FEWEST_FRAMES = 6
#: Frames are in order if objects are nearer to those of the next frame than to those of distant frames: at most this
#: part of that distance away.
NEARER = 0.85


def looks_shuffled(detections: Detections) -> bool:
    """Tell whether objects are no nearer to those of the next frame than to those of distant frames.

    Parameters
    ----------
    detections : Detections

    Returns
    -------
    bool
        False for fewer than six frames with objects, and where objects hardly move at all.
    """
    filled = np.flatnonzero(np.diff(detections.starts) > 0)
    if filled.size < FEWEST_FRAMES:
        return False
    chosen = filled[np.unique(np.linspace(0, filled.size - 2, 50).astype(int))]
    far = np.roll(filled, -(filled.size // 2))
    place = np.searchsorted(filled, chosen)
    near = np.median([_distance(detections, t, filled[i + 1]) for t, i in zip(chosen, place, strict=True)])
    distant = np.median([_distance(detections, t, far[i]) for t, i in zip(chosen, place, strict=True)])
    still = 0.05 * np.sqrt(np.median(detections.area))
    return bool(near > NEARER * distant and distant > still)


def _distance(detections: Detections, first: int, second: int) -> float:
    """Return the median distance of the objects of a frame to the nearest ones of another."""
    from scipy.spatial import cKDTree

    here, there = (detections.centre[detections.within(int(t))] for t in (first, second))
    return float(np.median(cKDTree(there).query(here)[0]))
