"""Vector instructions that numba has no name for, as LLVM's portable vectors: the blocks the kernels are made of.

Every function here is expanded in place. Arrays are C-contiguous; positions count elements of the flat array, and
nobody checks them. LLVM turns a vector that is wider than the processor's into several.
"""

# mypy: ignore-errors
# (numba compiles this, in its own dialect of Python)
from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from blunet.packed.kernels.target import TARGET

F32, I16, I32, I64 = ir.FloatType(), ir.IntType(16), ir.IntType(32), ir.IntType(64)
#: Fused to multiply-add where the processor has it.
FUSED = ("contract",)
LANES, WORDS = TARGET.floats, TARGET.words


@intrinsic
def fetch_add(typingctx, array, amount):
    """``old = array[0]; array[0] += amount; return old``, atomically: how threads share out their work."""

    def generate(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature.args[0], arguments[0], I64(0))
        return builder.atomic_rmw("add", pointer, arguments[1], "monotonic")

    return types.int64(array, types.int64), generate


@intrinsic
def count_bits(typingctx, word):
    """Number of ones in a 64-bit word."""

    def generate(context, builder, signature, arguments):
        return builder.call(_population_count(builder, I64), arguments)

    return types.int64(types.uint64), generate


@intrinsic(prefer_literal=True)
def multiply_block(typingctx, d, at, stride, w, wat, depth, bias, bat, sums, sat, pixels, vectors):
    """Multiply a block of matrices: ``sums[p, f] = bias[f] + sum_k d[p, k] w[k, f]``, all in registers.

    ``d[p, k]`` lies at ``at + p * stride + k``, ``w[k, f]`` at ``wat + k * vectors * LANES + f``, ``sums[p, f]`` at
    ``sat + 64 p + f``; p < pixels, f < vectors * LANES, k < depth.
    """
    p_count, v_count = pixels.literal_value, vectors.literal_value

    def generate(context, builder, signature, arguments):
        a = dict(zip(("d", "at", "stride", "w", "wat", "depth", "bias", "bat", "sums", "sat"), arguments, strict=False))
        t = dict(
            zip(("d", "at", "stride", "w", "wat", "depth", "bias", "bat", "sums", "sat"), signature.args, strict=False)
        )
        vector = ir.VectorType(F32, LANES)
        totals = [[cgutils.alloca_once(builder, vector) for _ in range(v_count)] for _ in range(p_count)]
        for v in range(v_count):
            start = _load(context, builder, t["bias"], a["bias"], _plus(builder, a["bat"], v * LANES), vector)
            for p in range(p_count):
                builder.store(start, totals[p][v])
        rows = [builder.add(a["at"], builder.mul(a["stride"], I64(p))) for p in range(p_count)]
        with cgutils.for_range(builder, a["depth"], intp=I64) as loop:
            k = loop.index
            first = builder.add(a["wat"], builder.mul(k, I64(v_count * LANES)))
            weights = [
                _load(context, builder, t["w"], a["w"], _plus(builder, first, v * LANES), vector)
                for v in range(v_count)
            ]
            for p in range(p_count):
                value = _splat(builder, _load(context, builder, t["d"], a["d"], builder.add(rows[p], k), F32), LANES)
                for v in range(v_count):
                    product = builder.fmul(value, weights[v], flags=FUSED)
                    builder.store(builder.fadd(builder.load(totals[p][v]), product, flags=FUSED), totals[p][v])
        for p in range(p_count):
            for v in range(v_count):
                place = _plus(builder, a["sat"], 64 * p + v * LANES)
                _store(context, builder, t["sums"], a["sums"], place, builder.load(totals[p][v]))
        return context.get_dummy_value()

    return _void(
        typingctx, d, w, bias, sums, (d, "i", "i", w, "i", "i", bias, "i", sums, "i", pixels, vectors)
    ), generate


@intrinsic(prefer_literal=True)
def popcount_block(
    typingctx, a, at, plane, offsets, depth, w, wat, wplane, factors, base, bat, sums, sat, pixels, vectors, ms, ns
):
    """Sum over pairs of bit planes: ``sums[p, f] = base[f] + sum_mn factors[m, n] ones_mn[p, f]``.

    ::

        ones_mn[p, f] = sum_k popcount(a[at + p + m * plane + offsets[k]] ^ w[wat + n * wplane + k * F + f])

    with F = vectors * WORDS; m < ms, n < ns, k < depth, p < pixels, f < F; ``sums[p, f]`` lies at ``sat + 64 p + f``.
    """
    p_count, v_count, m_count, n_count = (x.literal_value for x in (pixels, vectors, ms, ns))
    names = ("a", "at", "plane", "offsets", "depth", "w", "wat", "wplane", "factors", "base", "bat", "sums", "sat")

    def generate(context, builder, signature, arguments):
        x, t = dict(zip(names, arguments, strict=False)), dict(zip(names, signature.args, strict=False))
        counts = _counts(context, builder, x, t, p_count, v_count, m_count, n_count)
        filters = v_count * WORDS
        floats = ir.VectorType(F32, filters)
        totals = [_load(context, builder, t["base"], x["base"], x["bat"], floats)] * p_count
        for m in range(m_count):
            for n in range(n_count):
                factor = _load(context, builder, t["factors"], x["factors"], I64(m * n_count + n), F32)
                factor = _splat(builder, factor, filters)
                for p in range(p_count):
                    count = _narrowed(builder, [builder.load(place) for place in counts[m][n][p]])
                    product = builder.fmul(builder.sitofp(count, floats), factor, flags=FUSED)
                    totals[p] = builder.fadd(totals[p], product, flags=FUSED)
        for p in range(p_count):
            _store(context, builder, t["sums"], x["sums"], _plus(builder, x["sat"], 64 * p), totals[p])
        return context.get_dummy_value()

    kinds = (a, "i", "i", offsets, "i", w, "i", "i", factors, base, "i", sums, "i", pixels, vectors, ms, ns)
    return _void(typingctx, a, w, base, sums, kinds), generate


@intrinsic(prefer_literal=True)
def popcount_sign_block(typingctx, a, at, offsets, depth, w, wat, limits, lat, out, oat, ostep, shift, pixels, vectors):
    """Count one pair of planes and take signs: bit f of pixel p is ``ones[p, f] <= limits[f]``.

    `ones` as in `popcount_block`. The F = vectors * WORDS bits go to bits `shift` to ``shift + F - 1`` of the word at
    ``oat + ostep * p``, whose other bits stay if `shift` is above 0 and become 0 otherwise.
    """
    p_count, v_count = pixels.literal_value, vectors.literal_value
    names = ("a", "at", "offsets", "depth", "w", "wat", "limits", "lat", "out", "oat", "ostep", "shift")

    def generate(context, builder, signature, arguments):
        x, t = dict(zip(names, arguments, strict=False)), dict(zip(names, signature.args, strict=False))
        x["plane"] = x["wplane"] = I64(0)
        counts = _counts(context, builder, x, t, p_count, v_count, 1, 1)[0][0]
        vector = ir.VectorType(I64, WORDS)
        limit = [
            _load(context, builder, t["limits"], x["limits"], _plus(builder, x["lat"], v * WORDS), vector)
            for v in range(v_count)
        ]
        keep = builder.icmp_signed(">", x["shift"], I64(0))
        for p in range(p_count):
            masks = [builder.icmp_signed("<=", builder.load(counts[p][v]), limit[v]) for v in range(v_count)]
            bits = builder.bitcast(_joined(builder, masks), ir.IntType(v_count * WORDS))
            word = builder.zext(bits, I64) if v_count * WORDS < 64 else bits
            place = builder.add(x["oat"], builder.mul(x["ostep"], I64(p)))
            old = builder.select(keep, _load(context, builder, t["out"], x["out"], place, I64), I64(0))
            _store(context, builder, t["out"], x["out"], place, builder.or_(old, builder.shl(word, x["shift"])))
        return context.get_dummy_value()

    kinds = (a, "i", offsets, "i", w, "i", limits, "i", out, "i", "i", "i", pixels, vectors)
    return _void(typingctx, a, w, limits, out, kinds), generate


@intrinsic(prefer_literal=True)
def code_word(typingctx, values, at, offset, gammas, mask, out, oat, ostep, levels):
    """Code 64 floats as residual signs: the word of plane m goes to ``oat + m * ostep``.

    ::

        r = values + offset;   for every m:  b = (r >= 0), r -= b ? gammas[m] : -gammas[m]

    Bits that `mask` lacks become 0.
    """
    count = levels.literal_value

    def generate(context, builder, signature, arguments):
        names = ("values", "at", "offset", "gammas", "mask", "out", "oat", "ostep")
        x, t = dict(zip(names, arguments, strict=False)), dict(zip(names, signature.args, strict=False))
        vector = ir.VectorType(F32, 64)
        value = _load(context, builder, t["values"], x["values"], x["at"], vector)
        value = builder.fadd(value, _splat(builder, x["offset"], 64))
        for m in range(count):
            positive = builder.fcmp_ordered(">=", value, ir.Constant(vector, [0.0] * 64))
            place = builder.add(x["oat"], builder.mul(x["ostep"], I64(m)))
            word = builder.and_(builder.bitcast(positive, I64), x["mask"])
            _store(context, builder, t["out"], x["out"], place, word)
            if m + 1 < count:
                gamma = _load(context, builder, t["gammas"], x["gammas"], I64(m), F32)
                down, up = _splat(builder, gamma, 64), _splat(builder, builder.fneg(gamma), 64)
                value = builder.fsub(value, builder.select(positive, down, up))
        return context.get_dummy_value()

    i = types.int64
    kinds = (values, i, types.float32, gammas, types.uint64, out, i, i, levels)
    return types.void(*kinds), generate


@intrinsic(prefer_literal=True)
def decode_chunk(typingctx, source, word, plane, part, gammas, values, at, levels, pooled, below):
    """Write what the codes of 16 channels stand for: ``sum_m (bit ? gammas[m] : -gammas[m])``.

    The bits are the `part`-th 16 (0 to 3) of the words at ``word + m * plane``. Where `pooled` is 1 the largest value
    of four pixels is written: of these words, those behind them, and those `below` words further of both.
    """
    count, largest = levels.literal_value, pooled.literal_value

    def generate(context, builder, signature, arguments):
        names = ("source", "word", "plane", "part", "gammas", "values", "at", "levels", "pooled", "below")
        x, t = dict(zip(names, arguments, strict=True)), dict(zip(names, signature.args, strict=True))
        data = context.make_array(t["source"])(context, builder, x["source"]).data
        octets = builder.bitcast(data, I16.as_pointer())  # the lowest bits come first in memory

        def value(word):
            total = None
            for m in range(count):
                place = builder.add(word, builder.mul(x["plane"], I64(m)))
                place = builder.add(builder.mul(place, I64(4)), x["part"])
                bits = builder.load(builder.gep(octets, [place]))
                mask = builder.bitcast(bits, ir.VectorType(ir.IntType(1), 16))
                gamma = _load(context, builder, t["gammas"], x["gammas"], I64(m), F32)
                signed = builder.select(mask, _splat(builder, gamma, 16), _splat(builder, builder.fneg(gamma), 16))
                total = signed if total is None else builder.fadd(total, signed)
            return total

        result = value(x["word"])
        if largest:
            lower = builder.add(x["word"], x["below"])
            for word in (builder.add(x["word"], I64(1)), lower, builder.add(lower, I64(1))):
                other = value(word)
                result = builder.select(builder.fcmp_ordered(">", other, result), other, result)
        _store(context, builder, t["values"], x["values"], x["at"], result)
        return context.get_dummy_value()

    i = types.int64
    return types.void(source, i, i, i, gammas, values, i, levels, pooled, i), generate


@intrinsic
def depthwise_line(typingctx, x, at, row, column, w, wat, wtap, d, dat, dstride, count):
    """Correlate 16 channels of a line of `count` pixels with their 3 x 3 kernels.

    The value at row i, column j of the window of pixel p is at ``at + i * row + (p + j) * column``, the weight of that
    tap at ``wat + (3 i + j) * wtap``, the result at ``dat + p * dstride``; 16 neighbouring channels from each.
    """

    def generate(context, builder, signature, arguments):
        names = ("x", "at", "row", "column", "w", "wat", "wtap", "d", "dat", "dstride", "count")
        a, t = dict(zip(names, arguments, strict=True)), dict(zip(names, signature.args, strict=True))
        vector = ir.VectorType(F32, 16)

        def tap(i, j):
            place = builder.add(a["wat"], builder.mul(a["wtap"], I64(3 * i + j)))
            return _load(context, builder, t["w"], a["w"], place, vector)

        def value(i, pixel):
            place = builder.add(a["at"], builder.mul(a["row"], I64(i)))
            place = builder.add(place, builder.mul(a["column"], pixel))
            return _load(context, builder, t["x"], a["x"], place, vector)

        taps = [[tap(i, j) for j in range(3)] for i in range(3)]
        left = [cgutils.alloca_once(builder, vector) for _ in range(3)]
        middle = [cgutils.alloca_once(builder, vector) for _ in range(3)]
        for i in range(3):
            builder.store(value(i, I64(0)), left[i])
            builder.store(value(i, I64(1)), middle[i])
        with cgutils.for_range(builder, a["count"], intp=I64) as loop:
            total = None
            for i in range(3):
                last = value(i, builder.add(loop.index, I64(2)))
                for held, weight in (
                    (builder.load(left[i]), taps[i][0]),
                    (builder.load(middle[i]), taps[i][1]),
                    (last, taps[i][2]),
                ):
                    product = builder.fmul(held, weight, flags=FUSED)
                    total = product if total is None else builder.fadd(total, product, flags=FUSED)
                builder.store(builder.load(middle[i]), left[i])
                builder.store(last, middle[i])
            place = builder.add(a["dat"], builder.mul(a["dstride"], loop.index))
            _store(context, builder, t["d"], a["d"], place, total)
        return context.get_dummy_value()

    i = types.int64
    return types.void(x, i, i, i, w, i, i, d, i, i, i), generate


@intrinsic
def upsampled_pixel(typingctx, x, at, row, column, w, wat, wtap, d, dat, dphase):
    """Correlate 16 channels of one pixel, repeated 2 x 2, with 2 x 2 kernels: the four results.

    Weights are sums of taps, at ``wat + i * wtap``: all four; the left, the right ones; the upper, the lower ones; and
    the four alone (upper left, upper right, lower left, lower right). Result (y, x) is at ``dat + (2 y + x) * dphase``.
    """

    def generate(context, builder, signature, arguments):
        names = ("x", "at", "row", "column", "w", "wat", "wtap", "d", "dat", "dphase")
        a, t = dict(zip(names, arguments, strict=True)), dict(zip(names, signature.args, strict=True))
        vector = ir.VectorType(F32, 16)
        taps = [
            _load(context, builder, t["w"], a["w"], builder.add(a["wat"], builder.mul(a["wtap"], I64(i))), vector)
            for i in range(9)
        ]
        down = builder.add(a["at"], a["row"])
        places = (a["at"], builder.add(a["at"], a["column"]), down, builder.add(down, a["column"]))
        here, right, below, across = (_load(context, builder, t["x"], a["x"], place, vector) for place in places)
        sums = (
            ((here, 0),),
            ((here, 1), (right, 2)),
            ((here, 3), (below, 4)),
            ((here, 5), (right, 6), (below, 7), (across, 8)),
        )
        for phase, terms in enumerate(sums):
            total = None
            for held, i in terms:
                product = builder.fmul(held, taps[i], flags=FUSED)
                total = product if total is None else builder.fadd(total, product, flags=FUSED)
            place = builder.add(a["dat"], builder.mul(a["dphase"], I64(phase)))
            _store(context, builder, t["d"], a["d"], place, total)
        return context.get_dummy_value()

    i = types.int64
    return types.void(x, i, i, i, w, i, i, d, i, i), generate


def _counts(context, builder, x, t, p_count, v_count, m_count, n_count):
    """Emit the loop over k; return where the counts [m][n][p][v] are kept."""
    vector = ir.VectorType(I64, WORDS)
    population = _population_count(builder, vector)
    zero = ir.Constant(vector, [0] * WORDS)

    def kept():
        place = cgutils.alloca_once(builder, vector)
        builder.store(zero, place)
        return place

    counts = [
        [[[kept() for _ in range(v_count)] for _ in range(p_count)] for _ in range(n_count)] for _ in range(m_count)
    ]
    with cgutils.for_range(builder, x["depth"], intp=I64) as loop:
        k = loop.index
        here = builder.add(x["at"], _load(context, builder, t["offsets"], x["offsets"], k, I64))
        first = builder.add(x["wat"], builder.mul(k, I64(v_count * WORDS)))
        weights = [
            [
                _load(
                    context, builder, t["w"], x["w"],
                    _plus(builder, builder.add(first, builder.mul(x["wplane"], I64(n))), v * WORDS), vector,
                )
                for v in range(v_count)
            ]
            for n in range(n_count)
        ]  # fmt: skip
        for m in range(m_count):
            row = builder.add(here, builder.mul(x["plane"], I64(m)))
            for p in range(p_count):
                word = _load(context, builder, t["a"], x["a"], _plus(builder, row, p), I64)
                word = _splat(builder, word, WORDS)
                for n in range(n_count):
                    for v in range(v_count):
                        ones = builder.call(population, [builder.xor(word, weights[n][v])])
                        place = counts[m][n][p][v]
                        builder.store(builder.add(builder.load(place), ones), place)
    return counts


def _void(typingctx, a, w, base, sums, kinds):
    return types.void(*(types.int64 if kind == "i" else kind for kind in kinds))


def _pointer(context, builder, array_type, array, position):
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [position])


def _load(context, builder, array_type, array, position, kind):
    pointer = _pointer(context, builder, array_type, array, position)
    if isinstance(kind, ir.VectorType):
        pointer = builder.bitcast(pointer, kind.as_pointer())
        return builder.load(pointer, align=4 if kind.element == F32 else 8)
    return builder.load(pointer)


def _store(context, builder, array_type, array, position, value):
    pointer = _pointer(context, builder, array_type, array, position)
    if isinstance(value.type, ir.VectorType):
        pointer = builder.bitcast(pointer, value.type.as_pointer())
        builder.store(value, pointer, align=4 if value.type.element == F32 else 8)
    else:
        builder.store(value, pointer)


def _plus(builder, value, number):
    return value if number == 0 else builder.add(value, I64(number))


def _splat(builder, scalar, lanes):
    vector = ir.VectorType(scalar.type, lanes)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, I32(0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(I32, lanes), [0] * lanes))


def _joined(builder, vectors):
    """Concatenate vectors of equal length, a power of two of them."""
    while len(vectors) > 1:
        lanes = 2 * vectors[0].type.count
        order = ir.Constant(ir.VectorType(I32, lanes), list(range(lanes)))
        vectors = [builder.shuffle_vector(a, b, order) for a, b in zip(vectors[::2], vectors[1::2], strict=True)]
    return vectors[0]


def _narrowed(builder, vectors):
    """Concatenate vectors of 64-bit numbers below 2^31, a power of two of them, as 32-bit ones."""
    halves = [builder.bitcast(v, ir.VectorType(I32, 2 * v.type.count)) for v in vectors]
    pairs = []
    for a, b in zip(halves[::2], halves[1::2], strict=True):
        order = ir.Constant(ir.VectorType(I32, a.type.count), list(range(0, 2 * a.type.count, 2)))
        pairs.append(builder.shuffle_vector(a, b, order))
    return _joined(builder, pairs)


def _population_count(builder, kind):
    name = "llvm.ctpop.i64" if kind == I64 else f"llvm.ctpop.v{kind.count}i64"
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind]), name)
