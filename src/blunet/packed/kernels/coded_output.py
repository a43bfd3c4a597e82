"""From a tile of inputs to codes in the output map: what the layers share."""

# mypy: ignore-errors
# (numba compiles this, in its own dialect of Python)
from __future__ import annotations

import numpy as np

from blunet.packed.kernels.compiled import subroutine
from blunet.packed.kernels.layout import (
    PIXELS_16,
    PIXELS_32,
    PIXELS_64,
    POPCOUNT_PANEL,
    POPCOUNT_VECTORS,
    VECTORS_16,
    VECTORS_32,
    VECTORS_64,
    WIDE,
    WORD,
)
from blunet.packed.kernels.vector_codes import code_scaled_word, code_word
from blunet.packed.kernels.vector_products import multiply_block, popcount_block


@subroutine
def mark_existing_channels(channels, word):
    """Return the bits of the channels that exist, of the 64 channels of a word."""
    return ~np.uint64(0) >> np.uint64(max(0, WORD * (word + 1) - channels))


@subroutine
def code_floats(values, at, coding, valid, out, out_at, out_step):
    """Code 64 floats: see `code_word`. There is a branch for each of 1 to MOST_LEVELS levels."""
    levels = len(coding.gammas)
    if levels == 1:
        code_word(values, at, coding, valid, out, out_at, out_step, 1)
    elif levels == 2:
        code_word(values, at, coding, valid, out, out_at, out_step, 2)
    elif levels == 3:
        code_word(values, at, coding, valid, out, out_at, out_step, 3)
    else:
        code_word(values, at, coding, valid, out, out_at, out_step, 4)


@subroutine
def code_pixel(sums, at, coding, valid, out, position, layout):
    """Code 64 sums of a pixel: one word of every plane, the first at `position`."""
    code_floats(sums, at, coding, valid, out, position, layout.words * layout.stride)


@subroutine
def code_scaled_pixel(sums, at, scale, shift, first, coding, valid, out, position, layout):
    """Code 64 sums of a pixel, scaled and shifted: see `code_scaled_word`. Levels and places as in `code_pixel`."""
    levels, step = len(coding.gammas), layout.words * layout.stride
    if levels == 1:
        code_scaled_word(sums, at, scale, shift, first, coding, valid, out, position, step, 1)
    elif levels == 2:
        code_scaled_word(sums, at, scale, shift, first, coding, valid, out, position, step, 2)
    elif levels == 3:
        code_scaled_word(sums, at, scale, shift, first, coding, valid, out, position, step, 3)
    else:
        code_scaled_word(sums, at, scale, shift, first, coding, valid, out, position, step, 4)


@subroutine
def multiply_pixels(values, step, count, matrix, coding, out, layout, positions, sums):
    """Multiply a tile of floats with a matrix and code the sums.

    Parameters
    ----------
    values : float32
        Value k of pixel p at ``p * step + k``; BLOCK_PIXELS more than `count` are readable.
    step, count : int
    matrix : FloatMatrix
    coding, out, layout : Coding, uint64, MapLayout
        Of the output.
    positions : int64, (count,)
        Where the pixels' words of plane 0 lie in `out`.
    sums : float32, (BLOCK_PIXELS * WORD,)
        For the sums of a block.
    """
    depth, panel, filters = matrix.weights.shape[1], matrix.panel, len(matrix.bias)
    pixels = PIXELS_64 if panel == 64 else PIXELS_32 if panel == 32 else PIXELS_16
    for word in range(layout.words):
        valid = mark_existing_channels(layout.channels, word)
        for start in range(0, count, pixels):
            for f in range(0, min(WORD, filters - WORD * word), panel):
                first, at = WORD * word + f, start * step
                if WIDE:
                    if panel == 64:
                        multiply_block(
                            values, at, step, depth, matrix, first * depth, first, sums, f, PIXELS_64, VECTORS_64
                        )
                    elif panel == 32:
                        multiply_block(
                            values, at, step, depth, matrix, first * depth, first, sums, f, PIXELS_32, VECTORS_32
                        )
                    else:
                        multiply_block(
                            values, at, step, depth, matrix, first * depth, first, sums, f, PIXELS_16, VECTORS_16
                        )
                else:
                    multiply_block(
                        values, at, step, depth, matrix, first * depth, first, sums, f, PIXELS_16, VECTORS_16
                    )
            for p in range(start, min(start + pixels, count)):
                code_pixel(sums, WORD * (p - start), coding, valid, out, positions[p] + word * layout.stride, layout)


@subroutine
def popcount_pixels(bits, at, depth, matrix, word, levels, base, base_at, sums, pixels):
    """Compute 64 sums each of one or two pixels from bit planes.

    Parameters
    ----------
    bits, at : Bits, int
        The first pixel's bits.
    depth : int
        Words to a plane of a pixel.
    matrix, base : BitMatrix, float32
        The weights, and their base, taken out once.
    word : int
        Which 64 filters.
    levels : int
        Planes of the source.
    base_at : int
        Where the base of the first filter lies.
    sums : float32
        For the sums, 64 a pixel.
    pixels : {1, 2}
    """
    weights_plane = depth * POPCOUNT_PANEL
    panels, weight_levels = matrix.weights.shape[:2]
    for panel in range(min(WORD // POPCOUNT_PANEL, panels - WORD // POPCOUNT_PANEL * word)):
        f = panel * POPCOUNT_PANEL
        weights_at = (WORD // POPCOUNT_PANEL * word + panel) * weight_levels * weights_plane
        if WIDE and levels == 3 and weight_levels == 3:
            for p in range(pixels):
                popcount_block(
                    bits, at + p, depth, matrix, weights_at, weights_plane, 0, base, base_at + f, sums, WORD * p + f,
                    1, POPCOUNT_VECTORS, 3, 3,
                )  # fmt: skip
        elif WIDE and levels == 2 and weight_levels == 2 and pixels == 2:
            popcount_block(
                bits, at, depth, matrix, weights_at, weights_plane, 0, base, base_at + f, sums, f,
                2, POPCOUNT_VECTORS, 2, 2,
            )  # fmt: skip
        else:
            for p in range(pixels):
                first = WORD * p + f
                for i in range(POPCOUNT_PANEL):
                    sums[first + i] = base[base_at + f + i]
                for m in range(levels):
                    for n in range(weight_levels):
                        popcount_block(
                            bits, at + p + m * bits.plane, depth, matrix, weights_at + n * weights_plane, 0,
                            m * weight_levels + n, sums, first, sums, first, 1, POPCOUNT_VECTORS, 1, 1,
                        )  # fmt: skip
