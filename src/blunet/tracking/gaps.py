"""Tracks without gaps, as files of tracks want them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from blunet.tracking.tracks import Mend, Tracks


@dataclass(frozen=True)
class Cut:
    """A track that goes on under another number after a gap.

    Attributes
    ----------
    track, number : int
        The track before the gap, and from then on.
    begin, end : int
        First and last frame in which the objects have the new number.
    """

    track: int
    number: int
    begin: int
    end: int


def cut_at_gaps(tracks: Tracks) -> tuple[Tracks, list[Cut]]:
    """Cut tracks at their gaps.

    Parameters
    ----------
    tracks : Tracks

    Returns
    -------
    tracks : Tracks
        Each frame of a track has an object. What follows a gap is a new track, numbered after all others, whose parent
        is the track before the gap.
    cuts : list of Cut
        The labels that have to change in the frames; empty if there are no gaps.
    """
    after = np.flatnonzero((np.diff(tracks.track) == 0) & (np.diff(tracks.frame) > 1)) + 1
    if not after.size:
        return tracks, []
    number, parents = tracks.track.copy(), dict(tracks.parents)
    highest = int(tracks.track.max())
    cuts = []
    for new, row in enumerate(after.tolist(), highest + 1):
        old, last = int(number[row]), tracks.rows_of(int(tracks.track[row])).stop
        parents = {child: new if parent == old else parent for child, parent in parents.items()} | {new: old}
        number[row:last] = new
        end = next((int(tracks.frame[later - 1]) for later in after if later > row and later < last), None)
        cuts.append(Cut(int(tracks.track[row]), new, int(tracks.frame[row]), end or int(tracks.frame[last - 1])))
    order = np.lexsort((tracks.frame, number))
    mended = tuple(Mend(m.frame, _number_in(cuts, m.track, m.frame), m.flaw) for m in tracks.mended)
    rows = {name: getattr(tracks, name)[order] for name in ("frame", "centre", "area", "box")}
    return replace(tracks, track=number[order], parents=parents, mended=mended, **rows), cuts


def _number_in(cuts: list[Cut], track: int, frame: int) -> int:
    return next((cut.number for cut in cuts if cut.track == track and cut.begin <= frame <= cut.end), track)
