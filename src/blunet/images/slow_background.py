"""The slow change of brightness across an image, as DIC's shading is."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

#: The background is blurred on means of blocks, so many to a sigma: no visible difference, far less work.
BLOCKS_PER_SIGMA = 4


def slow_background(image: NDArray[np.floating[Any]], sigma: float) -> NDArray[np.float32]:
    """Estimate an image's slow background: a Gaussian blur, computed on block means.

    Parameters
    ----------
    image : ndarray of shape (Y, X), float
        The borders are continued by reflection.
    sigma : float
        Standard deviation of the Gaussian in pixels.

    Returns
    -------
    ndarray of shape (Y, X), float32
        The blurred block means, interpolated linearly between the blocks' centres.
    """
    everything = slice(None)
    return SlowBackground(image.shape, sigma, [(slice(0, len(image)), image)]).part(everything, everything)


class SlowBackground:
    """A slow background: blurred means of blocks, from which any part is interpolated.

    Parameters
    ----------
    shape : (Y, X)
    sigma : float
        Standard deviation of the Gaussian in pixels.
    bands : iterable of (slice, ndarray)
        The image, some rows after the other.
    """

    def __init__(
        self, shape: tuple[int, ...], sigma: float, bands: Iterable[tuple[slice, NDArray[np.floating[Any]]]]
    ) -> None:
        from scipy.ndimage import gaussian_filter

        height, width = shape
        rows, columns = (math.ceil(size / max(1, int(sigma / BLOCKS_PER_SIGMA))) for size in shape)
        down, across = _averaging(height, rows), _averaging(width, columns)
        halfway = np.zeros((rows, width), np.float32)
        for where, values in bands:
            halfway += (down[:, where] @ values).astype(np.float32, copy=False)
        means = np.ascontiguousarray((across @ np.ascontiguousarray(halfway.T)).T, np.float32)
        self._blurred = gaussian_filter(means, (sigma * rows / height, sigma * columns / width), mode="reflect")
        self._down, self._across = _interpolation(height, rows), _interpolation(width, columns)

    def part(self, rows: slice, columns: slice) -> NDArray[np.float32]:
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
