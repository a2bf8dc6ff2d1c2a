"""Symmetric systems against NumPy: built of outer products, factorized, solved."""

import numpy as np
import pytest

from fastrec.kernels._jit import kernel
from fastrec.kernels.definite import add_outer_products, factorize, substitute


@kernel()
def solve(matrix, rows, weights, x):
    add_outer_products(matrix, rows, weights)
    factorize(matrix)
    substitute(matrix, x)


@pytest.mark.parametrize("n", [1, 2, 7, 16])
def test_a_system_built_of_four_rows_is_solved(n):
    rng = np.random.default_rng(n)
    rows, weights, right = rng.normal(size=(4, n)), rng.random(4), rng.normal(size=n)
    matrix, x = np.diag(rng.random(n) + 0.5), right.copy()
    whole = matrix + rows.T @ (weights[:, None] * rows)
    solve(matrix, rows, weights, x)
    np.testing.assert_allclose(x, np.linalg.solve(whole, right), rtol=1e-10)
    np.testing.assert_allclose(np.tril(matrix), np.linalg.cholesky(whole), rtol=1e-10)


def test_a_pivot_that_rounding_has_taken_is_raised():
    matrix, x = np.ones((2, 2)), np.ones(2)
    solve(matrix, np.zeros((4, 2)), np.zeros(4), x)
    assert np.isfinite(x).all()
