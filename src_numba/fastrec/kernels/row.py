"""A whole row of float32 as one value: its width is known to the compiler, and it stays in registers.

A row is made of vectors of sixteen (`simd`), and its width is a `Static`, a multiple of sixteen. Offsets count the
numbers of a flat array; nothing is checked. `blend`, `add_square` and `over_root` take numbers and vectors, too.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, models, register_model

from fastrec.kernels.lanes import LANES
from fastrec.kernels.simd import declare, fuse, place_of, read_floats, root, splat

INT64, FLOAT = ir.IntType(64), ir.FloatType()
FLOATS = ir.VectorType(FLOAT, LANES)
REORDER = ("contract", "reassoc", "nsz", "arcp")


class Row(types.Type):  # type: ignore[misc]
    """Numba's type of `width` float32, a multiple of sixteen."""

    def __init__(self, width: int) -> None:
        self.vectors = width // LANES
        super().__init__(name=f"Row({width})")


@register_model(Row)
class RowModel(models.PrimitiveModel):  # type: ignore[misc]
    """A row is an array of LLVM's vectors."""

    def __init__(self, manager: Any, kind: Row) -> None:
        super().__init__(manager, kind, ir.ArrayType(FLOATS, kind.vectors))


# The parts of the operations ---------------------------------------------------------------------------------------


def _join(builder: Any, vectors: list[Any]) -> Any:
    row = ir.Constant(ir.ArrayType(FLOATS, len(vectors)), ir.Undefined)
    for index, value in enumerate(vectors):
        row = builder.insert_value(row, value, index)
    return row


def _parts(builder: Any, value: Any) -> list[Any]:
    """Returns the vectors of a row; a number or a vector itself."""
    if not isinstance(value.type, ir.ArrayType):
        return [value]
    return [builder.extract_value(value, index) for index in range(value.type.count)]


def _by_parts(builder: Any, operation: Callable[..., Any], *values: Any) -> Any:
    """Combines rows vector by vector, and numbers and vectors directly."""
    parts = [operation(*some) for some in zip(*(_parts(builder, value) for value in values), strict=True)]
    return _join(builder, parts) if isinstance(values[0].type, ir.ArrayType) else parts[0]


def _weight(builder: Any, weight: Any, value: Any) -> Any:
    """Returns a number in a form that multiplies the parts of a value."""
    return weight if value.type == FLOAT else splat(builder, weight, LANES)


def _places(ctx: Any, builder: Any, kind: Any, array: Any, offset: Any, vectors: int) -> list[Any]:
    first = place_of(ctx, builder, kind, array, offset)
    return [builder.gep(first, [ir.Constant(INT64, index * LANES)]) for index in range(vectors)]


def _shuffle(builder: Any, a: Any, b: Any, lanes: list[int]) -> Any:
    """Returns lanes of two vectors; lanes of the second are counted after those of the first."""
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes))


def _multiply_parts(builder: Any, a: list[Any], b: list[Any]) -> Any:
    """Returns sixteen numbers whose sum is an inner product."""
    total = builder.fmul(a[0], b[0], flags=REORDER)
    for x, y in zip(a[1:], b[1:], strict=True):
        total = fuse(builder, x, y, total)
    return total


# Rows in and out of memory -----------------------------------------------------------------------------------------


@intrinsic  # type: ignore[misc]
def zero_row(context: Any, width: Any) -> Any:
    """Returns a row of zeros; `width` is a `Static`."""
    row = Row(width.value)

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _join(builder, [ir.Constant(FLOATS, [0.0] * LANES)] * row.vectors)

    return row(width), build


@intrinsic  # type: ignore[misc]
def load_row(context: Any, array: Any, offset: Any, width: Any) -> Any:
    """Returns the row from `offset` on of a float32 array, or of a uint16 array of float16 bits."""
    row = Row(width.value)

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        places = _places(ctx, builder, signature.args[0], args[0], args[1], row.vectors)
        return _join(builder, [read_floats(builder, place, array.dtype, LANES) for place in places])

    return row(array, types.intp, width), build


@intrinsic  # type: ignore[misc]
def store_row(context: Any, array: Any, offset: Any, row: Any) -> Any:
    """Writes a row to a float32 array, from `offset` on."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        places = _places(ctx, builder, signature.args[0], args[0], args[1], row.vectors)
        for place, value in zip(places, _parts(builder, args[2]), strict=True):
            builder.store(value, builder.bitcast(place, FLOATS.as_pointer()), align=4)
        return ctx.get_dummy_value()

    return types.void(array, types.intp, row), build


# Arithmetic --------------------------------------------------------------------------------------------------------


@intrinsic  # type: ignore[misc]
def dot(context: Any, a: Any, b: Any) -> Any:
    """Returns the inner product of two rows, summed in four chains."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        pairs = list(zip(_parts(builder, args[0]), _parts(builder, args[1]), strict=True))
        sums = [builder.fmul(x, y, flags=REORDER) for x, y in pairs[:4]]
        for index, (x, y) in enumerate(pairs[4:]):
            sums[index % 4] = fuse(builder, x, y, sums[index % 4])
        while len(sums) > 1:
            sums = [builder.fadd(sums[0], sums[1], flags=REORDER), *sums[2:]]
        add = declare(builder, "llvm.vector.reduce.fadd.v16f32", FLOAT, [FLOAT, FLOATS])
        return builder.call(add, [ir.Constant(FLOAT, -0.0), sums[0]], fastmath=("reassoc",))

    return types.float32(a, b), build


@intrinsic  # type: ignore[misc]
def dot_four(context: Any, a: Any, b: Any, c: Any, d: Any, row: Any) -> Any:
    """Returns the inner products of four rows with one row; their last sums share registers."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        def add_lanes(x: Any, y: Any, low: list[int], high: list[int]) -> Any:
            """Returns lanes `low` of two vectors beside each other, each plus its lane of `high`."""
            return builder.fadd(_shuffle(builder, x, y, low), _shuffle(builder, x, y, high), flags=REORDER)

        last = _parts(builder, args[4])
        totals = [_multiply_parts(builder, _parts(builder, row), last) for row in args[:4]]
        one, two, three, four = (add_lanes(x, x, list(range(8)), list(range(8, 16))) for x in totals)
        low, high = [0, 8, 1, 9, 4, 12, 5, 13], [2, 10, 3, 11, 6, 14, 7, 15]
        pairs = add_lanes(one, two, low, high), add_lanes(three, four, low, high)
        lanes = add_lanes(pairs[0], pairs[1], [0, 1, 8, 9, 4, 5, 12, 13], [2, 3, 10, 11, 6, 7, 14, 15])
        sums = add_lanes(lanes, lanes, [0, 1, 2, 3], [4, 5, 6, 7])
        numbers = [builder.extract_element(sums, ir.Constant(INT64, index)) for index in range(4)]
        return ctx.make_tuple(builder, signature.return_type, numbers)

    return types.UniTuple(types.float32, 4)(a, b, c, d, row), build


@intrinsic  # type: ignore[misc]
def add_squares(context: Any, totals: Any, a: Any) -> Any:
    """Adds the squares of a row to sixteen numbers, whose sum grows by the row's squared norm."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        parts = _parts(builder, args[1])
        return builder.fadd(args[0], _multiply_parts(builder, parts, parts), flags=REORDER)

    return totals(totals, a), build


@intrinsic  # type: ignore[misc]
def add_scaled(context: Any, a: Any, weight: Any, b: Any) -> Any:
    """Returns the row a + weight·b."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        factor = splat(builder, args[1], LANES)
        return _by_parts(builder, lambda x, y: fuse(builder, factor, y, x), args[0], args[2])

    return a(a, types.float32, b), build


@intrinsic  # type: ignore[misc]
def scale(context: Any, weight: Any, a: Any) -> Any:
    """Returns the row weight·a."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        factor = splat(builder, args[0], LANES)
        return _by_parts(builder, lambda x: builder.fmul(factor, x, flags=REORDER), args[1])

    return a(types.float32, a), build


@intrinsic  # type: ignore[misc]
def subtract_rows(context: Any, a: Any, b: Any) -> Any:
    """Returns the row a − b."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _by_parts(builder, lambda x, y: builder.fsub(x, y, flags=REORDER), *args)

    return a(a, b), build


@intrinsic  # type: ignore[misc]
def blend(context: Any, a: Any, x: Any, b: Any, y: Any) -> Any:
    """Returns a·x + b·y for numbers a and b, and numbers, vectors or rows x and y."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        first, second = (_weight(builder, args[index], args[1]) for index in (0, 2))
        return _by_parts(builder, lambda p, q: fuse(builder, first, p, builder.fmul(second, q)), args[1], args[3])

    return x(types.float32, x, types.float32, y), build


@intrinsic  # type: ignore[misc]
def add_square(context: Any, a: Any, x: Any, b: Any, y: Any) -> Any:
    """Returns a·x + b·y² lane by lane, for numbers, vectors or rows x and y."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        first, second = (_weight(builder, args[index], args[1]) for index in (0, 2))

        def add(p: Any, q: Any) -> Any:
            return fuse(builder, first, p, builder.fmul(builder.fmul(second, q), q))

        return _by_parts(builder, add, args[1], args[3])

    return x(types.float32, x, types.float32, y), build


@intrinsic  # type: ignore[misc]
def over_root(context: Any, x: Any, squares: Any, tiny: Any) -> Any:
    """Returns x / (√squares + tiny) lane by lane, for numbers, vectors or rows."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        least = _weight(builder, args[2], args[0])

        def divide(p: Any, q: Any) -> Any:
            return builder.fdiv(p, builder.fadd(root(builder, q), least))

        return _by_parts(builder, divide, args[0], args[1])

    return x(x, squares, types.float32), build
