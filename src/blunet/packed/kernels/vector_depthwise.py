"""Depthwise correlations of 16 channels at once (see `emitter`)."""

# mypy: ignore-errors
# (numba compiles this, in its own dialect of Python)
from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from blunet.packed.kernels.emitter import F32, I64, Emitter
from blunet.packed.kernels.layout import CHUNK, UPSAMPLED_TAPS, UPSAMPLED_TERMS


@intrinsic
def correlate_line(typingctx, values, at, row, column, weights, weights_at, tap, out, out_at, out_step, count):
    """Correlate 16 channels of a line of `count` pixels with their 3 x 3 kernels.

    The value at row i, column j of the neighbourhood of pixel p is at ``at + i * row + (p + j) * column``, the weight
    of that tap at ``weights_at + (3 i + j) * tap``, what the sums begin with behind the weights, the result at
    ``out_at + p * out_step``; 16 neighbouring channels from each.

    Parameters
    ----------
    values, weights, out : float32
    at, row, column, weights_at, tap, out_at, out_step, count : int
    """
    names = ("values", "at", "row", "column", "weights", "weights_at", "tap", "out", "out_at", "out_step", "count")

    def generate(context, builder, signature, arguments):
        e = Emitter(context, builder, signature, arguments, names)
        vector = ir.VectorType(F32, CHUNK)

        def weight(i, j):
            return e.load("weights", e.sum(e["weights_at"], e.product(e["tap"], 3 * i + j)), vector)

        def value(i, pixel):
            place = e.sum(e["at"], e.product(e["row"], i), e.product(e["column"], pixel))
            return e.load("values", place, vector)

        taps = [[weight(i, j) for j in range(3)] for i in range(3)]
        start = weight(3, 0)
        left = [e.variable(vector, value(i, I64(0))) for i in range(3)]
        middle = [e.variable(vector, value(i, I64(1))) for i in range(3)]
        with e.loop(e["count"]) as loop:
            total = start
            for i in range(3):
                right = value(i, e.sum(loop.index, 2))
                row = builder.load(left[i]), builder.load(middle[i]), right
                for held, tap in zip(row, taps[i], strict=True):
                    total = e.multiply_add(held, tap, total)
                builder.store(builder.load(middle[i]), left[i])
                builder.store(right, middle[i])
            e.store("out", e.sum(e["out_at"], e.product(e["out_step"], loop.index)), total)
        return context.get_dummy_value()

    i = types.int64
    return types.void(values, i, i, i, weights, i, i, out, i, i, i), generate


@intrinsic
def correlate_upsampled(typingctx, values, at, row, column, weights, weights_at, tap, out, out_at, out_step):
    """Correlate 16 channels of one pixel, repeated 2 x 2, with 2 x 2 kernels: the four results.

    The weights are sums of taps, in the order of UPSAMPLED_TAPS, `tap` apart, and behind them what the results begin
    with. Result (y, x) is at
    ``out_at + (2 y + x) * out_step``.

    Parameters
    ----------
    values, weights, out : float32
    at, row, column, weights_at, tap, out_at, out_step : int
    """
    names = ("values", "at", "row", "column", "weights", "weights_at", "tap", "out", "out_at", "out_step")

    def generate(context, builder, signature, arguments):
        e = Emitter(context, builder, signature, arguments, names)
        vector = ir.VectorType(F32, CHUNK)
        *loaded, start = [
            e.load("weights", e.sum(e["weights_at"], e.product(e["tap"], i)), vector)
            for i in range(len(UPSAMPLED_TAPS) + 1)
        ]
        weights = iter(loaded)
        below = e.sum(e["at"], e["row"])
        places = (e["at"], e.sum(e["at"], e["column"]), below, e.sum(below, e["column"]))
        pixels = [e.load("values", place, vector) for place in places]
        for phase, terms in enumerate(UPSAMPLED_TERMS):
            total = start
            for pixel, _ in terms:
                total = e.multiply_add(pixels[pixel], next(weights), total)
            e.store("out", e.sum(e["out_at"], e.product(e["out_step"], phase)), total)
        return context.get_dummy_value()

    i = types.int64
    return types.void(values, i, i, i, weights, i, i, out, i, i), generate
