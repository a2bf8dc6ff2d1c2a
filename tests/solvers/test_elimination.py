"""Systems whose last rows are sparse, solved by eliminating their unknowns first."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.solvers import elimination
from fastrec.solvers.elimination import find_sparse_last, solve_sparse_last
from fastrec.solvers.inversion import NotPositiveDefiniteError, count_tiles, solve_in_place

seeds = st.integers(0, 2**32 - 1)


def system_of(rng, n, sparse, columns):
    """A positive definite matrix whose last `sparse` rows have few numbers beside the diagonal, and right sides."""
    density = np.full(n, 0.8)
    density[n - sparse :] = 0.04
    links = (rng.random((n, n)) < np.minimum.outer(density, density)) * rng.normal(size=(n, n))
    half = np.tril(links, -1)
    whole = half + half.T
    return whole + np.diag(np.abs(whole).sum(axis=1) + 0.5), rng.normal(size=(n, columns))


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(1, 200), st.floats(0, 1), st.sampled_from([1, 7, 64, 450]), st.integers(1, 3))
def test_the_solution_is_that_of_the_whole_system(seed, n, share, columns, jobs):
    exact, right = system_of(np.random.default_rng(seed), n, int(share * n), columns)
    matrix, found, calls = np.tril(exact).astype(np.float32), right.astype(np.float32), []
    matrix[np.triu_indices(n, 1)] = np.nan  # is not read
    solve_sparse_last(matrix, found, jobs, lambda: calls.append(0))
    expected = np.linalg.solve(exact, right)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    assert len(calls) == 3 * count_tiles(n)


def test_sparse_rows_are_eliminated_and_the_number_of_threads_does_not_change_a_bit():
    exact, right = system_of(np.random.default_rng(0), 700, 300, 700)
    assert find_sparse_last(exact.astype(np.float32)) == 700 - 700 // 3
    found = [right.astype(np.float32) for _ in range(3)]
    for some, jobs in zip(found, (1, 3), strict=False):
        solve_sparse_last(exact.astype(np.float32), some, jobs)
    solve_in_place(exact.astype(np.float32), found[2], 1)
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])
    np.testing.assert_allclose(found[0], found[2], atol=2e-6 * np.abs(found[2]).max())


def test_a_matrix_without_sparse_rows_is_solved_as_a_whole(monkeypatch):
    exact, right = system_of(np.random.default_rng(1), 300, 0, 5)
    matrix = exact.astype(np.float32)
    assert find_sparse_last(matrix) == 300
    one, other = right.astype(np.float32), right.astype(np.float32)
    solve_sparse_last(matrix.copy(), one, 2)
    solve_in_place(matrix.copy(), other, 2)
    assert np.array_equal(one, other)
    monkeypatch.setattr(elimination, "FEW", 1.0)
    assert find_sparse_last(matrix) == 200
    assert find_sparse_last(np.ones((1, 1), np.float32)) == 1


def test_few_dense_rows_among_the_sparse_ones_are_eliminated_with_them():
    exact, _ = system_of(np.random.default_rng(2), 300, 100, 1)
    exact[299] = exact[:, 299] = 1
    assert find_sparse_last(exact.astype(np.float32)) == 200


@pytest.mark.parametrize("place", [0, 150, 299])
def test_a_matrix_that_is_not_positive_definite_is_refused(place):
    matrix = np.eye(300, dtype=np.float32)
    matrix[place, place] = -1
    with pytest.raises(NotPositiveDefiniteError):
        solve_sparse_last(matrix, np.ones((300, 2), np.float32), 2)
