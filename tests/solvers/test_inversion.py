"""Matrices inverted in their own memory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.solvers import inversion
from fastrec.solvers.inversion import NotPositiveDefiniteError, count_tiles, invert_lower

seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(1, 60), st.integers(1, 20), st.integers(1, 3))
def test_a_matrix_is_inverted_in_its_own_memory(seed, n, tile, jobs):
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(n, 2 * n))
    exact = factor @ factor.T + np.eye(n)
    matrix = np.tril(exact).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inversion, "LARGEST_TILE", tile)
        patch.setattr(inversion, "SMALLEST_TILE", tile)
        calls = []
        invert_lower(matrix, jobs, lambda: calls.append(0))
        assert len(calls) == 3 * count_tiles(n)
    expected = np.linalg.inv(exact)
    np.testing.assert_allclose(np.tril(matrix), np.tril(expected), atol=2e-4 * np.abs(expected).max())


def test_the_number_of_threads_does_not_change_a_bit_of_an_inverse():
    rng = np.random.default_rng(0)
    factor = rng.normal(size=(700, 900)).astype(np.float32)
    start = factor @ factor.T
    one, three = start.copy(), start.copy()
    invert_lower(one, 1)
    invert_lower(three, 3)
    np.testing.assert_array_equal(np.tril(one), np.tril(three))


@pytest.mark.parametrize("place", [0, 150, 299])
def test_a_matrix_that_is_not_positive_definite_is_refused(place):
    matrix = np.eye(300, dtype=np.float32)
    matrix[place, place] = -1
    with pytest.raises(NotPositiveDefiniteError):
        invert_lower(matrix, 2)
