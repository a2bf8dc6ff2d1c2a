"""Products with a row's entries, beside NumPy: on numbers that are exact in any order."""

import numpy as np
import pytest

from fastrec.kernels._jit import Static, kernel
from fastrec.kernels.als_entries import History, add_products, curvature
from fastrec.kernels.simd import pointer


@kernel()
def multiply_entries(indices, values, step, vectors, alpha, width, p, out):
    history = History(
        pointer(indices), pointer(values), step, indices.shape[0], indices.shape[0], pointer(vectors), alpha
    )
    add_products(history, 0, history.count, width, pointer(p), pointer(out))
    return curvature(history, width, pointer(p))


@pytest.mark.parametrize("width", [16, 64, 128, 144])
@pytest.mark.parametrize("count", [0, 1, 4, 7, 13])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_products_and_curvature(width, count, dtype):
    rng = np.random.default_rng(count)
    vectors = rng.integers(-3, 4, (20, width)).astype(dtype)
    indices, direction = rng.integers(0, 20, count).astype(np.int32), rng.integers(-2, 3, width).astype(np.float32)
    one, many = np.array([2.0], np.float32), rng.integers(1, 4, max(count, 2)).astype(np.float32)
    flat = vectors.reshape(-1)
    flat = flat.view(np.uint16) if dtype == np.float16 else flat
    size = Static(width) if width <= 128 else width
    rows = vectors[indices].astype(np.float64)
    for values, step in ((one, 0), (many, 1)):
        out = np.ones(width, np.float32)
        found = multiply_entries(indices, values, step, flat, np.float32(3), size, direction, out)
        weighted = 3.0 * np.broadcast_to(values[:count] if step else values, count) * (rows @ direction)
        assert np.array_equal(out, 1 + weighted @ rows)
        assert found == weighted @ (rows @ direction)
