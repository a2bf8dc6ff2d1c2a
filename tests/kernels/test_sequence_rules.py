"""Where items stand in sequences, and what follows them, against plain Python."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.kernels.sequence_rules import SCANNED, Follows, Visits, place_visits, sum_follows
from tests.reference import sequence_rules as reference


def visits_of(lists, n_items):
    items = np.array([item for row in lists for item in row], np.int32)
    starts = np.concatenate([[0], np.cumsum(np.bincount(items, minlength=n_items))]).astype(np.int64)
    visits = Visits(starts, np.empty(len(items), np.int64), np.empty(len(items), np.int64))
    place_visits(np.cumsum([0, *map(len, lists)]), items, starts[1:].copy(), visits)
    return items, visits


def test_visits_of_an_item_are_in_order_and_know_where_their_sequence_ends():
    _, visits = visits_of([[2, 0, 2], [], [0], [2]], 3)
    assert visits.starts.tolist() == [0, 2, 2, 5]
    assert visits.places.tolist() == [1, 3, 0, 2, 4]
    assert visits.stops.tolist() == [3, 4, 3, 3, 5]


@pytest.mark.parametrize("n_items", [5, 8 * SCANNED * 9])  # rows that are scanned as a whole; that list what they met
@settings(max_examples=40, deadline=None)
@given(
    lists=st.lists(st.lists(st.integers(0, 4), max_size=8), min_size=1, max_size=5), window=st.integers(1, 6),
    decay=st.sampled_from([0.25, 0.5, 1.0]), first=st.integers(0, 4),
)  # fmt: skip
def test_pairs_are_summed_as_by_the_twin_and_room_is_left_as_it_was(n_items, lists, window, decay, first):
    items, visits = visits_of(lists, n_items)
    left, right = np.linspace(1, 2, n_items), np.linspace(2, 3, n_items)
    fades = np.array([0, *decay ** np.arange(window)])
    rows, room = n_items - first, 6 * n_items
    found = Follows(np.zeros(rows, np.int64), np.empty(room, np.int32), np.empty(room, np.float32))
    sums = np.zeros(n_items)
    sum_follows(items, visits, first, n_items, fades, left, right, sums, np.empty(n_items, np.int32), found)
    assert not sums.any()
    expected = left[:, None] * right * reference.weights(lists, n_items, window, decay, 0, 0)
    got, ends = np.zeros((n_items, n_items)), np.cumsum(found.lengths)
    for row, (end, length) in enumerate(zip(ends, found.lengths, strict=True), first):
        codes = found.codes[end - length : end]
        assert (np.diff(codes) > 0).all()
        got[row, codes] = found.values[end - length : end]
    np.testing.assert_allclose(got[first:], expected[first:], rtol=1e-6)
