"""Rows in registers: inner products and squares, beside NumPy."""

import numpy as np
import pytest

from fastrec.kernels import row, simd
from fastrec.kernels._jit import Static, constant, kernel


@kernel()
def multiply_rows(rows, width, products, squares):
    size = constant(width)
    a, b = row.load_row(rows, 0, width), row.load_row(rows, size, width)
    c, d = row.load_row(rows, 2 * size, width), row.load_row(rows, 3 * size, width)
    last = row.load_row(rows, 4 * size, width)
    products[0], products[1], products[2], products[3] = row.dot_four(a, b, c, d, last)
    simd.store(squares, 0, row.add_squares(simd.load(squares, 0, 16), a))


@pytest.mark.parametrize("width", [16, 48, 64])
def test_inner_products_of_four_rows_and_squares_of_one(width):
    rows = np.random.default_rng(width).integers(-9, 9, (5, width)).astype(np.float32)  # exact in any order
    products, squares = np.empty(4, np.float32), np.arange(16, dtype=np.float32)
    multiply_rows(rows.reshape(-1), Static(width), products, squares)
    assert np.array_equal(products, rows[:4] @ rows[4])
    assert squares.sum() == np.arange(16).sum() + np.square(rows[0]).sum()
