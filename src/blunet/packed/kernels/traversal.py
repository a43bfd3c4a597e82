"""How threads share the rows of a map, and what lies around a pixel."""

# mypy: ignore-errors
# (numba compiles this, in its own dialect of Python)
from __future__ import annotations

from numba import types
from numba.extending import intrinsic

from blunet.packed.kernels.compiled import subroutine
from blunet.packed.kernels.emitter import I64, Emitter
from blunet.packed.kernels.layout import AFTER, BEFORE


@intrinsic
def fetch_add(typingctx, counter, amount):
    """``old = counter[0]; counter[0] += amount; return old``, atomically: every thread gets another number."""

    def generate(context, builder, signature, arguments):
        e = Emitter(context, builder, signature, arguments, ("counter", "amount"))
        return builder.atomic_rmw("add", e.pointer("counter", I64(0)), e["amount"], "monotonic")

    return types.int64(counter, types.int64), generate


@subroutine
def find_missing_neighbours(position, length):
    """Tell which neighbours of a position along an axis lie outside the map, as BEFORE + AFTER."""
    return (BEFORE if position == 0 else 0) + (AFTER if position == length - 1 else 0)
