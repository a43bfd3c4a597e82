"""Bands of whole rows, by which the work on large images takes the memory for a band only."""

from __future__ import annotations

from collections.abc import Iterator

#: About this many pixels are in a band.
PIXELS_PER_BAND = 2**21


def split_into_bands(shape: tuple[int, ...], pixels: int = PIXELS_PER_BAND) -> Iterator[slice]:
    """Yield the rows of an image of `shape` (Y, X) in bands of about so many pixels."""
    step = max(1, pixels // max(shape[1], 1))
    for start in range(0, shape[0], step):
        yield slice(start, min(start + step, shape[0]))
