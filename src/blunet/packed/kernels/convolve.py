"""Level 0's plain convolutions: of the grey image, and of bit planes."""

# mypy: ignore-errors
# (numba compiles this, in its own dialect of Python)
from __future__ import annotations

import numpy as np

from blunet.packed.kernels.compiled import kernel
from blunet.packed.kernels.finish import popcount_pixels, product_pixels, sign_pixel
from blunet.packed.kernels.memory import room_for_floats
from blunet.packed.kernels.target import TARGET
from blunet.packed.kernels.vector import fetch_add, popcount_sign_block

PIXELS = 2
#: Filters of a block of `popcount_sign_block`: whole words where the registers hold them.
SIGN_PANEL = 64 if TARGET.floats == 16 else 16
SIGN_VECTORS = SIGN_PANEL // TARGET.words


@kernel
def convolve_image(image, weights, bias, panel, gammas, valid, out, o, region, counter):
    """Convolve a grey image with 3 x 3 kernels, add the bias and code the sums.

    Parameters
    ----------
    image : float32, (height + 2, width + 2)
        With a border of zeros.
    weights : float32, (filters / panel, 9, panel)
    bias : float32, (filters,)
        Filters are rounded up to a multiple of 64.
    gammas : float32, (levels,)
    valid : uint64, (words,)
        The bits of filters that exist.
    out, o : uint64, Map
    region : Region
        Of the output.
    counter : int64, (1,)
        Rows that are taken.
    """
    columns = 96
    d = room_for_floats((columns + 16) * 9)
    sums = room_for_floats(16 * 64)
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
                        d[9 * p + 3 * i + j] = image[y + i, x0 + p + j]
                positions[p] = (y + 1) * o.levels * o.words * o.stride + x0 + p + 1
            product_pixels(d, 9, 9, count, weights, bias, panel, gammas, valid, out, positions, o, sums)


@kernel
def convolve_bits(source, s, offsets, weights, factors, base, gammas, valid, out, o, region, counter):
    """Convolve bit planes with binary 3 x 3 kernels, add the bias and code the sums.

    Parameters
    ----------
    source, s : uint64, Map
    offsets : int64, (K,)
        Where the words of a pixel's window lie, from that of its upper left neighbour on.
    weights : uint64, (filters / 16, levels of the weights, K, 16)
    factors : float32, (levels of the source * levels of the weights,)
        -2 times the products of their gammas.
    base : float32, (4 * 4 * filters,)
        What the count of ones is added to; the taps that lie outside differ with the missing rows (1: above, 2:
        below) and columns (1: left, 2: right).
    gammas, valid, out, o, region, counter
        As in `convolve_image`.
    """
    sums = room_for_floats(16 * 64)
    plane = s.words * s.stride
    filters = o.words * 64
    while True:
        y = region.top + fetch_add(counter, 1)
        if y >= region.bottom:
            break
        missing = (1 if y == 0 else 0) + (2 if y == o.height - 1 else 0)
        for word in range(o.words):
            x = region.left
            while x < region.right:
                side = (1 if x == 0 else 0) + (2 if x == o.width - 1 else 0)
                pixels = 1 if side or x + PIXELS >= min(o.width, region.right + 1) else PIXELS
                at = y * s.levels * plane + x
                popcount_pixels(
                    source, at, plane, offsets, weights, word, factors, s.levels, base,
                    (missing * 4 + side) * filters + 64 * word, sums, pixels,
                )  # fmt: skip
                position = ((y + 1) * o.levels * o.words + word) * o.stride + x + 1
                for p in range(pixels):
                    sign_pixel(sums, 64 * p, gammas, valid[word], out, position + p, o)
                x += pixels


@kernel
def convolve_bits_to_signs(source, s, offsets, weights, limits, out, o, region, counter):
    """Convolve one bit plane with 3 x 3 kernels of one level, and take signs: a comparison of counts.

    Parameters
    ----------
    weights : uint64, (filters / SIGN_PANEL, K, SIGN_PANEL)
    limits : int64, (4, 4, filters)
        Most ones at which the sum is not negative, for the missing rows and columns of `convolve_bits`.
    source, s, offsets, out, o, region, counter
        As in `convolve_bits`.
    """
    depth = len(offsets)
    filters = o.words * 64
    while True:
        y = region.top + fetch_add(counter, 1)
        if y >= region.bottom:
            break
        missing = (1 if y == 0 else 0) + (2 if y == o.height - 1 else 0)
        for panel in range(filters // SIGN_PANEL):
            f = panel * SIGN_PANEL
            shift = f % 64
            row = ((y + 1) * o.words + f // 64) * o.stride + 1
            first = y * s.words * s.stride
            for x in (0, o.width - 1):
                if x < region.left or x >= region.right:
                    continue
                side = (1 if x == 0 else 0) + (2 if x == o.width - 1 else 0)
                popcount_sign_block(
                    source, first + x, offsets, depth, weights, f * depth, limits, (missing * 4 + side) * filters + f,
                    out, row + x, 1, shift, 1, SIGN_VECTORS,
                )  # fmt: skip
            x = max(1, region.left)
            stop = min(o.width - 1, region.right)
            while x + PIXELS <= stop:
                popcount_sign_block(
                    source, first + x, offsets, depth, weights, f * depth, limits, missing * 4 * filters + f,
                    out, row + x, 1, shift, PIXELS, SIGN_VECTORS,
                )  # fmt: skip
                x += PIXELS
            while x < stop:
                popcount_sign_block(
                    source, first + x, offsets, depth, weights, f * depth, limits, missing * 4 * filters + f,
                    out, row + x, 1, shift, 1, SIGN_VECTORS,
                )  # fmt: skip
                x += 1
