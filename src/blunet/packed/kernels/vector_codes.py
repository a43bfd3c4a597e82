"""Residual codes of many channels at once: floats into bits, and bits into floats (see `emitter`)."""

# mypy: ignore-errors
# (numba compiles this, in its own dialect of Python)
from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from blunet.packed.kernels.emitter import F32, I16, I64, Emitter
from blunet.packed.kernels.layout import CHUNK, WORD


@intrinsic(prefer_literal=True)
def code_word(typingctx, values, at, coding, valid, out, out_at, out_step, levels):
    """Code 64 floats as residual signs: the word of plane m goes to ``out_at + m * out_step``.

    ::

        r = values + offset;   for every m:  b = (r >= 0), r -= b ? gammas[m] : -gammas[m]

    Bits that `valid` lacks become 0.

    Parameters
    ----------
    values : float32
    coding : Coding
    valid : uint64
        A word with the bits of channels that exist (see `mark_existing_channels`).
    out : uint64
    at, out_at, out_step : int
    levels : literal int
    """
    names = ("values", "at", "coding", "valid", "out", "out_at", "out_step")

    def generate(context, builder, signature, arguments):
        e = Emitter(context, builder, signature, arguments, names)
        vector = ir.VectorType(F32, WORD)
        value = builder.fadd(e.load("values", e["at"], vector), e.splat(e["coding.offset"], WORD))
        _emit_code(e, value, levels.literal_value)
        return context.get_dummy_value()

    i = types.int64
    return types.void(values, i, coding, types.uint64, out, i, i, levels), generate


@intrinsic(prefer_literal=True)
def code_scaled_word(typingctx, values, at, scale, shift, first, coding, valid, out, out_at, out_step, levels):
    """Code 64 floats, each multiplied by its own scale and shifted, in place of the coding's offset; see `code_word`.

    ::

        r = values * scale + shift

    Parameters
    ----------
    scale, shift : float32
    first : int
        Where those of the first float are.
    values, at, coding, valid, out, out_at, out_step, levels
        As of `code_word`.
    """
    names = ("values", "at", "scale", "shift", "first", "coding", "valid", "out", "out_at", "out_step")

    def generate(context, builder, signature, arguments):
        e = Emitter(context, builder, signature, arguments, names)
        vector = ir.VectorType(F32, WORD)
        scaled, shifted = (e.load(name, e["first"], vector) for name in ("scale", "shift"))
        value = e.multiply_add(e.load("values", e["at"], vector), scaled, shifted)
        _emit_code(e, value, levels.literal_value)
        return context.get_dummy_value()

    i = types.int64
    return types.void(values, i, scale, shift, i, coding, types.uint64, out, i, i, levels), generate


def _emit_code(e, value, count):
    """Emit the signs of 64 residuals, level by level."""
    builder, vector = e.builder, ir.VectorType(F32, WORD)
    for m in range(count):
        positive = builder.fcmp_ordered(">=", value, ir.Constant(vector, [0.0] * WORD))
        place = e.sum(e["out_at"], e.product(e["out_step"], m))
        e.store("out", place, builder.and_(builder.bitcast(positive, I64), e["valid"]))
        if m + 1 < count:
            gamma = e.load("coding.gammas", I64(m), F32)
            down, up = e.splat(gamma, WORD), e.splat(builder.fneg(gamma), WORD)
            value = builder.fsub(value, builder.select(positive, down, up))


@intrinsic(prefer_literal=True)
def decode_line(typingctx, source, word, chunk, count, values, at, step, levels, pooled):
    """Write what the codes of 16 channels of a line of pixels stand for: ``sum_m values[m, bit]``.

    Parameters
    ----------
    source : CodedMap
    word : int
        Where the first pixel's word of plane 0 lies.
    chunk : int
        Which 16 channels of the word, 0 to 3.
    count : int
        Pixels of the line.
    values : float32
        For the values: of the first pixel from `at` on, of the next one `step` further.
    at, step : int
    levels : literal int
    pooled : literal int
        1: every pixel of the line is the largest of 2 x 2 pixels of the source, the upper left one at its word.
    """
    level_count, is_pooled = levels.literal_value, pooled.literal_value
    names = ("source", "word", "chunk", "count", "values", "at", "step")

    def generate(context, builder, signature, arguments):
        e = Emitter(context, builder, signature, arguments, names)
        chunks = builder.bitcast(e.pointer("source.words", I64(0)), I16.as_pointer())  # the lowest bits come first
        plane = e.product(e["source.layout.words"], e["source.layout.stride"])
        row = e.product(plane, e["source.layout.levels"])

        def step(level, bit):
            return e.splat(e.load("source.coding.values", I64(2 * level + bit), F32), CHUNK)

        steps = [(step(m, 1), step(m, 0)) for m in range(level_count)]

        def value(word):
            total = None
            for m, (up, down) in enumerate(steps):
                place = e.sum(e.product(e.sum(word, e.product(plane, m)), WORD // CHUNK), e["chunk"])
                mask = builder.bitcast(builder.load(builder.gep(chunks, [place])), ir.VectorType(ir.IntType(1), CHUNK))
                part = builder.select(mask, up, down)
                total = part if total is None else builder.fadd(total, part)
            return total

        with e.loop(e["count"]) as loop:
            if is_pooled:
                upper = e.sum(e["word"], e.product(loop.index, 2))
                lower = e.sum(upper, row)
                result = value(upper)
                for word in (e.sum(upper, 1), lower, e.sum(lower, 1)):
                    other = value(word)
                    result = builder.select(builder.fcmp_ordered(">", other, result), other, result)
            else:
                result = value(e.sum(e["word"], loop.index))
            e.store("values", e.sum(e["at"], e.product(e["step"], loop.index)), result)
        return context.get_dummy_value()

    i = types.int64
    return types.void(source, i, i, i, values, i, i, levels, pooled), generate
