"""Contrast of frames, and their slow shading taken away: for the eye, or as an image of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError
from blunet.images.normalise import Limits, Normalisation, check_image, estimate, normalise
from blunet.jobs.events import CancelToken
from blunet.jobs.frame_segmentation import SAMPLED_FRAMES, Frames


@dataclass(frozen=True)
class ContrastFound:
    """The grey values to be shown black and white."""

    limits: Limits


@dataclass(frozen=True)
class FrameFlattened:
    """Frame `t` without its slow shading: (Y, X), float32 in [0, 1]."""

    t: int
    image: NDArray[np.float32]


@dataclass(frozen=True)
class AllFlattened:
    """All frames without their slow shading: float32 in [0, 1].

    Attributes
    ----------
    data : array of shape (Y, X) or (T, Y, X)
        Of a stack a dask array: a frame is flattened when it is looked at.
    """

    data: Any


def find_contrast(frames: Frames, t: int, low: float, high: float, token: CancelToken) -> Iterator[ContrastFound]:
    """Find the percentiles `low` and `high` of frame `t`.

    Raises
    ------
    InputError
        If the percentiles are out of range, or the frame is not finite.
    """
    token.check()
    yield ContrastFound(estimate([frames.frame(t)], Normalisation(method="percentile", low=low, high=high)))


def flatten_frame(frames: Frames, t: int, settings: Normalisation, token: CancelToken) -> Iterator[FrameFlattened]:
    """Take the slow shading off one frame, by its own limits.

    Raises
    ------
    InputError
        If the frame is not finite.
    """
    token.check()
    frame = frames.frame(t)
    token.check()
    yield FrameFlattened(t, _flat(frame, settings, None))


def flatten_all(frames: Frames, settings: Normalisation, token: CancelToken) -> Iterator[AllFlattened]:
    """Take the slow shading off an image, or off all frames of a stack by limits that they share.

    Raises
    ------
    InputError
        If a frame is not finite.
    Cancelled
        If asked to stop.
    """
    if not frames.stack:
        yield AllFlattened(_flat(frames.frame(0), settings, None))
        return

    def sampled() -> Iterator[NDArray[Any]]:
        for t in np.unique(np.linspace(0, frames.count - 1, SAMPLED_FRAMES).round().astype(int)).tolist():
            token.check()
            yield frames.frame(t)

    import dask.array as da

    limits = estimate(sampled(), settings)
    data = frames.data
    lazy: Any = data if isinstance(data, da.Array) else da.from_array(data, (1, -1, -1), name=False)  # type: ignore[no-untyped-call]
    stack = lazy.rechunk((1, -1, -1))
    meta = np.empty((0, 0, 0), np.float32)
    yield AllFlattened(stack.map_blocks(_flat_block, settings, limits, dtype=np.float32, meta=meta))


def _flat_block(block: NDArray[Any], settings: Normalisation, limits: Limits) -> NDArray[np.float32]:
    return np.stack([_flat(frame, settings, limits) for frame in block]) if block.size else block.astype(np.float32)


def _flat(frame: NDArray[Any], settings: Normalisation, limits: Limits | None) -> NDArray[np.float32]:
    check_image(frame)
    if frame.min() == frame.max():  # looked at here: `normalise` would warn, and warnings are no thread's business
        if limits is None:
            raise InputError(f"The image is constant (every pixel is {frame.flat[0]}): there is no shading in it.")
        return np.zeros(frame.shape, np.float32)
    return normalise(frame, settings, limits)
