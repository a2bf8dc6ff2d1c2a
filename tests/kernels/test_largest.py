"""The largest of some numbers: exactly k of them, or about as many as are wanted."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.kernels._jit import kernel
from fastrec.kernels.largest import choose_largest, gather_largest
from fastrec.kernels.simd import pointer


@kernel()
def choose(values, places, k, tops, spots):
    choose_largest(pointer(values), len(values), pointer(places), k, pointer(tops), pointer(spots))


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 120), st.integers(1, 120), st.integers(1, 60))
def test_the_largest_are_chosen(seed, n, k, levels):
    k = min(n, k)
    random = np.random.default_rng(seed)
    values = np.concatenate([random.integers(0, levels, n) - levels / 2, np.full(-n % 16, -np.inf)]).astype(np.float32)
    places = np.full(k, -1, np.int32)
    choose(values, places, k, np.empty(len(values) + 16, np.float32), np.empty(len(values) + 16, np.int32))
    assert len(set(places)) == k
    assert (np.diff(places) > 0).all()
    # Of equal numbers any may be chosen, but no chosen number is below one that is left out.
    np.testing.assert_array_equal(np.sort(values[places]), np.sort(values[:n])[n - k :])


def test_the_first_of_equal_values_are_chosen():
    places = np.full(3, -1, np.int32)
    choose(np.ones(16, np.float32), places, 3, np.empty(32, np.float32), np.empty(32, np.int32))
    assert places.tolist() == [0, 1, 2]


@kernel()
def gather(values, places, most, tops, spots):
    return gather_largest(pointer(values), len(values), pointer(places), most, pointer(tops), pointer(spots))


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 900), st.integers(1, 60), st.integers(1, 2000))
def test_some_of_the_largest_are_gathered(seed, n, most, levels):
    most = min(n, most)
    random = np.random.default_rng(seed)
    values = np.concatenate([random.integers(0, levels, n) - levels / 2, np.full(-n % 16, -np.inf)]).astype(np.float32)
    places, work = np.full(most, -1, np.int32), np.empty(len(values) + 16, np.float32)
    count = gather(values, places, most, work, np.empty(len(work), np.int32))
    assert most // 2 <= count <= most
    np.testing.assert_array_equal(np.sort(values[places[:count]]), np.sort(values[:n])[n - count :])
