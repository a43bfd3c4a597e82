"""Memory whose vectors lie within cache lines: a vector across two lines takes two loads."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.packed.kernels.compiled import subroutine

#: Bytes of a cache line, and of the widest vector register.
LINE = 64


@subroutine
def allocate_floats(count):  # type: ignore[no-untyped-def]
    """Allocate `count` float32 from the beginning of a cache line; for kernels, once in every thread."""
    memory = np.empty(count + LINE // 4, np.float32)
    return memory[(LINE - memory.ctypes.data % LINE) % LINE // 4 :]


def align(array: NDArray[Any]) -> NDArray[Any]:
    """Return a C-contiguous copy that begins with a cache line."""
    memory = np.empty(array.nbytes + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    copy: NDArray[Any] = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy
