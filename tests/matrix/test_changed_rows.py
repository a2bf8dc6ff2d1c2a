"""Rows that replace others, and the whole matrix that they give."""

import numpy as np
import pytest

from fastrec.matrix.arrays import readonly
from fastrec.matrix.changed_rows import ChangedRows, row_of
from fastrec.matrix.code_matrix import check_matrix

MATRIX, ORDER = check_matrix([[1, 0, 2], [0, 0, 0], [0, 3, 0]]), np.array([1, 0, 0], "i4")


def events(codes, values):
    return readonly(np.array(codes, "i4")), readonly(np.array(values, "f4"))


def test_the_whole_has_the_changed_rows_among_the_others_and_new_ones_behind_them():
    rows = ChangedRows(MATRIX, ORDER)
    for number, some in ((4, events([1], [7])), (2, events([2, 0], [5, 6])), (2, events([1], [1]))):
        rows.put(number, rows.with_events(number, *some, "sum").row)
    matrix, order = rows.join(5)
    assert matrix.toarray().tolist() == [[1, 0, 2], [0, 0, 0], [6, 4, 5], [0, 0, 0], [0, 7, 0]]
    assert order.tolist() == [1, 0, 1, 2, 0, 0]
    assert matrix.indices.dtype == np.int32
    assert not matrix.data.flags.writeable


def test_without_changed_rows_the_whole_is_the_old_one():
    matrix, order = ChangedRows(MATRIX, ORDER).join(3)
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(matrix, part), getattr(MATRIX, part), strict=True)
    assert order.tolist() == ORDER.tolist()


def test_a_row_stays_as_it_was_for_who_has_it():
    rows = ChangedRows(MATRIX, ORDER)
    before = rows.row(0)
    appended = rows.with_events(0, *events([0], [1]), "max")
    rows.put(0, appended.row)
    assert before.order.tolist() == [1, 0]
    assert rows.row(0).order.tolist() == [1, 0]
    assert rows.with_events(0, *events([2], [1]), "last").after.tolist() == [0, 2]
    assert rows.row(7).codes.size == row_of(MATRIX, ORDER, 1).codes.size == 0


def test_a_sum_beyond_float32_is_refused():
    rows = ChangedRows(MATRIX, ORDER)
    rows.put(1, rows.with_events(1, *events([0], [3e38]), "sum").row)
    with pytest.raises(ValueError, match='more than float32 holds: use duplicates="max"'):
        rows.with_events(1, *events([0], [3e38]), "sum")
