"""Tables of addresses: one int64 array holds everything that a kernel needs, written and read by the fields of a
NamedTuple.

Passing forty arrays takes longer than a search of one query; passing one array of addresses takes no time. A field is
an array (in a kernel the pointer to it), an integer, a float, or another such NamedTuple, as its annotation says.
"""

import functools
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import numpy as np
from numba.core import types
from numba.extending import intrinsic
from numba.np.numpy_support import from_dtype
from numpy.typing import NDArray

Table = type[tuple[Any, ...]]  # a NamedTuple's class


@functools.cache
def _fields(table: Table) -> tuple[tuple[str, Any], ...]:
    """Returns the names of fields and their kinds: `int`, `float`, the dtype of an array, or another table."""
    return tuple(
        (name, hint if hint in (int, float) or hasattr(hint, "_fields") else _dtype_of(hint))
        for name, hint in get_type_hints(table).items()
    )


def _dtype_of(hint: Any) -> np.dtype[Any]:
    """Returns the dtype of an annotation `NDArray[scalar]`."""
    last = get_args(hint)[-1]  # dtype[scalar], or the scalar itself with Python 3.12 and NumPy 2.5
    return np.dtype((get_args(last) or (last,))[0])


def write_table(values: Any) -> NDArray[np.int64]:
    """Returns the table of a NamedTuple of arrays, numbers and other NamedTuples. It does not keep the arrays alive.

    Raises
    ------
    TypeError
        If an array is not of its field's dtype.
    """
    words: list[NDArray[np.int64]] = []
    for value, (name, kind) in zip(values, _fields(type(values)), strict=True):
        if isinstance(kind, np.dtype):
            if value.dtype != kind:
                raise TypeError(f"{type(values).__name__}.{name} must be of {kind}, got {value.dtype}")
            words.append(np.array([value.__array_interface__["data"][0]], np.int64))
        elif kind in (int, float):
            words.append(np.array([value], np.int64 if kind is int else np.float64).view(np.int64))
        else:
            words.append(write_table(value))
    return np.concatenate(words)


def _kind_of(table: Table) -> Any:
    """Returns Numba's type of a table that was read."""
    kinds: list[Any] = []
    for _, kind in _fields(table):
        if isinstance(kind, np.dtype):
            kinds.append(types.CPointer(from_dtype(kind)))
        else:
            kinds.append({int: types.int64, float: types.float64}.get(kind) or _kind_of(kind))
    return types.BaseTuple.from_types(kinds, table)


def table_reader(table: Table) -> Any:
    """Returns a function for kernels that reads an int64 array as `table`: arrays as pointers to their numbers."""
    result = _kind_of(table)

    def read(ctx: Any, builder: Any, kind: Any, words: Iterator[Any]) -> Any:
        values = []
        for part in kind.types:
            if isinstance(part, types.BaseTuple):
                values.append(read(ctx, builder, part, words))
                continue
            word = next(words)
            if isinstance(part, types.CPointer):
                word = builder.inttoptr(word, ctx.get_value_type(part))
            values.append(builder.bitcast(word, ctx.get_value_type(part)) if part == types.float64 else word)
        return ctx.make_tuple(builder, kind, values)

    @intrinsic  # type: ignore[misc]
    def read_table(context: Any, words: Any) -> Any:
        def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
            first = ctx.make_array(words)(ctx, builder, args[0]).data
            places = (builder.gep(first, [ctx.get_constant(types.intp, at)]) for at in range(count_words(table)))
            return read(ctx, builder, result, (builder.load(place) for place in places))

        return result(words), build

    return read_table


@intrinsic  # type: ignore[misc]
def as_floats(context: Any, place: Any) -> Any:
    """Returns the same address as a float32 one, for a field whose array may hold float32 behind an int32 view."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ctx.get_value_type(signature.return_type))

    return types.CPointer(types.float32)(place), build


def count_words(table: Table) -> int:
    """Returns the number of words of a table."""
    return sum(count_words(kind) if hasattr(kind, "_fields") else 1 for _, kind in _fields(table))
