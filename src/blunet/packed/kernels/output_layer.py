"""The output layer: one sum a pixel, and its sigmoid."""

# mypy: ignore-errors
# (numba compiles this, in its own dialect of Python)
from __future__ import annotations

import math

import numpy as np

from blunet.packed.kernels.compiled import kernel
from blunet.packed.kernels.memory import allocate_floats
from blunet.packed.kernels.traversal import fetch_add
from blunet.packed.kernels.vector_products import count_bits


@kernel
def compute_probability(source, matrix, out, region, counter):
    """Compute the probability of foreground.

    Parameters
    ----------
    source : CodedMap
    matrix : BitMatrix
        Of one filter; its weights have the shape (weight levels, words).
    out : float32, (height, width)
    region : Region
    counter : int64, (1,)
        Rows that threads have begun.
    """
    words, layout = source.words, source.layout
    weights, factors, base = matrix.weights, matrix.factors, matrix.base[0]
    levels, plane = layout.levels, layout.words * layout.stride
    weight_levels = len(weights)
    sums = allocate_floats(layout.width)
    while True:
        y = region.top + fetch_add(counter, 1)
        if y >= region.bottom:
            break
        sums[:] = base
        for m in range(levels):
            for n in range(weight_levels):
                factor = factors[m * weight_levels + n]
                for k in range(layout.words):
                    start = (y + 1) * levels * plane + m * plane + k * layout.stride + 1
                    weight = weights[n, k]
                    for x in range(region.left, region.right):
                        sums[x] += factor * np.float32(count_bits(words[start + x] ^ weight))
        for x in range(region.left, region.right):
            e = np.float32(math.exp(-abs(sums[x])))
            out[y, x] = (np.float32(1) if sums[x] >= 0 else e) / (np.float32(1) + e)
