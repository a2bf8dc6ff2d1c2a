"""Kernels of EASE beside NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.kernels.ease import fill_gramian, fill_weights, gather_lower, solve_columns
from fastrec.kernels.supports import Gramian
from fastrec.matrix.arrays import readonly
from fastrec.matrix.code_matrix import check_matrix
from fastrec.matrix.rows import transpose
from fastrec.solvers.neighbors import rows_of
from tests.reference import ease as reference

seeds = st.integers(0, 2**32 - 1)


def random_matrix(rng, rows, columns, density=0.3, signed=False):
    values = rng.integers(1, 4, (rows, columns)) * (rng.choice([-1, 1], (rows, columns)) if signed else 1)
    return ((rng.random((rows, columns)) < density) * values).astype(float)


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(1, 30), st.integers(1, 150), st.booleans())
def test_the_gramian_is_filled_below_and_on_its_diagonal(seed, n_users, n_items, signed):
    rng = np.random.default_rng(seed)
    X = random_matrix(rng, n_users, n_items, rng.choice([0.05, 0.5]), signed)
    matrix = check_matrix(X, negative="accept")
    gramian = np.full((n_items, n_items), np.nan, np.float32)
    middle = n_items // 2
    for first, last in ((0, middle), (middle, n_items)):
        fill_gramian(
            rows_of(transpose(matrix, 1)),
            rows_of(matrix),
            readonly(np.full(n_items, 2, np.float32)),
            first,
            last,
            gramian,
        )
    np.testing.assert_array_equal(gramian, np.tril(X.T @ X + 2 * np.eye(n_items)))


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(1, 200))
def test_weights_fill_both_triangles(seed, n):
    rng = np.random.default_rng(seed)
    lower = np.tril(rng.normal(size=(n, n))).astype(np.float32)
    full = lower + np.tril(lower, -1).T
    multipliers = rng.random(n).astype(np.float32)
    inverse = lower.copy()
    for block in range(-(-n // 64)):
        fill_weights(inverse, readonly(multipliers), block, block + 1)
    away = ~np.eye(n, dtype=bool)
    np.testing.assert_array_equal(inverse[away], (-full * multipliers)[away])
    np.testing.assert_array_equal(np.diag(inverse), np.diag(lower))


def sparse_gramian(X, penalty, threshold=0.0):
    """Returns the kernel's Gramian of the columns of X, in their order."""
    users = check_matrix(X, negative="accept")
    items, n = transpose(users, 1), X.shape[1]
    diagonal = (X**2).sum(axis=0) + penalty
    scales, counts = readonly((1 / np.sqrt(diagonal)).astype(np.float32)), np.empty(n, np.int64)
    none = np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.float32)
    rows, features = rows_of(items), rows_of(users)
    gather_lower(rows, features, scales, np.float32(threshold), none[0], 0, n, counts, *none[1:])
    starts = np.concatenate([[0], np.cumsum(counts)])
    codes, values = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.float32)
    gather_lower(rows, features, scales, np.float32(threshold), starts, 0, n, counts, codes, values)
    fixed = (starts, codes, values, diagonal.astype(np.float32), np.asarray(penalty, np.float64))
    return Gramian(*map(readonly, fixed))


def densified(gramian):
    n = len(gramian.diagonal)
    dense = np.zeros((n, n))
    rows = np.repeat(np.arange(n), np.diff(gramian.starts))
    dense[rows, gramian.codes] = gramian.values
    return dense


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(1, 30), st.integers(1, 40), st.booleans(), st.sampled_from([0.0, 0.3]))
def test_entries_below_the_diagonal_are_gathered(seed, n_users, n_items, signed, threshold):
    rng = np.random.default_rng(seed)
    X = random_matrix(rng, n_users, n_items, rng.choice([0.05, 0.5]), signed)
    penalty = np.full(n_items, 3.0)
    exact = np.tril(X.T @ X, -1)
    norms = np.sqrt((X**2).sum(axis=0) + penalty)
    share = np.abs(exact) / np.outer(norms, norms)
    found = densified(sparse_gramian(X, penalty, threshold))
    clear = np.abs(share - threshold) > 1e-5
    np.testing.assert_array_equal(found[clear], np.where(share >= threshold, exact, 0)[clear])


@pytest.mark.parametrize("relaxation", [0.0, 0.4, 1.0])
def test_columns_are_solved_on_any_supports(relaxation):
    rng = np.random.default_rng(4)
    X, penalty = random_matrix(rng, 60, 20), np.full(20, 5.0)
    chosen = [sorted(rng.choice([i for i in range(20) if i != item], item % 7, replace=False)) for item in range(20)]
    supports = np.array([[*support, *[-1] * (8 - len(support))] for support in chosen], np.int32)
    weights, own = np.full(supports.shape, np.nan, np.float32), np.full(20, np.nan, np.float32)
    solve_columns(sparse_gramian(X, penalty), readonly(supports), relaxation, 1e-10, 100, 0, 20, weights, own)
    expected = reference.weights_on_supports(X, chosen, 5.0, relaxation=relaxation)
    for item, support in enumerate(chosen):
        np.testing.assert_allclose(weights[item, : len(support)], expected[support, item], atol=1e-4)
        assert own[item] == pytest.approx(expected[item, item], abs=1e-4)
