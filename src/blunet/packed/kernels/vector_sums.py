"""The sums of an output layer of floats, from bits, and their sigmoids (see `emitter`)."""

# mypy: ignore-errors
# (numba compiles this, in its own dialect of Python)
from __future__ import annotations

import math
import struct

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from blunet.packed.kernels.emitter import F32, I8, I32, I64, Emitter
from blunet.packed.kernels.layout import CHUNK, OCTET_FLOATS, OCTETS

#: Least power of two that is told from 0.
LEAST = -126.0
#: 2^x = exp(x log 2) for -1 < x <= 0, as a polynomial around -1/2: its terms from the constant on.
TERMS = [math.exp(-math.log(2) / 2) * math.log(2) ** n / math.factorial(n) for n in range(8)]


@intrinsic(prefer_literal=True)
def add_entries(typingctx, source, word, octet, tables, entries_at, sums, count, octets):
    """Add the tables' entries for some octets of a line of pixels to the line's sums, which are pairs.

    Parameters
    ----------
    source : CodedMap
    word : int
        Where the first pixel's word lies.
    octet : int
        The first octet of every word that is used.
    tables : SumTables
    entries_at : int
        Where the entries of that octet begin; those of the others follow.
    sums : float32
        Those of pixel p at ``2 * p``.
    count : int
        Pixels of the line.
    octets : literal int
    """
    number = octets.literal_value
    names = ("source", "word", "octet", "tables", "entries_at", "sums", "count")

    def generate(context, builder, signature, arguments):
        e = Emitter(context, builder, signature, arguments, names)
        pair = ir.VectorType(F32, 2)
        bits = builder.bitcast(e.pointer("source.words", I64(0)), I8.as_pointer())  # the lowest bits come first
        first = e.sum(e.product(e["word"], OCTETS), e["octet"])
        with e.loop(e["count"]) as loop:
            at = e.sum(first, e.product(loop.index, OCTETS))
            place = e.product(loop.index, 2)
            total = e.load("sums", place, pair)
            for i in range(number):
                value = builder.zext(builder.load(builder.gep(bits, [e.sum(at, i)])), I64)
                entry = e.sum(e["entries_at"], e.product(value, 2), i * OCTET_FLOATS)
                total = builder.fadd(total, e.load("tables.tables", entry, pair))
            e.store("sums", place, total)
        return context.get_dummy_value()

    i = types.int64
    return types.void(source, i, i, tables, i, sums, i, octets), generate


@intrinsic
def take_sigmoids(typingctx, values, at):
    """Replace 16 floats from `at` on by ``1 / (1 + exp(-value))``, to about 1e-7 of it.

    Parameters
    ----------
    values : float32
    at : int
    """

    def generate(context, builder, signature, arguments):
        e = Emitter(context, builder, signature, arguments, ("values", "at"))
        floats, integers = ir.VectorType(F32, CHUNK), ir.VectorType(I32, CHUNK)

        def constant(value):
            return ir.Constant(floats, [value] * CHUNK)

        value = e.load("values", e["at"], floats)
        positive = builder.fcmp_ordered(">=", value, constant(0.0))
        magnitude = builder.select(positive, value, builder.fneg(value))
        # exp(-magnitude) = 2^power = 2^(whole + part), with a whole number below 0 and a part above -1
        power = builder.fmul(magnitude, constant(_single(-1 / math.log(2))))
        power = builder.select(builder.fcmp_ordered(">", power, constant(LEAST)), power, constant(LEAST))
        whole = builder.fptosi(power, integers)
        part = builder.fadd(builder.fsub(power, builder.sitofp(whole, floats)), constant(0.5))
        total = constant(_single(TERMS[-1]))
        for term in reversed(TERMS[:-1]):
            total = e.multiply_add(total, part, constant(_single(term)))
        bits = builder.shl(whole, ir.Constant(integers, [23] * CHUNK))  # into the exponent of a float
        small = builder.bitcast(builder.add(builder.bitcast(total, integers), bits), floats)
        top = builder.select(positive, constant(1.0), small)
        e.store("values", e["at"], builder.fdiv(top, builder.fadd(small, constant(1.0))))
        return context.get_dummy_value()

    return types.void(values, types.int64), generate


def _single(value):
    """Round to float32, as LLVM wants its constants."""
    return struct.unpack("f", struct.pack("f", value))[0]
