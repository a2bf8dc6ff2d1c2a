"""Products with a row's entries, beside NumPy: on numbers that are exact in any order."""

import numba
import numpy as np
import pytest

from fastrec.kernels import als_entries, target
from fastrec.kernels._jit import FAST, Static, kernel
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


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("dtype", [numba.float32, numba.uint16])
@pytest.mark.parametrize("width", [64, 128, 144])
def test_the_way_that_registers_allow_is_chosen(width, dtype, wide, monkeypatch):
    monkeypatch.setattr(target, "has", lambda what: wide)
    kinds = [numba.types.CPointer(dtype if name == "vectors" else numba.float32) for name in History._fields]
    size = numba.typeof(Static(width) if width <= 128 else width)
    chosen = als_entries._choose_add_products(numba.types.NamedTuple(kinds, History), None, None, size, None, None)
    whole = [als_entries._add_products_by_four, als_entries._add_products_one_by_one][width > 64]
    kept = width <= 128 and (wide or dtype == numba.uint16)
    assert chosen is (whole if kept else als_entries._add_products_blocked)


@pytest.mark.parametrize("name", ["_add_products_by_four", "_add_products_one_by_one", "_add_products_blocked"])
def test_each_way_answers_alike(name):
    # A processor chooses one of them; here all run, in numbers that are exact in any order.
    way = numba.njit(fastmath=set(FAST))(getattr(als_entries, name))

    @numba.njit
    def run(indices, values, vectors, width, p, out):
        count = indices.shape[0]
        history = History(pointer(indices), pointer(values), 1, count, count, pointer(vectors), np.float32(3))
        way(history, 0, count, width, pointer(p), pointer(out))

    rng = np.random.default_rng(0)
    vectors = rng.integers(-3, 4, (20, 32)).astype(np.float32)
    direction = rng.integers(-2, 3, 32).astype(np.float32)
    for count in (1, 4, 11):
        indices, values = rng.integers(0, 20, count).astype(np.int32), rng.integers(1, 4, count).astype(np.float32)
        rows, out = vectors[indices].astype(np.float64), np.ones(32, np.float32)
        run(indices, values, vectors.reshape(-1), Static(32), direction, out)
        assert np.array_equal(out, 1 + (3.0 * values * (rows @ direction)) @ rows)
