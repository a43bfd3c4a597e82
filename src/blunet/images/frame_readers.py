"""How a `FrameSource` reads its frames, and shows them as a dask array."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError
from blunet.images.image_reader import read_frames
from blunet.images.plane_choice import PlaneImage, choose_sharpest

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
                raise InputError(f"'{self.path}' has changed since it was opened; open it again.")
            yield frame


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


@dataclass(frozen=True)
class ArrayReader:
    """Takes frames out of an array (Y, X) or (T, Y, X); those of a dask array are computed one at a time."""

    array: Any

    def __call__(self, indices: Sequence[int]) -> Iterator[NDArray[Any]]:
        stack = len(self.array.shape) == 3
        for index in indices:
            yield np.asarray(self.array[index] if stack else self.array)

    def as_dask(self) -> Array | None:
        """Return the array with one chunk per frame if it is a dask array, else None."""
        import dask.array as da

        if not isinstance(self.array, da.Array):
            return None
        shape = self.array.shape
        chunks = (1, *shape[1:]) if len(shape) == 3 else shape
        array: Array = self.array.rechunk(chunks)  # type: ignore[no-untyped-call]
        return array


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
