"""Saving tracks that were looked at and corrected in a window: the files that `blunet track` writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from blunet.files import output_folder, replacing_together
from blunet.images.frame_source import FrameSource
from blunet.jobs.events import CancelToken
from blunet.jobs.track_results import ABOUT, TrackResults, find_earlier, remove_files
from blunet.tracking.tracks import Tracks


class FrameSaved(NamedTuple):
    """`frame` of `frames` frames were written."""

    frame: int
    frames: int


def save_tracks(
    labels: FrameSource, tracks: Tracks, folder: Path, about: Mapping[str, Any], token: CancelToken
) -> Iterator[FrameSaved]:
    """Write tracked labels and their tables into a folder, as the Cell Tracking Challenge names them.

    Parameters
    ----------
    labels : FrameSource
        Frames whose labels are tracks, with their pixel size and interval.
    tracks : Tracks
        Those of the labels.
    folder : Path
        Made if there is none. It receives `maskTTT.tif`, `res_track.txt`, `objects.csv`, `tracks.csv` and
        `tracking.json`.
    about : mapping
        What `tracking.json` says, in values that JSON can hold.
    token : CancelToken
        Checked after each frame.

    Raises
    ------
    InputError
        If the folder cannot be written to, or holds files of these names that were edited or made by others.
    Cancelled
        If the job was asked to stop. Nothing is written then.
    """
    earlier = find_earlier(folder)
    folder = output_folder(folder)
    with replacing_together(folder, ABOUT) as temporary:
        results = TrackResults(temporary, labels, int(tracks.track.max(initial=0)))
        for t, frame in enumerate(labels.each()):
            token.check()
            results.add(t, frame)
            yield FrameSaved(t + 1, labels.count)
        results.finish(tracks, parquet=False, geff=False, about=about)
        remove_files(earlier)
