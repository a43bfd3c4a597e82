"""Large arrays, in memory or on disk."""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Arrays of more bytes than this lie in a temporary file.
IN_MEMORY = 2**30


def allocate(shape: tuple[int, ...], dtype: type) -> NDArray[Any]:
    """Return an array of zeros: in memory, or, past `IN_MEMORY`, in a temporary file that is deleted with it."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if size <= IN_MEMORY:
        return np.zeros(shape, dtype)
    with tempfile.TemporaryFile() as file:
        file.truncate(size)
        return np.memmap(file, dtype, "r+", shape=shape)
