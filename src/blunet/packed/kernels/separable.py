"""Separable layers on real depthwise sums: decoded from bit planes tile by tile, never stored as a whole."""

# mypy: ignore-errors
# (numba compiles this, in its own dialect of Python)
from __future__ import annotations

import numpy as np

from blunet.packed.kernels.compiled import kernel, part
from blunet.packed.kernels.finish import code_values, popcount_pixels, product_pixels, sign_pixel
from blunet.packed.kernels.memory import room_for_floats
from blunet.packed.kernels.vector import (
    decode_chunk,
    depthwise_line,
    fetch_add,
    upsampled_pixel,
)

PREVIOUS, POOLED, UPSAMPLED, CONCATENATED = range(4)


@part
def decode_pixel(source, s, gammas, y, x, values, at):
    """Write the values that the codes of a pixel stand for, 16 channels at a time."""
    plane = s.words * s.stride
    position = (y + 1) * s.levels * plane + x + 1
    for c in range(0, s.channels, 16):
        word, sixteen = position + c // 64 * s.stride, c % 64 // 16
        if s.levels == 1:
            decode_chunk(source, word, plane, sixteen, gammas, values, at + c, 1, 0, 0)
        elif s.levels == 2:
            decode_chunk(source, word, plane, sixteen, gammas, values, at + c, 2, 0, 0)
        elif s.levels == 3:
            decode_chunk(source, word, plane, sixteen, gammas, values, at + c, 3, 0, 0)
        else:
            decode_chunk(source, word, plane, sixteen, gammas, values, at + c, 4, 0, 0)


@part
def decode_pooled(source, s, gammas, y, x, values, at):
    """Write the largest of the values that the codes of 2 x 2 pixels stand for, the upper left one at (y, x)."""
    plane = s.words * s.stride
    below = s.levels * plane
    position = (y + 1) * below + x + 1
    for c in range(0, s.channels, 16):
        word, sixteen = position + c // 64 * s.stride, c % 64 // 16
        if s.levels == 1:
            decode_chunk(source, word, plane, sixteen, gammas, values, at + c, 1, 1, below)
        elif s.levels == 2:
            decode_chunk(source, word, plane, sixteen, gammas, values, at + c, 2, 1, below)
        elif s.levels == 3:
            decode_chunk(source, word, plane, sixteen, gammas, values, at + c, 3, 1, below)
        else:
            decode_chunk(source, word, plane, sixteen, gammas, values, at + c, 4, 1, below)


@part
def decode_block(first, f, first_gammas, second, s, second_gammas, mode, y0, x0, rows, columns, pitch, step, values):
    """Decode the window of a block: what a layer sees, `columns` of `pitch` pixels a row, zeros outside the map."""
    height, width = f.height, f.width
    if mode == POOLED:
        height, width = height // 2, width // 2
    for i in range(rows):
        y = y0 + i
        for j in range(columns):
            x = x0 + j
            at = (i * pitch + j) * step
            if y < 0 or y >= height or x < 0 or x >= width:
                for c in range(step):
                    values[at + c] = 0
            elif mode == POOLED:
                decode_pooled(first, f, first_gammas, 2 * y, 2 * x, values, at)
            else:
                decode_pixel(first, f, first_gammas, y, x, values, at)
                if mode == CONCATENATED:
                    decode_pixel(second, s, second_gammas, y, x, values, at + f.channels)


@part
def depthwise_block(values, block, mode, channels, weights, rows, columns, d):
    """Correlate a decoded block with the depthwise kernels: `rows` x `columns` pixels, four each if repeated."""
    pitch = block.columns + 2
    size = block.channels
    for c in range(0, channels, 16):
        for i in range(rows):
            if mode == UPSAMPLED:
                for j in range(columns):
                    upsampled_pixel(
                        values, (i * pitch + j) * size + c, pitch * size, size, weights, c, size,
                        d, 4 * (i * columns + j) * block.step + c, block.step,
                    )  # fmt: skip
            else:
                depthwise_line(
                    values, i * pitch * size + c, pitch * size, size, weights, c, size,
                    d, i * columns * block.step + c, block.step, columns,
                )  # fmt: skip


@part
def place_pixels(mode, y0, x0, rows, columns, o, positions):
    """Find where the pixels of a block lie in the output map; return their number."""
    row = o.levels * o.words * o.stride
    p = 0
    for i in range(rows):
        for j in range(columns):
            if mode == UPSAMPLED:
                for q in range(4):
                    positions[p + q] = (2 * (y0 + i) + q // 2 + 1) * row + 2 * (x0 + j) + q % 2 + 1
                p += 4
            else:
                positions[p] = (y0 + i + 1) * row + x0 + j + 1
                p += 1
    return p


@part
def depthwise_of_block(
    first, f, first_gammas, second, s, second_gammas, mode, block, depthwise, o, region, number, values, d, positions
):
    """Do the depthwise part of the block `number`; return its number of pixels, 0 behind the last block."""
    repeated = mode == UPSAMPLED
    top, bottom, left, right = region.top, region.bottom, region.left, region.right
    if repeated:
        top, bottom, left, right = top // 2, (bottom + 1) // 2, left // 2, (right + 1) // 2
    across = (right - left + block.columns - 1) // block.columns
    y0, x0 = top + number // across * block.rows, left + number % across * block.columns
    if y0 >= bottom:
        return 0
    rows, columns = min(block.rows, bottom - y0), min(block.columns, right - x0)
    channels = f.channels + (s.channels if mode == CONCATENATED else 0)
    before, more = (0, 1) if repeated else (1, 2)
    decode_block(
        first, f, first_gammas, second, s, second_gammas, mode, y0 - before, x0 - before,
        rows + more, columns + more, block.columns + 2, block.channels, values,
    )  # fmt: skip
    depthwise_block(values, block, mode, channels, depthwise, rows, columns, d)
    return place_pixels(mode, y0, x0, rows, columns, o, positions)


@kernel
def separable_product(
    first, f, first_gammas, second, s, second_gammas, mode, block, depthwise,
    pointwise, bias, panel, gammas, valid, out, o, region, counter,
):  # fmt: skip
    """Run a separable layer whose depthwise results are real numbers.

    Parameters
    ----------
    first, f, first_gammas : uint64, Map, float32
        The source; of a concatenation its first part, and `second`, `s`, `second_gammas` the other one.
    mode : int
        PREVIOUS, POOLED, UPSAMPLED or CONCATENATED.
    block : Block
    depthwise : float32, (9, block.channels)
        Taps row by row; of a repeated source the sums of taps that `upsampled_pixel` names.
    pointwise : float32, (filters / panel, channels, panel)
    bias, panel, gammas, valid, out, o
        As in `product_pixels`.
    region : Region
        Of the output.
    counter : int64, (1,)
        Blocks that are taken.
    """
    most = block.rows * block.columns * (4 if mode == UPSAMPLED else 1)
    values = room_for_floats(((block.rows + 2) * (block.columns + 2) + 2) * block.channels)
    d = room_for_floats((most + 16) * block.step)
    positions = np.empty(most, np.int64)
    sums = room_for_floats(16 * 64)
    depth = f.channels + (s.channels if mode == CONCATENATED else 0)
    while True:
        count = depthwise_of_block(
            first, f, first_gammas, second, s, second_gammas, mode, block, depthwise, o, region,
            fetch_add(counter, 1), values, d, positions,
        )  # fmt: skip
        if count == 0:
            break
        product_pixels(d, block.step, depth, count, pointwise, bias, panel, gammas, valid, out, positions, o, sums)


@kernel
def separable_popcount(
    first, f, first_gammas, second, s, second_gammas, mode, block, depthwise,
    middle_gammas, middle_offset, middle_valid, offsets, pointwise, factors, base, gammas, valid,
    out, o, region, counter,
):  # fmt: skip
    """Run a separable layer whose depthwise results are coded before the pointwise part counts their bits.

    Parameters
    ----------
    middle_gammas : float32, (middle levels,)
        Of the residual sign between the two parts.
    middle_offset : float
        Added to the depthwise results before.
    middle_valid : uint64, (K,)
        The bits of channels that exist.
    offsets : int64, (K,)
        Where the words of a pixel lie in the block's own planes: k times its pixels, rounded up to even.
    pointwise, factors, base : as `weights`, `factors` and `base` in `popcount_pixels`
    others : as in `separable_product`
    """
    most = block.rows * block.columns * (4 if mode == UPSAMPLED else 1)
    room = most + most % 2
    values = room_for_floats(((block.rows + 2) * (block.columns + 2) + 2) * block.channels)
    d = room_for_floats((most + 16) * block.step)
    positions = np.empty(most, np.int64)
    sums = room_for_floats(16 * 64)
    words = len(offsets)
    levels = len(middle_gammas)
    planes = np.empty(levels * words * room + 2, np.uint64)
    while True:
        count = depthwise_of_block(
            first, f, first_gammas, second, s, second_gammas, mode, block, depthwise, o, region,
            fetch_add(counter, 1), values, d, positions,
        )  # fmt: skip
        if count == 0:
            break
        for p in range(count):
            for k in range(words):
                code_values(
                    d, p * block.step + 64 * k, middle_offset, middle_gammas, middle_valid[k],
                    planes, k * room + p, words * room,
                )  # fmt: skip
        for word in range(o.words):
            for p in range(0, count, 2):
                pixels = min(2, count - p)
                popcount_pixels(
                    planes, p, words * room, offsets, pointwise, word, factors, levels, base, 64 * word, sums, pixels
                )
                for q in range(pixels):
                    sign_pixel(sums, 64 * q, gammas, valid[word], out, positions[p + q] + word * o.stride, o)
