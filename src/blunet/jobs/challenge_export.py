"""Exporting labels in the form of the Cell Tracking Challenge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile

from blunet.images.frame_source import FrameSource
from blunet.jobs.events import CancelToken
from blunet.tracking.challenge_table import TABLES, ChallengeTrack, write_table


def write_challenge(folder: Path, labels: FrameSource, token: CancelToken) -> int:
    """Write `mask000.tif`, ... and `res_track.txt` into a folder, and return the number of objects in all frames.

    A label is taken for one object through time. As the challenge knows no gaps, an object that is missing in a frame
    goes on under a new number, with the earlier one as its parent.

    Parameters
    ----------
    folder : Path
        It exists and is empty.
    labels : FrameSource
    token : CancelToken
        Checked between frames.
    """
    present = []
    for frame in labels.each():
        token.check()
        numbers = np.unique(frame)
        present.append(numbers[numbers > 0].astype(np.int64))
    tracks, renumbered = _cut_at_gaps(present)
    largest = max((track.label for track in tracks), default=0)
    dtype = np.uint16 if largest <= np.iinfo(np.uint16).max else np.uint32
    digits = max(3, len(str(labels.count - 1)))
    for t, frame in enumerate(labels.each()):
        token.check()
        values = frame.astype(dtype)
        for number, new in renumbered[t].items():
            values[frame == number] = new
        tifffile.imwrite(folder / f"mask{t:0{digits}d}.tif", values, compression="zlib", metadata=None)
    write_table(folder / TABLES[0], tracks)
    return sum(numbers.size for numbers in present)


def _cut_at_gaps(present: list[np.ndarray]) -> tuple[list[ChallengeTrack], list[dict[int, int]]]:
    """Return the tracks without gaps, and for each frame the labels that get other numbers.

    Parameters
    ----------
    present : list of ndarray of shape (N,)
        The labels of each frame.
    """
    free = max((int(numbers.max(initial=0)) for numbers in present), default=0) + 1
    open_tracks: dict[int, ChallengeTrack] = {}
    tracks: list[ChallengeTrack] = []
    renumbered: list[dict[int, int]] = []
    for t, numbers in enumerate(present):
        changed: dict[int, int] = {}
        for number in numbers.tolist():
            track = open_tracks.get(number)
            if track is None:
                track = ChallengeTrack(number, t, t, 0)
            elif track.end < t - 1:
                tracks.append(track)
                track = ChallengeTrack(free, t, t, track.label)
                free += 1
            open_tracks[number] = track._replace(end=t)
            if track.label != number:
                changed[number] = track.label
        renumbered.append(changed)
    return sorted([*tracks, *open_tracks.values()]), renumbered
