"""The declared properties of arrays in files, and the refusal of others."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrec.fields import Array, Matrix, Value, check_fields, check_range, check_rows
from fastrec.matrix.code_matrix import assemble_csr


def refused(field, value, sizes=None):
    with pytest.raises(ValueError, match=r"must|lacks"):
        check_fields({"x": field}, {"x": value}, sizes or {}, ranges=True)


def test_arrays_are_of_their_type_shape_and_range():
    field = Array(("n", 2), least=0)
    check_fields({"x": field}, {"x": np.ones((3, 2), "f4")}, {"n": 3}, ranges=True)
    for bad in (np.ones((3, 2)), np.ones((2, 2), "f4"), np.ones(6, "f4"), -np.ones((3, 2), "f4"), [[1, 2]], None):
        refused(field, bad, {"n": 3})
    for number in (np.nan, np.inf, 1e30):
        refused(Array(("n",)), np.array([1, number], "f4"))
    refused(Array(("n",), "int64", order="distinct"), np.array([3, 1, 3]))
    refused(Array(("n",), "int64", order="rising"), np.array([3, 1, 3]))
    refused(Array(("n",), "int64", below="m"), np.array([3]), {"m": 3})


def test_symbols_are_one_number_in_all_arrays():
    fields = {"a": Array(("n", "d")), "b": Array(("d + 1",))}
    check_fields(fields, {"a": np.ones((2, 3), "f4"), "b": np.ones(4, "f4")}, {}, ranges=True)
    with pytest.raises(ValueError, match=r"b must be of shape \(d \+ 1\), where d \+ 1 is 4, got \(3,\)"):
        check_fields(fields, {"a": np.ones((2, 3), "f4"), "b": np.ones(3, "f4")}, {}, ranges=False)
    with pytest.raises(ValueError, match="it lacks b"):
        check_fields(fields, {"a": np.ones((2, 3), "f4")}, {}, ranges=False)


def test_values_are_of_their_kind():
    for field, bad in [
        (Value(int, least=0), True),
        (Value(int, least=0), -1),
        (Value(float), float("nan")),
        (Value(float, least=0, above=True), 0.0),
        (Value(str, choices=("a",)), "b"),
        (Value(bool), 1),
    ]:
        refused(field, bad)


@given(st.integers(0, 5), st.integers(1, 6), st.data())
def test_rows_are_sound_where_a_plain_look_says_so(n_rows, n_columns, data):
    indptr = np.array(data.draw(st.lists(st.integers(-1, 6), min_size=n_rows + 1, max_size=n_rows + 1)), np.int64)
    if data.draw(st.booleans()):
        indptr = np.sort(np.abs(indptr))
        indptr[0] = 0
    n = max(0, int(indptr[-1])) if data.draw(st.booleans()) else data.draw(st.integers(0, 6))
    codes = st.integers(-1, n_columns)
    indices = np.array(data.draw(st.lists(codes, min_size=n, max_size=n)), np.int32)
    matrix = assemble_csr(np.ones(n, np.float32), indices, indptr, (n_rows, n_columns))
    sound = indptr[0] == 0 and indptr[-1] == n and (np.diff(indptr) >= 0).all()
    sound = sound and all(
        all(0 <= code < n_columns for code in row) and sorted(set(row)) == row
        for row in (indices[a:b].tolist() for a, b in itertools.pairwise(indptr))
    )
    if sound:
        check_rows("x", matrix)
        Matrix(("n", "m")).check("x", matrix, {}, ranges=True)
    else:
        with pytest.raises(ValueError, match=r"x\.ind"):
            check_rows("x", matrix)


def test_ranges_are_of_all_numbers():
    values = np.zeros(1 << 17, np.float32)
    values[-1] = np.nan
    with pytest.raises(ValueError, match="must hold finite numbers from 0 to 1, got nan"):
        check_range("x", values, 0, 1)
