"""Rows of columns from rows, and their sums, against SciPy."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastrec.kernels.sparse import count_columns, place_entries, sum_rows


def test_entries_are_placed_by_their_columns_in_two_parts():
    X = sp.random_array((30, 20), density=0.3, format="csr", dtype=np.float32, rng=np.random.default_rng(0))
    indptr, indices = X.indptr.astype(np.int64), X.indices.astype(np.int32)
    counts = np.zeros(20, np.int64)
    count_columns(indices, 0, X.nnz // 2, counts)
    count_columns(indices, X.nnz // 2, X.nnz, counts)
    np.testing.assert_array_equal(counts, np.bincount(indices, minlength=20))
    places = np.cumsum(counts) - counts
    rows, values = np.empty(X.nnz, np.int32), np.empty(X.nnz, np.float32)
    for first, last in ((0, 11), (11, 30)):
        place_entries(indptr, indices, X.data, first, last, places, rows, values)
    turned = X.T.tocsr()
    np.testing.assert_array_equal(rows, turned.indices)
    np.testing.assert_array_equal(values, turned.data)


@pytest.mark.parametrize("one_value", [False, True])
def test_rows_are_summed_with_one_value_for_each_entry_or_for_all(one_value):
    X = sp.random_array((30, 20), density=0.1, format="csr", dtype=np.float32, rng=np.random.default_rng(0))
    values = np.full(1, 2, np.float32) if one_value else X.data
    sums = np.empty(30)
    sum_rows(X.indptr.astype(np.int64), values, sums)
    X.data = np.broadcast_to(values, X.nnz).astype(np.float64)
    np.testing.assert_allclose(sums, X.sum(axis=1), rtol=1e-12)
