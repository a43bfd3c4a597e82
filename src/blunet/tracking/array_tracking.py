"""From labels to tracks in one call: `blunet.track`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError
from blunet.images.allocation import allocate
from blunet.images.frame_source import FrameSource
from blunet.images.pixel_size import PixelSize, make_pixel_size
from blunet.tracking.tracker import FrameTracked, track_frames
from blunet.tracking.tracking_settings import DEFAULTS, Method, TrackingSettings
from blunet.tracking.tracks import Tracks

if TYPE_CHECKING:
    from dask.array import Array


class Tracked(NamedTuple):
    """Labels (T, Y, X) in which a label is a track, and the tracks."""

    labels: NDArray[np.int32]
    tracks: Tracks


def track(
    labels: NDArray[Any] | Array,
    image: NDArray[Any] | Array | None = None,
    *,
    max_step: float | None = None,
    step_unit: Literal["px", "um"] = DEFAULTS.step_unit,
    gap: int = DEFAULTS.gap,
    divisions: bool = DEFAULTS.divisions,
    mend: bool = DEFAULTS.mend,
    method: Method = DEFAULTS.method,
    pixel_size: float | None = None,
) -> Tracked:
    """Follow the objects of a time-lapse of labels.

    Parameters
    ----------
    labels : array of shape (T, Y, X)
        Whole numbers, 0 is background; they need not agree from frame to frame. Frames of a dask array are computed one
        at a time, each twice.
    image : array of shape (T, Y, X), optional
        The images that were segmented, for the method `trackastra`.
    max_step : float, optional
        The furthest that an object moves from one frame to the next. None: estimated.
    step_unit : {"px", "um"}
        Unit of `max_step`: pixels, or micrometres, which need `pixel_size`.
    gap : int
        Number of successive frames in which an object may be missing.
    divisions : bool
        Whether an object may divide.
    mend : bool
        Whether objects that are missing for at most `gap` frames, and objects that are in pieces or merged with others
        for one frame, are mended.
    method : {"assignment", "trackastra"}
        What links the objects; trackastra needs this package, and `image`.
    pixel_size : float, optional
        Side of a pixel in micrometres.

    Returns
    -------
    labels : ndarray of shape (T, Y, X), int32
        Each object has the number of its track.
    tracks : Tracks
        A row for each object in each frame, parents, and what was mended.

    Raises
    ------
    InputError
        If a setting is out of range, or the labels cannot be used.

    Examples
    --------
    >>> import blunet
    >>> labels = np.zeros((3, 20, 40), int)
    >>> for t, x in enumerate([4, 6, 8]):
    ...     labels[t, 5:12, x : x + 8] = t + 1
    >>> tracked, tracks = blunet.track(labels)
    >>> np.unique(tracked).tolist(), tracks.spans
    ([0, 1], {1: (0, 2)})
    """
    settings = TrackingSettings(
        max_step=max_step, step_unit=step_unit, gap=gap, divisions=divisions, mend=mend, method=method
    )
    size = None if pixel_size is None else make_pixel_size(pixel_size, pixel_size, "um")
    if pixel_size is not None and size is None:
        raise InputError(f"The pixel size is {pixel_size!r}; give the side of a pixel in micrometres.")
    source = _stack(labels, "labels", size)
    grey = None if image is None else _stack(image, "image", size)
    if grey is not None and grey.array_shape != source.array_shape:
        raise InputError(
            f"The image has the shape {grey.array_shape} and its labels {source.array_shape}; give equal shapes."
        )
    result = allocate(source.array_shape, np.int32)
    for event in track_frames(source, settings, image=grey):
        if isinstance(event, FrameTracked):
            result[event.t] = event.labels
        elif isinstance(event, Tracks):
            tracks = event
    return Tracked(result, tracks)


def _stack(array: Any, name: str, size: PixelSize | None) -> FrameSource:
    array = array if hasattr(array, "shape") and hasattr(array, "dtype") else np.asarray(array)
    if len(array.shape) != 3:
        raise InputError(f"The {name} have the shape {tuple(array.shape)}; give a time-lapse of shape (T, Y, X).")
    return FrameSource.from_array(array, pixel_size=size)
