"""Corrections of tracks by hand, each of which can be taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError
from blunet.tracking.tracks import Tracks


@dataclass(frozen=True)
class Renaming:
    """Tracks that have other numbers in some of the frames.

    Attributes
    ----------
    numbers : mapping of int to int
        The number before, and the one after.
    start, end : int
        First and last frame, counted from 0.
    """

    numbers: Mapping[int, int]
    start: int
    end: int

    @property
    def reversed(self) -> Renaming:
        """What takes it back."""
        return Renaming({new: old for old, new in self.numbers.items()}, self.start, self.end)


@dataclass(frozen=True)
class Correction:
    """What a correction changes: numbers of tracks in some frames, and who descends from whom.

    Attributes
    ----------
    title : str
        What was done, as in "Join 3 and 8".
    renamings : tuple of Renaming
        One after the other.
    before, after : mapping of int to int
        The parents.
    """

    title: str
    renamings: tuple[Renaming, ...]
    before: Mapping[int, int]
    after: Mapping[int, int]

    @property
    def reversed(self) -> Correction:
        """What takes it back."""
        renamings = tuple(renaming.reversed for renaming in reversed(self.renamings))
        return Correction(self.title, renamings, self.after, self.before)

    @property
    def frames(self) -> range:
        """Frames in which labels change, and perhaps some between them."""
        if not self.renamings:
            return range(0)
        return range(min(r.start for r in self.renamings), max(r.end for r in self.renamings) + 1)


def join(tracks: Tracks, first: int, second: int) -> Correction:
    """Make one track of two, with the number of the earlier one.

    Raises
    ------
    InputError
        If both are in one frame, or they are the same.
    """
    if first == second:
        raise InputError(f"Track {first} cannot be joined with itself: click another cell.")
    begins = {number: _span(tracks, number)[0] for number in (first, second)}
    earlier, later = sorted((first, second), key=lambda number: begins[number])
    both = np.intersect1d(_frames(tracks, first), _frames(tracks, second))
    if both.size:
        raise InputError(
            f"Tracks {first} and {second} are both in frame {both[0]}: cut one of them first, or swap them from there."
        )
    start, end = _span(tracks, later)
    parents = {child: earlier if parent == later else parent for child, parent in tracks.parents.items()}
    parents.pop(later, None)
    # Daughters that begin before the end of the joined track are not its daughters any more.
    parents = {child: parent for child, parent in parents.items() if parent != earlier or _span(tracks, child)[0] > end}
    return _correct(tracks, f"Join {first} and {second}", [Renaming({later: earlier}, start, end)], parents)


def cut(tracks: Tracks, number: int, frame: int) -> Correction:
    """Make the rest of a track, from `frame` on, a track of its own, which descends from none.

    In the first frame of a track, its parent is removed.

    Raises
    ------
    InputError
        If the track is not in the frame, or begins there without a parent.
    """
    start, end = _span(tracks, number)
    if frame not in _frames(tracks, number):
        raise InputError(f"Track {number} is not in frame {frame}: go to a frame of it, {start} to {end}.")
    title = f"Cut {number} at frame {frame}"
    if frame == start:
        if number not in tracks.parents:
            raise InputError(f"Track {number} begins in frame {frame}: go to a later frame to cut it there.")
        parents = {child: parent for child, parent in tracks.parents.items() if child != number}
        return _correct(tracks, title, [], parents)
    new = _new_number(tracks)
    parents = {child: new if parent == number else parent for child, parent in tracks.parents.items()}
    return _correct(tracks, title, [Renaming({number: new}, frame, end)], parents)


def swap(tracks: Tracks, first: int, second: int, frame: int) -> Correction:
    """Exchange the numbers of two tracks, and their daughters, from `frame` on.

    Raises
    ------
    InputError
        If one of them ends before the frame, or they are the same.
    """
    if first == second:
        raise InputError(f"Track {first} cannot be swapped with itself: click another cell.")
    ends = [_span(tracks, number)[1] for number in (first, second)]
    for number, end in zip((first, second), ends, strict=True):
        if end < frame:
            raise InputError(f"Track {number} ends in frame {end}: go there or before to swap it.")
    exchange = {first: second, second: first}
    parents = {}
    for child, parent in tracks.parents.items():
        begins = _span(tracks, child)[0]
        number = exchange.get(child, child) if begins >= frame else child
        parents[number] = exchange.get(parent, parent) if begins >= frame else parent
    title = f"Swap {first} and {second} from frame {frame}"
    return _correct(tracks, title, [Renaming(exchange, frame, max(ends))], parents)


def mark_division(tracks: Tracks, mother: int, daughters: Sequence[int], frame: int) -> Correction:
    """Make two cells of `frame` the daughters of a track.

    A cell that was there before, such as the mother itself where one daughter was taken for her, is cut in this frame.

    Parameters
    ----------
    tracks : Tracks
    mother : int
    daughters : sequence of two int
        Tracks in the frame.
    frame : int

    Raises
    ------
    InputError
        If the daughters are the same or not in the frame, or the mother does not end before it.
    """
    first, second = daughters
    if first == second:
        raise InputError(f"Both daughters are track {first}: click two cells.")
    start, end = _span(tracks, mother)
    if start >= frame:
        raise InputError(f"Track {mother} begins in frame {start}: its division comes in a later frame.")
    if end >= frame and mother not in daughters:
        raise InputError(
            f"Track {mother} is still there in frame {frame}: click it as one of its daughters, or cut it first."
        )
    changed, born = tracks, []
    renamings: list[Renaming] = []
    for number in daughters:
        if frame not in _frames(tracks, number):
            raise InputError(f"Track {number} is not in frame {frame}: click two cells of one frame.")
        if _span(tracks, number)[0] < frame:
            part = cut(changed, number, frame)
            renamings += part.renamings
            changed, number = apply_correction(changed, part), part.renamings[0].numbers[number]
        born.append(number)
    parents = {child: parent for child, parent in changed.parents.items() if parent != mother}
    parents |= dict.fromkeys(born, mother)
    return _correct(tracks, f"Division of {mother} in frame {frame}", renamings, parents)


def apply_correction(tracks: Tracks, correction: Correction) -> Tracks:
    """Return the corrected tracks; what was mended keeps its frames and gets the new numbers."""
    number, mended = tracks.track.copy(), list(tracks.mended)
    for renaming in correction.renamings:
        within = (tracks.frame >= renaming.start) & (tracks.frame <= renaming.end)
        number[within] = _rename(number[within], renaming.numbers)
        mended = [
            mend._replace(track=renaming.numbers.get(mend.track, mend.track))
            if renaming.start <= mend.frame <= renaming.end
            else mend
            for mend in mended
        ]
    order = np.lexsort((tracks.frame, number))
    return replace(
        tracks, track=number[order], frame=tracks.frame[order], centre=tracks.centre[order], area=tracks.area[order],
        box=tracks.box[order], parents=dict(correction.after), mended=tuple(mended),
    )  # fmt: skip


def correct_labels(labels: NDArray[Any], tracks: Tracks, correction: Correction) -> None:
    """Change the labels as a correction says; only the boxes of the objects that change are looked at.

    Parameters
    ----------
    labels : ndarray of shape (T, Y, X)
        Numbers of tracks; changed in place.
    tracks : Tracks
        Before the correction.
    correction : Correction
    """
    number = tracks.track.copy()
    for renaming in correction.renamings:
        within = (tracks.frame >= renaming.start) & (tracks.frame <= renaming.end)
        rows = np.flatnonzero(within & np.isin(number, list(renaming.numbers)))
        changes: list[tuple[NDArray[Any], NDArray[np.bool_], int]] = []
        for row in rows.tolist():
            top, left, bottom, right = tracks.box[row]
            part = labels[tracks.frame[row], top:bottom, left:right]
            changes.append((part, part == number[row], renaming.numbers[int(number[row])]))
        for part, inside, new in changes:  # after all were found: two tracks may exchange their numbers
            part[inside] = new
        number[rows] = _rename(number[rows], renaming.numbers)


def replace_frame(tracks: Tracks, t: int, table: Mapping[str, NDArray[Any]]) -> Tracks:
    """Return the tracks with other objects in one frame, as after painting on its labels.

    Parameters
    ----------
    tracks : Tracks
    t : int
        The frame.
    table : mapping of str to array
        What `blunet.segmentation.measurements.measure` says about the labels of the frame, in pixels.
    """
    from blunet.tracking.detections import in_pixels

    centre, area, box = in_pixels(table)
    kept = tracks.frame != t
    number = np.concatenate([tracks.track[kept], table["label"].astype(np.int64)])
    frame = np.concatenate([tracks.frame[kept], np.full(area.size, t, np.int64)])
    order = np.lexsort((frame, number))
    present = set(number.tolist())
    return replace(
        tracks,
        track=number[order],
        frame=frame[order],
        centre=np.concatenate([tracks.centre[kept], centre])[order],
        area=np.concatenate([tracks.area[kept], area])[order],
        box=np.concatenate([tracks.box[kept], box])[order],
        parents={c: p for c, p in tracks.parents.items() if c in present and p in present},
    )


def _correct(tracks: Tracks, title: str, renamings: Sequence[Renaming], parents: Mapping[int, int]) -> Correction:
    return Correction(title, tuple(renamings), dict(tracks.parents), dict(parents))


def _rename(numbers: NDArray[np.int64], names: Mapping[int, int]) -> NDArray[np.int64]:
    renamed = numbers.copy()
    for old, new in names.items():
        renamed[numbers == old] = new
    return renamed


def _new_number(tracks: Tracks) -> int:
    return int(tracks.track.max(initial=0)) + 1


def _frames(tracks: Tracks, number: int) -> NDArray[np.int64]:
    frames = tracks.frame[tracks.rows_of(number)]
    if not frames.size:
        raise InputError(f"There is no track {number}.")
    return frames


def _span(tracks: Tracks, number: int) -> tuple[int, int]:
    frames = _frames(tracks, number)
    return int(frames[0]), int(frames[-1])
