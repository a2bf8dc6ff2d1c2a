"""Strips of a symmetric matrix, and their products with sparse rows, beside NumPy."""

import numpy as np
import pytest

from fastrec.kernels.symmetric_products import STRIP, multiply_strip, read_strip, write_strip
from fastrec.matrix.code_matrix import check_matrix


@pytest.mark.parametrize(("n", "left"), [(1, 0), (70, 0), (70, 64), (200, 64), (200, 192)])
def test_a_strip_has_columns_of_the_symmetric_matrix_whose_lower_triangle_is_given(n, left):
    rows = np.random.default_rng(0).normal(size=(n, n)).astype(np.float32)
    lower, whole = np.tril(rows) + np.triu(np.full_like(rows, np.nan), 1), np.tril(rows) + np.tril(rows, -1).T
    strip = np.full(n * STRIP, 7, np.float32)
    read_strip(lower, left, strip)
    wide = min(STRIP, n - left)
    np.testing.assert_array_equal(strip.reshape(n, STRIP)[:, :wide], whole[:, left : left + STRIP])
    assert (strip.reshape(n, STRIP)[:, wide:] == 7).all()


@pytest.mark.parametrize(("n", "left"), [(1, 0), (70, 64), (200, 128)])
def test_a_strip_is_written_to_rows_of_a_square_matrix_and_to_no_others(n, left):
    strip = np.random.default_rng(0).normal(size=(n, STRIP)).astype(np.float32)
    out = np.full((n, n), np.nan, np.float32)
    write_strip(strip.reshape(-1), left, out)
    np.testing.assert_array_equal(out[left : left + STRIP], strip.T[: n - left])
    assert np.isnan(np.delete(out, np.s_[left : left + STRIP], axis=0)).all()


@pytest.mark.parametrize("block", [1, 7, 100])
def test_products_of_a_strip_are_those_of_numpy_for_any_cut_into_blocks(block):
    rng = np.random.default_rng(0)
    n, strip = 40, rng.normal(size=(40, STRIP)).astype(np.float32)
    sparse = check_matrix((rng.random((n, n)) < 0.2) * rng.normal(size=(n, n)), negative="accept")
    bounds = np.arange(0, n + block, block)
    counts = np.array(
        [[np.sum(row < bound) for row in np.split(sparse.indices, sparse.indptr[1:-1])] for bound in bounds]
    )
    out, expected = np.full(n * STRIP, np.nan, np.float32), sparse.toarray() @ strip
    multiply_strip(counts + sparse.indptr[:-1], sparse.indices, sparse.data, strip.reshape(-1), out)
    np.testing.assert_allclose(out.reshape(n, STRIP), expected, rtol=1e-4, atol=1e-5)
