"""The product of a symmetric matrix with a sparse one in the memory of the first, beside NumPy's."""

import numpy as np
import pytest

from fastrec.matrix.code_matrix import check_matrix
from fastrec.solvers import symmetric_products
from fastrec.solvers.symmetric_products import multiply_in_place


@pytest.mark.parametrize("n", [1, 63, 64, 150, 300])
def test_the_product_is_that_of_numpy_and_its_bits_hang_on_no_threads(monkeypatch, n):
    monkeypatch.setattr(symmetric_products, "ROUND", 2)  # several rounds, and blocks
    monkeypatch.setattr(symmetric_products, "BLOCK", 50)
    rng = np.random.default_rng(n)
    rows = np.tril(rng.normal(size=(n, n))).astype(np.float32)
    sparse = check_matrix((rng.random((n, n)) < 0.3) * rng.normal(size=(n, n)), negative="accept")
    expected = (rows + np.tril(rows, -1).T).astype(float) @ sparse.toarray()
    found = []
    for jobs in (1, 3):
        found.append(rows + np.triu(np.full_like(rows, np.nan), 1))
        multiply_in_place(found[-1], sparse, jobs)
    np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(*found)
