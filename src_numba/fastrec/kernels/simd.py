"""Vectors in registers for kernels: LLVM's generic vector types, so that one source serves AVX-512, AVX2 and NEON.

A vector of 16 float32 is one register on AVX-512, two on AVX2 and four on NEON; LLVM splits what the CPU cannot hold.
Numbers of lanes are literals. Indices count elements from an array's first one, whatever its shape; arrays must be
C-contiguous, and nothing is checked.
"""

import functools
import os
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.errors import TypingError
from numba.extending import intrinsic, models, register_model

from fastrec.kernels import target
from fastrec.kernels.halves import to_floats

I32 = ir.IntType(32)


class Vector(types.Type):  # type: ignore[misc]
    """Numba's type of a register with `lanes` numbers of one type."""

    def __init__(self, dtype: Any, lanes: int) -> None:
        self.dtype = dtype
        self.lanes = lanes
        super().__init__(name=f"Vector({dtype}, {lanes})")


@register_model(Vector)
class VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    """A vector is one LLVM value."""

    def __init__(self, manager: Any, kind: Vector) -> None:
        super().__init__(manager, kind, ir.VectorType(manager.lookup(kind.dtype).get_value_type(), kind.lanes))


def _pointer(ctx: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    data = array if isinstance(kind, types.CPointer) else ctx.make_array(kind)(ctx, builder, array).data
    return builder.gep(data, [index])


def _size(ctx: Any, vector: Any) -> int:
    """Bytes of one lane: all the alignment that an element of an array promises."""
    return int(ctx.get_abi_sizeof(vector.element))


def _splat(builder: Any, value: Any, lanes: int) -> Any:
    vector = ir.VectorType(value.type, lanes)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(I32, 0))
    places = ir.Constant(ir.VectorType(I32, lanes), [0] * lanes)
    return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), places)


def _letter(dtype: Any) -> str:
    return "i" if isinstance(dtype, types.Integer) else "f"


def declare(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    """The function of LLVM called `name`, declared in the builder's module once."""
    known = builder.module.globals.get(name)
    return known or ir.Function(builder.module, ir.FunctionType(result, arguments), name)


def _half(builder: Any, value: Any, start: int, lanes: int) -> Any:
    places = ir.Constant(ir.VectorType(I32, lanes), list(range(start, start + lanes)))
    return builder.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), places)


def _load_first(ctx: Any, builder: Any, kind: Vector, array_kind: Any, array: Any, index: Any, count: Any) -> Any:
    vector = ctx.get_value_type(kind)
    place = builder.bitcast(_pointer(ctx, builder, array_kind, array, index), vector.as_pointer())
    if isinstance(count, ir.Constant) and count.constant >= kind.lanes:
        return builder.load(place, align=_size(ctx, vector))
    lane_of = ir.Constant(ir.VectorType(count.type, kind.lanes), list(range(kind.lanes)))
    wanted = builder.icmp_signed("<", lane_of, _splat(builder, count, kind.lanes))
    name = f"llvm.masked.load.v{kind.lanes}{_letter(kind.dtype)}{kind.dtype.bitwidth}.p0"
    function = declare(builder, name, vector, [place.type, I32, wanted.type, vector])
    return builder.call(function, [place, ir.Constant(I32, _size(ctx, vector)), wanted, ir.Constant(vector, None)])


@intrinsic  # type: ignore[misc]
def pointer(context: Any, array: Any) -> Any:
    """Where an array's numbers lie; can be indexed as a flat array, and handed to all that is defined here.

    An array that is handed to a function is counted as in use and let go again, by atomic operations that threads
    contend for. A pointer is not: it is what loops hand on. The array must outlive it.
    """

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return ctx.make_array(array)(ctx, builder, args[0]).data

    return types.CPointer(array.dtype)(array), build


@intrinsic  # type: ignore[misc]
def pointer_to_bytes(context: Any, array: Any) -> Any:
    """Where an array's numbers lie, as int8."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(ctx.make_array(array)(ctx, builder, args[0]).data, ir.IntType(8).as_pointer())

    return types.CPointer(types.int8)(array), build


@intrinsic  # type: ignore[misc]
def pointer_at(context: Any, address: Any, like: Any) -> Any:
    """The pointer to what lies at an address: numbers of the type of `like`."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], ctx.get_value_type(signature.return_type))

    return types.CPointer(like)(types.int64, like), build


@intrinsic  # type: ignore[misc]
def advance(context: Any, place: Any, count: Any) -> Any:
    """The pointer to what lies `count` numbers further on."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.gep(args[0], [args[1]])

    return place(place, types.intp), build


@intrinsic(prefer_literal=True)  # type: ignore[misc]
def load(context: Any, array: Any, index: Any, lanes: Any) -> Any:
    """`lanes` consecutive numbers of `array`, from element `index` on."""
    kind = Vector(array.dtype, lanes.literal_value)

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _pointer(ctx, builder, signature.args[0], args[0], args[1])
        vector = ctx.get_value_type(kind)
        return builder.load(builder.bitcast(place, vector.as_pointer()), align=_size(ctx, vector))

    return kind(array, types.intp, lanes), build


@intrinsic(prefer_literal=True)  # type: ignore[misc]
def load_part(context: Any, array: Any, index: Any, count: Any, lanes: Any) -> Any:
    """The first `count` of `lanes` consecutive numbers, and 0 in the other lanes, whose memory is not touched."""
    kind = Vector(array.dtype, lanes.literal_value)

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _load_first(ctx, builder, kind, signature.args[0], *args[:3])

    return kind(array, types.intp, types.intp, lanes), build


@intrinsic  # type: ignore[misc]
def store(context: Any, array: Any, index: Any, vector: Any) -> Any:
    """Writes a vector to `array`, from element `index` on."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _pointer(ctx, builder, signature.args[0], args[0], args[1])
        builder.store(args[2], builder.bitcast(place, args[2].type.as_pointer()), align=_size(ctx, args[2].type))
        return ctx.get_dummy_value()

    return types.void(array, types.intp, vector), build


@intrinsic(prefer_literal=True)  # type: ignore[misc]
def broadcast(context: Any, value: Any, lanes: Any) -> Any:
    """The number `value` in every lane."""
    dtype = value.literal_type if isinstance(value, types.Literal) else value

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _splat(builder, args[0], lanes.literal_value)

    return Vector(dtype, lanes.literal_value)(dtype, lanes), build


@intrinsic(prefer_literal=True)  # type: ignore[misc]
def broadcast_load(context: Any, array: Any, index: Any, lanes: Any) -> Any:
    """Element `index` of `array` in every lane."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _pointer(ctx, builder, signature.args[0], args[0], args[1])
        return _splat(builder, builder.load(place), lanes.literal_value)

    return Vector(array.dtype, lanes.literal_value)(array, types.intp, lanes), build


@intrinsic  # type: ignore[misc]
def multiply_add(context: Any, a: Vector, b: Vector, c: Vector) -> Any:
    """A · b + c in every lane, rounded once where the CPU has such an instruction."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        bits = a.dtype.bitwidth
        function = declare(builder, f"llvm.fmuladd.v{a.lanes}f{bits}", args[0].type, [args[0].type] * 3)
        return builder.call(function, args)

    return a(a, a, a), build


@intrinsic  # type: ignore[misc]
def add(context: Any, a: Vector, b: Vector) -> Any:
    """A + b in every lane."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return (builder.add if isinstance(a.dtype, types.Integer) else builder.fadd)(*args)

    return a(a, a), build


@intrinsic  # type: ignore[misc]
def subtract(context: Any, a: Vector, b: Vector) -> Any:
    """A − b in every lane."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return (builder.sub if isinstance(a.dtype, types.Integer) else builder.fsub)(*args)

    return a(a, a), build


@intrinsic  # type: ignore[misc]
def multiply(context: Any, a: Vector, b: Vector) -> Any:
    """A · b in every lane."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return (builder.mul if isinstance(a.dtype, types.Integer) else builder.fmul)(*args)

    return a(a, a), build


@intrinsic  # type: ignore[misc]
def divide(context: Any, a: Vector, b: Vector) -> Any:
    """A / b in every lane."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fdiv(*args)

    return a(a, a), build


def _choose(comparison: str) -> Any:
    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered(comparison, *args), *args)

    return build


@intrinsic  # type: ignore[misc]
def maximum(context: Any, a: Vector, b: Vector) -> Any:
    """The larger of a and b in every lane, b where either is NaN."""
    return a(a, a), _choose(">")


@intrinsic  # type: ignore[misc]
def minimum(context: Any, a: Vector, b: Vector) -> Any:
    """The smaller of a and b in every lane, b where either is NaN."""
    return a(a, a), _choose("<")


@intrinsic(prefer_literal=True)  # type: ignore[misc]
def add_across(context: Any, vector: Any, distance: Any) -> Any:
    """Sums and differences of lanes i and i + distance, in their places: a step of the Walsh-Hadamard transform."""
    lanes, far = vector.lanes, distance.literal_value

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = args[0].type
        partners = ir.Constant(ir.VectorType(I32, lanes), [lane ^ far for lane in range(lanes)])
        partner = builder.shuffle_vector(args[0], ir.Constant(kind, ir.Undefined), partners)
        signs = ir.Constant(kind, [-1.0 if lane & far else 1.0 for lane in range(lanes)])
        function = declare(builder, f"llvm.fmuladd.v{lanes}f{vector.dtype.bitwidth}", kind, [kind] * 3)
        return builder.call(function, [args[0], signs, partner])

    return vector(vector, distance), build


@intrinsic  # type: ignore[misc]
def keep_reaching(context: Any, a: Vector, limit: Vector, other: Vector) -> Any:
    """A in lanes where it is at least `limit`, and `other` in the others."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">=", args[0], args[1]), args[0], args[2])

    return a(a, a, a), build


@intrinsic  # type: ignore[misc]
def widen(context: Any, vector: Vector) -> Any:
    """float32 lanes as float64; uint16 lanes, taken as the bits of float16, as float32."""
    wide = types.float64 if vector.dtype == types.float32 else types.float32

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        if vector.dtype != types.float32:
            return to_floats(builder, args[0])
        return builder.fpext(args[0], ctx.get_value_type(signature.return_type))

    return Vector(wide, vector.lanes)(vector), build


@intrinsic(prefer_literal=True)  # type: ignore[misc]
def load_double(context: Any, array: Any, index: Any, count: Any, lanes: Any) -> Any:
    """The first `count` of `lanes` numbers as float64, 0 in the other lanes; uint16 are the bits of float16."""
    kind = Vector(types.float64, lanes.literal_value)

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = _load_first(ctx, builder, Vector(array.dtype, kind.lanes), signature.args[0], *args[:3])
        if array.dtype != types.float32:
            value = to_floats(builder, value)
        return builder.fpext(value, ctx.get_value_type(kind))

    return kind(array, types.intp, types.intp, lanes), build


@intrinsic  # type: ignore[misc]
def to_float(context: Any, vector: Vector) -> Any:
    """int32 lanes as float32; float32 lanes as they are."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        if vector.dtype == types.float32:
            return args[0]
        return builder.sitofp(args[0], ctx.get_value_type(signature.return_type))

    return Vector(types.float32, vector.lanes)(vector), build


@intrinsic  # type: ignore[misc]
def round_even(context: Any, vector: Vector) -> Any:
    """Each lane rounded to an integer, halves to the even one; still float32."""
    if target.has("rounding"):
        return _by_lanes(vector, "rint")

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return rounded_by_integers(builder, args[0])

    return vector(vector), build


def rounded_by_integers(builder: Any, value: Any) -> Any:
    """What `round_even` gives, on any processor: added to 2²³, a smaller number is rounded by the sum."""
    lanes = value.type.count
    ints = ir.VectorType(I32, lanes)
    bits = builder.bitcast(value, ints)
    sign = builder.and_(bits, ir.Constant(ints, [0x80000000] * lanes))
    size = builder.xor(bits, sign)
    sums = builder.fadd(builder.bitcast(size, value.type), ir.Constant(value.type, [2.0**23] * lanes))
    whole = builder.sub(builder.bitcast(sums, ints), ir.Constant(ints, [0x4B000000] * lanes))
    whole = builder.or_(sign, builder.bitcast(builder.sitofp(whole, value.type), ints))
    is_whole = builder.icmp_unsigned(">=", size, ir.Constant(ints, [0x4B000000] * lanes))  # 2²³ and more, and NaN
    return builder.bitcast(builder.select(is_whole, bits, whole), value.type)


@intrinsic  # type: ignore[misc]
def square_root(context: Any, vector: Vector) -> Any:
    """The square root of each lane of float32."""
    return _by_lanes(vector, "sqrt")


def _by_lanes(vector: Vector, name: str) -> Any:
    """LLVM's function of that name for each lane of float32."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = args[0].type
        return builder.call(declare(builder, f"llvm.{name}.v{vector.lanes}f32", kind, [kind]), args)

    return vector(vector), build


@intrinsic  # type: ignore[misc]
def to_bytes(context: Any, vector: Vector) -> Any:
    """float32 lanes, integers from -128 to 127, as int8."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        wide = builder.fptosi(args[0], ir.VectorType(I32, vector.lanes))
        return builder.trunc(wide, ctx.get_value_type(signature.return_type))

    return Vector(types.int8, vector.lanes)(vector), build


@intrinsic  # type: ignore[misc]
def at_least(context: Any, a: Vector, b: Vector) -> Any:
    """An int64 whose bit i says whether a ≥ b in lane i (false where either is NaN)."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        bits = builder.bitcast(builder.fcmp_ordered(">=", *args), ir.IntType(a.lanes))
        return builder.zext(bits, ir.IntType(64))

    return types.int64(a, a), build


def _reduce(combine: Any) -> Any:
    """Lanes made one, always in the same order: the upper half onto the lower, until one is left."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        value, lanes = args[0], signature.args[0].lanes
        while lanes > 1:
            lanes //= 2
            value = combine(builder, _half(builder, value, 0, lanes), _half(builder, value, lanes, lanes))
        return builder.extract_element(value, ir.Constant(I32, 0))

    return build


def _add_halves(builder: Any, lower: Any, upper: Any) -> Any:
    return builder.fadd(lower, upper)


def _choose_half(comparison: str) -> Any:
    def choose(builder: Any, lower: Any, upper: Any) -> Any:
        return builder.select(builder.fcmp_ordered(comparison, lower, upper), lower, upper)

    return choose


@intrinsic  # type: ignore[misc]
def reduce_add(context: Any, vector: Vector) -> Any:
    """The sum of all lanes, always in the same order."""
    return vector.dtype(vector), _reduce(_add_halves)


@intrinsic  # type: ignore[misc]
def reduce_maximum(context: Any, vector: Vector) -> Any:
    """The largest lane."""
    return vector.dtype(vector), _reduce(_choose_half(">"))


@intrinsic  # type: ignore[misc]
def reduce_minimum(context: Any, vector: Vector) -> Any:
    """The smallest lane."""
    return vector.dtype(vector), _reduce(_choose_half("<"))


@intrinsic  # type: ignore[misc]
def trailing_zeros(context: Any, bits: Any) -> Any:
    """The place of the lowest bit that is set in an int64 other than 0."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), build


@intrinsic  # type: ignore[misc]
def count_ones(context: Any, bits: Any) -> Any:
    """How many bits of an int64 are set."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.int64), build


@intrinsic  # type: ignore[misc]
def prefetch(context: Any, array: Any, index: Any) -> Any:
    """Asks for the cache line of element `index`, to be read soon."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        byte = ir.IntType(8).as_pointer()
        place = builder.bitcast(_pointer(ctx, builder, signature.args[0], args[0], args[1]), byte)
        function = declare(builder, "llvm.prefetch", ir.VoidType(), [byte, I32, I32, I32])
        builder.call(function, [place, ir.Constant(I32, 0), ir.Constant(I32, 3), ir.Constant(I32, 1)])
        return ctx.get_dummy_value()

    return types.void(array, types.intp), build


@intrinsic  # type: ignore[misc]
def above(context: Any, a: Vector, b: Vector) -> Any:
    """An int64 whose bit i says whether a > b in lane i (false where either is NaN)."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        compare = builder.icmp_signed if isinstance(a.dtype, types.Integer) else builder.fcmp_ordered
        return builder.zext(builder.bitcast(compare(">", *args), ir.IntType(a.lanes)), ir.IntType(64))

    return types.int64(a, a), build


# The ways to add products: elements of float32, or four products of a byte (0 to 255) and an int8 in each int32 lane.
FLOAT, PORTABLE, AVX2, AVX_VNNI, AVX512_VNNI, NEON = range(6)


@intrinsic  # type: ignore[misc]
def accumulate(context: Any, way: Any, items: Vector, query: Vector, total: Vector) -> Any:
    """Total + items · query in each lane, by the instructions that the `Static` way names.

    With AVX2 the query must be within ±64: sums of two products are kept in int16 there. NEON takes the bytes less 128.
    A way that the processor does not have is refused.
    """
    if way.value != FLOAT and way.value not in runnable_ways().values():
        raise TypingError(f"the processor that Numba compiles for does not have way {way.value} to add products")
    build = _WAYS[way.value]

    def build_call(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return build(builder, *args[1:])

    return total(way, items, query, total), build_call


def _add_floats(builder: Any, items: Any, query: Any, total: Any) -> Any:
    function = declare(builder, f"llvm.fmuladd.v{total.type.count}f32", total.type, [total.type] * 3)
    return builder.call(function, [items, query, total])


def _bytes(builder: Any, vector: Any) -> Any:
    return builder.bitcast(vector, ir.VectorType(ir.IntType(8), 4 * vector.type.count))


def _add_portably(builder: Any, items: Any, query: Any, total: Any) -> Any:
    lanes = total.type.count
    wide = ir.VectorType(I32, 4 * lanes)
    products = builder.mul(builder.zext(_bytes(builder, items), wide), builder.sext(_bytes(builder, query), wide))
    for _ in range(2):
        half = products.type.count // 2
        none = ir.Constant(products.type, ir.Undefined)
        even = ir.Constant(ir.VectorType(I32, half), list(range(0, 2 * half, 2)))
        odd = ir.Constant(ir.VectorType(I32, half), list(range(1, 2 * half, 2)))
        products = builder.add(
            builder.shuffle_vector(products, none, even), builder.shuffle_vector(products, none, odd)
        )
    return builder.add(total, products)


def _in_parts(count: int, call: Any) -> Any:
    """A way for registers of `count` int32, made into one for vectors of any larger number of lanes."""

    def build(builder: Any, items: Any, query: Any, total: Any) -> Any:
        parts = [
            call(builder, *(_half(builder, vector, start, count) for vector in (items, query, total)))
            for start in range(0, total.type.count, count)
        ]
        while len(parts) > 1:
            places = ir.Constant(ir.VectorType(I32, 2 * parts[0].type.count), list(range(2 * parts[0].type.count)))
            parts = [builder.shuffle_vector(a, b, places) for a, b in zip(parts[::2], parts[1::2], strict=True)]
        return parts[0]

    return build


def _add_by(name: str) -> Any:
    def build(builder: Any, items: Any, query: Any, total: Any) -> Any:
        return builder.call(declare(builder, name, total.type, [total.type] * 3), [total, items, query])

    return build


def _add_avx2(builder: Any, items: Any, query: Any, total: Any) -> Any:
    eight, sixteen = ir.VectorType(ir.IntType(8), 32), ir.VectorType(ir.IntType(16), 16)
    pairs = declare(builder, "llvm.x86.avx2.pmadd.ub.sw", sixteen, [eight, eight])
    fours = declare(builder, "llvm.x86.avx2.pmadd.wd", total.type, [sixteen, sixteen])
    two = builder.call(pairs, [_bytes(builder, items), _bytes(builder, query)])
    return builder.add(total, builder.call(fours, [two, ir.Constant(sixteen, [1] * 16)]))


def _add_neon(builder: Any, items: Any, query: Any, total: Any) -> Any:
    # As text, since LLVM's own list of a processor's features need not have the instruction: it would end the process.
    items = _bytes(builder, items)
    signed = builder.xor(items, ir.Constant(items.type, [-128] * 16))
    kind = ir.FunctionType(total.type, [total.type, items.type, items.type])
    text = ".arch_extension dotprod\nsdot ${0:v}.4s, ${2:v}.16b, ${3:v}.16b"
    return builder.asm(kind, text, "=w,0,w,w", [total, signed, _bytes(builder, query)], False)


_WAYS = {
    FLOAT: _add_floats,
    PORTABLE: _add_portably,
    AVX2: _in_parts(8, _add_avx2),
    AVX_VNNI: _in_parts(8, _add_by("llvm.x86.avx512.vpdpbusd.256")),
    AVX512_VNNI: _in_parts(16, _add_by("llvm.x86.avx512.vpdpbusd.512")),
    NEON: _in_parts(4, _add_neon),
}


@functools.cache
def byte_way() -> int:
    """The fastest way to add products of bytes that the CPU has, for which Numba compiles.

    The environment variable FASTREC_INT8 may name another one: portable, avx2, avx_vnni, avx512_vnni or neon.
    """
    ways = runnable_ways()
    wanted = os.environ.get("FASTREC_INT8", "")
    if wanted and wanted not in ways:
        raise ValueError(f"FASTREC_INT8 must be one of {', '.join(map(repr, ways))} on this CPU, got {wanted!r}")
    return ways[wanted] if wanted else next(iter(ways.values()))


def runnable_ways() -> dict[str, int]:
    """All ways to add products of bytes that the CPU has, the fastest first."""
    ways = {"avx512_vnni": AVX512_VNNI, "avx_vnni": AVX_VNNI, "avx2": AVX2, "neon": NEON}
    return {**{name: way for name, way in ways.items() if target.has(name)}, "portable": PORTABLE}
