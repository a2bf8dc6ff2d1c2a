import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.matrix.code_matrix import check_matrix
from fastrec.models import PureSVD
from fastrec.solvers import truncated_svd as solver
from fastrec.solvers.truncated_svd import SparseProduct, pad_columns, sum_vectors, transpose, truncated_svd


def sparse(n, m, density, seed=0, negative=False):
    rng = np.random.default_rng(seed)
    dense = (rng.random((n, m)) < density) * rng.integers(1, 6, (n, m))
    if negative:
        dense = dense * rng.choice([-1, 1], (n, m))
    return sp.csr_array(dense.astype(np.float32))


def test_scores_are_the_projection_on_the_leading_singular_vectors():
    X = sparse(60, 40, 0.2, negative=True)
    model = PureSVD(factors=7, random_state=0).fit(X)
    _, values, right = np.linalg.svd(X.toarray().astype(np.float64), full_matrices=False)
    np.testing.assert_allclose(model.singular_values_, values[:7], rtol=1e-6)
    expected = X @ right[:7].T @ right[:7]
    np.testing.assert_allclose(model.user_factors_ @ model.item_factors_.T, expected, atol=1e-4)


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
    """The largest singular value is hundreds of times the smallest wanted one: more than float32 bears in a filter."""
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


def test_what_there_is_not_is_zeros():
    X = np.outer(np.arange(1, 6), [1.0, 0, 2, 0])
    model = PureSVD(factors=9, random_state=0).fit(X)
    assert model.item_factors_.shape == (4, 9)
    assert (model.singular_values_[1:] == 0).all()
    assert not model.item_factors_[:, 1:].any()
    np.testing.assert_allclose(model.user_factors_ @ model.item_factors_.T, X, rtol=1e-5, atol=1e-5)


def test_dislikes_push_what_is_alike_down():
    X = np.kron(np.eye(2), np.ones((8, 4)))
    model = PureSVD(factors=2, random_state=0).fit(X)
    likes, dislikes = (model.predict_pairs([[value, 0, 0, 0, 0, 0, 0, 0]], [1])[0] for value in (1, -1))
    assert likes > 0 > dislikes
    assert likes == -dislikes


def test_item_exponent_weighs_the_columns_down():
    X = sparse(60, 40, 0.2)
    model = PureSVD(factors=5, item_exponent=0.5, random_state=0).fit(X)
    scaled = X.toarray() / np.sqrt(np.maximum(np.square(X.toarray()).sum(axis=0), 1e-9))
    _, values, right = np.linalg.svd(scaled, full_matrices=False)
    np.testing.assert_allclose(model.singular_values_, values[:5], rtol=1e-5)
    np.testing.assert_allclose(model.user_factors_ @ model.item_factors_.T, scaled @ right[:5].T @ right[:5], atol=1e-5)


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


@pytest.mark.parametrize(("value", "exponent"), [(3e38, 0.0), (1e-42, 0.5)])
def test_values_beyond_float32_are_named(value, exponent):
    with pytest.raises(FloatingPointError, match="too large, or too small, for float32"):
        PureSVD(2, item_exponent=exponent).fit(np.full((4, 3), value))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"factors": 0}, r"PureSVD.factors must be an integer of at least 1, got 0"),
        ({"item_exponent": 2}, r"PureSVD.item_exponent must be a finite number from 0 to 1, got 2"),
        ({"tol": 0}, r"PureSVD.tol must be a finite number above 0, got 0"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        PureSVD(**options).fit(np.eye(3))
