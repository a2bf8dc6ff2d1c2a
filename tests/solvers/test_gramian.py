import numpy as np
import pytest

from fastrec.matrix.code_matrix import check_matrix
from fastrec.solvers.gramian import fill_lower


@pytest.mark.parametrize("jobs", [1, 3])
def test_the_lower_triangle_is_that_of_numpy_and_the_rest_is_zero(jobs):
    rng = np.random.default_rng(0)
    X = ((rng.random((30, 20)) < 0.3) * rng.random((30, 20))).astype(np.float32)
    diagonal = rng.random(20)
    gramian = np.full((20, 20), np.nan, np.float32)
    fill_lower(check_matrix(X), diagonal, gramian, jobs)
    np.testing.assert_allclose(gramian, np.tril(X.T @ X + np.diag(diagonal)), rtol=1e-5, atol=1e-6)
