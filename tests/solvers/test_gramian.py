"""Gramians against NumPy's products."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrec.matrix.code_matrix import check_matrix
from fastrec.solvers import gramian as solver
from fastrec.solvers.gramian import fill_lower, squared_norms, whole_gramian

seeds = st.integers(0, 2**32 - 1)


@given(seeds, st.integers(1, 3))
def test_the_whole_gramian_is_the_product(seed, tile):
    rng = np.random.default_rng(seed)
    X = (rng.random((int(rng.integers(1, 20)), int(rng.integers(1, 30)))) < 0.4) * rng.integers(-3, 4)
    matrix = check_matrix(X, negative="accept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(solver, "TILE", tile * 5)
        found = whole_gramian(matrix, 1)
    np.testing.assert_array_equal(found, X.T @ X)
    np.testing.assert_array_equal(squared_norms(matrix), (X * X).sum(axis=0))


@pytest.mark.parametrize("jobs", [1, 3])
def test_the_lower_triangle_is_that_of_numpy_and_the_rest_is_zero(jobs):
    rng = np.random.default_rng(0)
    X = ((rng.random((30, 20)) < 0.3) * rng.random((30, 20))).astype(np.float32)
    diagonal = rng.random(20)
    gramian = np.full((20, 20), np.nan, np.float32)
    fill_lower(check_matrix(X), diagonal, gramian, jobs)
    np.testing.assert_allclose(gramian, np.tril(X.T @ X + np.diag(diagonal)), rtol=1e-5, atol=1e-6)
