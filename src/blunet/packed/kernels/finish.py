"""From a tile of inputs to codes in the output map: the parts that all layers share."""

# mypy: ignore-errors
# (numba compiles this, in its own dialect of Python)
from __future__ import annotations

import numpy as np

from blunet.packed.kernels.compiled import part
from blunet.packed.kernels.target import TARGET
from blunet.packed.kernels.vector import code_word, multiply_block, popcount_block

WIDE = TARGET.floats == 16
LANES, WORDS = TARGET.floats, TARGET.words
PIXELS = TARGET.pixels
PIXELS32, PIXELS16 = (12, 14) if WIDE else (PIXELS, PIXELS)
VECTORS64, VECTORS32, VECTORS16 = 64 // LANES, 32 // LANES, 16 // LANES
#: Filters of one panel of the popcount product.
POPCOUNT_PANEL = 16
POPCOUNT_VECTORS = POPCOUNT_PANEL // WORDS


@part
def code_values(values, at, offset, gammas, mask, out, oat, ostep):
    """Code 64 floats: see `code_word`."""
    levels = len(gammas)
    if levels == 1:
        code_word(values, at, offset, gammas, mask, out, oat, ostep, 1)
    elif levels == 2:
        code_word(values, at, offset, gammas, mask, out, oat, ostep, 2)
    elif levels == 3:
        code_word(values, at, offset, gammas, mask, out, oat, ostep, 3)
    else:
        code_word(values, at, offset, gammas, mask, out, oat, ostep, 4)


@part
def sign_pixel(sums, at, gammas, valid, out, position, o):
    """Code 64 sums of a pixel: one word of every plane."""
    code_values(sums, at, np.float32(0), gammas, valid, out, position, o.words * o.stride)


if WIDE:

    @part
    def product_pixels(d, step, depth, count, weights, bias, panel, gammas, valid, out, positions, o, sums):
        """Multiply a tile of floats with a matrix and code the sums.

        Parameters
        ----------
        d : float32
            Value k of pixel p at ``p * step + k``; readable for some pixels more than `count`.
        step, depth, count : int
        weights : float32, (filters / panel, depth, panel)
        bias : float32, (filters,)
        panel : {16, 32, 64}
        gammas, valid, out, o
            As in `convolve_image`.
        positions : int64, (count,)
            Where the pixels' words of plane 0 lie in `out`.
        sums : float32, (1024,)
            Room.
        """
        pixels = PIXELS if panel == 64 else PIXELS32 if panel == 32 else PIXELS16
        for word in range(o.words):
            for start in range(0, count, pixels):
                for f in range(0, min(64, len(bias) - 64 * word), panel):
                    first = 64 * word + f
                    if panel == 64:
                        multiply_block(
                            d, start * step, step, weights, first * depth, depth, bias, first, sums, f, 6, VECTORS64
                        )
                    elif panel == 32:
                        multiply_block(
                            d, start * step, step, weights, first * depth, depth, bias, first, sums, f, 12, VECTORS32
                        )
                    else:
                        multiply_block(
                            d, start * step, step, weights, first * depth, depth, bias, first, sums, f, 14, VECTORS16
                        )
                for p in range(start, min(start + pixels, count)):
                    sign_pixel(sums, 64 * (p - start), gammas, valid[word], out, positions[p] + word * o.stride, o)

else:

    @part
    def product_pixels(d, step, depth, count, weights, bias, panel, gammas, valid, out, positions, o, sums):
        """As above, in panels of 16 filters."""
        for word in range(o.words):
            for start in range(0, count, PIXELS):
                for f in range(0, min(64, len(bias) - 64 * word), 16):
                    first = 64 * word + f
                    multiply_block(
                        d, start * step, step, weights, first * depth, depth, bias, first, sums, f, PIXELS, VECTORS16
                    )
                for p in range(start, min(start + PIXELS, count)):
                    sign_pixel(sums, 64 * (p - start), gammas, valid[word], out, positions[p] + word * o.stride, o)


@part
def popcount_pixels(source, at, plane, offsets, weights, word, factors, levels, base, bat, sums, pixels):
    """Compute 64 sums each of one or two pixels from bit planes.

    Parameters
    ----------
    source, at, plane, offsets
        Word k of plane m of pixel p at ``at + m * plane + offsets[k] + p``.
    weights : uint64, (filters / 16, weight levels, K, 16)
    word : int
        Which 64 filters.
    factors : float32, (levels * weight levels,)
    levels : int
        Planes of the source.
    base, bat
        64 floats that the sums begin with.
    sums : float32
        For the sums, 64 a pixel.
    pixels : int
    """
    depth = len(offsets)
    weight_levels = len(factors) // levels
    wplane = depth * POPCOUNT_PANEL
    panels = min(4, len(weights) - 4 * word)
    for panel in range(panels):
        f = panel * POPCOUNT_PANEL
        wat = (4 * word + panel) * weight_levels * wplane
        if WIDE and levels == 3 and weight_levels == 3:
            for p in range(pixels):
                popcount_block(
                    source, at + p, plane, offsets, depth, weights, wat, wplane, factors, base, bat + f,
                    sums, 64 * p + f, 1, POPCOUNT_VECTORS, 3, 3,
                )  # fmt: skip
        elif WIDE and levels == 2 and weight_levels == 2 and pixels == 2:
            popcount_block(
                source, at, plane, offsets, depth, weights, wat, wplane, factors, base, bat + f,
                sums, f, 2, POPCOUNT_VECTORS, 2, 2,
            )  # fmt: skip
        else:
            for p in range(pixels):
                for i in range(64 * p + f, 64 * p + f + POPCOUNT_PANEL):
                    sums[i] = base[bat + i - 64 * p]
                for m in range(levels):
                    for n in range(weight_levels):
                        popcount_block(
                            source, at + p + m * plane, 0, offsets, depth, weights, wat + n * wplane, 0,
                            factors[m * weight_levels + n :], sums, 64 * p + f, sums, 64 * p + f,
                            1, POPCOUNT_VECTORS, 1, 1,
                        )  # fmt: skip
