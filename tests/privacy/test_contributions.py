"""The contributions of users to sums: never longer than the unit, in whole numbers, and correct."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.matrix.code_matrix import check_matrix
from fastrec.privacy.contributions import count_shares, sum_pairs


@st.composite
def rows(draw):
    """Draws a user's row, weights of items and a unit."""
    n = draw(st.integers(1, 12))
    row = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    weights = draw(st.lists(st.integers(1, 32), min_size=n, max_size=n))
    return np.array([row], np.float32), np.array(weights), draw(st.integers(1, 10**8))


@settings(deadline=None)
@given(rows())
def test_no_user_adds_a_vector_longer_than_the_unit(drawn):
    row, weights, unit = drawn
    counts = count_shares(check_matrix(row), unit)
    pairs = sum_pairs(check_matrix(row), weights, unit, 1)
    for sums in (counts, pairs):
        assert sum(int(number) ** 2 for number in sums) <= unit**2
        assert (sums >= 0).all()


def as_vector(square):
    """Returns the part below the diagonal, of length 1."""
    lower = square[np.tri(len(square), k=-1, dtype=bool)]
    return lower / max(np.linalg.norm(lower), 1e-9)


def test_users_add_up_to_pairs_of_their_weights():
    rng = np.random.default_rng(0)
    X = check_matrix((rng.random((50, 8)) < 0.4).astype(np.float32))
    weights, unit = rng.integers(8, 32, 8), 10**7
    rows = X.toarray() * weights
    expected = sum(as_vector(np.outer(row, row)) for row in rows) * unit
    np.testing.assert_allclose(sum_pairs(X, weights, unit, 1), expected, rtol=1e-3)
    lengths = np.maximum(X.toarray().sum(axis=1), 1)
    np.testing.assert_allclose(
        count_shares(X, unit), unit * (X.toarray() / np.sqrt(lengths)[:, None]).sum(0), rtol=1e-5
    )


def test_the_number_of_threads_changes_nothing():
    X = check_matrix((np.random.default_rng(1).random((300, 30)) < 0.2).astype(np.float32))
    weights = np.full(30, 8)
    np.testing.assert_array_equal(sum_pairs(X, weights, 10**6, 1), sum_pairs(X, weights, 10**6, 2))


def test_sums_of_users_are_the_sum_of_each_ones():
    X = (np.random.default_rng(2).random((20, 6)) < 0.5).astype(np.float32)
    weights = np.arange(8, 14)
    alone = sum(sum_pairs(check_matrix(X[[user]]), weights, 54321, 1) for user in range(20))
    np.testing.assert_array_equal(sum_pairs(check_matrix(X), weights, 54321, 1), alone)


@pytest.mark.parametrize("shape", [(0, 3), (2, 1), (3, 4)])
def test_nobody_and_nothing_adds_nothing(shape):
    X = check_matrix(np.zeros(shape, np.float32))
    n = shape[1]
    assert not count_shares(X, 100).any()
    assert sum_pairs(X, np.full(n, 8), 100, 1).tolist() == [0] * (n * (n - 1) // 2)
