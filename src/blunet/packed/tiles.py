"""Images of any size: padding by reflection, and tiles with a halo as wide as the network looks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from blunet.architecture import NetworkSettings, compute_reach

Window = tuple[slice, slice]


@dataclass(frozen=True)
class Tile:
    """One tile of an image.

    Attributes
    ----------
    window : (slice, slice)
        What the network is given, halo included, as rows and columns of the image.
    core : (slice, slice)
        The part of the image whose result is taken from this tile.
    inside : (slice, slice)
        Where the core lies in the window.
    """

    window: Window
    core: Window
    inside: Window


def pad_to_multiple(image: NDArray[np.float32], multiple: int) -> NDArray[np.float32]:
    """Pad an image (Y, X) by reflection at the bottom and right until its sides are multiples of `multiple`.

    The border pixels are not repeated; an image smaller than the padding is reflected as often as needed.
    """
    down, right = (-n % multiple for n in image.shape)
    return np.pad(image, ((0, down), (0, right)), mode="reflect")


class Parts(Protocol):
    """An image that gives parts of itself."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        ...

    def part(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Return the pixels between these rows and columns."""
        ...


def padded_shape(shape: tuple[int, int], multiple: int) -> tuple[int, int]:
    """Return the shape that `pad_to_multiple` pads an image of `shape` to."""
    return _round_up(shape[0], multiple), _round_up(shape[1], multiple)


def padded_part(image: Parts, window: Window) -> NDArray[np.float32]:
    """Return what `pad_to_multiple` would show in a window, reading no more of the image than that takes."""
    rows, columns = (_reflected(size, w) for size, w in zip(image.shape, window, strict=True))
    first, left = int(rows.min()), int(columns.min())
    part = image.part(slice(first, int(rows.max()) + 1), slice(left, int(columns.max()) + 1))
    if part.shape == (rows.size, columns.size):
        return part
    return np.ascontiguousarray(part[np.ix_(rows - first, columns - left)])


def cropped(window: Window, shape: tuple[int, int]) -> Window:
    """Return the part of a window that lies in an image of `shape`."""
    rows, columns = (slice(min(w.start, n), min(w.stop, n)) for w, n in zip(window, shape, strict=True))
    return rows, columns


def _reflected(size: int, window: slice) -> NDArray[np.int64]:
    """Return which pixels of an axis a padded window shows."""
    period = max(2 * size - 2, 1)
    places = np.arange(window.start, window.stop) % period
    return np.minimum(places, period - places) if size > 1 else np.zeros(places.size, np.int64)


def halo(settings: NetworkSettings) -> int:
    """Pixels that a tile needs around its core: the network's reach, rounded up to a multiple of its step."""
    return _round_up(max(compute_reach(settings)), settings.multiple)


def tiles(shape: tuple[int, int], size: int, settings: NetworkSettings) -> Iterator[Tile]:
    """Cut an image into tiles whose results, put side by side, equal that of the whole image.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the image, multiples of ``settings.multiple``.
    size : int
        The side of a core is at most this many pixels, rounded up to a multiple; cores of an axis are about
        equal.
    settings : NetworkSettings

    Yields
    ------
    Tile
        Row by row. Cores cover the image without overlap; the origins of cores and windows are multiples of
        ``settings.multiple``. At the image's border is no halo: the network pads as for the whole image.
    """
    rows, columns = (list(_spans(n, size, settings)) for n in shape)
    for row in rows:
        for column in columns:
            window, core, inside = zip(row, column, strict=True)
            yield Tile(window, core, inside)


def _spans(length: int, size: int, settings: NetworkSettings) -> Iterator[tuple[slice, slice, slice]]:
    """Yield window, core and inside of the tiles along one axis."""
    margin = halo(settings)
    count = -(-length // _round_up(size, settings.multiple))
    step = _round_up(-(-length // count), settings.multiple)
    for start in range(0, length, step):
        stop = min(start + step, length)
        first, last = max(start - margin, 0), min(stop + margin, length)
        yield slice(first, last), slice(start, stop), slice(start - first, stop - first)


def _round_up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple
