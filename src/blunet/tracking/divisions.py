"""Which object is the mother of which: where two objects lie that were one a frame before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blunet.tracking.detections import Detections
from blunet.tracking.pair_costs import Pairs, find_near
from blunet.tracking.shared_pixels import count_shared

#: A daughter's centre is at most this many diameters of its mother away from hers.
REACH = 1.0
#: Weight of the distance between the mother's centre and that of both daughters, in diameters of the mother, squared.
CENTRE_WEIGHT = 2.0
#: Weights of the squared logarithms of the ratio of the daughters' areas, and of both together to the mother's.
EQUAL_WEIGHT, SUM_WEIGHT = 0.4, 0.3
#: Weight of what a daughter does not share with her mother's place.
UNSHARED_WEIGHT = 0.4
#: Weight of the squared logarithm of how much a mother has grown in `HISTORY` frames: one that was two objects before,
#: and is merged, is no mother.
GROWN_WEIGHT, HISTORY = 2.0, 3
#: A daughter is smaller than this part of her mother.
LARGEST_DAUGHTER = 0.9


def cost_divisions(
    detections: Detections,
    before: NDArray[np.int64],
    daughters: NDArray[np.int64],
    starts: NDArray[np.int64],
) -> Pairs:
    """Return which new objects may be the second daughters of which objects, and the costs.

    Parameters
    ----------
    detections : Detections
    before : ndarray of shape (N,), int64
        As in `Links`.
    daughters : ndarray of int64
        Objects that are linked with one object of the frame before, which no other is linked with.
    starts : ndarray of int64
        Objects without a link to an earlier frame.

    Returns
    -------
    Pairs
        The mother, the second daughter, and the cost: 0 for two equal halves in the mother's place.
    """
    found = [Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
    mothers = before[daughters]
    daughter_of = np.full(detections.count, -1, np.int64)
    daughter_of[mothers] = daughters
    diameter = np.sqrt(4 / np.pi * detections.area)
    mother_frames, start_frames = detections.frame[mothers], detections.frame[starts]
    for t in np.unique(start_frames):
        possible = mothers[mother_frames == t - 1]
        if not possible.size:
            continue
        reach = REACH * float(diameter[possible].max())
        mother, second, distance = find_near(detections, possible, starts[start_frames == t], reach)
        near = distance < REACH * diameter[mother]
        mother, second = mother[near], second[near]
        pairs = _cost(detections, mother, daughter_of[mother], second, diameter[mother])
        grown = GROWN_WEIGHT * _growth(detections, before, pairs.earlier) ** 2
        found.append(pairs._replace(cost=pairs.cost + grown))
    return Pairs(*(np.concatenate(part) for part in zip(*found, strict=True)))


def _cost(
    detections: Detections,
    mother: NDArray[np.int64],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    diameter: NDArray[np.float64],
) -> Pairs:
    whole, one, other = (detections.area[which].astype(float) for which in (mother, first, second))
    both = one + other
    middle = (one[:, None] * detections.centre[first] + other[:, None] * detections.centre[second]) / both[:, None]
    moved = np.linalg.norm(middle - detections.centre[mother], axis=1) / diameter
    shared = (count_shared(detections, mother, first) + count_shared(detections, mother, second)) / both
    cost = (
        CENTRE_WEIGHT * moved**2
        + EQUAL_WEIGHT * np.log(one / other) ** 2
        + SUM_WEIGHT * np.log(both / whole) ** 2
        + UNSHARED_WEIGHT * (1 - shared)
    )
    small = np.maximum(one, other) < LARGEST_DAUGHTER * whole
    return Pairs(mother[small], second[small], cost[small])


def _growth(detections: Detections, before: NDArray[np.int64], objects: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the logarithm of how much objects are larger than they were in one of the last frames; 0: not at all."""
    smallest, earlier = detections.area[objects], objects
    for _ in range(HISTORY):
        earlier = np.where(before[earlier] >= 0, before[earlier], earlier)
        smallest = np.minimum(smallest, detections.area[earlier])
    growth: NDArray[np.float64] = np.log(detections.area[objects] / smallest)
    return growth
