"""The parts of blocks; test_attention_training and test_attention_encoding check whole passes."""

import numpy as np
import pytest

from fastrec.kernels._jit import kernel
from fastrec.kernels.layers import add_outer
from fastrec.kernels.transformer import add_dropped, drop, multiply_rows, normalize, unnormalize
from fastrec.matrix.arrays import readonly
from tests.reference import attention as reference


@kernel()
def normalize_and_back(x, errors, rows, width, factors, out, scales, dx):
    normalize(x, rows, width, factors, out, 0, scales, 0)
    unnormalize(errors, rows, width, factors, out, 0, scales, 0, dx)


@kernel()
def drop_twice(x, change, n, dropout, seed, out):
    add_dropped(x, change, n, dropout, seed)
    drop(change, n, dropout, seed, out)


@kernel()
def multiply(x, w, errors, rows, inner, outer, out, slopes):
    multiply_rows(x, 0, w, 0, out, 0, rows, inner, outer)
    add_outer(x, 0, errors, 0, slopes, 0, rows, inner, outer)


def test_normalization_and_its_derivatives():
    rng = np.random.default_rng(0)
    x, errors = np.zeros((2, 5, 16))
    x[:, :10], errors[:, :10] = rng.standard_normal((2, 5, 10))
    out, scales, dx = np.empty(80, "f4"), np.empty(5, "f4"), np.ones(80, "f4")
    normalize_and_back(x.astype("f4").reshape(-1), errors.astype("f4").reshape(-1), 5, 16, 10, out, scales, dx)
    np.testing.assert_allclose(out.reshape(5, 16), reference.normalize(x, 10), rtol=1e-5, atol=1e-6)
    step, a = 1e-6, rng.standard_normal(x.shape) * (x != 0)
    gap = reference.normalize(x + step * a, 10) - reference.normalize(x - step * a, 10)
    assert ((dx.reshape(5, 16) - 1) * a).sum() == pytest.approx((gap * errors).sum() / (2 * step), rel=1e-4)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_the_same_numbers_are_left_out_there_and_back(dropout):
    x, change, out = np.ones(100_000, "f4"), np.full(100_000, 2, "f4"), np.empty(100_000, "f4")
    drop_twice(x, change, 100_000, np.float32(dropout), np.uint32(3), out)
    np.testing.assert_allclose(x - 1, out, rtol=1e-6)
    assert (out == 0).mean() == pytest.approx(dropout, abs=0.01)
    assert out.mean() == pytest.approx(2, abs=0.03)


def test_products_and_outer_products():
    rng = np.random.default_rng(0)
    x, w, errors = (rng.standard_normal(shape).astype("f4") for shape in ((300, 32), (32, 48), (300, 48)))
    out, slopes = np.full(300 * 48, np.nan, "f4"), np.ones(32 * 48, "f4")
    multiply(x.reshape(-1), readonly(w.reshape(-1)), errors.reshape(-1), 300, 32, 48, out, slopes)
    np.testing.assert_allclose(out.reshape(300, 48), x @ w, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(slopes.reshape(32, 48), 1 + x.T @ errors, rtol=1e-4, atol=1e-3)
