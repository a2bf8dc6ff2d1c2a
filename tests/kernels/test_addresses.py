"""A kernel reads from a table of addresses what was written to it, field by field."""

from typing import NamedTuple, get_type_hints

import numba
import numpy as np
import pytest

from fastrec.kernels._jit import kernel
from fastrec.kernels.addresses import as_floats, count_words, table_reader, write_table
from fastrec.kernels.arrays import Codes, Floats
from fastrec.kernels.lists import AddressTable, read_table


class Inner(NamedTuple):
    number: int
    values: Floats


class Outer(NamedTuple):
    ratio: float
    first: Inner
    codes: Codes
    second: Inner
    last: int


read_outer = table_reader(Outer)


@kernel()
def read_all(table, out):
    outer = read_outer(table)
    out[0], out[1], out[2] = outer.ratio, outer.first.number, outer.first.values[1]
    out[3], out[4], out[5], out[6] = outer.codes[2], outer.second.number, outer.second.values[0], outer.last


def test_nested_fields_come_back():
    values, codes = np.array([0.5, 1.5, 2.5], np.float32), np.array([7, 8, 9], np.int32)
    table = write_table(Outer(-0.25, Inner(-3, values), codes, Inner(2**40, values[2:]), 5))
    assert (table.dtype, len(table)) == (np.int64, count_words(Outer))
    out = np.zeros(7)
    read_all(table, out)
    assert out.tolist() == [-0.25, -3, 1.5, 9, 2**40, 2.5, 5]


@kernel()
def read_as_floats(table, out):
    out[0] = as_floats(read_outer(table).codes)[1]


def test_a_field_of_int32_can_hold_float32():
    values = np.array([0.5, 1.5, 2.5], np.float32)
    inner, out = Inner(0, values), np.zeros(1)
    read_as_floats(write_table(Outer(0.0, inner, values.view(np.int32), inner, 0)), out)
    assert out[0] == 1.5


def test_an_array_of_another_dtype_is_refused():
    with pytest.raises(TypeError, match=r"Inner\.values must be of float32, got float64"):
        write_table(Inner(1, np.zeros(3)))


def sample(table, values, path="table"):
    """Returns a table whose n-th field holds n, and an expression for each field."""
    fields, expressions = [], []
    for name, hint in get_type_hints(table).items():
        if hasattr(hint, "_fields"):
            field, inner = sample(hint, values, f"{path}.{name}")
            expressions += inner
        else:
            number, is_plain = len(values), hint in (int, float)
            dtype = np.int64 if is_plain else np.dtype(getattr(hint.__args__[-1], "__args__", hint.__args__)[-1])
            values.append(np.full(1, number, dtype))
            field = hint(number) if is_plain else values[-1]
            expressions.append(f"{path}.{name}" + ("" if is_plain else "[0]"))
        fields.append(field)
    return table(*fields), expressions


def test_every_field_of_a_search_comes_back():
    values = []  # keeps the arrays alive
    table, expressions = sample(AddressTable, values)
    lines = [f"    out[{number}] = {expression}" for number, expression in enumerate(expressions)]
    namespace = {"read_table": read_table}
    exec("\n".join(["def read_fields(words, out):", "    table = read_table(words)", *lines]), namespace)
    out = np.zeros(len(values))
    numba.njit(namespace["read_fields"])(write_table(table), out)
    assert out.tolist() == list(range(count_words(AddressTable)))
