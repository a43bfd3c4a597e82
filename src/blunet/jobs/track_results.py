"""The files of a tracked time-lapse, written frame by frame; only this program's own, unchanged, are replaced."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from blunet.errors import InputError
from blunet.files import sha256_of_all
from blunet.images.frame_source import FrameSource
from blunet.jobs.table_files import PARQUET, write_columns
from blunet.segmentation.provenance import describe_software
from blunet.tracking.challenge_table import table_of, write_table
from blunet.tracking.gaps import Cut, cut_at_gaps
from blunet.tracking.geff_file import write_geff
from blunet.tracking.track_tables import tabulate_objects, tabulate_tracks
from blunet.tracking.tracks import Tracks

#: The file that says how the others were made, and their hashes.
ABOUT = "tracking.json"
TABLE, OBJECTS, TRACKS, GEFF = "res_track.txt", "objects", "tracks", "tracks.geff"
#: Names of files that tracking writes.
_OURS = re.compile(rf"mask\d+\.tif|res_track\.txt|({OBJECTS}|{TRACKS})\.(csv|parquet)|tracks\.geff|tracking\.json")


def find_earlier(folder: Path) -> list[Path]:
    """Return the files of an earlier tracking in a folder.

    Raises
    ------
    InputError
        If there are files of these names that this program has not written, or that were edited.
    """
    if not folder.is_dir():
        return []
    found = [path for path in sorted(folder.iterdir()) if _OURS.fullmatch(path.name)]
    known = _read_hashes(folder / ABOUT)
    for path in found:
        if path.name == ABOUT and known:
            continue
        if path.name not in known:
            raise InputError(
                f"'{path}' was not made by blunet track and would be replaced; choose another output folder."
            )
        if sha256_of_all([path]) != known[path.name]:
            raise InputError(f"'{path}' was edited and would be replaced; choose another output folder.")
    return found


def _read_hashes(path: Path) -> Mapping[str, str]:
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        return dict(about["files"]) if str(about["software"]).startswith("napari-blunet") else {}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


class TrackResults:
    """Writes the files of one tracked time-lapse into a folder of temporary files.

    Parameters
    ----------
    folder : Path
        Where to write.
    source : FrameSource
        The labels, for their pixel size and interval.
    tracks : int
        Number of tracks: past 65,535 the masks are uint32.
    first : int
        Number of the first frame in the names of files.
    """

    def __init__(self, folder: Path, source: FrameSource, tracks: int, first: int = 0) -> None:
        self.folder, self.source, self.first = folder, source, first
        self.dtype = np.dtype(np.uint16 if tracks <= np.iinfo(np.uint16).max else np.uint32)
        self._digits = max(3, len(str(first + source.count - 1)))

    def add(self, t: int, labels: NDArray[np.int32]) -> None:
        """Write the labels (Y, X) of a frame, counted from 0."""
        size = self.source.pixel_size
        placed: dict[str, Any] = {}
        if size is not None:
            sides = size.in_micrometres
            placed = {"resolution": (1e4 / sides.x, 1e4 / sides.y), "resolutionunit": "CENTIMETER"}
        tifffile.imwrite(self._mask(t), labels.astype(self.dtype), compression="zlib", metadata=None, **placed)

    def finish(self, tracks: Tracks, *, parquet: bool, geff: bool, about: Mapping[str, Any]) -> Tracks:
        """Write the tables and, if asked for, the graph; return the tracks as they are in the files, without gaps.

        Parameters
        ----------
        tracks : Tracks
        parquet, geff : bool
            Whether to write the tables as Parquet too, and the graph as GEFF.
        about : mapping
            What `tracking.json` says, in values that JSON can hold.
        """
        tracks, cuts = cut_at_gaps(tracks)
        self._renumber(cuts)
        write_table(
            self.folder / TABLE,
            [row._replace(begin=row.begin + self.first, end=row.end + self.first) for row in table_of(tracks)],
        )
        units: dict[str, Any] = {"pixel_size": self.source.pixel_size, "interval": self.source.interval}
        tables = {OBJECTS: tabulate_objects(tracks, **units), TRACKS: tabulate_tracks(tracks, **units)}
        for name, table in tables.items():
            for ending in [".csv", *[PARQUET] * parquet]:
                write_columns(self.folder / f"{name}{ending}", table)
        if geff:
            write_geff(self.folder / GEFF, tracks, **units)
        mended = [{"frame": mend.frame, "track": mend.track, "what": mend.flaw} for mend in tracks.mended]
        hashes = {path.name: sha256_of_all([path]) for path in sorted(self.folder.iterdir())}
        content = {**describe_software(), **about, "mended": mended, "files": hashes}
        (self.folder / ABOUT).write_text(json.dumps(content, indent=1) + "\n", encoding="ascii")
        return tracks

    def _mask(self, t: int) -> Path:
        return self.folder / f"mask{t + self.first:0{self._digits}d}.tif"

    def _renumber(self, cuts: Sequence[Cut]) -> None:
        """Give the objects after gaps their new numbers in the frames that were written."""
        for t in sorted({t for cut in cuts for t in range(cut.begin, cut.end + 1)}):
            labels = tifffile.imread(self._mask(t)).astype(np.int32)
            changed = labels.copy()
            for cut in cuts:
                if cut.begin <= t <= cut.end:
                    changed[labels == cut.track] = cut.number
            self.add(t, changed)


def remove_files(paths: Sequence[Path]) -> None:
    """Remove files and folders of an earlier tracking."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
