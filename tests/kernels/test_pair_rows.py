"""Sums over pairs changed in place, against sums that are computed anew from all sequences."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.kernels.pair_rows import (
    PairRows,
    Powers,
    add_pair_rows,
    change_pairs,
    count_gained,
    count_joined,
    join_pair_rows,
)
from fastrec.kernels.sequence_rules import Pairs
from fastrec.kernels.sparse import Entries
from fastrec.matrix.arrays import readonly
from fastrec.solvers.follows import fades_of
from tests.reference import sequence_rules as reference

ITEMS = 9
sequences = st.lists(st.integers(0, ITEMS - 1), unique=True)
halves = st.sampled_from([0.0, 0.5, 1.0])


def pairs_of(sums):
    rows, columns = np.nonzero(sums)
    indptr = np.searchsorted(rows, np.arange(len(sums) + 1))
    return Pairs(*map(readonly, (indptr, columns.astype(np.int32), sums[rows, columns])))


def no_rows(size):
    starts, lengths, rooms = np.full(ITEMS, -1), np.zeros(ITEMS, np.int64), np.zeros(ITEMS, np.int64)
    return PairRows(starts, lengths, rooms, np.empty(size, np.int32), np.empty(size))


def joined(base, rows):
    lengths = np.diff(base.indptr)
    count_joined(base, rows, lengths)
    indptr = readonly(np.concatenate([[0], np.cumsum(lengths)]))
    found = Pairs(indptr, np.empty(indptr[-1], np.int32), np.empty(indptr[-1]))
    join_pair_rows(base, rows, found)
    return found


@settings(deadline=None, max_examples=80)
@given(
    sequences, sequences, st.lists(st.booleans(), min_size=ITEMS, max_size=ITEMS), sequences, st.integers(1, 4), halves
)
def test_sums_are_those_of_plain_python_whatever_is_lost_and_whatever_comes(first, second, kept, more, window, before):
    fades = fades_of(window, 0.5, before)
    base = pairs_of(reference.pair_sums([first, second], ITEMS, fades))
    left = [item for item, stays in zip(first, kept, strict=False) if stays]
    after = [item for item in left if item not in more] + more
    rows, used = no_rows(4096), 0
    for was, now in ((first, after), (second, second)):
        was, now = np.array(was, np.int32), np.array(now, np.int32)
        used = change_pairs(rows, used, was, now, readonly(fades), np.empty(len(was), np.int32))
        assert used >= 0
    expected = pairs_of(reference.pair_sums([after, second], ITEMS, fades))
    for part, wanted in zip(joined(base, rows), expected, strict=True):
        np.testing.assert_array_equal(part, wanted)


def test_too_little_room_changes_nothing_and_says_how_much_it_must_be():
    fades = readonly(fades_of(2, 0.5))
    rows = no_rows(3)
    was, now = np.array([0, 1], np.int32), np.array([0, 1, 2], np.int32)
    least = -1 - change_pairs(rows, 0, was, now, fades, np.empty(2, np.int32))
    assert least > 3
    assert (rows.starts == -1).all()
    assert 0 < change_pairs(no_rows(least), 0, was, now, fades, np.empty(2, np.int32)) <= least


def test_scores_are_sums_times_powers_of_changed_rows_and_of_others():
    fades, rng = readonly(fades_of(3, 0.7)), np.random.default_rng(0)
    before, after = [0, 1, 2, 3], [0, 2, 3, 5]
    base, rows = pairs_of(reference.pair_sums([before, [7, 8]], ITEMS, fades)), no_rows(4096)
    change_pairs(rows, 0, np.array(before, np.int32), np.array(after, np.int32), fades, np.empty(4, np.int32))
    powers = Powers(*rng.random((2, ITEMS)), np.empty(0), np.empty(0))
    histories = Entries(
        readonly(np.array([0, 3])), readonly(np.array([0, 2, 7], np.int32)), readonly(np.array([0.5, 0, 2], np.float32))
    )
    scores = np.zeros((1, ITEMS), np.float32)
    add_pair_rows(histories, base, rows, powers, scores)
    sums = reference.pair_sums([after, [7, 8]], ITEMS, fades) * powers.left[:, None] * powers.right
    np.testing.assert_allclose(scores[0], 0.5 * sums[0] + 2 * sums[7], rtol=1e-6)


def test_counts_that_items_gain_and_their_powers():
    counts = np.array([1, 2, 3])
    powers = Powers(np.zeros(3), np.zeros(3), np.arange(5.0) * 10, np.arange(5.0) * 100)
    count_gained(readonly(np.array([2, 0], np.int32)), np.array([1, -1]), counts, powers)
    assert counts.tolist() == [0, 2, 4]
    assert powers.left.tolist() == [0, 0, 40]
    assert powers.right.tolist() == [0, 0, 400]
