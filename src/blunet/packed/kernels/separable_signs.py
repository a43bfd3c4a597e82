"""Separable layers of one residual level: every sum is a count of bits, every sign a comparison of counts."""

# mypy: ignore-errors
# (numba compiles this, in its own dialect of Python)
from __future__ import annotations

import numpy as np

from blunet.packed.kernels.compiled import kernel, subroutine
from blunet.packed.kernels.layout import (
    AFTER,
    CONCATENATED,
    POOLED,
    POPCOUNT_PIXELS,
    SIGN_PANEL,
    SIGN_VECTORS,
    SLACK,
    UPSAMPLED,
    WORD,
    Bits,
)
from blunet.packed.kernels.traversal import fetch_add, find_missing_neighbours
from blunet.packed.kernels.vector_products import popcount_sign_block


@subroutine
def copy_source_row(first, f, second, s, mode, y, k, row):
    """Copy row y of channel word k of what a layer sees, with a word of zeros before and behind it.

    `first`, `f`, `second`, `s` are the words and layouts of its sources.
    """
    width = f.width // 2 if mode == POOLED else f.width
    height = f.height // 2 if mode == POOLED else f.height
    if y < 0 or y >= height:
        for x in range(width + 2):
            row[x] = 0
    elif mode == POOLED:  # the larger of two values is the one with the sign +1
        upper = ((2 * y + 1) * f.words + k) * f.stride + 1
        lower = upper + f.words * f.stride
        row[0] = row[width + 1] = 0
        for x in range(width):
            row[x + 1] = (
                first[upper + 2 * x] | first[upper + 2 * x + 1] | first[lower + 2 * x] | first[lower + 2 * x + 1]
            )
    elif mode == CONCATENATED and k >= f.words:
        start = ((y + 1) * s.words + k - f.words) * s.stride
        for x in range(width + 2):
            row[x] = second[start + x]
    else:
        start = ((y + 1) * f.words + k) * f.stride
        for x in range(width + 2):
            row[x] = first[start + x]


@subroutine
def compare_nine(r0, r1, r2, w, start, stop, out):
    """Set the bits where enough of a neighbourhood's nine bits equal the weights', for 64 channels at a time.

    Row i of the neighbourhood of pixel x is ``r_i[x : x + 3]`` (the rows begin with a word of border). The nine
    agreements are added by full adders: sums, carries, and so on. Behind the weights are the four bits, lowest first,
    of 15 minus the agreements that are needed: where it and the agreements and 1 make 16 or more, a bit is carried.
    """
    k0, k1, k2, k3 = w[9], w[10], w[11], w[12]
    for x in range(start, stop):
        a0, a1, a2 = ~(r0[x] ^ w[0]), ~(r0[x + 1] ^ w[1]), ~(r0[x + 2] ^ w[2])
        b0, b1, b2 = ~(r1[x] ^ w[3]), ~(r1[x + 1] ^ w[4]), ~(r1[x + 2] ^ w[5])
        c0, c1, c2 = ~(r2[x] ^ w[6]), ~(r2[x + 1] ^ w[7]), ~(r2[x + 2] ^ w[8])
        sa, ca = a0 ^ a1 ^ a2, (a0 & a1) | (a2 & (a0 ^ a1))
        sb, cb = b0 ^ b1 ^ b2, (b0 & b1) | (b2 & (b0 ^ b1))
        sc, cc = c0 ^ c1 ^ c2, (c0 & c1) | (c2 & (c0 ^ c1))
        one, ct = sa ^ sb ^ sc, (sa & sb) | (sc & (sa ^ sb))
        st, four = ca ^ cb ^ cc, (ca & cb) | (cc & (ca ^ cb))
        two, more = st ^ ct, st & ct
        carry = one | k0
        carry = (two & k1) | (carry & (two ^ k1))
        three = four ^ more
        carry = (three & k2) | (carry & (three ^ k2))
        eight = four & more
        out[x] = (eight & k3) | (carry & (eight ^ k3))


@subroutine
def compare_four(here, right, below, across, w, start, stop, out):
    """Set the bits where enough of four words agree with their weights.

    Behind the weights are the three bits of 7 minus the agreements that are needed.
    """
    k0, k1, k2 = w[4], w[5], w[6]
    for x in range(start, stop):
        a, b, c, d = ~(here[x] ^ w[0]), ~(right[x] ^ w[1]), ~(below[x] ^ w[2]), ~(across[x] ^ w[3])
        s, more = a ^ b ^ c, (a & b) | (c & (a ^ b))
        one, two = s ^ d, s & d
        carry = one | k0
        both = more ^ two
        carry = (both & k1) | (carry & (both ^ k1))
        four = more & two
        out[x] = (four & k2) | (carry & (four ^ k2))


@subroutine
def take_signs_of_row(bits, depth, matrix, left, right, out, first, step, layout):
    """Do the pointwise part of the pixels `left` to `right` of a row; pixel x goes to ``first + step * x``."""
    for panel in range(layout.words * WORD // SIGN_PANEL):
        f = panel * SIGN_PANEL
        row = first + f // WORD * layout.stride
        x = left
        while x + POPCOUNT_PIXELS <= right:
            popcount_sign_block(
                bits, x, depth, matrix, f * depth, f, out, row + step * x, step, f % WORD,
                POPCOUNT_PIXELS, SIGN_VECTORS,
            )  # fmt: skip
            x += POPCOUNT_PIXELS
        if x < right:
            popcount_sign_block(
                bits, x, depth, matrix, f * depth, f, out, row + step * x, step, f % WORD, 1, SIGN_VECTORS
            )


@kernel
def convolve_separable_signs(sources, depthwise, valid, matrix, out, region, counter):
    """Run a separable layer of one residual level everywhere, coded between its two parts.

    Parameters
    ----------
    sources : Sources
    depthwise : uint64, (4, 4, phases, K, taps + bits)
        The taps' words and, bit by bit, how many of them have to agree (see `compare_nine` and `compare_four`), for the
        neighbours that lie outside the map (rows and columns, as BEFORE + AFTER), where all words are 0. A 3 x 3
        kernel has one phase and nine taps, a 2 x 2 kernel on a repeated source four of each.
    valid : uint64, (K,)
        The bits of channels that exist.
    matrix : SignMatrix
        The pointwise part.
    out : CodedMap
    region : Region
        Of the output.
    counter : int64, (1,)
        Rows of the source that threads have begun.
    """
    first, f, second, s = sources.first.words, sources.first.layout, sources.second.words, sources.second.layout
    mode, words, layout = sources.mode, out.words, out.layout
    depth = len(valid)
    repeated = mode == UPSAMPLED
    height, width = (f.height, f.width) if repeated else (layout.height, layout.width)
    top, bottom, left, right = region.top, region.bottom, region.left, region.right
    if repeated:
        top, bottom, left, right = top // 2, (bottom + 1) // 2, left // 2, (right + 1) // 2
    step = 2 if repeated else 1
    stride = layout.stride
    rows = np.empty((3, stride), np.uint64)
    planes = np.empty(depth * stride + SLACK, np.uint64)
    offsets = np.empty(depth, np.int64)
    for k in range(depth):
        offsets[k] = k * stride
    bits = Bits(planes, depth * stride, offsets)
    while True:
        y = top + fetch_add(counter, 1)
        if y >= bottom:
            break
        if repeated:
            below_missing = AFTER if y == height - 1 else 0
            for phase in range(4):
                for k in range(depth):
                    copy_source_row(first, f, second, s, mode, y, k, rows[0])
                    copy_source_row(first, f, second, s, mode, y + 1, k, rows[1])
                    plane = planes[k * stride : (k + 1) * stride]
                    r0, r1 = rows[0], rows[1]
                    # Which words a phase's four taps see: upper left and right, lower left and right.
                    beside = r0[2:] if phase % 2 else r0[1:]
                    below = r1[1:] if phase // 2 else r0[1:]
                    across = (r1[2:] if phase % 2 else r1[1:]) if phase // 2 else beside
                    inner = depthwise[below_missing, 0, phase, k]
                    last = depthwise[below_missing, AFTER, phase, k]
                    compare_four(r0[1:], beside, below, across, inner, left, min(right, width - 1), plane)
                    compare_four(r0[1:], beside, below, across, last, width - 1, width, plane)
                    for x in range(left, right):
                        plane[x] &= valid[k]
                start = (2 * y + phase // 2 + 1) * layout.words * layout.stride + phase % 2 + 1
                take_signs_of_row(bits, depth, matrix, left, right, words, start, step, layout)
        else:
            missing = find_missing_neighbours(y, height)
            for k in range(depth):
                for i in range(3):
                    copy_source_row(first, f, second, s, mode, y + i - 1, k, rows[i])
                plane = planes[k * stride : (k + 1) * stride]
                compare_nine(rows[0], rows[1], rows[2], depthwise[missing, 0, 0, k], left, right, plane)
                for x in (0, width - 1):
                    taps = depthwise[missing, find_missing_neighbours(x, width), 0, k]
                    compare_nine(rows[0], rows[1], rows[2], taps, x, x + 1, plane)
                for x in range(left, right):
                    plane[x] &= valid[k]
            start = (y + 1) * layout.words * layout.stride + 1
            take_signs_of_row(bits, depth, matrix, left, right, words, start, step, layout)
