"""The output layer: one sum a pixel, and its sigmoid."""

# mypy: ignore-errors
# (numba compiles this, in its own dialect of Python)
from __future__ import annotations

import math

import numpy as np

from blunet.packed.kernels.compiled import kernel
from blunet.packed.kernels.memory import room_for_floats
from blunet.packed.kernels.vector import count_bits, fetch_add


@kernel
def output_probability(source, s, weights, factors, base, out, region, counter):
    """Compute the probability of foreground.

    Parameters
    ----------
    source, s : uint64, Map
    weights : uint64, (weight levels, words)
    factors : float32, (levels * weight levels,)
        -2 times the products of gammas.
    base : float
        The bias and the sum of all products of gammas, times the channels.
    out : float32, (height, width)
    region : Region
    counter : int64, (1,)
    """
    levels, plane = s.levels, s.words * s.stride
    weight_levels = len(weights)
    sums = room_for_floats(s.width)
    while True:
        y = region.top + fetch_add(counter, 1)
        if y >= region.bottom:
            break
        sums[:] = base
        for m in range(levels):
            for n in range(weight_levels):
                factor = factors[m * weight_levels + n]
                for k in range(s.words):
                    start = (y + 1) * levels * plane + m * plane + k * s.stride + 1
                    weight = weights[n, k]
                    for x in range(region.left, region.right):
                        sums[x] += factor * np.float32(count_bits(source[start + x] ^ weight))
        for x in range(region.left, region.right):
            e = np.float32(math.exp(-abs(sums[x])))
            out[y, x] = (np.float32(1) if sums[x] >= 0 else e) / (np.float32(1) + e)
