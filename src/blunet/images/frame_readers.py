"""How a `FrameSource` reads its frames, and shows them as a dask array."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError
from blunet.images.image_reader import is_tiff, read_frames
from blunet.images.image_windows import ChunkedImage, ImageWindows
from blunet.images.plane_choice import PlaneImage, choose_sharpest
from blunet.images.tiff_windows import open_tiff_windows

if TYPE_CHECKING:
    from dask.array import Array

Reader = Callable[[Sequence[int]], Iterator[NDArray[Any]]]
"""Given indices of frames, yields the frames (Y, X), one in memory at a time."""


@dataclass(frozen=True)
class FileReader:
    """Reads frames of a file that was opened when it had this shape (Y, X) and type."""

    path: Path
    shape: tuple[int, int]
    dtype: np.dtype[Any]

    def __call__(self, indices: Sequence[int]) -> Iterator[NDArray[Any]]:
        for frame in read_frames(self.path, indices):
            if frame.shape != self.shape or frame.dtype != self.dtype:
                raise self._changed()
            yield frame

    @contextlib.contextmanager
    def windows(self, index: int) -> Iterator[ImageWindows | None]:
        """Open a frame to be read in windows; None if the file does not allow it."""
        if not is_tiff(self.path):
            yield None
            return
        with open_tiff_windows(self.path, index) as windows:
            if windows is not None and (windows.shape != self.shape or windows.dtype != self.dtype):
                raise self._changed()
            yield windows

    def _changed(self) -> InputError:
        return InputError(f"'{self.path}' has changed since it was opened; open it again.")


@dataclass(frozen=True)
class PlaneReader:
    """Reads frames of one channel of an image with several axes.

    Parameters
    ----------
    image : PlaneImage
    channel : int
    z : int, "best-focus" or None
        Slice of each frame in time; None: the frames are the slices.
    """

    image: PlaneImage
    channel: int
    z: int | str | None

    def __call__(self, indices: Sequence[int]) -> Iterator[NDArray[Any]]:
        with self.image.opened() as read:
            for index in indices:
                if self.z is None:
                    frame = read(0, self.channel, index)
                elif isinstance(self.z, int):
                    frame = read(index, self.channel, self.z)
                else:
                    frame = choose_sharpest(read(index, self.channel, z) for z in range(self.image.size("z")))
                yield frame.astype(frame.dtype.newbyteorder("="), copy=False)

    @contextlib.contextmanager
    def windows(self, index: int) -> Iterator[ImageWindows | None]:
        """Open a frame to be read in windows; None if the file does not allow it."""
        if isinstance(self.z, str):
            yield None
            return
        t, z = (0, index) if self.z is None else (index, self.z)
        with self.image.windows(t, self.channel, z) as windows:
            yield windows


@dataclass(frozen=True)
class ArrayReader:
    """Takes frames out of an array (Y, X) or (T, Y, X); those of a dask array are computed one at a time."""

    array: Any

    def __call__(self, indices: Sequence[int]) -> Iterator[NDArray[Any]]:
        stack = len(self.array.shape) == 3
        for index in indices:
            yield np.asarray(self.array[index] if stack else self.array)

    @contextlib.contextmanager
    def windows(self, index: int) -> Iterator[ImageWindows | None]:
        """Yield a frame, of which windows are read or computed where they are needed."""
        frames = (index,) if len(self.array.shape) == 3 else ()
        if isinstance(self.array, np.ndarray):
            yield self.array[frames]
            return
        height, width = self.array.shape[-2:]

        def read(rows: slice, columns: slice) -> NDArray[Any]:
            return np.asarray(self.array[(*frames, rows, columns)])

        chunk = _chunk_of(self.array)
        yield ChunkedImage((int(height), int(width)), np.dtype(self.array.dtype), chunk, read)

    def as_dask(self) -> Array | None:
        """Return the array with one chunk per frame if it is a dask array, else None."""
        import dask.array as da

        if not isinstance(self.array, da.Array):
            return None
        shape = self.array.shape
        chunks = (1, *shape[1:]) if len(shape) == 3 else shape
        array: Array = self.array.rechunk(chunks)  # type: ignore[no-untyped-call]
        return array


def _chunk_of(array: Any) -> tuple[int, int]:
    """Return height and width of the chunks of a dask or Zarr array, or of pieces of another one."""
    sides = []
    for chunks, length in zip(getattr(array, "chunks", (1024, 1024))[-2:], array.shape[-2:], strict=True):
        side = chunks if isinstance(chunks, int) else max(chunks)
        sides.append(min(side, int(length)))
    return sides[0], sides[1]


def make_lazy_array(
    shape: tuple[int, ...], dtype: np.dtype[Any], each: Callable[[Iterable[int]], Iterator[NDArray[Any]]]
) -> Array:
    """Return a dask array with one chunk per frame, which reads its frames when they are computed.

    Parameters
    ----------
    shape : (Y, X) or (T, Y, X)
    dtype : numpy dtype
    each : callable
        Given indices of frames, yields the frames (Y, X).
    """
    import dask.array as da

    chunks = (1, *shape[1:]) if len(shape) == 3 else shape
    meta = np.empty((0,) * len(shape), dtype)
    array: Array = da.from_array(  # type: ignore[no-untyped-call]
        _Frames(shape, dtype, each), chunks, name=False, asarray=False, inline_array=True, meta=meta
    )
    return array


class _Frames:
    """What dask needs of an array: slicing it reads the frames that the slice covers."""

    def __init__(
        self, shape: tuple[int, ...], dtype: np.dtype[Any], each: Callable[[Iterable[int]], Iterator[NDArray[Any]]]
    ) -> None:
        self.shape, self.dtype, self.ndim = shape, dtype, len(shape)
        self._each = each

    def __getitem__(self, key: tuple[Any, ...]) -> NDArray[Any]:
        frames, *rest = key if self.ndim == 3 else (0, *key)
        indices = np.arange(self.shape[0])[frames]
        if not np.ndim(indices):
            part: NDArray[Any] = next(self._each([int(indices)]))[tuple(rest)]
            return part
        return np.stack([frame[tuple(rest)] for frame in self._each(indices.tolist())])
