"""Each similarity beside its formula on dense rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.matrix.code_matrix import check_matrix
from fastrec.solvers.similarity import PMI, SIMILARITIES, undivided, unit_of

K1, B = 1.2, 0.6


def weighted(name, X):
    """Returns entries and features' weights by the papers' formulas."""
    n, counts = len(X), (X > 0).sum(axis=0)
    if name == "jaccard":
        return (X > 0).astype(float), np.ones(X.shape[1])
    if name == "tfidf":
        return np.sqrt(X), (np.log((1 + n) / (1 + counts)) + 1) ** 2
    if name == "bm25":
        lengths = X.sum(axis=1, keepdims=True) / (X.sum() / n)
        saturated = np.where(X > 0, X * (K1 + 1) / (K1 * (1 - B + B * lengths) + X), 0)
        return saturated, np.log(1 + (n - counts + 0.5) / (counts + 0.5)) ** 2
    return X, np.ones(X.shape[1])


def expected(name, X, shrinkage, share):
    cells, weights = weighted(name, X)
    products = (cells * weights) @ cells.T
    if name == "bm25":
        return products
    if name == "jaccard":
        counts = cells.sum(axis=1)
        return products / (counts[:, None] + counts + shrinkage - products)
    norms = np.sqrt(np.diag(products))
    return products / (norms[:, None] ** (2 - 2 * share) * norms ** (2 * share) + shrinkage)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 0.7]))
def test_information_is_that_of_its_formula(seed, smoothing, shift):
    rng = np.random.default_rng(seed)
    X = (rng.random((7, 9)) < 0.4) * rng.integers(1, 6, (7, 9)).astype(float)
    matrix = check_matrix(X)
    lengths = (X > 0).sum(axis=0)
    similarity = PMI(matrix.data, lengths, len(X), 0.0, 0.5, K1, B, smoothing, shift)
    cells, divisor = similarity.profile(matrix)
    products = (cells.toarray().astype(float) * similarity.weights) @ cells.toarray().T
    np.fill_diagonal(products, 0)
    quotients = products / np.outer(divisor.left, divisor.right)
    codes = np.where(products > 0, np.arange(7), -1).astype(np.int32)
    found, scores = similarity.finish(codes, quotients.astype(np.float32))

    counts = np.zeros((7, 7))
    for feature in np.flatnonzero(lengths > 1):  # all rows of a feature say the same
        rows = np.flatnonzero(X[:, feature])
        counts[np.ix_(rows, rows)] += 1 / (len(rows) - 1)
    np.fill_diagonal(counts, 0)
    totals = counts.sum(axis=1)
    powers = np.where(totals > 0, np.maximum(totals, 1e-9) ** smoothing, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        wanted = np.log(counts * powers.sum() / (totals[:, None] * powers)) - shift
    wanted[counts == 0] = -np.inf
    clear = np.abs(wanted) > 1e-4  # a score that is nearly 0 may be kept or not
    np.testing.assert_array_equal((found >= 0)[clear], (wanted > 0)[clear])
    np.testing.assert_allclose(scores[wanted > 0], wanted[wanted > 0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SIMILARITIES)
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 3.0]), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_similarities_are_those_of_their_formulas(name, seed, shrinkage, share):
    rng = np.random.default_rng(seed)
    X = (rng.random((7, 9)) < 0.5) * rng.integers(1, 6, (7, 9)).astype(float)
    X[:, 0] = 1  # no row is empty
    matrix = check_matrix(X)
    similarity = SIMILARITIES[name](matrix.data, (X > 0).sum(axis=0), len(X), shrinkage, share, K1, B)
    cells, divisor = similarity.profile(matrix)
    dense = cells.toarray().astype(float)
    products = (dense * similarity.weights) @ dense.T
    found = products / (np.outer(divisor.left, divisor.right) + divisor.base[:, None] - divisor.less * products)
    np.testing.assert_allclose(found, expected(name, X, shrinkage, share), rtol=1e-5)
    assert not similarity.keeps_values or np.array_equal(cells.data, matrix.data)


@pytest.mark.parametrize("name", ["cosine", "tfidf"])
def test_values_of_any_size_are_compared_within_float32(name):
    X = check_matrix(np.array([[1, 2, 0], [0, 3, 4]]) * 1e30)
    small = check_matrix(np.array([[1, 2, 0], [0, 3, 4]]))
    counts = np.array([1, 2, 1])
    parts = []
    for matrix in (X, small):
        similarity = SIMILARITIES[name](matrix.data, counts, 2, 0.0, 0.5, K1, B)
        cells, divisor = similarity.profile(matrix)
        dense = cells.toarray()
        products = (dense * similarity.weights) @ dense.T
        assert np.isfinite(products).all()
        parts.append(products / np.outer(divisor.left, divisor.right))
    np.testing.assert_allclose(*parts, rtol=1e-5)


def test_units_are_powers_of_four_and_undivided_products_stay():
    assert unit_of(np.float32([2.0**41])) == 2.0**40
    divisor = undivided(2)
    assert (np.outer(divisor.left, divisor.right) + divisor.base == 1).all()
