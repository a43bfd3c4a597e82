"""Level 0's plain convolutions: of the grey image, and of bit planes."""

# mypy: ignore-errors
# (numba compiles this, in its own dialect of Python)
from __future__ import annotations

import numpy as np

from blunet.packed.kernels.coded_output import (
    code_pixel,
    code_scaled_pixel,
    mark_existing_channels,
    multiply_pixels,
    popcount_pixels,
)
from blunet.packed.kernels.compiled import kernel
from blunet.packed.kernels.layout import (
    BLOCK_PIXELS,
    POPCOUNT_PIXELS,
    SIGN_PANEL,
    SIGN_VECTORS,
    WORD,
)
from blunet.packed.kernels.memory import allocate_floats
from blunet.packed.kernels.traversal import fetch_add, find_missing_neighbours
from blunet.packed.kernels.vector_products import popcount_sign_block


@kernel
def convolve_image(image, matrix, out, region, counter):
    """Convolve a grey image with 3 x 3 kernels, add the bias and code the sums.

    Parameters
    ----------
    image : float32, (height + 2, width + 2)
        With a border of zeros.
    matrix : FloatMatrix
        Of depth 9.
    out : CodedMap
    region : Region
        Of the output.
    counter : int64, (1,)
        Rows that threads have begun.
    """
    words, layout, coding = out.words, out.layout, out.coding
    columns, step = 96, matrix.weights.shape[1]
    values = allocate_floats((columns + BLOCK_PIXELS) * step)
    sums = allocate_floats(BLOCK_PIXELS * WORD)
    positions = np.empty(columns, np.int64)
    while True:
        y = region.top + fetch_add(counter, 1)
        if y >= region.bottom:
            break
        for x0 in range(region.left, region.right, columns):
            count = min(columns, region.right - x0)
            for p in range(count):
                for i in range(3):
                    for j in range(3):
                        values[step * p + 3 * i + j] = image[y + i, x0 + p + j]
                positions[p] = (y + 1) * layout.levels * layout.words * layout.stride + x0 + p + 1
            multiply_pixels(values, step, count, matrix, coding, words, layout, positions, sums)


@kernel
def convolve_bits(bits, matrix, out, region, counter):
    """Convolve bit planes with binary 3 x 3 kernels, add the bias and code the sums.

    Parameters
    ----------
    bits : Bits
        Of a pixel's neighbourhood (see `find_neighbourhood_bits`).
    matrix : BitMatrix
    out, region, counter
        As in `convolve_image`.
    """
    words, layout, coding, base = out.words, out.layout, out.coding, matrix.base
    scale, shift = matrix.scale, matrix.shift
    depth, levels = len(bits.offsets), len(matrix.factors) // matrix.weights.shape[1]
    sums = allocate_floats(POPCOUNT_PIXELS * WORD)
    filters = layout.words * WORD
    while True:
        y = region.top + fetch_add(counter, 1)
        if y >= region.bottom:
            break
        rows = find_missing_neighbours(y, layout.height)
        for word in range(layout.words):
            valid = mark_existing_channels(layout.channels, word)
            x = region.left
            while x < region.right:
                columns = find_missing_neighbours(x, layout.width)
                single = columns or x + POPCOUNT_PIXELS >= min(layout.width, region.right + 1)
                pixels = 1 if single else POPCOUNT_PIXELS
                popcount_pixels(
                    bits, y * levels * bits.plane + x, depth, matrix, word, levels,
                    base, (4 * rows + columns) * filters + WORD * word, sums, pixels,
                )  # fmt: skip
                position = ((y + 1) * layout.levels * layout.words + word) * layout.stride + x + 1
                for p in range(pixels):
                    if len(scale):
                        code_scaled_pixel(
                            sums, WORD * p, scale, shift, WORD * word, coding, valid, words, position + p, layout
                        )
                    else:
                        code_pixel(sums, WORD * p, coding, valid, words, position + p, layout)
                x += pixels


@kernel
def convolve_bits_to_signs(bits, matrix, out, region, counter):
    """Convolve one bit plane with 3 x 3 kernels of one level, and take signs: a comparison of counts.

    Parameters
    ----------
    matrix : SignMatrix
    bits, out, region, counter
        As in `convolve_bits`.
    """
    words, layout = out.words, out.layout
    depth = len(bits.offsets)
    filters = layout.words * WORD
    while True:
        y = region.top + fetch_add(counter, 1)
        if y >= region.bottom:
            break
        rows = find_missing_neighbours(y, layout.height)
        for panel in range(filters // SIGN_PANEL):
            f = panel * SIGN_PANEL
            shift = f % WORD
            row = ((y + 1) * layout.words + f // WORD) * layout.stride + 1
            first = y * bits.plane
            for x in (0, layout.width - 1):
                if x < region.left or x >= region.right:
                    continue
                columns = find_missing_neighbours(x, layout.width)
                popcount_sign_block(
                    bits, first + x, depth, matrix, f * depth, (4 * rows + columns) * filters + f,
                    words, row + x, 1, shift, 1, SIGN_VECTORS,
                )  # fmt: skip
            x = max(1, region.left)
            stop = min(layout.width - 1, region.right)
            limits_at = 4 * rows * filters + f
            while x + POPCOUNT_PIXELS <= stop:
                popcount_sign_block(
                    bits, first + x, depth, matrix, f * depth, limits_at,
                    words, row + x, 1, shift, POPCOUNT_PIXELS, SIGN_VECTORS,
                )  # fmt: skip
                x += POPCOUNT_PIXELS
            while x < stop:
                popcount_sign_block(
                    bits, first + x, depth, matrix, f * depth, limits_at, words, row + x, 1, shift, 1, SIGN_VECTORS
                )
                x += 1
