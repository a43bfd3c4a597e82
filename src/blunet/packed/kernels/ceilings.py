"""What the processor does at most: the kernels' blocks, on data that never leave a core."""

# mypy: ignore-errors
# (numba compiles this, in its own dialect of Python)
from __future__ import annotations

import numpy as np

from blunet.packed.kernels.compiled import kernel
from blunet.packed.kernels.layout import (
    BLOCK_PIXELS,
    CHUNK,
    NO_SCALE,
    PIXELS_16,
    PIXELS_64,
    POPCOUNT_PANEL,
    POPCOUNT_VECTORS,
    VECTORS_16,
    VECTORS_64,
    WIDE,
    WORD,
    BitMatrix,
    Bits,
    FloatMatrix,
    Floats,
)
from blunet.packed.kernels.vector_products import multiply_block, popcount_block

DEPTH = 256
STEP = DEPTH + CHUNK
#: Filters and pixels of the block of floats; pixels, and pairs of planes, of that of bits.
FILTERS, FLOAT_PIXELS = (64, PIXELS_64) if WIDE else (16, PIXELS_16)
BIT_PIXELS, BIT_LEVELS = (2, 2) if WIDE else (1, 1)
#: Multiply-adds of floats, and of signs, in one repetition.
FLOAT_PRODUCTS = DEPTH * FLOAT_PIXELS * FILTERS
BIT_PRODUCTS = DEPTH * WORD * BIT_PIXELS * BIT_LEVELS**2 * POPCOUNT_PANEL


@kernel
def repeat_float_block(values, matrix, sums, repetitions):
    """Multiply float32 matrices, `repetitions` times FLOAT_PRODUCTS multiply-adds."""
    for _ in range(repetitions):
        if WIDE:
            multiply_block(values, 0, STEP, DEPTH, matrix, 0, 0, sums, 0, PIXELS_64, VECTORS_64)
        else:
            multiply_block(values, 0, STEP, DEPTH, matrix, 0, 0, sums, 0, PIXELS_16, VECTORS_16)


@kernel
def repeat_popcount_block(bits, matrix, sums, repetitions):
    """XNOR and count bits, `repetitions` times BIT_PRODUCTS products of two signs."""
    base = matrix.base
    for _ in range(repetitions):
        popcount_block(
            bits, 0, DEPTH, matrix, 0, DEPTH * POPCOUNT_PANEL, 0, base, 0, sums, 0,
            BIT_PIXELS, POPCOUNT_VECTORS, BIT_LEVELS, BIT_LEVELS,
        )  # fmt: skip


def draw_floats(rng: np.random.Generator) -> tuple[Floats, FloatMatrix]:
    """Draw the values and the matrix of `repeat_float_block`."""
    weights = rng.random((1, DEPTH, FILTERS), np.float32)
    return rng.random(BLOCK_PIXELS * STEP, np.float32), FloatMatrix(weights, np.zeros(FILTERS, np.float32), FILTERS)


def draw_bits(rng: np.random.Generator) -> tuple[Bits, BitMatrix]:
    """Draw the bits and the matrix of `repeat_popcount_block`."""
    stride = 8  # words from channel word to channel word, of as many pixels
    words = rng.integers(0, 2**64, BIT_LEVELS * DEPTH * stride, np.uint64)
    weights = rng.integers(0, 2**64, (1, BIT_LEVELS, DEPTH, POPCOUNT_PANEL), np.uint64)
    matrix = BitMatrix(weights, np.ones(BIT_LEVELS**2, np.float32), np.zeros(POPCOUNT_PANEL, np.float32), *NO_SCALE)
    return Bits(words, DEPTH * stride, np.arange(DEPTH, dtype=np.int64) * stride), matrix


def allocate_sums() -> Floats:
    """Make the memory for a block's sums."""
    return np.zeros(BLOCK_PIXELS * WORD, np.float32)
