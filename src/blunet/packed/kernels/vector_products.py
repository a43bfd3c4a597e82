"""Blocks of matrix products, of floats and of bits, whose sums stay in vector registers (see `emitter`)."""

# mypy: ignore-errors
# (numba compiles this, in its own dialect of Python)
from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from blunet.packed.kernels.emitter import F32, I64, Emitter
from blunet.packed.kernels.layout import WORD
from blunet.packed.kernels.target import TARGET

LANES, WORDS = TARGET.floats, TARGET.words


@intrinsic(prefer_literal=True)
def multiply_block(typingctx, values, at, step, depth, matrix, weights_at, bias_at, sums, sums_at, pixels, vectors):
    """Multiply a block of matrices: ``sums[p, f] = bias[f] + sum_k values[p, k] weights[k, f]``.

    ``values[p, k]`` lies at ``at + p * step + k``, ``weights[k, f]`` at ``weights_at + k * F + f``, ``bias[f]`` at
    ``bias_at + f``, ``sums[p, f]`` at ``sums_at + 64 p + f``, with F = vectors * LANES; p < pixels, f < F, k < depth.

    Parameters
    ----------
    values : float32
    matrix : FloatMatrix
    sums : float32
    at, step, depth, weights_at, bias_at, sums_at : int
    pixels, vectors : literal int
    """
    p_count, v_count = pixels.literal_value, vectors.literal_value
    names = ("values", "at", "step", "depth", "matrix", "weights_at", "bias_at", "sums", "sums_at")

    def generate(context, builder, signature, arguments):
        e = Emitter(context, builder, signature, arguments, names)
        vector = ir.VectorType(F32, LANES)
        starts = [e.load("matrix.bias", e.sum(e["bias_at"], v * LANES), vector) for v in range(v_count)]
        totals = [[e.variable(vector, start) for start in starts] for _ in range(p_count)]
        rows = [e.sum(e["at"], e.product(e["step"], p)) for p in range(p_count)]
        with e.loop(e["depth"]) as loop:
            first = e.sum(e["weights_at"], e.product(loop.index, v_count * LANES))
            weights = [e.load("matrix.weights", e.sum(first, v * LANES), vector) for v in range(v_count)]
            for p in range(p_count):
                value = e.splat(e.load("values", e.sum(rows[p], loop.index), F32), LANES)
                for total, weight in zip(totals[p], weights, strict=True):
                    builder.store(e.multiply_add(value, weight, builder.load(total)), total)
        for p in range(p_count):
            for v in range(v_count):
                e.store("sums", e.sum(e["sums_at"], WORD * p + v * LANES), builder.load(totals[p][v]))
        return context.get_dummy_value()

    i = types.int64
    return types.void(values, i, i, i, matrix, i, i, sums, i, pixels, vectors), generate


@intrinsic(prefer_literal=True)
def popcount_block(
    typingctx, bits, at, depth, matrix, weights_at, weights_plane, factors_at, base, base_at, sums, sums_at,
    pixels, vectors, levels, weight_levels,
):  # fmt: skip
    """Sum over pairs of bit planes: ``sums[p, f] = base[f] + sum_mn factors[m, n] ones_mn[p, f]``.

    ::

        ones_mn[p, f] = sum_k popcount(words[at + p + m * plane + offsets[k]] ^ weights[n, k, f])

    ``weights[n, k, f]`` lies at ``weights_at + n * weights_plane + k * F + f``, ``factors[m, n]`` at
    ``factors_at + m * weight_levels + n``, ``base[f]`` at ``base_at + f``, ``sums[p, f]`` at ``sums_at + 64 p + f``,
    with F = vectors * WORDS; m < levels, n < weight_levels, k < depth, p < pixels, f < F.

    Parameters
    ----------
    bits : Bits
    matrix : BitMatrix
    base, sums : float32
    at, depth, weights_at, weights_plane, factors_at, base_at, sums_at : int
    pixels, vectors, levels, weight_levels : literal int
    """
    p_count, v_count, m_count, n_count = (x.literal_value for x in (pixels, vectors, levels, weight_levels))
    names = (
        "bits", "at", "depth", "matrix", "weights_at", "weights_plane", "factors_at", "base", "base_at", "sums",
        "sums_at",
    )  # fmt: skip

    def generate(context, builder, signature, arguments):
        e = Emitter(context, builder, signature, arguments, names)
        counts = _count_differing(e, e["weights_plane"], p_count, v_count, m_count, n_count)
        filters = v_count * WORDS
        floats = ir.VectorType(F32, filters)
        totals = [e.load("base", e["base_at"], floats)] * p_count
        for m in range(m_count):
            for n in range(n_count):
                factor = e.load("matrix.factors", e.sum(e["factors_at"], m * n_count + n), F32)
                factor = e.splat(factor, filters)
                for p in range(p_count):
                    count = e.narrow([builder.load(place) for place in counts[m][n][p]])
                    totals[p] = e.multiply_add(builder.sitofp(count, floats), factor, totals[p])
        for p in range(p_count):
            e.store("sums", e.sum(e["sums_at"], WORD * p), totals[p])
        return context.get_dummy_value()

    i = types.int64
    integers_and_literals = (i, i, i, base, i, sums, i, pixels, vectors, levels, weight_levels)
    return types.void(bits, i, i, matrix, *integers_and_literals), generate


@intrinsic(prefer_literal=True)
def popcount_sign_block(
    typingctx, bits, at, depth, matrix, weights_at, limits_at, out, out_at, out_step, shift, pixels, vectors
):
    """Count differing bits of one pair of planes and take signs: bit f of pixel p is ``ones[p, f] <= limits[f]``.

    `ones` as in `popcount_block`. The F = vectors * WORDS bits go to bits `shift` to ``shift + F - 1`` of the word at
    ``out_at + out_step * p``, whose other bits stay if `shift` is above 0 and become 0 otherwise.

    Parameters
    ----------
    bits : Bits
    matrix : SignMatrix
    out : uint64
    at, depth, weights_at, limits_at, out_at, out_step, shift : int
    pixels, vectors : literal int
    """
    p_count, v_count = pixels.literal_value, vectors.literal_value
    names = ("bits", "at", "depth", "matrix", "weights_at", "limits_at", "out", "out_at", "out_step", "shift")

    def generate(context, builder, signature, arguments):
        e = Emitter(context, builder, signature, arguments, names)
        counts = _count_differing(e, I64(0), p_count, v_count, 1, 1)[0][0]
        vector = ir.VectorType(I64, WORDS)
        limits = [e.load("matrix.limits", e.sum(e["limits_at"], v * WORDS), vector) for v in range(v_count)]
        keep = builder.icmp_signed(">", e["shift"], I64(0))
        for p in range(p_count):
            masks = [
                builder.icmp_signed("<=", builder.load(count), limit)
                for count, limit in zip(counts[p], limits, strict=True)
            ]
            found = builder.bitcast(e.join(masks), ir.IntType(v_count * WORDS))
            word = builder.zext(found, I64) if v_count * WORDS < WORD else found
            place = e.sum(e["out_at"], e.product(e["out_step"], p))
            old = builder.select(keep, e.load("out", place, I64), I64(0))
            e.store("out", place, builder.or_(old, builder.shl(word, e["shift"])))
        return context.get_dummy_value()

    i = types.int64
    return types.void(bits, i, i, matrix, i, i, out, i, i, i, pixels, vectors), generate


@intrinsic
def count_bits(typingctx, word):
    """Count the ones in a 64-bit word."""

    def generate(context, builder, signature, arguments):
        e = Emitter(context, builder, signature, arguments, ("word",))
        return e.count_ones(e["word"])

    return types.int64(types.uint64), generate


def _count_differing(e, weights_plane, p_count, v_count, m_count, n_count):
    """Emit the loop over k; return the variables of the counts [m][n][p][v]."""
    builder, vector = e.builder, ir.VectorType(I64, WORDS)
    zero = ir.Constant(vector, [0] * WORDS)
    counts = [
        [[[e.variable(vector, zero) for _ in range(v_count)] for _ in range(p_count)] for _ in range(n_count)]
        for _ in range(m_count)
    ]
    with e.loop(e["depth"]) as loop:
        here = e.sum(e["at"], e.load("bits.offsets", loop.index, I64))
        first = e.sum(e["weights_at"], e.product(loop.index, v_count * WORDS))
        planes = [e.sum(first, e.product(weights_plane, n)) for n in range(n_count)]
        weights = [
            [e.load("matrix.weights", e.sum(plane, v * WORDS), vector) for v in range(v_count)] for plane in planes
        ]
        for m in range(m_count):
            row = e.sum(here, e.product(e["bits.plane"], m))
            for p in range(p_count):
                word = e.splat(e.load("bits.words", e.sum(row, p), I64), WORDS)
                for n in range(n_count):
                    for v in range(v_count):
                        ones = e.count_ones(builder.xor(word, weights[n][v]))
                        place = counts[m][n][p][v]
                        builder.store(builder.add(builder.load(place), ones), place)
    return counts
