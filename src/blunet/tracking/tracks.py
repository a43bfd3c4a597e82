"""Objects through time: what tracking gives, and what windows, tables and files take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: What is mended: the object was missing, in pieces, or merged with another.
Flaw = Literal["missing", "split", "merged"]


class Mend(NamedTuple):
    """An object that was mended from the frames before and after.

    Attributes
    ----------
    frame : int
        Counted from 0.
    track : int
    flaw : {"missing", "split", "merged"}
        `missing`: filled in; `split`: its pieces were joined; `merged`: parted from another object.
    """

    frame: int
    track: int
    flaw: Flaw


@dataclass(frozen=True, eq=False)
class Tracks:
    """The tracks of a time-lapse: a row for each object in each frame, and who descends from whom.

    A track is one object from its first frame to its last; after a division each daughter is a new track. The number
    of a track is its label in the tracked frames. A track may be missing in some frames.

    Attributes
    ----------
    frames : int
        Number of frames of the time-lapse.
    shape : (Y, X)
        Of a frame, in pixels.
    track : ndarray of shape (N,), int64
        1 and above. The rows are sorted by track, then frame.
    frame : ndarray of shape (N,), int64
        Counted from 0.
    centre : ndarray of shape (N, 2), float64
        Mean row and column in pixels.
    area : ndarray of shape (N,), int64
        In pixels.
    box : ndarray of shape (N, 4), int64
        Top, left, bottom and right in pixels; the object is within `[top:bottom, left:right]`.
    parents : mapping of int to int
        Track to the track that it descends from; tracks without a parent are not in it.
    mended : tuple of Mend
        Sorted by frame, then track.
    """

    frames: int
    shape: tuple[int, int]
    track: NDArray[np.int64]
    frame: NDArray[np.int64]
    centre: NDArray[np.float64]
    area: NDArray[np.int64]
    box: NDArray[np.int64]
    parents: Mapping[int, int] = field(default_factory=dict)
    mended: tuple[Mend, ...] = ()

    @property
    def numbers(self) -> NDArray[np.int64]:
        """The tracks, sorted."""
        return self.track[self.first]

    @property
    def first(self) -> NDArray[np.int64]:
        """Index of the first row of each track."""
        return np.flatnonzero(np.diff(self.track, prepend=0))

    @property
    def last(self) -> NDArray[np.int64]:
        """Index of the last row of each track."""
        return np.append(self.first[1:], self.track.size)[: self.first.size] - 1

    @property
    def spans(self) -> dict[int, tuple[int, int]]:
        """First and last frame of each track."""
        begin, end = self.frame[self.first], self.frame[self.last]
        return {int(n): (int(b), int(e)) for n, b, e in zip(self.numbers, begin, end, strict=True)}

    @property
    def children(self) -> dict[int, list[int]]:
        """Daughters of each track that has some, sorted."""
        found: dict[int, list[int]] = {}
        for child, parent in sorted(self.parents.items()):
            found.setdefault(parent, []).append(child)
        return found

    @property
    def divisions(self) -> int:
        """Number of tracks with at least two daughters."""
        return sum(len(daughters) > 1 for daughters in self.children.values())

    def rows_of(self, track: int) -> slice:
        """Return the slice of the rows of a track; empty if there is no such track."""
        low, high = np.searchsorted(self.track, [track, track + 1])
        return slice(int(low), int(high))

    def ancestor_of(self, track: int) -> int:
        """Return the track that a track descends from at first; itself if it has no parent."""
        while track in self.parents:
            track = self.parents[track]
        return track

    def lineage_of(self, track: int) -> list[int]:
        """Return all tracks of one family, the first ancestor first, parents before their daughters."""
        children = self.children
        family = [self.ancestor_of(track)]
        for member in family:
            family += children.get(member, [])
        return family

    @property
    def generations(self) -> dict[int, int]:
        """Number of divisions before each track, 0 for tracks without a parent."""
        found: dict[int, int] = {}
        for number in self.numbers.tolist():
            line = [number]
            while line[-1] not in found and line[-1] in self.parents:
                line.append(self.parents[line[-1]])
            known = found.setdefault(line[-1], 0)
            for step, member in enumerate(reversed(line)):
                found[member] = known + step
        return found
