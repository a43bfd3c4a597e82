"""Measuring labels that are there already, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.jobs.events import CancelToken
from blunet.segmentation.measure import measure


def measure_frames(
    labels: Any, image: Any | None, pixel_size: tuple[float, float] | None, unit: str | None, token: CancelToken
) -> Iterator[dict[str, NDArray[Any]]]:
    """Yield one table of all objects.

    Parameters
    ----------
    labels : array of int, shape (Y, X) or (T, Y, X)
    image : array of the same shape, optional
        Grey values, for the columns of intensity.
    pixel_size, unit
        As in `measure`.
    token : CancelToken
        Looked at between frames.

    Raises
    ------
    Cancelled
        If asked to stop.
    """
    if len(labels.shape) == 2:
        yield measure(
            np.asarray(labels), None if image is None else np.asarray(image), pixel_size=pixel_size, unit=unit
        )
        return
    tables = []
    for t in range(labels.shape[0]):
        token.check()
        frame = None if image is None else np.asarray(image[t])
        tables.append(measure(np.asarray(labels[t]), frame, pixel_size=pixel_size, unit=unit, frame=t))
    yield {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
