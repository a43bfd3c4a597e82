"""Measuring the labels of a layer, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.images.frame_source import FrameSource
from blunet.images.pixel_size import PixelSize
from blunet.jobs.events import CancelToken
from blunet.segmentation.measurements import measure


def measure_frames(
    labels: FrameSource, image: FrameSource | None, pixel_size: PixelSize | None, token: CancelToken
) -> Iterator[dict[str, NDArray[Any]]]:
    """Yield one table of all objects.

    Parameters
    ----------
    labels : FrameSource
        Integers; 0 is background.
    image : FrameSource, optional
        Of the same shape: grey values, for the columns of intensity.
    pixel_size : PixelSize, optional
        None: lengths are in pixels.
    token : CancelToken
        Checked between frames.

    Raises
    ------
    InputError
        If a frame cannot be read.
    Cancelled
        If the job was asked to stop.
    """
    tables = []
    for t, frame in enumerate(labels.each()):
        token.check()
        values = None if image is None else image.frame(t)
        tables.append(measure(frame, values, pixel_size=pixel_size, frame=t if labels.stack else None))
    yield {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
