"""Numbers over time of tracked objects: how many there are, how much they cover, how large and fast they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blunet.images.pixel_size import PixelSize
from blunet.tracking.tracks import Tracks


@dataclass(frozen=True)
class Series:
    """One quantity of each row of `Tracks`, or of each frame.

    Attributes
    ----------
    unit : str
        Empty: it has none.
    values : ndarray of shape (N,) or (frames,), float64
        NaN where it is not known, such as the speed in the first frame of a track.
    """

    unit: str
    values: NDArray[np.float64]


def count_objects(tracks: Tracks) -> Series:
    """Return the number of objects in each frame."""
    return Series("", np.bincount(tracks.frame, minlength=tracks.frames).astype(float))


def measure_confluence(tracks: Tracks) -> Series:
    """Return the share of each frame that objects cover, in percent."""
    pixels = tracks.shape[0] * tracks.shape[1]
    covered = np.bincount(tracks.frame, weights=tracks.area, minlength=tracks.frames)
    return Series("%", (100 * covered / pixels).astype(np.float64))


def measure_area(tracks: Tracks, size: PixelSize | None = None) -> Series:
    """Return the area of each row, in µm² or, without a size of the pixels, in pixels."""
    if size is None:
        return Series("px²", tracks.area.astype(float))
    sides = size.in_micrometres
    return Series("µm²", tracks.area.astype(float) * (sides.y * sides.x))


def measure_speed(tracks: Tracks, size: PixelSize | None = None, interval: float | None = None) -> Series:
    """Return the distance of each row from the row before of the same track, divided by the time between them.

    Parameters
    ----------
    tracks : Tracks
    size : PixelSize, optional
        Not given: distances are in pixels.
    interval : float, optional
        Seconds from frame to frame. Not given: times are in frames.

    Returns
    -------
    Series
        In µm/min, or with px or frames where they are not known. NaN in the first frame of a track.
    """
    frames = np.diff(tracks.frame, prepend=0).astype(float)
    minutes = 1.0 if interval is None else interval / 60
    speed = measure_steps(tracks, size).values / (frames * minutes)
    return Series(f"{'px' if size is None else 'µm'}/{'frame' if interval is None else 'min'}", speed)


def measure_steps(tracks: Tracks, size: PixelSize | None = None) -> Series:
    """Return the distance of each row from the row before of the same track, in µm or, without a size, in pixels.

    NaN in the first frame of a track.
    """
    sides = (1.0, 1.0) if size is None else (size.in_micrometres.y, size.in_micrometres.x)
    place = tracks.centre * sides
    steps = np.full(tracks.track.size, np.nan)
    follows = np.flatnonzero(np.diff(tracks.track) == 0) + 1
    steps[follows] = np.linalg.norm(place[follows] - place[follows - 1], axis=1)
    return Series("px" if size is None else "µm", steps)


def summarise_by_frame(tracks: Tracks, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the quartiles (3, frames) of values of rows: 25 %, median, 75 %; NaN in frames without any."""
    quartiles = np.full((3, tracks.frames), np.nan)
    known = np.flatnonzero(~np.isnan(values))
    known = known[np.argsort(tracks.frame[known], kind="stable")]
    begins = np.searchsorted(tracks.frame[known], np.arange(tracks.frames + 1))
    for t in range(tracks.frames):
        rows = known[begins[t] : begins[t + 1]]
        if rows.size:
            quartiles[:, t] = np.percentile(values[rows], (25, 50, 75))
    return quartiles
