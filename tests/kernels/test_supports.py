"""Supports are chosen and small systems solved, beside NumPy."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.kernels.supports import Gramian, choose_supports, solve_supports, solve_system
from fastrec.matrix.arrays import readonly
from fastrec.matrix.code_matrix import check_matrix
from fastrec.solvers.neighbors import rows_of
from tests.reference import supports as reference

seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(2, 12), st.integers(0, 9))
def test_the_best_of_each_column_are_chosen_and_of_equal_ones_the_first(seed, n, k):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 4, (n, n)).astype(np.float32)
    values[0, :2] = 0.5, 7  # the numbers are not all equal
    strengths = rng.integers(1, 4, n).astype(np.float32)
    supports, rights = np.full((n, k + 1), 9, np.int32), np.full((n, k + 1), np.nan, np.float32)
    columns = rows_of(check_matrix(values.T))
    for first, last in ((0, n // 2), (n // 2, n)):
        choose_supports(columns, readonly(strengths), first, last, supports, rights)
    expected = reference.choose(values, strengths, k)
    assert [[code for code in row if code >= 0] for row in supports.tolist()] == expected
    for column, chosen in enumerate(expected):
        assert rights[column].tolist() == [*values[chosen, column], *[0] * (k + 1 - len(chosen))]


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(1, 40))
def test_small_systems_are_solved(seed, size):
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(size, 2 * size))
    system = np.full((size + 2, size + 2), np.nan, np.float32)
    system[:size, :size] = factor @ factor.T + np.eye(size)
    right = rng.normal(size=size).astype(np.float32)
    solution, scratch = np.full(size, np.nan, np.float32), np.empty((4, size + 2), np.float32)
    solve_system(system, size, right, 1e-10, 200, solution, scratch)
    exact = np.linalg.solve(system[:size, :size].astype(float), right)
    np.testing.assert_allclose(solution, exact, atol=1e-3 * max(np.abs(exact).max(), 1e-3))


def test_a_system_that_is_not_positive_definite_ends_without_nan():
    system, solution = np.array([[1, 5], [5, 1]], np.float32), np.empty(2, np.float32)
    solve_system(system, 2, np.array([1, -1], np.float32), 1e-10, 50, solution, np.empty((4, 2), np.float32))
    assert np.isfinite(solution).all()


def test_each_support_is_solved_with_its_own_right_side():
    rng = np.random.default_rng(3)
    n, k = 12, 5
    factor = rng.normal(size=(n, 30))
    system = (factor @ factor.T * (rng.random((n, n)) < 0.7)).astype(np.float32)
    system = np.tril(system, -1) + np.tril(system, -1).T + np.diag(np.full(n, 200, np.float32))
    lower = check_matrix(np.tril(system, -1), negative="accept")
    diagonal = readonly(system.diagonal().copy())
    gramian = Gramian(*(readonly(part) for part in (lower.indptr, lower.indices, lower.data)), diagonal, np.zeros(n))
    chosen = [sorted(rng.choice(n, row % (k + 1), replace=False).tolist()) for row in range(9)]
    supports = readonly(np.array([[*codes, *[-1] * (k - len(codes))] for codes in chosen], np.int32))
    rights = rng.normal(size=(9, k)).astype(np.float32)
    weights = np.zeros((9, k), np.float32)
    for first, last in ((0, 4), (4, 9)):
        solve_supports(gramian, supports, readonly(rights), 1e-14, 100, first, last, weights)
    for row, codes in enumerate(chosen):
        part = system[np.ix_(codes, codes)].astype(float)
        np.testing.assert_allclose(
            weights[row, : len(codes)], np.linalg.solve(part, rights[row, : len(codes)]), atol=1e-5
        )
        assert not weights[row, len(codes) :].any()
