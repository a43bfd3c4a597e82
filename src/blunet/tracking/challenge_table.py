"""The table of tracks of the Cell Tracking Challenge: `res_track.txt`, and `man_track.txt` of a truth.

A line a track: its label, its first and last frame, and the label of its parent, or 0. The form is described in
M. Maška et al. 2023, Nature Methods 20:1010, and on the challenge's pages.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from blunet.errors import InputError
from blunet.images.image_files import find_subfolder
from blunet.images.image_reader import reading
from blunet.tracking.tracks import Tracks

#: Names of the table, in results and in truths.
TABLES = ("res_track.txt", "man_track.txt")


class ChallengeTrack(NamedTuple):
    """A line of the table. `parent` is 0 without one; frames are counted from 0."""

    label: int
    begin: int
    end: int
    parent: int


def find_table(folder: Path) -> Path | None:
    """Return the table of tracks in a folder, or in its subfolder TRA; None if there is none."""
    places = [folder, find_subfolder(folder, "TRA") or find_subfolder(folder, "tra")]
    return next((place / name for place in places if place for name in TABLES if (place / name).is_file()), None)


def read_table(path: Path) -> list[ChallengeTrack]:
    """Read a table of tracks.

    Raises
    ------
    InputError
        If a line is no track, a label occurs twice, a track ends before it begins, or a parent is unknown or does not
        end before its child begins.
    """
    with reading(path):
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    found: dict[int, tuple[int, ChallengeTrack]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            track = ChallengeTrack(*map(int, line.split()))
        except (TypeError, ValueError) as e:
            raise _wrong(path, number, f"is {line!r:.60}; give a label, first frame, last frame and parent") from e
        if track.label < 1 or track.begin < 0 or track.end < track.begin:
            raise _wrong(path, number, f"is {line!r:.60}; labels are above 0 and frames from 0, the first one first")
        if track.label in found:
            raise _wrong(path, number, f"is track {track.label} again, after line {found[track.label][0]}; remove one")
        found[track.label] = (number, track)
    for number, track in found.values():
        if track.parent and track.parent not in found:
            raise _wrong(path, number, f"has the parent {track.parent}, which has no line; give 0, or its line")
        if track.parent and (last := found[track.parent][1].end) >= track.begin:
            raise _wrong(
                path,
                number,
                f"says that track {track.label} begins in frame {track.begin}, but its parent {track.parent} ends in "
                f"frame {last}; a parent ends before its children begin",
            )
    return [track for _, track in found.values()]


def table_of(tracks: Tracks) -> list[ChallengeTrack]:
    """Return the lines of the table of tracks without gaps (see `cut_at_gaps`)."""
    return [ChallengeTrack(n, begin, end, tracks.parents.get(n, 0)) for n, (begin, end) in tracks.spans.items()]


def write_table(path: Path, tracks: Iterable[ChallengeTrack]) -> None:
    """Write a table of tracks; the folder is one of temporary files."""
    path.write_text("".join(" ".join(map(str, track)) + "\n" for track in tracks), encoding="ascii", newline="\n")


def _wrong(path: Path, number: int, problem: str) -> InputError:
    return InputError(f"'{path}': line {number} {problem}.")
