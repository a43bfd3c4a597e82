"""Room for large arrays."""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Arrays of more bytes lie in a temporary file.
IN_MEMORY = 2**30


def room(shape: tuple[int, ...], dtype: type) -> NDArray[Any]:
    """Return zeros: in memory, or, if they are many, in a temporary file that goes with them."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if size <= IN_MEMORY:
        return np.zeros(shape, dtype)
    with tempfile.TemporaryFile() as file:
        file.truncate(size)
        return np.memmap(file, dtype, "r+", shape=shape)
