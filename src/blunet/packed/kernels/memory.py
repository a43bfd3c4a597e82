"""Memory whose vectors lie within cache lines: a vector across two lines takes two loads."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.packed.kernels.compiled import part

#: Bytes of a cache line, and of the widest vector register.
LINE = 64


@part
def room_for_floats(count):  # type: ignore[no-untyped-def]
    """Return room for `count` float32 that begins with a cache line; for kernels, one in every thread."""
    room = np.empty(count + LINE // 4, np.float32)
    return room[(LINE - room.ctypes.data % LINE) % LINE // 4 :]


def lined_up(array: NDArray[Any]) -> NDArray[Any]:
    """Return a copy of a C-contiguous array that begins with a cache line."""
    room = np.empty(array.nbytes + LINE, np.uint8)
    start = -room.ctypes.data % LINE
    copy: NDArray[Any] = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy
