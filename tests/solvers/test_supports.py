"""Regressions on supports beside float64 ones, column by column."""

import numpy as np
import pytest

from fastrec.matrix.code_matrix import check_matrix
from fastrec.solvers.supports import gramian_of, join_weights, regress_on_supports
from tests.reference import supports as reference


def system(seed=0, n=40):
    rng = np.random.default_rng(seed)
    rows = (rng.random((3 * n, n)) < 0.2) * (rng.random((3 * n, n)) + 0.5)
    right = (rng.random((n, n)) < 0.4) * (rng.random((n, n)) + 0.5)
    return (rows.T @ rows).astype(np.float32), right.astype(np.float32)


@pytest.mark.parametrize("k", [1, 7, 39])
def test_columns_are_solved_among_those_that_predict_them_best(k):
    matrix, right = system()
    penalties = np.linspace(1, 3, 40)
    gramian = gramian_of(check_matrix(np.tril(matrix)), penalties, 0.0)
    found = [regress_on_supports(gramian, check_matrix(right), k, jobs) for jobs in (1, 3)]
    whole = matrix + np.diag(penalties)
    expected = reference.regress(whole, right, reference.choose(right, whole.diagonal() ** -0.5, k))
    dense = join_weights(*found[0], None, np.arange(40, dtype=np.int32), 1).toarray()
    np.testing.assert_allclose(dense, expected, atol=1e-4)
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one, other)


def test_a_threshold_leaves_weak_entries_out():
    matrix, _ = system()
    gramian = gramian_of(check_matrix(np.tril(matrix)), np.ones(40), 0.3)
    norms = np.sqrt(matrix.diagonal() + 1)
    strong = np.tril(matrix / np.outer(norms, norms) >= 0.3, -1)
    assert 0 < len(gramian.values) == strong.sum() < np.tril(matrix, -1).astype(bool).sum()
    np.testing.assert_allclose(gramian.diagonal, norms**2, rtol=1e-6)


def test_weights_come_back_to_the_items_that_they_are_of():
    order = np.array([2, 0, 1], np.int32)  # place 0 is item 2
    supports, weights = np.array([[1, -1], [0, 2], [-1, -1]], np.int32), np.array([[5, 0], [6, 7], [0, 0]], np.float32)
    joined = join_weights(supports, weights, None, order, 1).toarray()
    assert joined.tolist() == [[0, 0, 5], [7, 0, 0], [6, 0, 0]]
    own = join_weights(supports, weights, np.array([1, 0, 2], np.float32), order, 1).toarray()
    assert own.tolist() == [[0, 0, 5], [7, 2, 0], [6, 0, 1]]
