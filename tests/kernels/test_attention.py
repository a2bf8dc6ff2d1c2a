"""Causal attention against plain NumPy."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.kernels._jit import kernel
from fastrec.kernels.attention import Heads, Scratch, attend, count_shares, make_fence, unattend
from tests.reference import attention as reference


@kernel()
def forward(shape, mixed, n, bias, shares, out, scratch):
    attend(shape, mixed, 0, n, bias, 0, shares, 0, out, 0, scratch)


@kernel()
def backward(shape, mixed, n, shares, errors, slopes, bias_slopes, scratch):
    unattend(shape, mixed, 0, n, shares, 0, errors, 0, slopes, bias_slopes, 0, scratch)


@kernel()
def shares_of(n, heads):
    return count_shares(n, heads)


def buffers(n, heads, width):
    outer = -(-n // 16) * 16
    scratch = Scratch(np.empty(width * outer, "f4"), np.empty(n * outer, "f4"), make_fence())
    return np.full(shares_of(n, heads), np.nan, "f4"), np.empty(n * heads * width, "f4"), scratch


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 40), heads=st.integers(1, 3), vectors=st.integers(1, 3), seed=st.integers(0, 99))
def test_outputs_and_derivatives_are_those_of_plain_numpy(n, heads, vectors, seed):
    rng, width = np.random.default_rng(seed), 16 * vectors
    inner, span = heads * width, 48
    mixed, errors = rng.standard_normal((n, 3 * inner)), rng.standard_normal((n, inner))
    biases = rng.standard_normal((heads, span))
    shares, out, scratch = buffers(n, heads, width)
    shape, given = Heads(heads, width, np.float32(0.25), span), mixed.astype("f4").reshape(-1).copy()
    bias = np.append(biases.astype("f4"), np.zeros(16, "f4"))
    forward(shape, given, n, bias, shares, out, scratch)

    def attended(mixed, biases):
        return reference.attend(
            *(mixed[:, part * inner : (part + 1) * inner] for part in range(3)), biases, heads, 0.25
        )

    np.testing.assert_allclose(out.reshape(n, inner), attended(mixed, biases), rtol=1e-3, atol=1e-4)
    slopes, bias_slopes = np.empty(n * 3 * inner, "f4"), np.zeros(heads * span + 16, "f4")
    backward(shape, given, n, shares, errors.astype("f4").reshape(-1), slopes, bias_slopes, scratch)
    a, b, step = rng.standard_normal(mixed.shape), rng.standard_normal(biases.shape), 1e-6
    there, back = attended(mixed + step * a, biases + step * b), attended(mixed - step * a, biases - step * b)
    expected = ((there - back) * errors).sum() / (2 * step)
    found = (slopes.reshape(n, -1) * a).sum() + (bias_slopes[: heads * span].reshape(heads, span) * b).sum()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.sqrt(n * inner))


def test_logits_of_any_size_stay_finite():
    mixed = np.full((9, 48), 1e3, "f4").reshape(-1)
    shares, out, scratch = buffers(9, 1, 16)
    forward(Heads(1, 16, np.float32(1), 16), mixed, 9, np.zeros(32, "f4"), shares, out, scratch)
    np.testing.assert_allclose(out, 1e3, rtol=1e-5)
