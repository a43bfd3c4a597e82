"""Separable layers of one residual level: every sum is a count of bits, every sign a comparison of counts."""

# mypy: ignore-errors
# (numba compiles this, in its own dialect of Python)
from __future__ import annotations

import numpy as np

from blunet.packed.kernels.compiled import kernel, part
from blunet.packed.kernels.convolve import PIXELS, SIGN_PANEL, SIGN_VECTORS
from blunet.packed.kernels.separable import CONCATENATED, POOLED, UPSAMPLED
from blunet.packed.kernels.vector import fetch_add, popcount_sign_block


@part
def source_row(first, f, second, s, mode, y, k, row):
    """Copy row y of channel word k of what a layer sees, with a word of zeros before and behind it."""
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


@part
def majority_of_nine(r0, r1, r2, w, start, stop, out):
    """Set the bits where at least five of the nine window's bits equal the weights', for 64 channels at a time.

    Row i of the window of pixel x is ``r_i[x : x + 3]`` (the rows begin with a word of border). The nine agreements are
    added by full adders: sums, carries, and so on.
    """
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
        # 8 + ..., or 4 + at least 1, where the fours are `four` and `more`
        out[x] = (four & more) | ((four ^ more) & (two | one))


@part
def half_of_four(here, right, below, across, w, start, stop, out):
    """Set the bits where at least two of four words agree with their weights."""
    for x in range(start, stop):
        a, b, c, d = ~(here[x] ^ w[0]), ~(right[x] ^ w[1]), ~(below[x] ^ w[2]), ~(across[x] ^ w[3])
        out[x] = (a & b) | (c & d) | ((a | b) & (c | d))


@part
def signs_of_row(planes, offsets, pointwise, limits, left, right, out, first, step, o):
    """Do the pointwise part of the pixels `left` to `right` of a row; pixel x goes to ``first + step * x``."""
    depth = len(offsets)
    for panel in range(o.words * 64 // SIGN_PANEL):
        f = panel * SIGN_PANEL
        row = first + f // 64 * o.stride
        x = left
        while x + PIXELS <= right:
            popcount_sign_block(
                planes, x, offsets, depth, pointwise, f * depth, limits, f, out, row + step * x, step, f % 64,
                PIXELS, SIGN_VECTORS,
            )  # fmt: skip
            x += PIXELS
        if x < right:
            popcount_sign_block(
                planes, x, offsets, depth, pointwise, f * depth, limits, f, out, row + step * x, step, f % 64,
                1, SIGN_VECTORS,
            )  # fmt: skip


@kernel
def separable_bits(first, f, second, s, mode, depthwise, valid, offsets, pointwise, limits, out, o, region, counter):
    """Run a separable layer of one residual level everywhere, coded between its two parts.

    Parameters
    ----------
    first, f, second, s, mode
        As in `separable_product`.
    depthwise : uint64, (16, K, 9), or (16, K, 4) of a repeated source
        The taps' words for the missing rows and columns as in `convolve_bits`, 4 * rows + columns: a tap that lies
        outside has a word that makes it agree or not, so that the majority of all taps is that of those inside. Of a
        repeated source the words of four taps, for 8 * missing below + 4 * missing right + phase.
    valid : uint64, (K,)
        The bits of channels that exist.
    offsets : int64, (K,)
        ``k * room``.
    pointwise : uint64, (filters / SIGN_PANEL, K, SIGN_PANEL)
    limits : int64, (filters,)
        Most ones at which a sum is not negative.
    out, o, region, counter
        As in `convolve_image`; rows of the source are counted.
    """
    words = len(offsets)
    repeated = mode == UPSAMPLED
    height, width = (f.height, f.width) if repeated else (o.height, o.width)
    top, bottom, left, right = region.top, region.bottom, region.left, region.right
    if repeated:
        top, bottom, left, right = top // 2, (bottom + 1) // 2, left // 2, (right + 1) // 2
    room = o.stride
    rows = np.empty((3, room), np.uint64)
    planes = np.empty(words * room + 8, np.uint64)
    while True:
        y = top + fetch_add(counter, 1)
        if y >= bottom:
            break
        if repeated:
            lower = 1 if y == height - 1 else 0
            for phase in range(4):
                for k in range(words):
                    source_row(first, f, second, s, mode, y, k, rows[0])
                    source_row(first, f, second, s, mode, y + 1, k, rows[1])
                    plane = planes[k * room : (k + 1) * room]
                    taps = depthwise[8 * lower + phase, k]
                    r0, r1 = rows[0], rows[1]
                    # Which words a phase's four taps see: upper left and right, lower left and right.
                    beside = r0[2:] if phase % 2 else r0[1:]
                    below = r1[1:] if phase // 2 else r0[1:]
                    across = (r1[2:] if phase % 2 else r1[1:]) if phase // 2 else beside
                    half_of_four(r0[1:], beside, below, across, taps, left, min(right, width - 1), plane)
                    half_of_four(
                        r0[1:], beside, below, across, depthwise[8 * lower + 4 + phase, k], width - 1, width, plane
                    )
                    for x in range(left, right):
                        plane[x] &= valid[k]
                start = (2 * y + phase // 2 + 1) * o.words * o.stride + phase % 2 + 1
                signs_of_row(planes, offsets, pointwise, limits, left, right, out, start, 2, o)
        else:
            missing = (1 if y == 0 else 0) + (2 if y == height - 1 else 0)
            for k in range(words):
                for i in range(3):
                    source_row(first, f, second, s, mode, y + i - 1, k, rows[i])
                plane = planes[k * room : (k + 1) * room]
                majority_of_nine(rows[0], rows[1], rows[2], depthwise[4 * missing, k], left, right, plane)
                for x in (0, width - 1):
                    side = (1 if x == 0 else 0) + (2 if x == width - 1 else 0)
                    majority_of_nine(rows[0], rows[1], rows[2], depthwise[4 * missing + side, k], x, x + 1, plane)
                for x in range(left, right):
                    plane[x] &= valid[k]
            signs_of_row(planes, offsets, pointwise, limits, left, right, out, (y + 1) * o.words * o.stride + 1, 1, o)
