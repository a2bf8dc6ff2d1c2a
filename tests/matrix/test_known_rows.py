"""Rows are found again by their content."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrec.matrix import known_rows
from fastrec.matrix.code_matrix import check_matrix
from fastrec.matrix.known_rows import KnownRows

ROWS = st.lists(st.lists(st.integers(0, 2), min_size=3, max_size=3), min_size=1, max_size=9)


@given(ROWS, ROWS)
def test_the_first_equal_row_is_found(known, asked):
    rows = KnownRows(check_matrix(known))
    assert rows.find(check_matrix(asked)).tolist() == [known.index(row) if row in known else -1 for row in asked]
    assert rows.groups().tolist() == [known.index(row) for row in known]


def test_nothing_is_found_among_no_rows():
    assert KnownRows(check_matrix(np.zeros((0, 3)))).find(check_matrix([[1, 0, 2]])).tolist() == [-1]


@pytest.mark.parametrize("other", [[[0, 1, 0]], [[2, 0, 0]]])
def test_rows_of_one_key_are_compared(monkeypatch, other):
    """Two rows with the same key that differ in items or values are not taken for each other."""
    monkeypatch.setattr(known_rows, "hash_rows_and_values", lambda matrix: np.zeros(matrix.shape[0], np.uint64))
    rows = KnownRows(check_matrix([[1, 0, 0]]))
    assert rows.find(check_matrix([[1, 0, 0]])).tolist() == [0]
    assert rows.find(check_matrix(other)).tolist() == [-1]
