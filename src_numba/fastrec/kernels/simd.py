"""Vectors in registers for kernels: LLVM's generic vector types, so that one source serves AVX-512, AVX2 and NEON.

A vector of 16 float32 is one register on AVX-512, two on AVX2 and four on NEON; LLVM splits vectors that the CPU cannot
hold. Numbers of lanes are literals. Indices count elements from an array's first one, whatever its shape; arrays must
be C-contiguous, and nothing is checked.
"""

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, models, register_model

from fastrec.kernels import halves, target

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


def place_of(ctx: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    """Returns the pointer to element `index` of an array, or after a pointer."""
    data = array if isinstance(kind, types.CPointer) else ctx.make_array(kind)(ctx, builder, array).data
    return builder.gep(data, [index])


def _lane_size(ctx: Any, vector: Any) -> int:
    """Returns the bytes of one lane: the only alignment that an element of an array guarantees."""
    return int(ctx.get_abi_sizeof(vector.element))


def read_floats(builder: Any, place: Any, dtype: Any, lanes: int) -> Any:
    """Returns float32 from a pointer to float32, or to uint16 with the bits of float16."""
    is_half = dtype == types.uint16
    vector = ir.VectorType(ir.IntType(16) if is_half else ir.FloatType(), lanes)
    value = builder.load(builder.bitcast(place, vector.as_pointer()), align=2 if is_half else 4)
    return halves.to_floats(builder, value) if is_half else value


def splat(builder: Any, value: Any, lanes: int) -> Any:
    """Returns a number in every lane of a vector."""
    vector = ir.VectorType(value.type, lanes)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(I32, 0))
    places = ir.Constant(ir.VectorType(I32, lanes), [0] * lanes)
    return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), places)


def _suffix(kind: Any) -> str:
    """Returns the suffix of the name of an LLVM function for float32 or float64, or vectors of them."""
    element = kind.element if isinstance(kind, ir.VectorType) else kind
    lanes = f"v{kind.count}" if isinstance(kind, ir.VectorType) else ""
    return f"{lanes}f{64 if isinstance(element, ir.DoubleType) else 32}"


def declare(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    """Returns LLVM's function `name`, declared once in the builder's module."""
    known = builder.module.globals.get(name)
    return known or ir.Function(builder.module, ir.FunctionType(result, arguments), name)


def fuse(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """Returns a·b + c of numbers or vectors, rounded once if the processor has such an instruction."""
    return builder.call(declare(builder, f"llvm.fmuladd.{_suffix(a.type)}", a.type, [a.type] * 3), [a, b, c])


def root(builder: Any, value: Any) -> Any:
    """Returns the square root of a number or a vector."""
    return builder.call(declare(builder, f"llvm.sqrt.{_suffix(value.type)}", value.type, [value.type]), [value])


def pick_lanes(builder: Any, value: Any, start: int, lanes: int) -> Any:
    """Returns lanes of a vector, from `start` on."""
    places = ir.Constant(ir.VectorType(I32, lanes), list(range(start, start + lanes)))
    return builder.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), places)


def _load_first(ctx: Any, builder: Any, kind: Vector, array_kind: Any, array: Any, index: Any, count: Any) -> Any:
    vector = ctx.get_value_type(kind)
    place = builder.bitcast(place_of(ctx, builder, array_kind, array, index), vector.as_pointer())
    if isinstance(count, ir.Constant) and count.constant >= kind.lanes:
        return builder.load(place, align=_lane_size(ctx, vector))
    # Other counts than all lanes: a load under a mask, which does not touch the other lanes.
    lane_of = ir.Constant(ir.VectorType(count.type, kind.lanes), list(range(kind.lanes)))
    wanted = builder.icmp_signed("<", lane_of, splat(builder, count, kind.lanes))
    letter = "i" if isinstance(kind.dtype, types.Integer) else "f"
    name = f"llvm.masked.load.v{kind.lanes}{letter}{kind.dtype.bitwidth}.p0"
    function = declare(builder, name, vector, [place.type, I32, wanted.type, vector])
    return builder.call(function, [place, ir.Constant(I32, _lane_size(ctx, vector)), wanted, ir.Constant(vector, None)])


@intrinsic  # type: ignore[misc]
def pointer(context: Any, array: Any) -> Any:
    """Returns the address of an array's numbers: it can be indexed as a flat array, and passed to all functions here.

    Passing an array to a function increments and decrements its reference count, by atomic operations that threads
    contend for. Passing a pointer does not, so loops pass pointers. The array must outlive it.
    """

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return ctx.make_array(array)(ctx, builder, args[0]).data

    return types.CPointer(array.dtype)(array), build


@intrinsic  # type: ignore[misc]
def pointer_to_bytes(context: Any, array: Any) -> Any:
    """Returns the address of the numbers of an array, or that of a pointer, as int8."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        first = ctx.get_constant(types.intp, 0)
        return builder.bitcast(place_of(ctx, builder, array, args[0], first), ir.IntType(8).as_pointer())

    return types.CPointer(types.int8)(array), build


@intrinsic  # type: ignore[misc]
def advance(context: Any, place: Any, count: Any) -> Any:
    """Returns the pointer moved on by `count` numbers."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.gep(args[0], [args[1]])

    return place(place, types.intp), build


@intrinsic(prefer_literal=True)  # type: ignore[misc]
def load(context: Any, array: Any, index: Any, lanes: Any) -> Any:
    """Returns `lanes` consecutive numbers of `array`, from element `index` on."""
    kind = Vector(array.dtype, lanes.literal_value)

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = place_of(ctx, builder, signature.args[0], args[0], args[1])
        vector = ctx.get_value_type(kind)
        return builder.load(builder.bitcast(place, vector.as_pointer()), align=_lane_size(ctx, vector))

    return kind(array, types.intp, lanes), build


@intrinsic(prefer_literal=True)  # type: ignore[misc]
def load_floats(context: Any, array: Any, index: Any, lanes: Any) -> Any:
    """Returns `lanes` consecutive numbers of a float32 array, or of a uint16 array of float16 bits, as float32."""
    kind = Vector(types.float32, lanes.literal_value)

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = place_of(ctx, builder, signature.args[0], args[0], args[1])
        return read_floats(builder, place, array.dtype, kind.lanes)

    return kind(array, types.intp, lanes), build


@intrinsic(prefer_literal=True)  # type: ignore[misc]
def load_part(context: Any, array: Any, index: Any, count: Any, lanes: Any) -> Any:
    """Returns the first `count` of `lanes` numbers, and 0 in the other lanes, whose memory is not touched."""
    kind = Vector(array.dtype, lanes.literal_value)

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _load_first(ctx, builder, kind, signature.args[0], *args[:3])

    return kind(array, types.intp, types.intp, lanes), build


@intrinsic  # type: ignore[misc]
def store(context: Any, array: Any, index: Any, vector: Any) -> Any:
    """Writes a vector to `array`, from element `index` on."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = place_of(ctx, builder, signature.args[0], args[0], args[1])
        builder.store(args[2], builder.bitcast(place, args[2].type.as_pointer()), align=_lane_size(ctx, args[2].type))
        return ctx.get_dummy_value()

    return types.void(array, types.intp, vector), build


@intrinsic(prefer_literal=True)  # type: ignore[misc]
def zeros(context: Any, lanes: Any) -> Any:
    """Returns the float32 0 in every lane."""
    kind = Vector(types.float32, lanes.literal_value)

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return ir.Constant(ctx.get_value_type(kind), [0.0] * kind.lanes)

    return kind(lanes), build


@intrinsic(prefer_literal=True)  # type: ignore[misc]
def broadcast(context: Any, value: Any, lanes: Any) -> Any:
    """Returns the number `value` in every lane."""
    dtype = value.literal_type if isinstance(value, types.Literal) else value

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return splat(builder, args[0], lanes.literal_value)

    return Vector(dtype, lanes.literal_value)(dtype, lanes), build


@intrinsic(prefer_literal=True)  # type: ignore[misc]
def broadcast_load(context: Any, array: Any, index: Any, lanes: Any) -> Any:
    """Returns element `index` of `array` in every lane."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = place_of(ctx, builder, signature.args[0], args[0], args[1])
        return splat(builder, builder.load(place), lanes.literal_value)

    return Vector(array.dtype, lanes.literal_value)(array, types.intp, lanes), build


@intrinsic  # type: ignore[misc]
def multiply_add(context: Any, a: Vector, b: Vector, c: Vector) -> Any:
    """Returns a · b + c in every lane, rounded once if the CPU has such an instruction."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return fuse(builder, *args)

    return a(a, a, a), build


@intrinsic  # type: ignore[misc]
def add(context: Any, a: Vector, b: Vector) -> Any:
    """Returns a + b in every lane."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return (builder.add if isinstance(a.dtype, types.Integer) else builder.fadd)(*args)

    return a(a, a), build


@intrinsic  # type: ignore[misc]
def subtract(context: Any, a: Vector, b: Vector) -> Any:
    """Returns a − b in every lane."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return (builder.sub if isinstance(a.dtype, types.Integer) else builder.fsub)(*args)

    return a(a, a), build


@intrinsic  # type: ignore[misc]
def multiply(context: Any, a: Vector, b: Vector) -> Any:
    """Returns a · b in every lane."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return (builder.mul if isinstance(a.dtype, types.Integer) else builder.fmul)(*args)

    return a(a, a), build


@intrinsic  # type: ignore[misc]
def divide(context: Any, a: Vector, b: Vector) -> Any:
    """Returns a / b in every lane."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fdiv(*args)

    return a(a, a), build


def _choose(comparison: str) -> Any:
    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered(comparison, *args), *args)

    return build


@intrinsic  # type: ignore[misc]
def maximum(context: Any, a: Vector, b: Vector) -> Any:
    """Returns the larger of a and b in every lane, b if either is NaN."""
    return a(a, a), _choose(">")


@intrinsic  # type: ignore[misc]
def minimum(context: Any, a: Vector, b: Vector) -> Any:
    """Returns the smaller of a and b in every lane, b if either is NaN."""
    return a(a, a), _choose("<")


@intrinsic(prefer_literal=True)  # type: ignore[misc]
def add_across(context: Any, vector: Any, distance: Any) -> Any:
    """Returns sums and differences of lanes i and i + distance: a step of the Walsh-Hadamard transform."""
    lanes, far = vector.lanes, distance.literal_value

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = args[0].type
        partners = ir.Constant(ir.VectorType(I32, lanes), [lane ^ far for lane in range(lanes)])
        partner = builder.shuffle_vector(args[0], ir.Constant(kind, ir.Undefined), partners)
        signs = ir.Constant(kind, [-1.0 if lane & far else 1.0 for lane in range(lanes)])
        return fuse(builder, args[0], signs, partner)

    return vector(vector, distance), build


@intrinsic  # type: ignore[misc]
def keep_reaching(context: Any, a: Vector, limit: Vector, other: Vector) -> Any:
    """Returns a in lanes where it is at least `limit`, and `other` in the others."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">=", args[0], args[1]), args[0], args[2])

    return a(a, a, a), build


@intrinsic  # type: ignore[misc]
def widen(context: Any, vector: Vector) -> Any:
    """Returns float32 lanes as float64, and uint16 lanes, taken as float16 bits, as float32."""
    wide = types.float64 if vector.dtype == types.float32 else types.float32

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        if vector.dtype != types.float32:
            return halves.to_floats(builder, args[0])
        return builder.fpext(args[0], ctx.get_value_type(signature.return_type))

    return Vector(wide, vector.lanes)(vector), build


@intrinsic(prefer_literal=True)  # type: ignore[misc]
def load_double(context: Any, array: Any, index: Any, count: Any, lanes: Any) -> Any:
    """Returns the first `count` of `lanes` numbers as float64, 0 in the other lanes; uint16 hold float16 bits."""
    kind = Vector(types.float64, lanes.literal_value)

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = _load_first(ctx, builder, Vector(array.dtype, kind.lanes), signature.args[0], *args[:3])
        if array.dtype != types.float32:
            value = halves.to_floats(builder, value)
        return builder.fpext(value, ctx.get_value_type(kind))

    return kind(array, types.intp, types.intp, lanes), build


@intrinsic  # type: ignore[misc]
def to_float(context: Any, vector: Vector) -> Any:
    """Returns int32 lanes as float32, and float32 lanes unchanged."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        if vector.dtype == types.float32:
            return args[0]
        return builder.sitofp(args[0], ctx.get_value_type(signature.return_type))

    return Vector(types.float32, vector.lanes)(vector), build


@intrinsic  # type: ignore[misc]
def to_halves(context: Any, vector: Vector) -> Any:
    """Returns float32 lanes as the bits of the nearest float16, in uint16 lanes."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return halves.to_halves(builder, args[0])

    return Vector(types.uint16, vector.lanes)(vector), build


@intrinsic  # type: ignore[misc]
def round_even(context: Any, vector: Vector) -> Any:
    """Rounds each lane to an integer, halves to the even one; the result is still float32."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = args[0].type
        if not target.has("rounding"):
            return rounded_by_integers(builder, args[0])
        return builder.call(declare(builder, f"llvm.rint.{_suffix(kind)}", kind, [kind]), args)

    return vector(vector), build


def rounded_by_integers(builder: Any, value: Any) -> Any:
    """Rounds as `round_even`, on any processor: adding 2²³ to a smaller number rounds it."""
    lanes = value.type.count
    ints = ir.VectorType(I32, lanes)
    # The sign is kept apart; the size plus 2²³ has the rounded number in its last bits.
    bits = builder.bitcast(value, ints)
    sign = builder.and_(bits, ir.Constant(ints, [0x80000000] * lanes))
    size = builder.xor(bits, sign)
    sums = builder.fadd(builder.bitcast(size, value.type), ir.Constant(value.type, [2.0**23] * lanes))
    whole = builder.sub(builder.bitcast(sums, ints), ir.Constant(ints, [0x4B000000] * lanes))
    whole = builder.or_(sign, builder.bitcast(builder.sitofp(whole, value.type), ints))
    # Numbers from 2²³ on are whole already.
    is_whole = builder.icmp_unsigned(">=", size, ir.Constant(ints, [0x4B000000] * lanes))  # 2²³ and more, and NaN
    return builder.bitcast(builder.select(is_whole, bits, whole), value.type)


@intrinsic  # type: ignore[misc]
def power_of_two(context: Any, vector: Vector) -> Any:
    """Returns 2 to the power of each lane of float32, an integer from -126 to 127."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes, ints = vector.lanes, ir.VectorType(I32, vector.lanes)
        exponent = builder.add(builder.fptosi(args[0], ints), ir.Constant(ints, [127] * lanes))
        return builder.bitcast(builder.shl(exponent, ir.Constant(ints, [23] * lanes)), args[0].type)

    return vector(vector), build


@intrinsic  # type: ignore[misc]
def square_root(context: Any, vector: Vector) -> Any:
    """Returns the square root of each lane of float32."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return root(builder, args[0])

    return vector(vector), build


@intrinsic  # type: ignore[misc]
def to_bytes(context: Any, vector: Vector) -> Any:
    """Returns float32 lanes, integers from -128 to 127, as int8."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        wide = builder.fptosi(args[0], ir.VectorType(I32, vector.lanes))
        return builder.trunc(wide, ctx.get_value_type(signature.return_type))

    return Vector(types.int8, vector.lanes)(vector), build


@intrinsic  # type: ignore[misc]
def at_least(context: Any, a: Vector, b: Vector) -> Any:
    """Returns an int64 whose bit i says whether a ≥ b in lane i (false where either is NaN)."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        bits = builder.bitcast(builder.fcmp_ordered(">=", *args), ir.IntType(a.lanes))
        return builder.zext(bits, ir.IntType(64))

    return types.int64(a, a), build


def _reduce(combine: Any) -> Any:
    """Reduces lanes to one, always in the same order: the upper half onto the lower, until one is left."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        value, lanes = args[0], signature.args[0].lanes
        while lanes > 1:
            lanes //= 2
            value = combine(builder, pick_lanes(builder, value, 0, lanes), pick_lanes(builder, value, lanes, lanes))
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
    """Returns the sum of all lanes, always in the same order."""
    return vector.dtype(vector), _reduce(_add_halves)


@intrinsic  # type: ignore[misc]
def reduce_maximum(context: Any, vector: Vector) -> Any:
    """Returns the largest lane."""
    return vector.dtype(vector), _reduce(_choose_half(">"))


@intrinsic  # type: ignore[misc]
def reduce_minimum(context: Any, vector: Vector) -> Any:
    """Returns the smallest lane."""
    return vector.dtype(vector), _reduce(_choose_half("<"))


@intrinsic  # type: ignore[misc]
def trailing_zeros(context: Any, bits: Any) -> Any:
    """Returns the place of the lowest set bit of an int64 other than 0."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), build


@intrinsic  # type: ignore[misc]
def count_ones(context: Any, bits: Any) -> Any:
    """Counts the set bits of an int64."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.int64), build


@intrinsic  # type: ignore[misc]
def prefetch(context: Any, array: Any, index: Any) -> Any:
    """Prefetches the cache line of element `index`."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        byte = ir.IntType(8).as_pointer()
        place = builder.bitcast(place_of(ctx, builder, signature.args[0], args[0], args[1]), byte)
        function = declare(builder, "llvm.prefetch.p0", ir.VoidType(), [byte, I32, I32, I32])
        builder.call(function, [place, ir.Constant(I32, 0), ir.Constant(I32, 3), ir.Constant(I32, 1)])
        return ctx.get_dummy_value()

    return types.void(array, types.intp), build


@intrinsic  # type: ignore[misc]
def above(context: Any, a: Vector, b: Vector) -> Any:
    """Returns an int64 whose bit i says whether a > b in lane i (false where either is NaN)."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        compare = builder.icmp_signed if isinstance(a.dtype, types.Integer) else builder.fcmp_ordered
        return builder.zext(builder.bitcast(compare(">", *args), ir.IntType(a.lanes)), ir.IntType(64))

    return types.int64(a, a), build
