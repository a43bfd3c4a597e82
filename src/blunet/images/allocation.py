"""Large arrays, in memory or on disk."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.errors import temporary_folder_error

#: Arrays of more bytes than this lie in a temporary file.
IN_MEMORY = 2**30


def allocate(shape: tuple[int, ...], dtype: type) -> NDArray[Any]:
    """Return an array of zeros: in memory, or, past `IN_MEMORY`, in a temporary file that is deleted with it.

    Raises
    ------
    InputError
        If the folder of temporary files has no space for it.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if size <= IN_MEMORY:
        return np.zeros(shape, dtype)
    try:
        with tempfile.TemporaryFile() as file:
            _reserve(file.fileno(), size)
            return np.memmap(file, dtype, "r+", shape=shape)
    except OSError as e:
        raise temporary_folder_error(e) from e


def _reserve(file: int, size: int) -> None:
    """Give a file its size, with space on the disk: writing to a mapped file on a full disk would end the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:
        os.truncate(file, size)
