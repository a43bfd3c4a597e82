"""Tracking the labels of a layer, and measuring frames of tracked labels that were painted on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from numpy.typing import NDArray

from blunet.errors import InputError
from blunet.images.frame_source import FrameSource
from blunet.jobs.events import CancelToken
from blunet.segmentation.measurements import measure
from blunet.tracking.tracker import FrameRead, FrameTracked, Linked, track_frames
from blunet.tracking.tracking_settings import TrackingSettings
from blunet.tracking.tracks import Tracks


class FrameMeasured(NamedTuple):
    """The objects of frame `t`, in pixels."""

    t: int
    table: dict[str, NDArray[Any]]


def track_layer(
    labels: FrameSource, image: FrameSource | None, settings: TrackingSettings, token: CancelToken
) -> Iterator[FrameRead | Linked | FrameTracked | Tracks]:
    """Track the labels of a time-lapse; yield what `track_frames` does.

    Raises
    ------
    InputError
        If the labels cannot be tracked, or hold no objects.
    Cancelled
        If the job was asked to stop.
    """
    for event in track_frames(labels, settings, image=image):
        token.check()
        if isinstance(event, Linked) and not event.tracks:
            raise InputError(f"'{labels.name}' holds no objects: every pixel is 0. Segment the time-lapse first.")
        yield event


def measure_painted(frames: dict[int, NDArray[Any]], token: CancelToken) -> Iterator[FrameMeasured]:
    """Measure copies of some frames (Y, X), by their numbers, in pixels.

    Raises
    ------
    Cancelled
        If the job was asked to stop.
    """
    for t, labels in frames.items():
        token.check()
        yield FrameMeasured(t, measure(labels))
