"""Following the objects of label images through time, from files into a folder."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from blunet.errors import InputError
from blunet.files import output_folder, replacing_together
from blunet.images.frame_source import FrameSource
from blunet.jobs.events import CancelToken, FrameDone, Started, Warned
from blunet.jobs.table_files import check_parquet
from blunet.jobs.track_results import ABOUT, TrackResults, find_earlier, remove_files
from blunet.tracking.geff_file import check_geff
from blunet.tracking.label_frames import LabelFrames, open_label_frames
from blunet.tracking.methods import choose_linker
from blunet.tracking.tracker import FrameRead, FrameTracked, Linked, track_frames
from blunet.tracking.tracking_settings import DEFAULTS, TrackingSettings
from blunet.tracking.tracks import Tracks


@dataclass(frozen=True, eq=False)
class TracksWritten:
    """A time-lapse was tracked and its files are written.

    Attributes
    ----------
    labels, out : Path
        Input and folder of results.
    tracks : Tracks
        As they are in the files: without gaps.
    seconds : float
        Duration from reading to the last file written.
    """

    labels: Path
    out: Path
    tracks: Tracks
    seconds: float


Event = Started | FrameDone | Warned | TracksWritten


def track_files(
    labels: str | Path,
    out: str | Path,
    settings: TrackingSettings = DEFAULTS,
    *,
    image: str | Path | None = None,
    parquet: bool = False,
    geff: bool = False,
    cancel: CancelToken | None = None,
) -> Iterator[Event]:
    """Track the label images of a time-lapse into a folder, one event after the other.

    Parameters
    ----------
    labels : str or Path
        A stack, or a folder with a file a frame (see `open_label_frames`).
    out : str or Path
        Folder for `maskTTT.tif`, `res_track.txt`, `objects.csv`, `tracks.csv` and `tracking.json`. It is made if there
        is none.
    settings : TrackingSettings
    image : str or Path, optional
        The images that were segmented, for methods that look at them: a stack, or a folder.
    parquet, geff : bool
        Whether to write the tables as Parquet too, and the graph as `tracks.geff`.
    cancel : CancelToken, optional
        Checked after each frame.

    Yields
    ------
    Started, Warned, FrameDone twice a frame (when its objects were measured, and when it was written), TracksWritten.

    Raises
    ------
    InputError
        If a setting, the labels or the folder cannot be used. Nothing is written then.
    Cancelled
        If the job was asked to stop. Nothing is written then.
    """
    cancel = cancel or CancelToken()
    begun = time.perf_counter()
    path, out = Path(labels), Path(out)
    frames = open_label_frames(path)
    choose_linker(settings, frames.source.pixel_size)
    grey = None if image is None else _open_image(Path(image), frames.source)
    if parquet:
        check_parquet()
    if geff:
        check_geff()
    _check_apart(frames.source, out)
    earlier = find_earlier(out)
    folder = output_folder(out)
    yield Started((path,))
    yield from (Warned(path, sentence) for sentence in _describe(path, frames))
    about = {"labels": str(path), "settings": settings.to_dict(), "interval_s": frames.source.interval}
    count = frames.source.count
    tracks: Tracks | None = None
    with replacing_together(folder, ABOUT) as temporary:
        for event in track_frames(frames.source, settings, image=grey):
            cancel.check()
            match event:
                case FrameRead(frame):
                    yield FrameDone(path, frame, 2 * count)
                case Linked(number, warning):
                    results = TrackResults(temporary, frames.source, number, frames.first)
                    if warning:
                        yield Warned(path, f"'{path}': {warning}")
                    if results.dtype.itemsize > 2:
                        yield Warned(
                            path,
                            f"'{path}' has {number:,} tracks, more than the 65,535 that masks of the Cell Tracking "
                            "Challenge can number; the masks are uint32, which its tools may not read.",
                        )
                case FrameTracked(t, frame_labels):
                    results.add(t, frame_labels)
                    yield FrameDone(path, count + t + 1, 2 * count)
                case Tracks():
                    tracks = results.finish(event, parquet=parquet, geff=geff, about=about)
        remove_files(earlier)
    assert tracks is not None
    yield TracksWritten(path, folder, tracks, time.perf_counter() - begun)


def _describe(path: Path, frames: LabelFrames) -> Iterator[str]:
    """Yield sentences about what is unusual in the frames."""
    if frames.missing:
        names = ", ".join(str(t + frames.first) for t in frames.missing[:5])
        more = f" and {len(frames.missing) - 5} more" if len(frames.missing) > 5 else ""
        yield f"'{path}' has no file for frame {names}{more}; it counts as a frame without objects."
    if frames.source.count == 1:
        yield f"'{path}' has one frame: there is nothing to link."


def _check_apart(source: FrameSource, out: Path) -> None:
    """Check that the labels do not lie in the folder of results.

    Raises
    ------
    InputError
        If they do.
    """
    folder = out.resolve()
    for path in source.paths:
        if path.resolve().parent == folder:
            raise InputError(f"The output folder '{out}' holds the labels '{path.name}'; choose another one.")


def _open_image(path: Path, labels: FrameSource) -> FrameSource:
    image = FrameSource.from_folder(path) if path.is_dir() else FrameSource.from_file(path)
    if (image.count, image.shape) != (labels.count, labels.shape):
        raise InputError(
            f"'{path}' has {image.count} frames of {image.shape} and the labels {labels.count} of {labels.shape}; give "
            "the images that were segmented."
        )
    return image
