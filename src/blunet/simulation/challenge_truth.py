"""The truth of a simulated time-lapse in the form of the Cell Tracking Challenge.

M. Maska et al., "The Cell Tracking Challenge: 10 years of objective benchmarking", Nature Methods 20, 1010-1020, 2023.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from blunet.errors import InputError
from blunet.files import replacing, reporting
from blunet.simulation.time_lapse import TimeLapse

#: Largest label that the 16 bits of a true mask hold.
_LARGEST = 2**16 - 1


def save_with_truth(lapse: TimeLapse, folder: str | Path, sequence: str = "01") -> Iterator[int]:
    """Write the frames of a simulated time-lapse, and its truth, as the Cell Tracking Challenge does.

    Parameters
    ----------
    lapse : TimeLapse
    folder : str or Path
        Made if it does not exist. It receives `01/tTTT.tif`, the images; `01_GT/SEG/man_segTTT.tif` and
        `01_GT/TRA/man_trackTTT.tif`, the true cells of every frame, whose labels are numbers of tracks; and
        `01_GT/TRA/man_track.txt`, a line a track: its number, its first and last frame, and the track it came from,
        or 0.
    sequence : str
        Two digits: what the names of the folders begin with.

    Yields
    ------
    int
        The number of each frame that was written. Only one frame is in memory at a time.

    Raises
    ------
    InputError
        If the folder holds such a sequence already, if a file cannot be written, or if there are more than 65,535
        tracks.
    """
    folder = Path(folder)
    images, truth = folder / sequence, folder / f"{sequence}_GT"
    for part in (images, truth):
        if part.exists():
            raise InputError(f"'{part}' exists: choose another folder or sequence, or remove it.")
    if len(lapse.tracks) > _LARGEST:
        raise InputError(f"There are {len(lapse.tracks):,} tracks: give fewer frames, the masks hold 65,535.")
    return _write(lapse, images, truth)


def _write(lapse: TimeLapse, images: Path, truth: Path) -> Iterator[int]:
    import tifffile

    digits = max(3, len(str(len(lapse) - 1)))
    with reporting(images.parent):
        for part in (images, truth / "SEG", truth / "TRA"):
            part.mkdir(parents=True)
        for t, field in enumerate(lapse):
            for path, values in (
                (images / f"t{t:0{digits}d}.tif", field.image),
                (truth / "SEG" / f"man_seg{t:0{digits}d}.tif", field.labels.astype("uint16")),
                (truth / "TRA" / f"man_track{t:0{digits}d}.tif", field.labels.astype("uint16")),
            ):
                with replacing(path) as temporary:
                    tifffile.imwrite(temporary, values, compression="zlib")
            yield t
        with replacing(truth / "TRA" / "man_track.txt") as temporary:
            temporary.write_text("".join(f"{k.number} {k.start} {k.end} {k.parent}\n" for k in lapse.tracks))
