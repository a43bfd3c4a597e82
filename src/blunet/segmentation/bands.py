"""Bands and windows, by which the work on large images takes the memory for a piece only."""

from __future__ import annotations

from collections.abc import Iterator

#: Rows and columns of a window of a wide image.
WINDOW = 512, 4096
#: About this many pixels are in a band.
PIXELS_PER_BAND = 2**21


def split_into_bands(shape: tuple[int, ...], pixels: int = PIXELS_PER_BAND) -> Iterator[slice]:
    """Yield the rows of an image of `shape` (Y, X) in bands of about so many pixels."""
    step = max(1, pixels // max(shape[1], 1))
    for start in range(0, shape[0], step):
        yield slice(start, min(start + step, shape[0]))


def split_into_windows(shape: tuple[int, ...], window: tuple[int, int] = WINDOW) -> Iterator[tuple[slice, slice]]:
    """Yield rows and columns of an image of `shape` (Y, X) in windows: bands, which are parted where they are wide."""
    (height, width), (rows, columns) = shape, window
    step = rows if width > columns else max(rows, PIXELS_PER_BAND // max(width, 1))
    for top in range(0, height, step):
        for left in range(0, width, columns):
            yield slice(top, min(top + step, height)), slice(left, min(left + columns, width))
