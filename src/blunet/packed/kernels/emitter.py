"""Writing LLVM's portable vector instructions, which numba has no names for.

Functions built with an `Emitter` are expanded in place. Positions count elements of the flat, C-contiguous array, and
are not checked. LLVM splits a vector that is wider than the processor's registers into several.
"""

# mypy: ignore-errors
# (llvmlite has no types)
from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils

F32, I8, I16, I32, I64 = ir.FloatType(), ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64)


class Emitter:
    """The arguments of a function that is expanded in place, by name, and instructions on them.

    Fields of a structure are called ``structure.field``.
    """

    def __init__(self, context, builder, signature, arguments, names):
        self.context, self.builder = context, builder
        self._types, self._values = {}, {}
        for name, kind, value in zip(names, signature.args, arguments, strict=False):
            self._add(name, kind, value)

    def _add(self, name, kind, value):
        self._types[name], self._values[name] = kind, value
        if isinstance(kind, types.BaseNamedTuple):
            for i, (field, inner) in enumerate(zip(kind.fields, kind.types, strict=True)):
                self._add(f"{name}.{field}", inner, self.builder.extract_value(value, i))

    def __getitem__(self, name):
        return self._values[name]

    def pointer(self, array, position):
        """Point to an element of an array."""
        data = self.context.make_array(self._types[array])(self.context, self.builder, self[array]).data
        return self.builder.gep(data, [position])

    def load(self, array, position, kind):
        """Load a scalar, or a vector from neighbouring elements."""
        pointer = self.pointer(array, position)
        if not isinstance(kind, ir.VectorType):
            return self.builder.load(pointer)
        return self.builder.load(self.builder.bitcast(pointer, kind.as_pointer()), align=_size(kind))

    def store(self, array, position, value):
        """Store a scalar, or a vector into neighbouring elements."""
        pointer = self.pointer(array, position)
        if isinstance(value.type, ir.VectorType):
            self.builder.store(value, self.builder.bitcast(pointer, value.type.as_pointer()), align=_size(value.type))
        else:
            self.builder.store(value, pointer)

    def sum(self, *terms):
        """Add integers, some of them Python's."""
        number = sum(term for term in terms if isinstance(term, int))
        values = [term for term in terms if not isinstance(term, int)]
        total = values[0]
        for value in values[1:]:
            total = self.builder.add(total, value)
        return self.builder.add(total, I64(number)) if number else total

    def product(self, first, second):
        """Multiply two integers, one of which may be Python's."""
        return self.builder.mul(first, I64(second) if isinstance(second, int) else second)

    def multiply_add(self, first, second, addend):
        """Return ``first * second + addend``.

        One instruction where the processor has it. LLVM is told what to fuse: of two products that are added it would
        fuse one or the other, as the surrounding code has it, and round differently from one compilation to the next.
        """
        kind = first.type
        name = f"llvm.fmuladd.v{kind.count}f32"
        function = cgutils.get_or_insert_function(self.builder.module, ir.FunctionType(kind, [kind] * 3), name)
        return self.builder.call(function, [first, second, addend])

    def variable(self, kind, value):
        """Make a variable; LLVM keeps it in a register."""
        place = cgutils.alloca_once(self.builder, kind)
        self.builder.store(value, place)
        return place

    def loop(self, count):
        """Return the context of a loop, whose target has the `index`."""
        return cgutils.for_range(self.builder, count, intp=I64)

    def splat(self, scalar, lanes):
        """Return a vector whose lanes all hold a scalar."""
        vector = ir.VectorType(scalar.type, lanes)
        one = self.builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, I32(0))
        return self.builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(I32, lanes), [0] * lanes))

    def join(self, vectors):
        """Concatenate vectors of equal length, a power of two of them."""
        while len(vectors) > 1:
            lanes = 2 * vectors[0].type.count
            order = ir.Constant(ir.VectorType(I32, lanes), list(range(lanes)))
            pairs = zip(vectors[::2], vectors[1::2], strict=True)
            vectors = [self.builder.shuffle_vector(a, b, order) for a, b in pairs]
        return vectors[0]

    def narrow(self, vectors):
        """Concatenate vectors of 64-bit numbers below 2^31, a power of two of them, as 32-bit ones."""
        halves = [self.builder.bitcast(v, ir.VectorType(I32, 2 * v.type.count)) for v in vectors]
        pairs = []
        for a, b in zip(halves[::2], halves[1::2], strict=True):
            order = ir.Constant(ir.VectorType(I32, a.type.count), list(range(0, 2 * a.type.count, 2)))
            pairs.append(self.builder.shuffle_vector(a, b, order))
        return self.join(pairs)

    def count_ones(self, value):
        """Count the ones in a 64-bit word, or in every lane of a vector of them."""
        kind = value.type
        name = f"llvm.ctpop.v{kind.count}i64" if isinstance(kind, ir.VectorType) else "llvm.ctpop.i64"
        function = cgutils.get_or_insert_function(self.builder.module, ir.FunctionType(kind, [kind]), name)
        return self.builder.call(function, [value])


def _size(vector):
    """Alignment that a vector is sure to have: that of its elements, in bytes."""
    return 4 if vector.element == F32 else 8
