"""From label images to tracks, frame by frame: the one way for the window, the command and Python."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blunet.images.frame_source import FrameSource
from blunet.tracking.detections import Detections, detect_objects
from blunet.tracking.frame_order import looks_shuffled
from blunet.tracking.methods import choose_linker
from blunet.tracking.relabelling import join_rows, relabel_frames
from blunet.tracking.track_plan import plan_tracks
from blunet.tracking.tracking_settings import DEFAULTS, TrackingSettings
from blunet.tracking.tracks import Tracks


@dataclass(frozen=True)
class FrameRead:
    """The objects of `frame` frames of `frames` were measured."""

    frame: int
    frames: int


@dataclass(frozen=True)
class Linked:
    """The objects were linked to so many tracks; the frames are relabelled next.

    `warning` is a sentence about the frames, such as that they look shuffled; empty if there is none.
    """

    tracks: int
    warning: str = ""


@dataclass(frozen=True, eq=False)
class FrameTracked:
    """The frame `t` (counted from 0) with the numbers of tracks as labels (Y, X)."""

    t: int
    labels: NDArray[np.int32]


def track_frames(
    source: FrameSource, settings: TrackingSettings = DEFAULTS, *, image: FrameSource | None = None
) -> Iterator[FrameRead | Linked | FrameTracked | Tracks]:
    """Follow the objects of label images through time.

    Parameters
    ----------
    source : FrameSource
        Frames of labels, which need not agree from frame to frame. They are read twice, one after the other, so that
        the memory does not grow with their number; of each object a few numbers are kept.
    settings : TrackingSettings
    image : FrameSource, optional
        The image that was segmented, for methods that look at it.

    Yields
    ------
    FrameRead for each frame, Linked, FrameTracked for each frame in their order, and at last Tracks.

    Raises
    ------
    InputError
        If a frame holds no labels or cannot be read, or the method cannot run.
    """
    linker = choose_linker(settings, source.pixel_size)
    detections = yield from _detect(source)
    links = linker.link(detections, source, image)
    plan = plan_tracks(detections, links, gap=settings.gap, mend=settings.mend)
    shuffled = "its frames resemble distant ones as much as their neighbours; check that they are in order of time."
    yield Linked(plan.tracks, shuffled if looks_shuffled(detections) else "")
    rows = []
    for frame in relabel_frames(source, plan):
        yield FrameTracked(frame.t, frame.labels)
        rows.append(frame._replace(labels=np.zeros((0, 0), np.int32)))
    yield join_rows(rows, plan)


def _detect(source: FrameSource) -> Generator[FrameRead, None, Detections]:
    reading = detect_objects(source)
    while True:
        try:
            yield FrameRead(next(reading), source.count)
        except StopIteration as end:
            found: Detections = end.value
            return found
