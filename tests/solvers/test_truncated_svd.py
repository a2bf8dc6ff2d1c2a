"""Leading singular vectors, and products of sparse rows."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.matrix.code_matrix import check_matrix
from fastrec.matrix.rows import transpose
from fastrec.solvers import truncated_svd as solver
from fastrec.solvers.truncated_svd import SparseProduct, pad_columns, sum_vectors, truncated_svd


def sparse(n, m, density, seed=0, negative=False):
    rng = np.random.default_rng(seed)
    dense = (rng.random((n, m)) < density) * rng.integers(1, 6, (n, m))
    if negative:
        dense = dense * rng.choice([-1, 1], (n, m))
    return sp.csr_array(dense.astype(np.float32))


@pytest.mark.parametrize("shape", [(300, 200), (200, 300)])
def test_iteration_finds_what_the_dense_decomposition_finds(monkeypatch, shape):
    X = check_matrix(sparse(*shape, 0.05))
    exact = truncated_svd(X, 10, random_state=0, n_jobs=1)
    monkeypatch.setattr(solver, "SMALL", 0)
    found = truncated_svd(X, 10, random_state=3, n_jobs=1, tol=1e-7)
    np.testing.assert_allclose(found.values, exact.values, rtol=1e-4)
    gaps = np.abs(found.vectors.T @ found.vectors - np.eye(10)).max()
    assert gaps < 1e-5
    residual = X.T @ (X @ found.vectors) - found.vectors * found.values**2
    assert np.linalg.norm(residual, axis=0).max() < 2e-2 * found.values[0] ** 2


def test_iteration_does_not_depend_on_threads(monkeypatch):
    monkeypatch.setattr(solver, "SMALL", 0)
    X = check_matrix(sparse(400, 300, 0.05))
    one, two = (truncated_svd(X, 20, random_state=0, n_jobs=jobs) for jobs in (1, 2))
    np.testing.assert_array_equal(one.vectors, two.vectors)
    np.testing.assert_array_equal(one.values, two.values)


@pytest.mark.parametrize("few", [20, 200])
def test_a_few_very_popular_items_hide_nothing(monkeypatch, few):
    """The largest singular value is hundreds of times the smallest wanted one: too much for a float32 filter."""
    monkeypatch.setattr(solver, "SMALL", 10)
    rng = np.random.default_rng(0)
    dense = (rng.random((900, 300)) < 0.02).astype(np.float32)
    dense[:, :few] = 10 * (rng.random((900, few)) < 0.9)
    found = truncated_svd(check_matrix(dense), few + 10, random_state=0, n_jobs=1, tol=1e-8)
    exact = np.linalg.svd(dense.astype(np.float64))[1][: few + 10]
    np.testing.assert_allclose(found.values, exact, rtol=2e-3)
    np.testing.assert_allclose(found.vectors.T @ found.vectors, np.eye(few + 10), atol=1e-4)


def test_values_beyond_float32_are_told(monkeypatch):
    monkeypatch.setattr(solver, "SMALL", 10)
    dense = np.random.default_rng(0).random((40, 30)).astype(np.float32) * 1e25
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match="too large"):
        truncated_svd(check_matrix(dense), 5, random_state=0, n_jobs=1)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 150), st.integers(0, 99))
def test_sparse_products_are_those_of_numpy(n, m, width, seed):
    X = check_matrix(sparse(n, m, 0.4, seed))
    dense = np.random.default_rng(seed).normal(size=(m, width)).astype(np.float32)
    expected = X.toarray().astype(np.float64) @ dense
    np.testing.assert_allclose(sum_vectors(X, dense, 2), expected, atol=1e-4)
    product = SparseProduct(X).times(pad_columns(dense), 1)
    for row in range(n):
        alone = SparseProduct(check_matrix(X[[row]])).times(pad_columns(dense), 1)
        np.testing.assert_array_equal(alone[0], product[row])
    np.testing.assert_array_equal(transpose(X, 2).toarray(), X.toarray().T)
