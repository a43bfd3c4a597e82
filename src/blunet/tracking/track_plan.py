"""What linking means for the label images: which label becomes which track, and what is mended."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from blunet.tracking.detections import Detections
from blunet.tracking.flicker import bridge_merged, find_merged, find_pieces, find_whole
from blunet.tracking.links import Links


@dataclass(frozen=True)
class Fill:
    """A frame in which a track has no object of its own.

    Attributes
    ----------
    frame : int
    track : int
    earlier, later : int
        Indices in `Detections` of the track's objects before and after.
    host : int
        Index of the object that it is merged with in this frame; -1: it is missing.
    """

    frame: int
    track: int
    earlier: int
    later: int
    host: int = -1


@dataclass(frozen=True, eq=False)
class TrackPlan:
    """Which label becomes which track, and what is mended.

    Attributes
    ----------
    detections : Detections
    track : ndarray of shape (N,), int64
        Track of each object, numbered from 1 in the order of their first frames. 0: the object is shared out among the
        tracks that are merged in it.
    before : ndarray of shape (N,), int64
        As in `Links`, -1 for pieces.
    piece_of : ndarray of shape (N,), int64
        As `find_pieces` returns it; all -1 if nothing is mended.
    parents : dict of int to int
        Track to the track that it descends from.
    fills : tuple of Fill
        Sorted by frame, then track; empty if nothing is mended.
    """

    detections: Detections
    track: NDArray[np.int64]
    before: NDArray[np.int64]
    piece_of: NDArray[np.int64]
    parents: dict[int, int] = field(default_factory=dict)
    fills: tuple[Fill, ...] = ()

    @property
    def tracks(self) -> int:
        """Number of tracks."""
        return int(self.track.max(initial=0))


def plan_tracks(detections: Detections, links: Links, *, gap: int, mend: bool) -> TrackPlan:
    """Turn links into tracks, and find what is to be mended.

    Parameters
    ----------
    detections : Detections
    links : Links
    gap : int
        The most successive frames in which an object is mended.
    mend : bool
        Whether objects are mended at all.
    """
    before = links.before
    piece_of = find_pieces(detections) if mend else np.full(detections.count, -1, np.int64)
    merged = find_merged(detections) if mend else np.zeros(detections.count, bool)
    whole = piece_of < 0
    before = np.where((before >= 0) & ~whole[before], piece_of[before], before)  # what came from a piece
    before = bridge_merged(detections, np.where(whole, before, -1), merged)
    track, parents = _number_tracks(detections, before, whole & ~merged)
    pieces = np.flatnonzero(~whole)
    track[pieces] = track[piece_of[pieces]]
    fills = tuple(_find_fills(detections, before, track, merged, gap)) if mend else ()
    return TrackPlan(detections, track, before, piece_of, parents, fills)


def _number_tracks(
    detections: Detections, before: NDArray[np.int64], numbered: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], dict[int, int]]:
    """Return the track of each numbered object, 0 for others, and the parents of the tracks."""
    followers = np.bincount(before[before >= 0], minlength=before.size)
    goes_on = (before >= 0) & (followers[before] == 1)
    track = np.zeros(before.size, np.int64)
    begins = np.flatnonzero(numbered & ~goes_on)
    track[begins] = np.arange(1, begins.size + 1)
    for t in range(1, detections.frames):
        here = np.arange(*detections.within(t).indices(before.size))
        here = here[goes_on[here] & numbered[here]]
        track[here] = track[before[here]]
    born = begins[before[begins] >= 0]
    return track, dict(zip(track[born].tolist(), track[before[born]].tolist(), strict=True))


def _find_fills(
    detections: Detections,
    before: NDArray[np.int64],
    track: NDArray[np.int64],
    merged: NDArray[np.bool_],
    gap: int,
) -> list[Fill]:
    """Return the frames in which tracks have no object of their own, sorted by frame and track."""
    whole = find_whole(detections, later=False)
    host_of = np.where((whole >= 0) & merged[whole], whole, -1)
    frame = detections.frame
    linked = np.flatnonzero(before >= 0)
    missing = frame[linked] - frame[before[linked]] - 1
    same = track[linked] == track[before[linked]]
    fills = []
    for later in linked[same & (missing > 0)].tolist():
        earlier = int(before[later])
        begin, end, host = int(frame[earlier]), int(frame[later]), int(host_of[earlier])
        if host >= 0 or end - begin - 1 <= gap:
            fills += [Fill(t, int(track[later]), earlier, later, host) for t in range(begin + 1, end)]
    return sorted(fills, key=lambda fill: (fill.frame, fill.track))
