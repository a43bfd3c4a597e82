"""Images that are read in windows: of a file with tiles or chunks only those that a window needs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError
from blunet.images.grey_image import GreyImage

#: Chunks that were read are kept up to this many bytes, for the windows that follow.
CACHED_BYTES = 2**27
#: Bands of whole rows have about this many pixels.
PIXELS_PER_BAND = 2**21
#: The sample of an image has blocks at about this many places along each side.
PLACES = 256
#: Side of these blocks, in pixels.
BLOCK = 3


class ImageWindows(Protocol):
    """A grey image (Y, X) that is read in windows, such as ``image[0:100, 50:60]``: a NumPy array, or a file."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def __getitem__(self, window: tuple[slice, slice], /) -> NDArray[Any]: ...


class ChunkedImage:
    """An image in chunks, of which those that were read last are kept.

    Parameters
    ----------
    shape : (Y, X)
    dtype : numpy dtype
        In this machine's byte order.
    chunk : (int, int)
        Height and width of a chunk. Those at the bottom and right may be smaller.
    read : callable
        Given rows and columns of one chunk, returns its pixels.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        dtype: np.dtype[Any],
        chunk: tuple[int, int],
        read: Callable[[slice, slice], NDArray[Any]],
    ) -> None:
        self.shape, self.dtype, self.chunk = shape, dtype, chunk
        self._read = read
        self._kept: OrderedDict[tuple[int, int], NDArray[Any]] = OrderedDict()
        self._bytes = 0

    def __getitem__(self, window: tuple[slice, slice], /) -> NDArray[Any]:
        """Return the pixels of these rows and columns, without steps."""
        (top, bottom), (left, right) = (
            part.indices(length)[:2] for part, length in zip(window, self.shape, strict=True)
        )
        result = np.empty((max(bottom - top, 0), max(right - left, 0)), self.dtype)
        if not result.size:
            return result
        height, width = self.chunk
        for row in range(top // height, -(-bottom // height)):
            for column in range(left // width, -(-right // width)):
                first, start = row * height, column * width
                values = self._chunk(row, column)
                rows = slice(max(top, first), min(bottom, first + height))
                columns = slice(max(left, start), min(right, start + width))
                result[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = values[
                    rows.start - first : rows.stop - first, columns.start - start : columns.stop - start
                ]
        return result

    def _chunk(self, row: int, column: int) -> NDArray[Any]:
        place = row, column
        if place in self._kept:
            self._kept.move_to_end(place)
            return self._kept[place]
        rows, columns = (
            slice(index * side, min((index + 1) * side, length))
            for index, side, length in zip(place, self.chunk, self.shape, strict=True)
        )
        values = self._read(rows, columns)
        self._kept[place] = values
        self._bytes += values.nbytes
        while self._bytes > CACHED_BYTES and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= dropped.nbytes
        return values


def read_bands(image: ImageWindows) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Yield the rows of an image in bands of about `PIXELS_PER_BAND`, and their pixels."""
    height, width = image.shape
    step = max(1, PIXELS_PER_BAND // width)
    for start in range(0, height, step):
        rows = slice(start, min(start + step, height))
        yield rows, image[rows, slice(0, width)]


def check_windows(image: ImageWindows, check: Callable[[], None]) -> tuple[GreyImage, NDArray[Any]]:
    """Check that an image that is read in windows is a grey image; see `check_image`.

    Parameters
    ----------
    image : ImageWindows of shape (Y, X)
    check : callable
        Called before every band. An exception that it raises ends the work.

    Returns
    -------
    image : GreyImage
        Whose values are read in windows.
    sample : ndarray
        As `sample_blocks` gives it.

    Raises
    ------
    InputError
        If it is empty, does not hold real numbers, or holds NaN or infinite values; the message says where.
    """
    shape = tuple(image.shape)
    if len(shape) != 2 or 0 in shape:
        raise InputError(f"The image has the shape {shape}; give a grey image of shape (Y, X).")
    if image.dtype.kind not in "buif":
        raise InputError(f"The image's values are of type {image.dtype}; give integers or real numbers.")
    chosen, columns = (_block_places(length) for length in shape)
    lowest, highest, sample, bad, first = None, None, [], 0, (0, 0)
    for rows, values in read_bands(image):
        check()
        if image.dtype.kind == "f" and not (finite := np.isfinite(values)).all():
            if not bad:
                row, column = divmod(int(np.argmin(finite)), shape[1])
                first = row + rows.start, column
            bad += finite.size - int(np.count_nonzero(finite))
        low, high = values.min(), values.max()
        lowest = low if lowest is None else min(lowest, low)
        highest = high if highest is None else max(highest, high)
        here = chosen[(chosen >= rows.start) & (chosen < rows.stop)] - rows.start
        sample.append(values[np.ix_(here, columns)])
    if bad:
        raise InputError(
            f"The image holds {bad} NaN or infinite value{'s' if bad > 1 else ''}, the first in row {first[0]} and "
            f"column {first[1]}, counted from 0; replace them first."
        )
    return GreyImage(cast("NDArray[Any]", image), lowest, highest), np.concatenate(sample)


def sample_blocks(image: NDArray[Any]) -> NDArray[Any]:
    """Return blocks of 3 x 3 pixels at regular places of an image (Y, X), side by side.

    Of blocks at M x N places, the result has the shape (3 M, 3 N): ``[1::3, 1::3]`` are their middles.
    """
    return image[np.ix_(*(_block_places(length) for length in image.shape))]


def _block_places(length: int) -> NDArray[np.int64]:
    """Return which rows or columns the blocks take."""
    places: NDArray[np.int64] = np.arange(0, length - BLOCK + 1, max(1, length // PLACES))[:, np.newaxis]
    return (places + np.arange(BLOCK)).ravel()
