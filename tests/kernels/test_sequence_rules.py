"""The places of items in sequences, and the items that follow them, against plain Python."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.kernels.sequence_rules import (
    SCANNED,
    Follows,
    Pairs,
    Visits,
    count_merged,
    merge_pairs,
    place_visits,
    sum_follows,
    weigh_pairs,
)
from tests.reference import sequence_rules as reference


def visits_of(lists, n_items):
    items = np.array([item for row in lists for item in row], np.int32)
    starts = np.concatenate([[0], np.cumsum(np.bincount(items, minlength=n_items))]).astype(np.int64)
    visits = Visits(starts, *(np.empty(len(items), np.int64) for _ in range(3)))
    place_visits(np.cumsum([0, *map(len, lists)]), items, starts[1:].copy(), visits)
    return items, visits


def test_visits_of_an_item_are_in_order_and_know_where_their_sequence_begins_and_ends():
    _, visits = visits_of([[2, 0, 2], [], [0], [2]], 3)
    assert visits.starts.tolist() == [0, 2, 2, 5]
    assert visits.places.tolist() == [1, 3, 0, 2, 4]
    assert visits.begins.tolist() == [0, 3, 0, 0, 4]
    assert visits.stops.tolist() == [3, 4, 3, 3, 5]


@pytest.mark.parametrize("n_items", [5, 8 * SCANNED * 9])  # rows that are scanned as a whole; that list what they met
@settings(max_examples=40, deadline=None)
@given(
    lists=st.lists(st.lists(st.integers(0, 4), max_size=8), min_size=1, max_size=5), window=st.integers(1, 6),
    decay=st.sampled_from([0.25, 0.5, 1.0]), first=st.integers(0, 4), before=st.sampled_from([0, 0.25, 1]),
)  # fmt: skip
def test_pairs_are_summed_as_by_the_twin_and_room_is_left_as_it_was(n_items, lists, window, decay, first, before):
    items, visits = visits_of(lists, n_items)
    fades = np.outer([1, before], [0, *decay ** np.arange(window)])
    rows, room = n_items - first, 6 * n_items
    found = Follows(np.zeros(rows, np.int64), np.empty(room, np.int32), np.empty(room))
    sums = np.zeros(n_items)
    sum_follows(items, visits, first, n_items, fades, sums, np.empty(n_items, np.int32), found)
    assert not sums.any()
    expected = reference.weights(lists, n_items, window, decay, 0, 0, before)
    got, ends = np.zeros((n_items, n_items)), np.cumsum(found.lengths)
    for row, (end, length) in enumerate(zip(ends, found.lengths, strict=True), first):
        codes = found.codes[end - length : end]
        assert (np.diff(codes) > 0).all()
        got[row, codes] = found.sums[end - length : end]
    np.testing.assert_allclose(got[first:], expected[first:], rtol=1e-6)


def pairs_of(dense):
    """Returns the entries of a matrix that are not 0."""
    indptr = np.concatenate([[0], np.cumsum((dense != 0).sum(axis=1))])
    return Pairs(indptr, np.nonzero(dense)[1].astype(np.int32), dense[dense != 0])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 7))
def test_merged_sums_are_those_of_dense_matrices_without_zeros(seed, n):
    rng = np.random.default_rng(seed)
    one = rng.choice([0, 0, 1, 2.5], (n, n))
    other = rng.choice([0, 0, 1, -1, -2.5], (n, n))
    lengths = np.empty(n, np.int64)
    count_merged(pairs_of(one), pairs_of(other), 0, n, lengths)
    expected = pairs_of(one + other)
    assert lengths.tolist() == np.diff(expected.indptr).tolist()
    found = Pairs(expected.indptr, np.empty_like(expected.codes), np.empty_like(expected.sums))
    merge_pairs(pairs_of(one), pairs_of(other), 0, n, found)
    assert found.codes.tolist() == expected.codes.tolist()
    assert found.sums.tolist() == expected.sums.tolist()


def test_weights_are_sums_times_what_both_items_count():
    dense = np.array([[0, 2.0], [4, 1]])
    weights = np.zeros(3, np.float32)
    weigh_pairs(pairs_of(dense), 1, 2, np.array([1, 0.5]), np.array([2, 3.0]), weights)
    assert weights.tolist() == [0, 4, 1.5]
