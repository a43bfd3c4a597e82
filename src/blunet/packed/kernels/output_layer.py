"""The output layer: one sum a pixel and map, and its sigmoid."""

# mypy: ignore-errors
# (numba compiles this, in its own dialect of Python)
from __future__ import annotations

import math

import numpy as np

from blunet.packed.kernels.compiled import kernel
from blunet.packed.kernels.layout import CHUNK, OCTET_FLOATS, OCTETS
from blunet.packed.kernels.memory import allocate_floats
from blunet.packed.kernels.traversal import fetch_add
from blunet.packed.kernels.vector_products import count_bits
from blunet.packed.kernels.vector_sums import add_entries, take_sigmoids


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
    layout, entries, bias = source.layout, tables.tables, tables.bias
    levels, stride, planes = layout.levels, layout.stride, layout.words
    octets, width = entries.shape[2], region.right - region.left
    level, size = octets * OCTET_FLOATS, (width + CHUNK - 1) // CHUNK * CHUNK
    sums = allocate_floats(2 * size)
    while True:
        y = region.top + fetch_add(counter, 1)
        if y >= region.bottom:
            break
        row = (y + 1) * levels * planes * stride + region.left + 1
        for pair in range(len(entries)):
            for x in range(width):
                sums[2 * x], sums[2 * x + 1] = bias[pair, 0], bias[pair, 1]
            for m in range(levels):
                for k in range(planes):
                    word, first = row + (m * planes + k) * stride, (pair * levels + m) * level
                    if OCTETS * (k + 1) <= octets:
                        add_entries(source, word, 0, tables, first + OCTETS * k * OCTET_FLOATS, sums, width, OCTETS)
                    else:
                        for i in range(octets - OCTETS * k):
                            at = first + (OCTETS * k + i) * OCTET_FLOATS
                            add_entries(source, word, i, tables, at, sums, width, 1)
            for i in range(0, 2 * width, CHUNK):
                take_sigmoids(sums, i)
            for half in range(min(2, len(out) - 2 * pair)):
                for x in range(width):
                    out[2 * pair + half, y, region.left + x] = sums[2 * x + half]
