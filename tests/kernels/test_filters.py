"""Products of dense and of sparse rows with vectors; a row's bits depend on no other row."""

import numpy as np
import pytest

from fastrec.kernels.filters import STRIP, add_products, multiply_rows
from fastrec.matrix.code_matrix import check_matrix
from fastrec.solvers.truncated_svd import add_dense_products


@pytest.mark.parametrize("width", [16, 48, 64, 80, 192])
@pytest.mark.parametrize("n", [1, 2, 7])
def test_dense_products_are_those_of_numpy_in_any_company(width, n):
    rng = np.random.default_rng(0)
    left, right = (rng.normal(size=shape).astype(np.float32) for shape in ((n, 9), (9, width)))
    out = rng.normal(size=(n, width)).astype(np.float32)
    expected = out + left @ right
    alone = np.ascontiguousarray(out[:, :16])
    add_dense_products(left, right, out, 2)
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-5)
    add_products(left.reshape(-1), 9, 0, n, 16, 0, np.ascontiguousarray(right[:, :16]).reshape(-1), alone.reshape(-1))
    np.testing.assert_array_equal(alone, out[:, :16])


@pytest.mark.parametrize("width", [16, 64, 80])
def test_sparse_rows_times_vectors_are_those_of_numpy_strip_by_strip(width):
    rng = np.random.default_rng(0)
    matrix = check_matrix((rng.random((9, 30)) < 0.3) * rng.integers(1, 5, (9, 30)))
    vectors = rng.normal(size=(30, width)).astype(np.float32)
    flat, entries = vectors.reshape(-1), (matrix.indptr, matrix.indices, matrix.data)
    out, at_once = (np.full((9, width), np.nan, np.float32) for _ in range(2))
    for left in range(0, width, STRIP):
        multiply_rows(*entries, 2, 8, width, left, min(left + STRIP, width), flat, out.reshape(-1))
    multiply_rows(*entries, 2, 8, width, 0, width, flat, at_once.reshape(-1))
    np.testing.assert_allclose(out[2:8], matrix.toarray()[2:8] @ vectors, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(at_once, out)
    assert np.isnan(out[[0, 1, 8]]).all()
