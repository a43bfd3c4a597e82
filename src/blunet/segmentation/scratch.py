"""Arrays that are kept on disk while an image is worked on that does not fit into memory."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.files import reporting
from blunet.images.image_windows import ImageWindows
from blunet.segmentation.tiled_parts import WindowArray

#: Side of the chunks of an array, in pixels.
CHUNK = 512


class CheckedArray:
    """An array that is read in windows, with a check before each of them, so that work on it can be stopped."""

    def __init__(self, array: ImageWindows, check: Callable[[], None]) -> None:
        self._array, self._check = array, check
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, window: tuple[slice, slice], /) -> NDArray[Any]:
        self._check()
        return self._array[window]


class Scratch:
    """A hidden temporary folder of arrays, which is removed at the end of a `with` statement.

    Parameters
    ----------
    folder : Path
        Where the temporary folder is made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with reporting(folder):
            self._place = tempfile.TemporaryDirectory(prefix=".blunet-", dir=folder, ignore_cleanup_errors=True)

    def __enter__(self) -> Scratch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._place.cleanup()

    def make(self, name: str, shape: tuple[int, ...], dtype: type) -> WindowArray:
        """Make a compressed array of zeros, which is read and written in windows as a NumPy array is.

        Raises
        ------
        InputError
            If the disk is full or the folder cannot be written to.
        """
        import zarr
        from zarr.codecs import BloscCodec

        with reporting(self.folder):
            array: Any = zarr.create_array(
                str(Path(self._place.name, name)),
                shape=shape,
                chunks=tuple(min(CHUNK, length) for length in shape),
                dtype=np.dtype(dtype),
                fill_value=0,
                compressors=BloscCodec(cname="lz4", clevel=3, shuffle="shuffle"),
            )
            made: WindowArray = array
            return made
