"""Short vectors as values: what a loop is written with where the compiler's own vectorising is not enough.

`vector` is sixteen float32; `row` is a whole row of them, its width known to the compiler, that lives in registers.
LLVM turns an operation on sixteen into one AVX-512, two AVX2 or four NEON instructions; nothing here is of one
machine. Offsets are in elements of a flat array; nothing is checked.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, register_model

from fastrec.kernels.halves import to_floats, to_halves
from fastrec.kernels.lanes import LANES

INT32, INT64, FLOAT = ir.IntType(32), ir.IntType(64), ir.FloatType()
FLOATS, HALVES = ir.VectorType(FLOAT, LANES), ir.VectorType(ir.IntType(16), LANES)
REORDER = ("contract", "reassoc", "nsz", "arcp")


class VectorType(types.Type):  # type: ignore[misc]
    """Numba's type of sixteen float32."""

    def __init__(self) -> None:
        super().__init__(name="float32x16")


class RowType(types.Type):  # type: ignore[misc]
    """Numba's type of `width` float32, a multiple of sixteen."""

    def __init__(self, width: int) -> None:
        self.vectors = width // LANES
        super().__init__(name=f"row{width}")


vector = VectorType()


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: VectorType) -> None:
        super().__init__(manager, kind, FLOATS)


@register_model(RowType)
class _RowModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: RowType) -> None:
        super().__init__(manager, kind, ir.ArrayType(FLOATS, kind.vectors))


# What the operations are made of -----------------------------------------------------------------------------------


def declare(builder: Any, name: str, result: Any, *arguments: Any) -> Any:
    """The LLVM function of that name, declared once in a module."""
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, list(arguments)), name)


def place_of(ctx: Any, builder: Any, kind: Any, array: Any, offset: Any) -> Any:
    """The pointer to `array[offset]` of a flat array."""
    return builder.gep(ctx.make_array(kind)(ctx, builder, array).data, [offset])


def _read(builder: Any, place: Any, halves: bool) -> Any:
    value = builder.load(builder.bitcast(place, (HALVES if halves else FLOATS).as_pointer()))
    value.align = 2 if halves else 4
    return to_floats(builder, value) if halves else value


def _write(builder: Any, place: Any, value: Any, halves: bool = False) -> None:
    value = to_halves(builder, value) if halves else value
    stored = builder.store(value, builder.bitcast(place, value.type.as_pointer()))
    stored.align = 2 if halves else 4


def _multiply_add(builder: Any, a: Any, b: Any, c: Any) -> Any:
    return builder.call(declare(builder, "llvm.fmuladd.v16f32", FLOATS, FLOATS, FLOATS, FLOATS), [a, b, c])


def spread(builder: Any, value: Any) -> Any:
    """A float32 in all lanes of a vector."""
    undefined = ir.Constant(FLOATS, ir.Undefined)
    one = builder.insert_element(undefined, value, ir.Constant(INT32, 0))
    return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(INT32, LANES), [0] * LANES))


def _total(builder: Any, value: Any) -> Any:
    add = declare(builder, "llvm.vector.reduce.fadd.v16f32", FLOAT, FLOAT, FLOATS)
    return builder.call(add, [ir.Constant(FLOAT, -0.0), value], fastmath=("reassoc",))


def _row(builder: Any, vectors: list[Any]) -> Any:
    row = ir.Constant(ir.ArrayType(FLOATS, len(vectors)), ir.Undefined)
    for index, value in enumerate(vectors):
        row = builder.insert_value(row, value, index)
    return row


def _parts(builder: Any, row: Any) -> list[Any]:
    return [builder.extract_value(row, index) for index in range(row.type.count)]


def _places(builder: Any, first: Any, vectors: int) -> list[Any]:
    return [builder.gep(first, [ir.Constant(INT64, index * LANES)]) for index in range(vectors)]


# Sixteen ------------------------------------------------------------------------------------------------------------


@intrinsic  # type: ignore[misc]
def zeros(context: Any) -> Any:
    """Sixteen zeros."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return ir.Constant(FLOATS, [0.0] * LANES)

    return vector(), build


@intrinsic  # type: ignore[misc]
def broadcast(context: Any, value: Any) -> Any:
    """One float32 sixteen times."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return spread(builder, args[0])

    return vector(types.float32), build


@intrinsic  # type: ignore[misc]
def load(context: Any, array: Any, offset: Any) -> Any:
    """Sixteen values from `offset` on: of a float32 array, or of a uint16 array that holds float16 bits."""
    halves = array.dtype == types.uint16

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _read(builder, place_of(ctx, builder, signature.args[0], args[0], args[1]), halves)

    return vector(array, types.intp), build


@intrinsic  # type: ignore[misc]
def store(context: Any, array: Any, offset: Any, value: Any) -> Any:
    """Writes sixteen values from `offset` on: to a float32 array, or rounded to float16 bits to a uint16 array."""
    halves = array.dtype == types.uint16

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        _write(builder, place_of(ctx, builder, signature.args[0], args[0], args[1]), args[2], halves)
        return ctx.get_dummy_value()

    return types.void(array, types.intp, vector), build


@intrinsic  # type: ignore[misc]
def multiply_add(context: Any, a: Any, b: Any, c: Any) -> Any:
    """a·b + c, lane by lane, fused where the machine can."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _multiply_add(builder, *args)

    return vector(vector, vector, vector), build


@intrinsic  # type: ignore[misc]
def total(context: Any, value: Any) -> Any:
    """The sum of the sixteen lanes."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _total(builder, args[0])

    return types.float32(vector), build


@intrinsic  # type: ignore[misc]
def prefetch(context: Any, array: Any, offset: Any) -> Any:
    """Asks for the cache line of `array[offset]`, to be read soon."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = builder.bitcast(place_of(ctx, builder, signature.args[0], args[0], args[1]), ir.IntType(8).as_pointer())
        fetch = declare(builder, "llvm.prefetch.p0", ir.VoidType(), place.type, INT32, INT32, INT32)
        read, keep, data = ir.Constant(INT32, 0), ir.Constant(INT32, 3), ir.Constant(INT32, 1)
        builder.call(fetch, [place, read, keep, data])
        return ctx.get_dummy_value()

    return types.void(array, types.intp), build


# A row --------------------------------------------------------------------------------------------------------------


@intrinsic  # type: ignore[misc]
def zero_row(context: Any, width: Any) -> Any:
    """A row of zeros; `width` is a `Static`."""
    row = RowType(width.value)

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _row(builder, [ir.Constant(FLOATS, [0.0] * LANES)] * row.vectors)

    return row(width), build


@intrinsic  # type: ignore[misc]
def load_row(context: Any, array: Any, offset: Any, width: Any) -> Any:
    """The row from `offset` on: of a float32 array, or of a uint16 array that holds float16 bits."""
    row = RowType(width.value)
    halves = array.dtype == types.uint16

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        places = _places(builder, place_of(ctx, builder, signature.args[0], args[0], args[1]), row.vectors)
        return _row(builder, [_read(builder, place, halves) for place in places])

    return row(array, types.intp, width), build


@intrinsic  # type: ignore[misc]
def store_row(context: Any, array: Any, offset: Any, row: Any) -> Any:
    """Writes a row to a float32 array, from `offset` on."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        places = _places(builder, place_of(ctx, builder, signature.args[0], args[0], args[1]), row.vectors)
        for place, value in zip(places, _parts(builder, args[2]), strict=True):
            _write(builder, place, value)
        return ctx.get_dummy_value()

    return types.void(array, types.intp, row), build


@intrinsic  # type: ignore[misc]
def dot(context: Any, a: Any, b: Any) -> Any:
    """The inner product of two rows, summed in four chains."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        pairs = list(zip(_parts(builder, args[0]), _parts(builder, args[1]), strict=True))
        sums = [builder.fmul(x, y, flags=REORDER) for x, y in pairs[:4]]
        for index, (x, y) in enumerate(pairs[4:]):
            sums[index % 4] = _multiply_add(builder, x, y, sums[index % 4])
        while len(sums) > 1:
            sums = [builder.fadd(sums[0], sums[1], flags=REORDER), *sums[2:]]
        return _total(builder, sums[0])

    return types.float32(a, b), build


@intrinsic  # type: ignore[misc]
def add_scaled(context: Any, a: Any, weight: Any, b: Any) -> Any:
    """The row a + weight·b."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        factor = spread(builder, args[1])
        pairs = zip(_parts(builder, args[0]), _parts(builder, args[2]), strict=True)
        return _row(builder, [_multiply_add(builder, factor, y, x) for x, y in pairs])

    return a(a, types.float32, b), build


@intrinsic  # type: ignore[misc]
def scale(context: Any, weight: Any, a: Any) -> Any:
    """The row weight·a."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        factor = spread(builder, args[0])
        return _row(builder, [builder.fmul(factor, x, flags=REORDER) for x in _parts(builder, args[1])])

    return a(types.float32, a), build


def _lanewise(operation: str, meaning: str) -> Callable[..., Any]:
    def lanewise(context: Any, a: Any, b: Any) -> Any:
        def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
            pairs = zip(_parts(builder, args[0]), _parts(builder, args[1]), strict=True)
            return _row(builder, [getattr(builder, operation)(x, y, flags=REORDER) for x, y in pairs])

        return a(a, b), build

    lanewise.__doc__ = meaning
    return intrinsic(lanewise)  # type: ignore[no-any-return]


multiply = _lanewise("fmul", "a·b of two rows, lane by lane.")
subtract = _lanewise("fsub", "a − b of two rows.")
