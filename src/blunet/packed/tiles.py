"""Images of any size: padding by reflection, and tiles with a halo as wide as the network's reach."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from blunet.architecture import NetworkSettings, compute_reach
from blunet.packed.rounding import round_up

#: Rows and columns.
Slices = tuple[slice, slice]


@dataclass(frozen=True)
class Tile:
    """One tile of an image.

    Attributes
    ----------
    extent : (slice, slice)
        Rows and columns of the image that the network sees: the core with its halo.
    core : (slice, slice)
        Rows and columns of the image whose result comes from this tile.
    inside : (slice, slice)
        The core's rows and columns within the extent.
    """

    extent: Slices
    core: Slices
    inside: Slices


class ReadableImage(Protocol):
    """An image that is read in parts."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        ...

    def part(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Return the pixels of these rows and columns."""
        ...


def pad_to_multiple(image: NDArray[np.float32], multiple: int) -> NDArray[np.float32]:
    """Pad an image (Y, X) by reflection at the bottom and right until its sides are multiples of `multiple`.

    The border pixels are not repeated. An image that is smaller than the padding is reflected several times.
    """
    down, right = (-n % multiple for n in image.shape)
    return np.pad(image, ((0, down), (0, right)), mode="reflect")


def pad_shape(shape: tuple[int, int], multiple: int) -> tuple[int, int]:
    """Return the shape that `pad_to_multiple` pads an image of `shape` to."""
    return round_up(shape[0], multiple), round_up(shape[1], multiple)


def read_padded(image: ReadableImage, extent: Slices) -> NDArray[np.float32]:
    """Return a part of the image that `pad_to_multiple` would give, reading only the pixels that it needs."""
    rows, columns = (_reflect(size, axis) for size, axis in zip(image.shape, extent, strict=True))
    first, left = int(rows.min()), int(columns.min())
    part = image.part(slice(first, int(rows.max()) + 1), slice(left, int(columns.max()) + 1))
    if part.shape == (rows.size, columns.size):
        return part
    return np.ascontiguousarray(part[np.ix_(rows - first, columns - left)])


def crop_to_image(part: Slices, shape: tuple[int, int]) -> Slices:
    """Return the rows and columns of a part that lie in an image of `shape`."""
    rows, columns = (slice(min(axis.start, n), min(axis.stop, n)) for axis, n in zip(part, shape, strict=True))
    return rows, columns


def compute_halo(settings: NetworkSettings) -> int:
    """Return the pixels that a tile needs around its core: the network's reach, as a multiple that it accepts."""
    return round_up(max(compute_reach(settings)), settings.multiple)


def split_into_tiles(shape: tuple[int, int], size: int, settings: NetworkSettings) -> Iterator[Tile]:
    """Split an image into tiles whose results, put side by side, equal that of the whole image.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the image, multiples of ``settings.multiple``.
    size : int
        Largest side of a core in pixels, rounded up to a multiple. The cores along an axis are about equal.
    settings : NetworkSettings

    Yields
    ------
    Tile
        Row by row. Cores cover the image without overlap; the origins of cores and extents are multiples of
        ``settings.multiple``. There is no halo at the image's border, where the network pads as for the whole image.
    """
    rows, columns = (list(_split_axis(n, size, settings)) for n in shape)
    for row in rows:
        for column in columns:
            extent, core, inside = zip(row, column, strict=True)
            yield Tile(extent, core, inside)


def _split_axis(length: int, size: int, settings: NetworkSettings) -> Iterator[tuple[slice, slice, slice]]:
    """Yield extent, core and inside of the tiles along one axis."""
    halo = compute_halo(settings)
    count = -(-length // round_up(size, settings.multiple))
    step = round_up(-(-length // count), settings.multiple)
    for start in range(0, length, step):
        stop = min(start + step, length)
        first, last = max(start - halo, 0), min(stop + halo, length)
        yield slice(first, last), slice(start, stop), slice(start - first, stop - first)


def _reflect(size: int, extent: slice) -> NDArray[np.int64]:
    """Return which pixels of an axis lie in an extent of the padded axis."""
    period = max(2 * size - 2, 1)
    places = np.arange(extent.start, extent.stop) % period
    return np.minimum(places, period - places) if size > 1 else np.zeros(places.size, np.int64)
