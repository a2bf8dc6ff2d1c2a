"""Vectors in registers: loading, widening and rounding."""

import numpy as np
import pytest

from fastrec.kernels import simd
from fastrec.kernels._jit import kernel


@kernel()
def widen_row(row, count, numbers):
    wide = simd.load_double(row, 0, count, 16)
    numbers[0] = simd.reduce_add(wide)
    numbers[1] = simd.above(wide, simd.broadcast(0.0, 16))


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("count", [0, 1, 7, 16])
def test_loads_stop_where_they_are_told(count, dtype):
    row = np.arange(1, 17).astype(dtype)
    numbers = np.zeros(2)
    widen_row(row.view(np.uint16) if dtype == np.float16 else row, count, numbers)
    assert numbers[0] == row[:count].astype(float).sum()
    assert numbers[1] == 2**count - 1


@kernel()
def round_halves(halves, numbers):
    simd.store(numbers, 0, simd.widen(simd.load(halves, 0, 16)))


def test_halves_widen_exactly():
    halves = np.array([0, 1, -2.5, 65504, 6e-8, np.inf, -np.inf, 0.1] * 2, np.float16)
    numbers = np.zeros(16, np.float32)
    round_halves(halves.view(np.uint16), numbers)
    np.testing.assert_array_equal(numbers, halves.astype(np.float32))


@kernel()
def raise_two(x, numbers):
    simd.store(numbers, 0, simd.power_of_two(simd.load(x, 0, 16)))


def test_powers_of_two_are_exact():
    x, numbers = np.array([-126, -1, 0, 1, 10, 127] + [3] * 10, np.float32), np.zeros(16, np.float32)
    raise_two(x, numbers)
    np.testing.assert_array_equal(numbers, 2.0**x)
