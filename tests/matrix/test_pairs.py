"""Events are sorted into cells, and those of one cell merged, as plain Python does it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrec.matrix.pairs import build_csr, find_repeated, merge_repeated, number_cells, reduce_runs
from tests.reference.interactions import merge

SHAPE = (4, 5)
EVENTS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(-8, 8)), max_size=30)


def columns_of(events):
    rows, columns, values = zip(*events, strict=True) if events else ((), (), ())
    return np.array(rows, np.int32), np.array(columns, np.int32), np.array(values, np.float32)


@given(EVENTS)
def test_events_are_sorted_by_cell_and_keep_their_order(events):
    rows, columns, values = columns_of(events)
    indptr, indices, data = build_csr(rows, columns, values, SHAPE)
    expected = sorted(events, key=lambda event: event[:2])
    assert (indptr.dtype, indices.dtype, data.dtype) == (np.int64, np.int32, np.float32)
    assert np.repeat(np.arange(4), np.diff(indptr)).tolist() == [row for row, _, _ in expected]
    assert indices.tolist() == [column for _, column, _ in expected]
    assert data.tolist() == [value for _, _, value in expected]
    order, begins = number_cells(rows, columns, SHAPE)
    assert order.tolist() == sorted(range(len(events)), key=lambda place: events[place][:2])
    cells = [event[:2] for event in expected]
    assert begins.tolist() == [place == 0 or cells[place - 1] != cell for place, cell in enumerate(cells)]
    np.testing.assert_array_equal(find_repeated(indptr, indices), ~begins)


@given(EVENTS.filter(len), st.sampled_from(["sum", "last", "max"]))
def test_events_of_a_cell_are_merged_by_the_policy(events, policy):
    rows, columns, values = columns_of(events)
    indptr, indices, data = build_csr(rows, columns, values, SHAPE)
    indptr, indices, data = merge_repeated(indptr, indices, data, find_repeated(indptr, indices), policy)
    found = zip(np.repeat(np.arange(4), np.diff(indptr)).tolist(), indices.tolist(), data.tolist(), strict=True)
    assert {(row, column): value for row, column, value in found} == merge(rows, columns, values, None, policy)


def test_sorted_events_without_values_count_one_each_and_are_copied():
    rows, columns = np.array([0, 0, 2], np.int32), np.array([1, 1, 0], np.int32)
    indptr, indices, data = build_csr(rows, columns, None, (3, 2))
    assert (indptr.tolist(), indices.tolist(), data.tolist()) == ([0, 2, 2, 3], [1, 1, 0], [1, 1, 1])
    assert not np.shares_memory(indices, columns)


def test_sums_are_made_in_float64_and_refused_beyond_float32():
    values = np.array([2**24, 1, 1, -(2**24)], np.float32)
    assert reduce_runs(values, np.array([0]), "sum").tolist() == [2]
    large = np.array([3e38, 3e38], np.float32)
    cell = np.array([0, 2]), np.zeros(2, np.int32), large, np.array([False, True])
    with pytest.raises(ValueError, match='use duplicates="max"'):
        merge_repeated(*cell, "sum")
    assert merge_repeated(*cell, "max")[2].tolist() == [large[0]]
