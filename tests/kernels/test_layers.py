"""Products of matrices, normalization and dropout against plain NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.kernels._jit import kernel
from fastrec.kernels.layers import add_four_rows, add_products, normalize_columns, rectify, unnormalize_columns
from fastrec.matrix.arrays import readonly


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(0, 21), inner=st.integers(0, 40), vectors=st.integers(1, 5), turned=st.booleans(),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_products_add_to_what_is_there(rows, inner, vectors, turned, seed):
    rng = np.random.default_rng(seed)
    outer = 16 * vectors
    x, w = rng.normal(size=(rows, inner)).astype("f4"), rng.normal(size=(inner, outer)).astype("f4")
    out = rng.normal(size=(rows, outer)).astype("f4")
    expected = out + x.astype("f8") @ w
    flat = np.ascontiguousarray(x.T if turned else x).reshape(-1)
    across, down = (1, rows) if turned else (inner, 1)
    add_products(readonly(flat), 0, across, down, readonly(w.reshape(-1)), 0, out.reshape(-1), 0, rows, inner, outer)
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-5)


@kernel()
def add_four(x, w, wide, out, outer, rows, inner, columns):
    add_four_rows(x, 0, inner, 1, w, 0, wide, out, 0, outer, rows, inner, columns)


@pytest.mark.parametrize("rows", [1, 3, 4])
@pytest.mark.parametrize("columns", [16, 32, 48, 80])
def test_rows_of_products_may_lie_apart(rows, columns):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(rows, 7)).astype("f4"), rng.normal(size=(7, 96)).astype("f4")
    out = rng.normal(size=(rows, 112)).astype("f4")
    expected = out.astype("f8")
    expected[:, :columns] += x @ w[:, :columns]
    add_four(readonly(x.reshape(-1)), readonly(w.reshape(-1)), 96, out.reshape(-1), 112, rows, 7, columns)
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-5)


def test_a_row_of_a_product_depends_on_no_other():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(23, 50)).astype("f4"), rng.normal(size=(50, 48)).astype("f4").reshape(-1)
    together = np.zeros((23, 48), "f4")
    add_products(readonly(x.reshape(-1)), 0, 50, 1, readonly(w), 0, together.reshape(-1), 0, 23, 50, 48)
    for row in range(23):
        alone = np.zeros(48, "f4")
        add_products(readonly(x[row]), 0, 50, 1, readonly(w), 0, alone, 0, 1, 50, 48)
        np.testing.assert_array_equal(alone, together[row])


def test_dropout_leaves_out_its_share_and_keeps_the_mean():
    x = np.ones(200_000, "f4")
    rectify(x, len(x), np.float32(0.3), np.uint32(5))
    assert (x == 0).mean() == pytest.approx(0.3, abs=0.005)
    assert x.mean() == pytest.approx(1, abs=0.01)
    again, other = np.ones(1000, "f4"), np.ones(1000, "f4")
    rectify(again, 1000, np.float32(0.3), np.uint32(5))
    rectify(other, 1000, np.float32(0.3), np.uint32(6))
    np.testing.assert_array_equal(again, x[:1000])
    assert (other != again).any()


@kernel()
def normalize(x, rows, padded, weights, normal, scales, moments):
    normalize_columns(x, rows, padded, 0, weights, normal, scales, moments)


@kernel()
def unnormalize(errors, rows, padded, weights, normal, scales, slopes):
    unnormalize_columns(errors, rows, padded, 0, weights, normal, scales, slopes)


@pytest.mark.parametrize("rows", [1, 7, 256])
def test_columns_are_normalized_and_their_slopes_go_back(rows):
    rng = np.random.default_rng(rows)
    x, errors = rng.normal(2, 3, (rows, 32)), rng.normal(size=(rows, 32))
    gains, shifts = rng.normal(size=(2, 32))
    weights = np.concatenate([gains, shifts]).astype("f4")
    out, normal, scales, moments = x.astype("f4"), np.empty((rows, 32), "f4"), np.empty(32, "f4"), np.zeros(64, "f4")
    normalize(out.reshape(-1), rows, 32, weights, normal.reshape(-1), scales, moments)
    deviation = np.sqrt(x.var(axis=0) + 1e-5)
    plain = (x - x.mean(axis=0)) / deviation
    np.testing.assert_allclose(out, plain * gains + shifts, atol=1e-4)
    np.testing.assert_allclose(moments, np.concatenate([x.mean(axis=0), x.var(axis=0)]), rtol=1e-5, atol=1e-5)
    back, slopes = errors.astype("f4"), np.zeros(64, "f4")
    unnormalize(back.reshape(-1), rows, 32, weights, normal.reshape(-1), scales, slopes)
    mean, along = errors.mean(axis=0), (errors * plain).mean(axis=0)
    np.testing.assert_allclose(back, (errors - mean - plain * along) * gains / deviation, rtol=1e-3, atol=1e-3)
    expected = np.concatenate([(errors * plain).sum(axis=0), errors.sum(axis=0)])
    np.testing.assert_allclose(slopes, expected, rtol=1e-4, atol=1e-3)
