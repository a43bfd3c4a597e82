"""Sigmoids of 16 numbers at once (see `emitter`)."""

# mypy: ignore-errors
# (numba compiles this, in its own dialect of Python)
from __future__ import annotations

import math
import struct

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from blunet.packed.kernels.emitter import F32, I32, Emitter
from blunet.packed.kernels.layout import CHUNK

#: Least power of two that is told from 0.
LEAST = -126.0
#: 2^x = exp(x log 2) for -1 < x <= 0, as a polynomial around -1/2: its terms from the constant on.
TERMS = [math.exp(-math.log(2) / 2) * math.log(2) ** n / math.factorial(n) for n in range(8)]


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
