"""What follows each item in sequences against plain Python."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.matrix.sequences import Sequences
from fastrec.solvers.follows import fades_of, sum_pairs
from tests.reference import sequence_rules as reference


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.lists(st.integers(0, 39), max_size=8), max_size=6),
    st.sampled_from([5, 40]),
    st.integers(1, 9),
    st.sampled_from([0.1, 0.5, 1.0]),
    st.integers(1, 2),
)
def test_sums_over_pairs_are_those_of_plain_python_repeated_items_too(lists, n_items, window, decay, jobs):
    lists = [[item % n_items for item in items] for items in lists]
    starts = np.cumsum([0, *map(len, lists)])
    sequences = Sequences(starts, np.array([item for items in lists for item in items], np.int32))
    ones = np.ones(n_items)
    found = sum_pairs(sequences, n_items, fades_of(window, decay), ones, ones, jobs)
    np.testing.assert_allclose(found.toarray(), reference.weights(lists, n_items, window, decay, 0, 0), atol=1e-5)
    assert (found.data > 0).all()
    for row in range(n_items):
        assert (np.diff(found.indices[found.indptr[row] : found.indptr[row + 1]]) > 0).all()


def test_a_row_of_a_large_catalogue_is_found_as_one_of_a_small_one():
    sequences = Sequences(np.array([0, 3, 6]), np.array([7, 900, 3, 7, 3, 900], np.int32))
    found = sum_pairs(sequences, 1000, fades_of(2, 0.5), np.ones(1000), np.ones(1000))
    assert found.indices[found.indptr[7] : found.indptr[8]].tolist() == [3, 900]
    assert found.data[found.indptr[7] : found.indptr[8]].tolist() == [1.5, 1.5]
