"""Dense products whose rows hang on no other, to the bit."""

import numpy as np
import pytest

from fastrec.kernels.filters import add_products
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
