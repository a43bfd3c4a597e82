"""Linking by assignment: the cheapest pairing of the objects of two frames, then of the ends and beginnings of tracks.

The two passes are those of Jaqaman et al. 2008, Nature Methods 5:695, with costs of position, shared pixels and area.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blunet.images.frame_source import FrameSource
from blunet.tracking.assignment import assign
from blunet.tracking.detections import Detections
from blunet.tracking.divisions import cost_divisions
from blunet.tracking.flicker import bridge_merged, find_merged, find_pieces
from blunet.tracking.links import Links
from blunet.tracking.pair_costs import cost_gaps, cost_links
from blunet.tracking.step_estimate import estimate_step

#: Links, gaps and divisions that cost as much are not made.
NO_LINK, NO_CLOSING = 1.0, 0.9
#: Passes over ends and beginnings: the second finds the second daughter where the first found the first one.
PASSES = 2


@dataclass(frozen=True)
class AssignmentLinker:
    """Links by position, shared pixels and area.

    Parameters
    ----------
    max_step : float, optional
        Largest step in pixels. None: estimated (see `estimate_step`).
    gap : int
        Number of frames in which an object may be missing.
    divisions : bool
        Whether an object may divide.
    mend : bool
        Whether pieces of objects and merged objects are left out, as they will be mended.
    """

    max_step: float | None = None
    gap: int = 1
    divisions: bool = True
    mend: bool = True

    def link(
        self, detections: Detections, labels: FrameSource | None = None, image: FrameSource | None = None
    ) -> Links:
        """Return where each object comes from; the frames themselves are not read."""
        step = estimate_step(detections) if self.max_step is None else self.max_step
        nothing = np.zeros(detections.count, bool)
        pieces = find_pieces(detections) >= 0 if self.mend else nothing
        merged = find_merged(detections) if self.mend else nothing
        before = np.full(detections.count, -1, np.int64)
        for t in range(detections.frames - 1):
            pairs = cost_links(detections, t, step)
            usable = ~(pieces | merged)[pairs.earlier] & ~(pieces | merged)[pairs.later]
            earlier, later = assign(pairs.earlier[usable], pairs.later[usable], pairs.cost[usable], NO_LINK)
            before[later] = earlier
        before = bridge_merged(detections, before, merged)
        for _ in range(PASSES):
            self._close(detections, before, step, ~pieces & ~merged)
        return Links(before)

    def _close(self, detections: Detections, before: NDArray[np.int64], step: float, whole: NDArray[np.bool_]) -> None:
        """Link objects that appear with objects that vanished before, or with their mothers."""
        starts = np.flatnonzero((before < 0) & whole & (detections.frame > 0))
        linked = np.flatnonzero(before >= 0)
        followers = np.bincount(before[linked], minlength=detections.count)
        ends = np.flatnonzero((followers == 0) & whole & (detections.frame < detections.frames - 1))
        gaps = cost_gaps(detections, ends, starts, step, self.gap)
        pairs = [gaps]
        if self.divisions:
            frame = detections.frame
            simple = linked[(followers[before[linked]] == 1) & (frame[linked] - frame[before[linked]] == 1)]
            pairs.append(cost_divisions(detections, before, simple, starts))
        earlier, later, cost = (np.concatenate(part) for part in zip(*pairs, strict=True))
        found, appearing = assign(earlier, later, cost, NO_CLOSING)
        before[appearing] = found
