"""Excluded and allowed items: any kind of matrix, codes or a mask, as kernels read them."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from fastrec.retrieval import ExactIndex, IVFIndex
from fastrec.retrieval.filters import NOTHING, ExcludedCodes, candidate_lists, read_allowed, read_filters
from tests.retrieval.vectors import STORAGES, lognormal


@pytest.mark.parametrize("storage", STORAGES)
def test_stored_zeros_exclude_too(storage):
    exclude = sp.csr_array((np.zeros(1, np.float32), [0], [0, 1]), shape=(1, 3))
    top = ExactIndex(storage=storage).fit(np.eye(3)).search([[3.0, 2.0, 1.0]], 2, exclude)
    assert top.codes.tolist() == [[1, 2]]


@pytest.mark.parametrize("exclude", [sp.csr_array, sp.coo_array, sp.csc_array, sp.csr_matrix, sp.lil_array])
def test_any_sparse_matrix_filters(exclude):
    matrix = exclude(np.array([[0, 1, 0], [1, 0, 1]]))
    top = ExactIndex().fit(np.eye(3)).search(np.ones((2, 3)), 3, matrix)
    assert top.codes.tolist() == [[0, 2, -1], [1, -1, -1]]
    assert np.isneginf(top.scores[1, 1:]).all()


def test_unsorted_indices_filter():
    seen = sp.csr_array((np.ones(3), np.array([4, 0, 2]), np.array([0, 3])), shape=(1, 5))
    assert ExactIndex().fit(np.eye(5)).search(np.ones((1, 5)), 5, seen).codes.tolist() == [[1, 3, -1, -1, -1]]
    assert ExactIndex().fit(np.eye(5)).search(np.ones((1, 5)), 2, allow=seen).codes.tolist() == [[0, 2]]
    assert seen.indices.tolist() == [4, 0, 2], "the caller's matrix is left alone"


def test_a_filter_with_codes_beyond_the_vectors_is_refused():
    broken = sp.csr_array((1, 5))
    broken.indices, broken.indptr, broken.data = np.array([7], np.int32), np.array([0, 1], np.int32), np.ones(1)
    with pytest.raises(ValueError, match="exclude holds codes from 7 to 7; they must be from 0 to 4"):
        ExactIndex().fit(np.ones((5, 3))).search(np.ones((1, 3)), 1, broken)


@pytest.mark.parametrize(
    "index", [ExactIndex(), ExactIndex(storage="int8"), IVFIndex(n_probe=9, random_state=0)], ids=repr
)
def test_rows_of_filters_are_read_as_what_they_are(index):
    """Duplicates count once, a matrix that changed is read anew, and a broken one is refused."""
    vectors = lognormal(200, 16, 0)
    index.fit(vectors)
    doubled = sp.csr_array((np.ones(6), [5, 5, 5, 9, 3, 3], [0, 4, 6, 6]), shape=(3, 200))
    allowed = index.search(vectors[:3], 3, allow=doubled).codes
    assert [set(row) for row in allowed.tolist()] == [{5, 9, -1}, {3, -1}, {-1}]
    best = index.search(vectors[:1], 3).codes[0]
    changed = sp.csr_array((np.ones(3), np.sort(best), [0, 3]), shape=(1, 200))
    assert changed.has_sorted_indices
    changed.indices[:] = changed.indices[::-1].copy()
    assert not set(index.search(vectors[:1], 3, changed).codes[0]) & set(best)
    broken = sp.csr_array((np.ones(3), [1, 2, 3], [0, 2, 3, 3]), shape=(3, 200))
    broken.indptr[1] = 10**9
    for name in ("exclude", "allow"):
        with pytest.raises(ValueError, match=f"{name} is not a valid sparse matrix"):
            index.search(vectors[:3], 3, **{name: broken})


def test_excluded_items_may_be_a_mask():
    vectors, out = lognormal(50, 4, 0), np.arange(50) % 2 == 0
    index = ExactIndex().fit(vectors)
    masked, listed = (index.search(vectors[:9], 50, given) for given in (out, np.flatnonzero(out)))
    np.testing.assert_array_equal(masked.codes, listed.codes)
    assert set(masked.codes.ravel().tolist()) == {-1, *range(1, 50, 2)}
    both = index.search(vectors[:1], 50, out, allow=np.arange(9)).codes[0]
    assert sorted(both[both >= 0].tolist()) == [1, 3, 5, 7]


def opened(filters, n_queries, n):
    """Returns the items that each query may choose by the kernels' arrays, as bool of shape (n_queries, n)."""
    mask, starts, codes = filters.closed
    may = np.tile(mask.astype(bool) if len(mask) else np.ones(n, bool), (n_queries, 1))
    candidates, counts, own = candidate_lists(filters, slice(0, n_queries))
    for row in range(n_queries):
        if len(starts):
            may[row, codes[starts[row] : starts[row + 1]]] = False
        if counts[row] >= 0:
            may[row] &= np.isin(np.arange(n), own[candidates[row] : candidates[row] + counts[row]])
    return may


FORMS = {
    "none": lambda wanted: None,
    "rows": lambda wanted: sp.csr_array(wanted),
    "codes": lambda wanted: np.flatnonzero(wanted[0]),
    "mask": lambda wanted: wanted[0],
}


@given(
    exclude=st.sampled_from([*FORMS]), allow=st.sampled_from([*FORMS]), seed=st.integers(0, 99), share=st.floats(0, 1)
)
def test_filters_allow_the_given_items(exclude, allow, seed, share):
    shut, wanted = np.random.default_rng(seed).random((2, 3, 9)) < share
    filters = read_filters(FORMS[exclude](shut), FORMS[allow](wanted), 3, 9)
    expected = np.ones((3, 9), bool)
    if exclude != "none":
        expected &= ~(shut if exclude == "rows" else shut[0])
    if allow != "none":
        expected &= wanted if allow == "rows" else wanted[0]
    np.testing.assert_array_equal(opened(filters, 3, 9), expected)
    assert not any(array.flags.writeable for array in (*filters.closed, filters.allow_starts, filters.allow_codes))


def test_nothing_is_made_where_nothing_is_filtered():
    assert read_filters(None, None, 3, 9) is NOTHING


def test_a_mask_that_was_read_is_taken_as_it_is():
    mask = read_allowed([2, 5], 9)
    assert mask.allowed.tolist() == [2, 5]
    assert read_filters(None, mask, 3, 9).allowed is mask.allowed
    assert read_allowed(np.arange(9) > 0, 9).allowed is None, "codes are listed where they are few"


def test_excluded_codes_are_taken_as_they_are():
    excluded = ExcludedCodes(np.array([0, 1, 1]), np.array([4], np.int32))
    filters = read_filters(excluded, None, 2, 9)
    assert filters.closed.starts is excluded.starts
    assert filters.closed.codes is excluded.codes


def test_candidates_of_some_rows_are_theirs():
    allow = sp.csr_array(np.eye(4, 9))
    starts, counts, codes = candidate_lists(read_filters(None, allow, 4, 9), slice(2, 4))
    assert (codes[starts].tolist(), counts.tolist()) == ([2, 3], [1, 1])
