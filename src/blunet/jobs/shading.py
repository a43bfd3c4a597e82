"""The contrast of frames, and frames without their slow shading, for display or as a new image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError
from blunet.images.frame_source import FrameSource
from blunet.images.grey_image import GreyImage, check_image
from blunet.images.normalisation import Limits, estimate_limits, normalise
from blunet.images.normalisation_settings import Normalisation
from blunet.jobs.events import CancelToken


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
        A dask array for a stack: the shading of a frame is removed when the frame is shown.
    """

    data: Any


def find_contrast(source: FrameSource, t: int, low: float, high: float, token: CancelToken) -> Iterator[ContrastFound]:
    """Find the percentiles `low` and `high` of frame `t`.

    Raises
    ------
    InputError
        If the percentiles are out of range, or the frame is not finite.
    """
    token.check()
    yield ContrastFound(
        estimate_limits(source.each_checked([t]), Normalisation(method="percentile", low=low, high=high))
    )


def flatten_frame(source: FrameSource, t: int, settings: Normalisation, token: CancelToken) -> Iterator[FrameFlattened]:
    """Remove the slow shading from one frame, normalised by its own limits.

    Raises
    ------
    InputError
        If the frame is not finite.
    """
    for image in source.each_checked([t]):
        token.check()
        yield FrameFlattened(t, _flat(image, settings, None))


def flatten_all(source: FrameSource, settings: Normalisation, token: CancelToken) -> Iterator[AllFlattened]:
    """Remove the slow shading from an image, or from all frames of a stack, which are normalised by shared limits.

    Raises
    ------
    InputError
        If a frame is not finite.
    Cancelled
        If the job was asked to stop.
    """
    if not source.stack:
        for image in source.each_checked():
            yield AllFlattened(_flat(image, settings, None))
        return

    def sampled() -> Iterator[GreyImage]:
        for image in source.each_checked(source.sample()):
            token.check()
            yield image

    limits = estimate_limits(sampled(), settings)
    meta = np.empty((0, 0, 0), np.float32)
    lazy: Any = source.to_dask()
    yield AllFlattened(lazy.map_blocks(_flat_block, settings, limits, dtype=np.float32, meta=meta))


def _flat_block(block: NDArray[Any], settings: Normalisation, limits: Limits) -> NDArray[np.float32]:
    if not block.size:
        return block.astype(np.float32)
    return np.stack([_flat(check_image(frame), settings, limits) for frame in block])


def _flat(image: GreyImage, settings: Normalisation, limits: Limits | None) -> NDArray[np.float32]:
    if image.constant:
        if limits is None:
            raise InputError(f"The image is constant (every pixel is {image.darkest}): there is no shading in it.")
        return np.zeros(image.shape, np.float32)
    return normalise(image, settings, limits)
