"""Separable layers on real depthwise sums: decoded from bit planes block by block, never stored as a whole."""

# mypy: ignore-errors
# (numba compiles this, in its own dialect of Python)
from __future__ import annotations

import numpy as np

from blunet.packed.kernels.coded_output import (
    code_floats,
    code_pixel,
    code_scaled_pixel,
    mark_existing_channels,
    multiply_pixels,
    popcount_pixels,
)
from blunet.packed.kernels.compiled import kernel, subroutine
from blunet.packed.kernels.layout import (
    BLOCK_PIXELS,
    CHUNK,
    CONCATENATED,
    POOLED,
    POPCOUNT_PIXELS,
    UPSAMPLED,
    WORD,
    Bits,
)
from blunet.packed.kernels.memory import allocate_floats
from blunet.packed.kernels.traversal import fetch_add
from blunet.packed.kernels.vector_codes import decode_line
from blunet.packed.kernels.vector_depthwise import correlate_line, correlate_upsampled


@subroutine
def decode_pixels(source, pooled, y, x, count, values, at, step):
    """Decode `count` pixels of a row of a map, or of the pooled map, from (y, x) on.

    There is a branch for each of 1 to MOST_LEVELS levels.
    """
    layout = source.layout
    if pooled:
        y, x = 2 * y, 2 * x
    position = (y + 1) * layout.levels * layout.words * layout.stride + x + 1
    for c in range(0, layout.channels, CHUNK):
        word, chunk = position + c // WORD * layout.stride, c % WORD // CHUNK
        if pooled:
            if layout.levels == 1:
                decode_line(source, word, chunk, count, values, at + c, step, 1, 1)
            elif layout.levels == 2:
                decode_line(source, word, chunk, count, values, at + c, step, 2, 1)
            elif layout.levels == 3:
                decode_line(source, word, chunk, count, values, at + c, step, 3, 1)
            else:
                decode_line(source, word, chunk, count, values, at + c, step, 4, 1)
        elif layout.levels == 1:
            decode_line(source, word, chunk, count, values, at + c, step, 1, 0)
        elif layout.levels == 2:
            decode_line(source, word, chunk, count, values, at + c, step, 2, 0)
        elif layout.levels == 3:
            decode_line(source, word, chunk, count, values, at + c, step, 3, 0)
        else:
            decode_line(source, word, chunk, count, values, at + c, step, 4, 0)


@subroutine
def decode_block(first, second, mode, y0, x0, rows, columns, pitch, step, values):
    """Decode what a block sees: rows of `columns` pixels, `pitch` apart, `step` floats each; zeros outside the map."""
    height, width, pooled = first.layout.height, first.layout.width, mode == POOLED
    if pooled:
        height, width = height // 2, width // 2
    start, stop = max(x0, 0), min(x0 + columns, width)
    for i in range(rows):
        y, row = y0 + i, i * pitch * step
        if y < 0 or y >= height:
            for c in range(row, row + columns * step):
                values[c] = 0
            continue
        at = row + (start - x0) * step
        for c in range(row, at):
            values[c] = 0
        for c in range(row + (stop - x0) * step, row + columns * step):
            values[c] = 0
        decode_pixels(first, pooled, y, start, stop - start, values, at, step)
        if mode == CONCATENATED:
            decode_pixels(second, pooled, y, start, stop - start, values, at + first.layout.channels, step)


@subroutine
def correlate_block(values, block, mode, channels, weights, rows, columns, results):
    """Correlate a block of `rows` x `columns` pixels with the depthwise kernels, with four results each if repeated."""
    pitch = block.columns + 2
    size = block.channels
    for c in range(0, channels, CHUNK):
        for i in range(rows):
            if mode == UPSAMPLED:
                for j in range(columns):
                    correlate_upsampled(
                        values, (i * pitch + j) * size + c, pitch * size, size, weights, c, size,
                        results, 4 * (i * columns + j) * block.step + c, block.step,
                    )  # fmt: skip
            else:
                correlate_line(
                    values, i * pitch * size + c, pitch * size, size, weights, c, size,
                    results, i * columns * block.step + c, block.step, columns,
                )  # fmt: skip


@subroutine
def locate_pixels(mode, y0, x0, rows, columns, layout, positions):
    """Find where the pixels of a block lie in the output map; return their number."""
    row = layout.levels * layout.words * layout.stride
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


@subroutine
def run_depthwise(first, second, mode, block, weights, layout, region, number, values, results, positions):
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
    channels = first.layout.channels + (second.layout.channels if mode == CONCATENATED else 0)
    before, more = (0, 1) if repeated else (1, 2)
    decode_block(
        first, second, mode, y0 - before, x0 - before, rows + more, columns + more, block.columns + 2, block.channels,
        values,
    )  # fmt: skip
    correlate_block(values, block, mode, channels, weights, rows, columns, results)
    return locate_pixels(mode, y0, x0, rows, columns, layout, positions)


@kernel
def convolve_separable_floats(sources, depthwise, matrix, block, out, region, counter):
    """Run a separable layer whose depthwise results are real numbers.

    Parameters
    ----------
    sources : Sources
    depthwise : float32, (10, block.channels)
        Taps row by row; of a repeated source the sums of taps that UPSAMPLED_TAPS names. Then what the sums begin with.
    matrix : FloatMatrix
        The pointwise part.
    block : Block
    out : CodedMap
    region : Region
        Of the output.
    counter : int64, (1,)
        Blocks that threads have begun.
    """
    first, second, mode = sources
    words, layout, coding = out.words, out.layout, out.coding
    values = allocate_floats(((block.rows + 2) * (block.columns + 2) + 2) * block.channels)
    results = allocate_floats((block.pixels + BLOCK_PIXELS) * block.step)
    positions = np.empty(block.pixels, np.int64)
    sums = allocate_floats(BLOCK_PIXELS * WORD)
    while True:
        count = run_depthwise(
            first, second, mode, block, depthwise, layout, region, fetch_add(counter, 1), values, results, positions
        )
        if count == 0:
            break
        multiply_pixels(results, block.step, count, matrix, coding, words, layout, positions, sums)


@kernel
def convolve_separable_bits(sources, depthwise, middle, matrix, block, out, region, counter):
    """Run a separable layer whose depthwise results are coded before the pointwise part counts their bits.

    Parameters
    ----------
    middle : Coding
        Of the depthwise results.
    matrix : BitMatrix
        The pointwise part.
    sources, depthwise, block, out, region, counter
        As in `convolve_separable_floats`.
    """
    first, second, mode = sources
    words, layout, coding, base = out.words, out.layout, out.coding, matrix.base
    scale, shift = matrix.scale, matrix.shift
    stride = block.pixels + block.pixels % POPCOUNT_PIXELS  # words from channel word to channel word of `planes`
    values = allocate_floats(((block.rows + 2) * (block.columns + 2) + 2) * block.channels)
    results = allocate_floats((block.pixels + BLOCK_PIXELS) * block.step)
    positions = np.empty(block.pixels, np.int64)
    sums = allocate_floats(POPCOUNT_PIXELS * WORD)
    channels = first.layout.channels + (second.layout.channels if mode == CONCATENATED else 0)
    depth, levels = (channels + WORD - 1) // WORD, len(middle.gammas)
    planes = np.empty(levels * depth * stride + POPCOUNT_PIXELS, np.uint64)
    offsets = np.empty(depth, np.int64)
    for k in range(depth):
        offsets[k] = k * stride
    bits = Bits(planes, depth * stride, offsets)
    while True:
        count = run_depthwise(
            first, second, mode, block, depthwise, layout, region, fetch_add(counter, 1), values, results, positions
        )
        if count == 0:
            break
        for k in range(depth):
            valid = mark_existing_channels(channels, k)
            for p in range(count):
                code_floats(results, p * block.step + WORD * k, middle, valid, planes, k * stride + p, depth * stride)
        for word in range(layout.words):
            valid = mark_existing_channels(layout.channels, word)
            for p in range(0, count, POPCOUNT_PIXELS):
                several = min(POPCOUNT_PIXELS, count - p)
                popcount_pixels(bits, p, depth, matrix, word, levels, base, WORD * word, sums, several)
                for q in range(several):
                    position = positions[p + q] + word * layout.stride
                    if len(scale):
                        code_scaled_pixel(
                            sums, WORD * q, scale, shift, WORD * word, coding, valid, words, position, layout
                        )
                    else:
                        code_pixel(sums, WORD * q, coding, valid, words, position, layout)
