"""Order beside plain lists of items, the oldest first."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.matrix.code_matrix import assemble_csr, check_matrix
from fastrec.matrix.rows import with_data
from fastrec.matrix.sequences import (
    Sequences,
    drop_cells,
    fade,
    group_events,
    order_entries,
    pick_order,
    read_sequences,
    splice_order,
)

N_ITEMS = 6
lists = st.lists(st.lists(st.integers(0, N_ITEMS - 1), unique=True, max_size=N_ITEMS), min_size=1, max_size=5)


def matrix_of(rows):
    """Returns lists of different items, the oldest first, as a matrix and its order."""
    starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    codes = np.array([code for row in rows for code in sorted(row)], np.int32)
    order = np.array([row.index(code) for row in rows for code in sorted(row)], np.int32)
    return assemble_csr(np.ones(len(codes), np.float32), codes, starts, (len(rows), N_ITEMS)), order


def lists_of(sequences):
    return [part.tolist() for part in np.split(sequences.items, sequences.starts[1:-1])]


@given(lists)
def test_order_and_matrix_are_the_lists_again(rows):
    matrix, order = matrix_of(rows)
    assert lists_of(read_sequences(matrix, order)) == rows
    assert lists_of(read_sequences(matrix, None)) == [sorted(row) for row in rows]


@given(lists, st.data())
def test_picked_rows_keep_their_order(rows, data):
    matrix, order = matrix_of(rows)
    chosen = np.array(data.draw(st.lists(st.integers(0, len(rows) - 1))), np.int32)
    part = pick_order(matrix, order, chosen)
    expected = matrix_of([rows[row] for row in chosen])[1] if len(chosen) else []
    assert np.array_equal(part, expected)
    start = data.draw(st.integers(0, len(rows) - 1))
    assert np.array_equal(pick_order(matrix, order, slice(start, None)), matrix_of(rows[start:])[1])


@given(lists, st.data())
def test_entries_are_ordered_by_one_key_and_then_by_the_next(rows, data):
    matrix, _ = matrix_of(rows)
    keys = [data.draw(st.lists(st.integers(0, 2), min_size=matrix.nnz, max_size=matrix.nnz)) for _ in range(2)]
    found = lists_of(read_sequences(matrix, order_entries(matrix, *map(np.array, keys))))
    ends = matrix.indptr.tolist()
    for row, items in enumerate(rows):
        entries = range(ends[row], ends[row + 1])
        expected = sorted(entries, key=lambda entry: (keys[0][entry], keys[1][entry], sorted(items)[entry - ends[row]]))
        assert found[row] == [int(matrix.indices[entry]) for entry in expected]


@settings(deadline=None)
@given(lists, st.data())
def test_added_entries_are_the_newest(rows, data):
    before, order = matrix_of(rows)
    changed = sorted(data.draw(st.sets(st.integers(0, len(rows) - 1), min_size=1)))
    added = [data.draw(st.lists(st.integers(0, N_ITEMS - 1), unique=True, max_size=N_ITEMS)) for _ in changed]
    replaced = data.draw(st.booleans())
    wanted = [list(row) for row in rows]
    for row, new in zip(changed, added, strict=True):
        wanted[row] = new if replaced else [item for item in rows[row] if item not in new] + new
    after, expected = matrix_of(wanted)
    found = splice_order(before, order, np.array(changed, np.int32), *matrix_of(added), after)
    assert np.array_equal(found, expected)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, N_ITEMS - 1), st.integers(0, 4)), max_size=20), lists)
def test_events_are_grouped_by_user_and_time_and_dropped_by_pair(events, hidden):
    users, items, times = (np.array([event[part] for event in events], np.int32) for part in range(3))
    sequences = group_events(users, items, times.astype(np.int64), 4)
    ordered = sorted(events, key=lambda event: event[2])
    expected = [[item for user, item, _ in ordered if user == row] for row in range(4)]
    assert lists_of(sequences) == expected
    hidden = (hidden + [[]] * 4)[:4]
    left = drop_cells(sequences, matrix_of(hidden)[0])
    assert lists_of(left) == [[item for item in row if item not in hidden[u]] for u, row in enumerate(expected)]


@given(lists, st.sampled_from([0.5, 0.9, 1.0]), st.sampled_from([1.0, 3.0]))
def test_values_fade_with_what_came_after(rows, memory, value):
    matrix, order = matrix_of(rows)
    matrix = with_data(matrix, np.full(matrix.nnz, value, np.float32))
    dense = fade(matrix, order, memory).toarray()
    for row, items in enumerate(rows):
        for place, item in enumerate(items):
            np.testing.assert_allclose(dense[row, item], value * memory ** (len(items) - 1 - place), rtol=1e-5)
    assert np.array_equal(fade(matrix, None, memory).data, matrix.data)


def test_a_faded_value_is_never_zero():
    matrix, order = assemble_csr(np.ones(300, "f4"), np.arange(300, dtype="i4"), np.array([0, 300]), (1, 300)), None
    order = np.arange(300, dtype=np.int32)
    assert fade(matrix, order, 0.1).data.all()


def test_an_item_stays_as_often_as_it_was_met():
    sequences = group_events(np.zeros(3, np.int32), np.array([4, 1, 4], np.int32), np.array([1, 2, 3]), 1)
    assert isinstance(sequences, Sequences)
    assert sequences.items.tolist() == [4, 1, 4]
    assert read_sequences(check_matrix([[0, 1, 1]]), None).items.tolist() == [1, 2]
