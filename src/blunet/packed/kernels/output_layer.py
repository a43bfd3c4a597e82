"""The output layer: one sum a pixel and map, and its sigmoid."""

# mypy: ignore-errors
# (numba compiles this, in its own dialect of Python)
from __future__ import annotations

import math

import numpy as np

from blunet.packed.kernels.compiled import kernel
from blunet.packed.kernels.layout import CHUNK, WORD
from blunet.packed.kernels.memory import allocate_floats
from blunet.packed.kernels.traversal import fetch_add
from blunet.packed.kernels.vector_products import count_bits
from blunet.packed.kernels.vector_sigmoid import take_sigmoids

#: Eight channels of a word.
OCTETS = WORD // 8


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


@kernel
def compute_maps(source, tables, out, region, counter):
    """Compute all maps of an output layer of floats.

    Parameters
    ----------
    source : CodedMap
        Of unsigned codes.
    tables : SumTables
    out : float32, (maps, height, width)
    region, counter
        As in `compute_probability`.
    """
    octets, layout = source.words.view(np.uint8), source.layout
    entries, bias = tables.tables, tables.bias
    levels, stride, words = layout.levels, OCTETS * layout.stride, layout.words
    count, width = entries.shape[2], region.right - region.left
    size = (width + CHUNK - 1) // CHUNK * CHUNK
    sums = allocate_floats(2 * size)
    while True:
        y = region.top + fetch_add(counter, 1)
        if y >= region.bottom:
            break
        row = (y + 1) * levels * words * stride + OCTETS * (region.left + 1)
        for pair in range(len(entries)):
            for x in range(width):
                a, b = bias[pair, 0], bias[pair, 1]
                for m in range(levels):
                    for k in range(words):
                        at = row + (m * words + k) * stride + OCTETS * x
                        for i in range(min(OCTETS, count - OCTETS * k)):
                            value = octets[at + i]
                            a += entries[pair, m, OCTETS * k + i, value, 0]
                            b += entries[pair, m, OCTETS * k + i, value, 1]
                sums[x], sums[size + x] = a, b
            for half in range(min(2, len(out) - 2 * pair)):
                for x in range(0, width, CHUNK):
                    take_sigmoids(sums, half * size + x)
                for x in range(width):
                    out[2 * pair + half, y, region.left + x] = sums[half * size + x]
