"""What the processor does at most: the blocks that the kernels are made of, on data that never leave a core."""

# mypy: ignore-errors
# (numba compiles this, in its own dialect of Python)
from __future__ import annotations

from blunet.packed.kernels.compiled import kernel
from blunet.packed.kernels.finish import PIXELS16, POPCOUNT_VECTORS, VECTORS16, VECTORS64, WIDE
from blunet.packed.kernels.vector import multiply_block, popcount_block

DEPTH = 256
#: Multiply-adds of floats, and of bits, in one repetition.
FLOAT_PRODUCTS = DEPTH * (6 * 64 if WIDE else PIXELS16 * 16)
BIT_PRODUCTS = DEPTH * 64 * (2 * 2 * 2 * 16 if WIDE else 16)


@kernel
def float_loop(d, w, bias, sums, repetitions):
    """Multiply float32 matrices, `repetitions` times FLOAT_PRODUCTS multiply-adds."""
    for _ in range(repetitions):
        if WIDE:
            multiply_block(d, 0, DEPTH + 16, w, 0, DEPTH, bias, 0, sums, 0, 6, VECTORS64)
        else:
            multiply_block(d, 0, DEPTH + 16, w, 0, DEPTH, bias, 0, sums, 0, PIXELS16, VECTORS16)


@kernel
def popcount_loop(a, offsets, w, factors, base, sums, repetitions):
    """XNOR and count bits, `repetitions` times BIT_PRODUCTS products of two signs."""
    for _ in range(repetitions):
        if WIDE:
            popcount_block(
                a, 0, DEPTH * 8, offsets, DEPTH, w, 0, DEPTH * 16, factors, base, 0, sums, 0, 2, POPCOUNT_VECTORS, 2, 2
            )
        else:
            popcount_block(a, 0, 0, offsets, DEPTH, w, 0, 0, factors, base, 0, sums, 0, 1, POPCOUNT_VECTORS, 1, 1)
