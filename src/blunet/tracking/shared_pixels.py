"""Which objects of successive frames share how many pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blunet.tracking.detections import Detections


def count_shared(detections: Detections, earlier: NDArray[np.int64], later: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many pixels pairs of objects of successive frames share."""
    if not len(detections.overlaps):
        return np.zeros(earlier.size, np.int64)
    keys = detections.overlaps[:, 0] * detections.count + detections.overlaps[:, 1]
    wanted = earlier * detections.count + later
    place = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
    pixels: NDArray[np.int64] = np.where(keys[place] == wanted, detections.overlaps[place, 2], 0)
    return pixels
