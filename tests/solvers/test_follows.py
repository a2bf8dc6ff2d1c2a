"""The followers of each item in sequences, against plain Python."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.matrix.sequences import Sequences
from fastrec.solvers import follows
from fastrec.solvers.follows import exchange, fades_of, sum_pairs, weigh
from tests.reference import sequence_rules as reference


def sequences_of(lists):
    return Sequences(np.cumsum([0, *map(len, lists)]), np.array([item for row in lists for item in row], np.int32))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.lists(st.integers(0, 39), max_size=8), max_size=6),
    st.sampled_from([5, 40]),
    st.integers(1, 9),
    st.sampled_from([0.1, 0.5, 1.0]),
    st.integers(1, 2),
    st.sampled_from([0.0, 0.5, 1.0]),
)
def test_sums_over_pairs_are_those_of_plain_python_repeated_items_too(lists, n_items, window, decay, jobs, before):
    lists = [[item % n_items for item in items] for items in lists]
    ones = np.ones(n_items)
    found = weigh(sum_pairs(sequences_of(lists), n_items, fades_of(window, decay, before), jobs), ones, ones, jobs)
    np.testing.assert_allclose(
        found.toarray(), reference.weights(lists, n_items, window, decay, 0, 0, before), atol=1e-5
    )
    assert (found.data > 0).all()
    for row in range(n_items):
        assert (np.diff(found.indices[found.indptr[row] : found.indptr[row + 1]]) > 0).all()


def test_a_row_of_a_large_catalogue_is_found_as_one_of_a_small_one():
    sequences = Sequences(np.array([0, 3, 6]), np.array([7, 900, 3, 7, 3, 900], np.int32))
    found = weigh(sum_pairs(sequences, 1000, fades_of(2, 0.5)), np.ones(1000), np.ones(1000))
    assert found.indices[found.indptr[7] : found.indptr[8]].tolist() == [3, 900]
    assert found.data[found.indptr[7] : found.indptr[8]].tolist() == [1.5, 1.5]


lists_of_items = st.lists(st.lists(st.integers(0, 5), max_size=8), max_size=5)


@settings(deadline=None, max_examples=60)
@given(lists_of_items, lists_of_items, lists_of_items, st.sampled_from([0.3, 0.7, 1.0]), st.integers(6, 9))
def test_exchanged_sequences_leave_the_bits_of_sums_of_all(staying, gone, new, decay, n_items):
    fades = fades_of(4, decay, 0.5)
    pairs = sum_pairs(sequences_of([*gone, *staying]), 6, fades)
    found = exchange(pairs, sequences_of(gone), sequences_of(new), n_items, fades)
    expected = sum_pairs(sequences_of([*staying, *new]), n_items, fades)
    for part, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(part, other)


def test_threads_change_no_bit(monkeypatch):
    monkeypatch.setattr(follows, "WORTH_THREADS", 0)
    rng = np.random.default_rng(0)
    first, second = (rng.integers(0, 20, (30, 10)).tolist() for _ in range(2))
    fades, sides = fades_of(5, 0.7), rng.uniform(0.1, 1, (2, 20))
    pairs = sum_pairs(sequences_of(first), 20, fades)
    one, three = (
        weigh(exchange(pairs, sequences_of(first[:7]), sequences_of(second), 20, fades, jobs), *sides, jobs)
        for jobs in (1, 3)
    )
    np.testing.assert_array_equal(one.data, three.data)
    np.testing.assert_array_equal(one.indices, three.indices)
