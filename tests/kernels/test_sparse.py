"""Rows of columns from rows, against SciPy."""

import numpy as np
import scipy.sparse as sp

from fastrec.kernels.sparse import count_columns, place_entries


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
