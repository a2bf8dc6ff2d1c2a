import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.matrix.code_matrix import assemble_csr, check_matrix
from fastrec.matrix.rows import (
    empty_rows,
    hide_part,
    join_rows,
    mark_rows,
    pick_rows,
    rows_of_lists,
    transpose,
    transpose_arrays,
)
from tests.reference.csr import check_canonical
from tests.reference.neighbors import random_matrix

dense = st.lists(st.lists(st.integers(0, 2), min_size=4, max_size=4), min_size=1, max_size=7).map(
    lambda rows: np.array(rows, np.float32)
)


@settings(max_examples=60, deadline=None)
@given(X=dense, data=st.data())
def test_picked_rows_are_those_of_numpy(X, data):
    matrix = check_matrix(X)
    rows = data.draw(st.lists(st.integers(0, len(X) - 1), max_size=8))
    start = data.draw(st.integers(0, len(X)))
    part = slice(start, data.draw(st.integers(start, len(X))))
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(X), max_size=len(X))))
    for chosen in (np.array(rows, np.int32), part, mask):
        picked = pick_rows(matrix, chosen)
        np.testing.assert_array_equal(picked.toarray(), X[chosen])
        assert picked.indptr.dtype == np.int64
        assert picked.indices.dtype == np.int32


def test_rows_that_follow_each_other_are_not_copied():
    matrix = check_matrix(np.ones((5, 3)))
    for rows in (slice(1, 4), np.arange(1, 4), np.array([False, True, True, True, False])):
        assert np.shares_memory(pick_rows(matrix, rows).indices, matrix.indices)
    assert pick_rows(matrix, np.array([1, 1, 3])).nnz == 9


@settings(max_examples=60, deadline=None)
@given(lists=st.lists(st.lists(st.integers(-1, 3), max_size=6), max_size=5))
def test_lists_become_rows(lists):
    flat = np.array([code for codes in lists for code in codes], np.int32)
    matrix = rows_of_lists(flat, [len(codes) for codes in lists], 4)
    expected = np.array([[code in codes for code in range(4)] for codes in lists], bool).reshape(len(lists), 4)
    np.testing.assert_array_equal(matrix.toarray() > 0, expected)
    check_canonical(matrix)


@settings(max_examples=60, deadline=None)
@given(X=dense, seed=st.integers(0, 10))
def test_joined_rows_have_an_entry_where_one_of_them_has(X, seed):
    Y = np.random.default_rng(seed).integers(-1, 2, X.shape)
    joined = join_rows(check_matrix(X), check_matrix(Y, negative="accept"))
    np.testing.assert_array_equal(joined.toarray() > 0, (X != 0) | (Y != 0))
    check_canonical(joined)


def test_joining_nothing():
    matrix = check_matrix([[1.0]])
    assert join_rows(None, None) is None
    assert join_rows(matrix, None) is matrix
    assert join_rows(None, matrix) is matrix


@settings(max_examples=60, deadline=None)
@given(X=dense)
def test_hidden_and_left_parts_make_the_whole(X):
    left, hidden = hide_part(check_matrix(X))
    np.testing.assert_array_equal((left + hidden).toarray(), X)
    lengths = (X > 0).sum(axis=1)
    assert np.diff(hidden.indptr).tolist() == [max(1, n // 5) if n > 1 else 0 for n in lengths]


def test_hidden_items_depend_on_the_row_alone():
    X = sp.random_array((50, 40), density=0.4, rng=0, format="csr", dtype=np.float32)
    _, hidden = hide_part(check_matrix(X))
    order = np.random.default_rng(1).permutation(50)
    np.testing.assert_array_equal(hide_part(check_matrix(X[order]))[1].toarray(), hidden.toarray()[order])
    # The hidden items are not the same few in all rows.
    assert (hidden.toarray() > 0).any(axis=0).sum() > 30


def csr(indices, indptr, width=3):
    return assemble_csr(np.ones(len(indices), "f4"), np.array(indices, "i4"), np.array(indptr, "i8"), (2, width))


@pytest.mark.parametrize(
    "matrix",
    [
        csr([0, 1], [1, 1, 2]),
        csr([0, 1], [0, 1, 1]),
        csr([0, 1], [0, 2, 1]),
        csr([0, 3], [0, 1, 2]),
        csr([0, -1], [0, 1, 2]),
        csr([1, 0], [0, 2, 2]),
        csr([1, 1], [0, 2, 2]),
    ],
)
def test_broken_structure_is_noticed(matrix):
    with pytest.raises(ValueError, match="matrix"):
        check_canonical(matrix)


def test_sound_structure_passes():
    for matrix in (csr([2, 0], [0, 1, 2]), csr([0, 2], [0, 0, 2]), csr([0, 1], [0, 2, 2]), csr([], [0, 0, 0])):
        check_canonical(matrix)


@pytest.mark.parametrize("length", [2, 7, 50, 100, 200, 300])
def test_the_hidden_part_of_a_row_is_its_share_in_whole_numbers(length):
    """Of 100 entries .29 are 29, although the product in binary is a little less."""
    row = sp.csr_array(np.ones((1, length), np.float32))
    for hundredths in range(1, 51):
        left, hidden = hide_part(check_matrix(row), hundredths / 100)
        assert hidden.nnz == max(1, min(length - 1, length * hundredths // 100))
        assert left.nnz + hidden.nnz == length


def test_transposed_agrees_with_scipy_for_any_number_of_threads():
    rng = np.random.default_rng(0)
    for values in (np.ones, lambda size: rng.random(size).astype(np.float32)):
        X = check_matrix((rng.random((70, 31)) < 0.3) * values((70, 31)))
        expected = X.T.tocsr()
        for jobs in (1, 2, 5):
            indptr, indices, data = transpose_arrays(X, jobs)
            assert np.array_equal(indptr, expected.indptr)
            assert np.array_equal(indices, expected.indices)
            assert np.array_equal(np.broadcast_to(data, X.nnz), expected.data)


def test_a_matrix_turned_over_is_its_transpose():
    X = check_matrix(random_matrix(np.random.default_rng(0), 30, 7))
    for matrix in (X, check_matrix(X > 0), check_matrix(np.zeros((3, 2)))):
        np.testing.assert_array_equal(transpose(matrix, 2).toarray(), matrix.toarray().T)


def test_emptied_rows_keep_all_others():
    X = check_matrix(random_matrix(np.random.default_rng(0), 30, 7))
    expected = X.toarray()
    expected[[3, 29]] = 0
    left = empty_rows(X, [29, 3, 3])
    np.testing.assert_array_equal(left.toarray(), expected)
    np.testing.assert_array_equal(X.data[~mark_rows(X, [3, 29])], left.data)
    assert empty_rows(X, []).nnz == X.nnz
