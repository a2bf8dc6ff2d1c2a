"""The kernels' own exp, log and sigmoid against NumPy in float64, over their whole range."""

import numpy as np
import pytest

from fastrec.kernels import math
from fastrec.kernels._jit import kernel
from fastrec.kernels.simd import load, store


@kernel()
def apply_exp(x, out):
    for k in range(len(x)):
        out[k] = math.exp(x[k])


@kernel()
def apply_exp_lanes(x, out):
    for k in range(0, len(x), 16):
        store(out, k, math.exp_lanes(load(x, k, 16)))


@kernel()
def apply_log(x, out):
    for k in range(len(x)):
        out[k] = math.log(x[k])


@kernel()
def apply_log1p(x, out):
    for k in range(len(x)):
        out[k] = math.log1p_of_unit(x[k])


@kernel()
def apply_logistic(x, shares, losses):
    for k in range(len(x)):
        shares[k], losses[k] = math.logistic_loss(x[k])


@kernel()
def apply_sigmoid(x, out):
    for k in range(len(x)):
        out[k] = math.sigmoid(x[k])


def filled(function, x, outputs=1):
    out = [np.empty_like(x) for _ in range(outputs)]
    function(x, *out)
    return [array.astype(np.float64) for array in out]


RANGE = np.concatenate([np.linspace(-87, 88, 1_000_001), np.linspace(-1, 1, 1_000_015)]).astype(np.float32)


@pytest.mark.parametrize("apply", [apply_exp, apply_exp_lanes])
def test_exp_is_within_its_stated_error(apply):
    (values,) = filled(apply, RANGE)
    assert np.abs(values / np.exp(RANGE.astype(np.float64)) - 1).max() < 2e-7


@pytest.mark.parametrize("apply", [apply_exp, apply_exp_lanes])
def test_exp_beyond_its_range_stays_finite(apply):
    low, high, *_ = filled(apply, np.array([-1e30, 1e30, *[0] * 14], np.float32))[0]
    assert 0 < low < 1e-37
    assert 1e38 < high < np.inf


def test_log_is_within_its_stated_error():
    x = np.exp(np.linspace(-87, 88, 1_000_001)).astype(np.float32)
    x = np.concatenate([x, np.linspace(0.5, 2, 1_000_001).astype(np.float32)])
    truth = np.log(x.astype(np.float64))
    (values,) = filled(apply_log, x)
    assert (np.abs(values - truth) / np.maximum(1, np.abs(truth))).max() < 3e-7


def test_log1p_is_within_its_stated_error():
    x = np.linspace(0, 1, 1_000_001).astype(np.float32)
    assert np.abs(filled(apply_log1p, x)[0] - np.log1p(x.astype(np.float64))).max() < 1.6e-7


def test_logistic_loss_is_within_its_stated_error():
    shares, losses = filled(apply_logistic, RANGE, 2)
    x = RANGE.astype(np.float64)
    truth = np.logaddexp(0, -x)
    assert np.abs(shares - 1 / (1 + np.exp(x))).max() < 2e-7
    assert (np.abs(losses - truth) / np.maximum(1, truth)).max() < 2e-7


@pytest.mark.parametrize("function", [apply_exp, apply_exp_lanes, apply_logistic])
def test_nan_comes_out_as_nan(function):
    x = np.full(16, np.nan, np.float32)
    assert all(np.isnan(out).all() for out in filled(function, x, 2 if function is apply_logistic else 1))


def test_sigmoid_is_within_its_stated_error():
    x = np.linspace(-80, 80, 1_000_001).astype(np.float32)
    (values,) = filled(apply_sigmoid, x)
    assert np.abs(values * (1 + np.exp(-x.astype(np.float64))) - 1).max() < 5e-7
