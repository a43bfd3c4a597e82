"""Frames on disk as one array, of which only what is looked at is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError
from blunet.images.read import ImageFile, open_image

if TYPE_CHECKING:
    from dask.array import Array


def lazy_stack(files: Sequence[ImageFile]) -> Array:
    """Return frames as a dask array of one chunk a frame; no pixel is read before it is asked for.

    Parameters
    ----------
    files : sequence of ImageFile
        One stack, or single images of one shape and type, in the order of their frames.

    Returns
    -------
    dask array of shape (T, Y, X)
        Computing a frame that has gone, is damaged or has changed its size raises InputError.
    """
    import dask.array as da

    frames = _Frames(files)
    chunks = (1, *frames.shape[1:])
    meta = np.empty((0, 0, 0), frames.dtype)
    stack: Array = da.from_array(  # type: ignore[no-untyped-call]
        frames, chunks, name=False, asarray=False, inline_array=True, meta=meta
    )
    return stack


class _Frames:
    """What dask needs to see of an array; `frames[t:t + 1]` reads frame t."""

    ndim = 3

    def __init__(self, files: Sequence[ImageFile]) -> None:
        first = files[0]
        self._paths = [file.path for file in files]
        self._stack = first if first.axes == "TYX" else None
        self.dtype = first.dtype
        self.shape = first.shape if self._stack is not None else (len(files), *first.shape)

    def __getitem__(self, key: tuple[Any, ...]) -> NDArray[Any]:
        frames, *rest = key
        indices = np.arange(self.shape[0])[frames]
        if not np.ndim(indices):
            part: NDArray[Any] = self._read(int(indices))[tuple(rest)]
            return part
        return np.stack([self._read(int(t))[tuple(rest)] for t in indices])

    def _read(self, t: int) -> NDArray[Any]:
        path = self._paths[0 if self._stack is not None else t]
        frame = open_image(path).frame() if self._stack is None else self._stack.frame(t)
        if frame.shape != self.shape[1:] or frame.dtype != self.dtype:
            raise InputError(f"'{path}' has changed since it was opened; load it again.")
        return frame
