"""The slow change of brightness across an image, such as the shading of DIC."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

#: The image is averaged over this many blocks per sigma before it is blurred: far less work, no visible difference.
BLOCKS_PER_SIGMA = 4


class SlowBackground:
    """The slow background of an image: a Gaussian blur of block means, from which parts are interpolated linearly.

    The borders are continued by reflection.

    Parameters
    ----------
    shape : (Y, X)
    sigma : float
        Standard deviation of the Gaussian in pixels.
    bands : iterable of (slice, ndarray)
        Rows of the image and their values, from top to bottom.
    """

    def __init__(
        self, shape: tuple[int, ...], sigma: float, bands: Iterable[tuple[slice, NDArray[np.floating[Any]]]]
    ) -> None:
        from scipy.ndimage import gaussian_filter

        height, width = shape
        rows, columns = (math.ceil(size / max(1, int(sigma / BLOCKS_PER_SIGMA))) for size in shape)
        down, across = _averaging(height, rows), _averaging(width, columns)
        means = np.empty((rows, columns), np.float32)
        block_of = ((np.arange(height) + 0.5) * rows / height).astype(int)
        begun = np.zeros((1, width), np.float32)  # the block that the next band goes on with, averaged over rows
        for where, values in bands:
            start, stop, _ = where.indices(height)
            first, last = block_of[start], block_of[stop - 1]
            halfway = (down[first : last + 1, where] @ values).astype(np.float32, copy=False)
            halfway[0] += begun[0]
            done = last + 1 - first - (stop < height and block_of[stop] == last)
            if done:
                means[first : first + done] = (across @ np.ascontiguousarray(halfway[:done].T)).T
            begun = halfway[done:] if done <= last - first else np.zeros((1, width), np.float32)
        self._blurred = gaussian_filter(means, (sigma * rows / height, sigma * columns / width), mode="reflect")
        self._down, self._across = _interpolation(height, rows), _interpolation(width, columns)

    def part(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Return the background between these rows and columns."""
        halfway = np.ascontiguousarray((self._down[rows] @ self._blurred).T)
        return np.ascontiguousarray((self._across[columns] @ halfway).T, np.float32)


def _averaging(size: int, blocks: int) -> csr_array:
    """Return the (blocks, size) matrix that averages pixels over blocks of nearly equal length."""
    from scipy.sparse import csr_array

    pixels = np.arange(size)
    block = ((pixels + 0.5) * blocks / size).astype(int)
    weights = (1 / np.bincount(block))[block].astype(np.float32)
    return csr_array((weights, (block, pixels)), shape=(blocks, size))


def _interpolation(size: int, blocks: int) -> csr_array:
    """Return the (size, blocks) matrix that interpolates linearly from blocks' centres to pixels."""
    from scipy.sparse import csr_array

    pixels = np.arange(size)
    place = np.clip((pixels + 0.5) * blocks / size - 0.5, 0, blocks - 1)
    left = np.minimum(place.astype(int), max(blocks - 2, 0))
    right = np.minimum(left + 1, blocks - 1)
    share = (place - left).astype(np.float32)
    return csr_array(
        (np.concatenate([1 - share, share]), (np.tile(pixels, 2), np.concatenate([left, right]))),
        shape=(size, blocks),
    )
