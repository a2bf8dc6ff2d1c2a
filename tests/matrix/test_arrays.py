"""Arrays as kernels take them: codes within bounds, exact numbers, aligned and read-only memory."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrec.matrix.arrays import (
    SMALLEST,
    aligned_zeros,
    check_codes,
    inverse_order,
    keep_nonzero,
    readonly,
    reorder,
    starts_of,
    to_float32,
)


@pytest.mark.parametrize("codes", [[0, 4], range(5), np.array([4], np.uint64), np.array([1], np.int8), []])
def test_codes_become_int32(codes):
    checked = check_codes("items", codes, 5)
    assert checked.dtype == np.int32
    assert checked.tolist() == list(codes)


@pytest.mark.parametrize("bad", [-1, 5, 2**31, 2**40, -(2**40)])
def test_codes_out_of_range_are_refused(bad):
    with pytest.raises(ValueError, match=f"items must be codes from 0 to 4, got {bad} at position 2"):
        check_codes("items", [0, 1, bad], 5)


def test_no_code_fits_nothing():
    with pytest.raises(ValueError, match="items must be empty"):
        check_codes("items", [0], 0)


@pytest.mark.parametrize("bad", [[1.0], ["1"], [True], [None], [1, "a"]])
def test_codes_that_are_no_integers_are_refused(bad):
    with pytest.raises(TypeError, match="items must be integer codes"):
        check_codes("items", bad, 5)


def test_codes_have_one_dimension():
    for bad in (3, [[1]]):
        with pytest.raises(ValueError, match="one-dimensional"):
            check_codes("items", bad, 5)


def test_read_only_views():
    strided = np.arange(10)[::2]
    assert readonly(strided).tolist() == strided.tolist()
    assert readonly(strided).flags.c_contiguous
    whole = np.arange(3)
    assert np.shares_memory(readonly(whole), whole)
    assert whole.flags.writeable


@given(st.lists(st.integers(0, 9)))
def test_starts_are_the_sums_of_the_lengths_before(lengths):
    starts = starts_of(np.array(lengths, np.int32))
    assert starts.dtype == np.int64
    assert starts.tolist() == [sum(lengths[:row]) for row in range(len(lengths) + 1)]


@given(st.lists(st.floats(-1e38, 1e38)))
def test_only_zeros_become_zero_in_float32(numbers):
    wide = np.array(numbers, np.float64)
    narrow = to_float32(wide)
    assert narrow.dtype == np.float32
    np.testing.assert_array_equal(np.sign(narrow), np.sign(wide))
    np.testing.assert_allclose(narrow, wide, rtol=2**-24, atol=SMALLEST)


def test_integers_and_float32_become_float32_as_they_are():
    whole = np.ones(3, np.float32)
    assert to_float32(whole) is whole
    assert to_float32(np.array([0, -7])).tolist() == [0, -7]
    assert keep_nonzero(whole, whole) is whole


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1), (3, 16), (5, 7)])
def test_aligned_zeros_begin_at_a_cache_line(shape, dtype):
    zeros = aligned_zeros(*shape, dtype)
    assert (zeros.shape, zeros.dtype) == (shape, dtype)
    assert zeros.ctypes.data % 64 == 0
    assert not zeros.any()
    assert zeros.flags.writeable
    assert aligned_zeros(0, shape[1], dtype).shape == (0, shape[1])


@given(st.integers(0, 9).flatmap(lambda n: st.permutations(range(n))))
def test_a_square_matrix_is_reordered_in_its_own_memory(order):
    order = np.array(order, np.int32)
    n = len(order)
    before = np.arange(n * n, dtype=np.float32).reshape(n, n)
    matrix = before.copy()
    reorder(matrix, order)
    assert np.array_equal(matrix[np.ix_(order, order)], before)
    assert np.array_equal(order[inverse_order(order)], np.arange(n))
