"""Rows of ratings solved, in float64 and by conjugate gradients, against plain NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.kernels.explicit import solve_ratings_cg, solve_ratings_cholesky
from tests.reference import explicit_als as reference

MEAN, REGULARIZATION, OF_BIASES, EXPONENT = 1.5, 0.7, 0.4, 0.5


def problem(seed, factors):
    rng = np.random.default_rng(seed)
    n, m = int(rng.integers(1, 9)), int(rng.integers(1, 30))
    known = rng.random((n, m)) < rng.choice([0.1, 0.6])
    R = np.where(known, rng.integers(-3, 6, (n, m)), 0.0)
    return R, known, rng.normal(size=(m, factors + 1)).astype(np.float32)


def solve(R, known, others, steps, first, last, start=0.0):
    """Solves by Cholesky if `steps` is 0; rows outside the range stay NaN."""
    counts = known.sum(axis=1)
    indptr, indices = np.concatenate([[0], np.cumsum(counts)]), np.nonzero(known)[1].astype(np.int32)
    weights = counts.astype(float) ** EXPONENT
    solutions = np.full((len(R), others.shape[1]), np.nan, np.float32)
    solutions[first:last], errors = start, np.full(len(R), np.nan)
    kernel, extra = (solve_ratings_cg, (steps,)) if steps else (solve_ratings_cholesky, ())
    kernel(
        indptr, indices, R[known].astype(np.float32), first, last, MEAN, others, REGULARIZATION * weights,
        OF_BIASES * weights, *extra, solutions, errors,
    )  # fmt: skip
    return solutions, errors


@pytest.mark.parametrize("steps", [0, 60])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), factors=st.integers(1, 9))
def test_rows_are_solved_as_by_plain_numpy(steps, seed, factors):
    R, known, others = problem(seed, factors)
    expected = reference.solve_rows(R, known, others.astype(float), MEAN, REGULARIZATION, OF_BIASES, EXPONENT)
    found, errors = solve(R, known, others, steps, 0, len(R))
    np.testing.assert_allclose(found, expected, atol=2e-3)
    misfit = R - MEAN - others[:, -1] - found[:, -1:].astype(float) - found[:, :-1].astype(float) @ others[:, :-1].T
    np.testing.assert_allclose(errors, (misfit**2 * known).sum(axis=1), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("steps", [0, 3])
def test_only_the_rows_asked_for_are_written_with_the_same_bits(steps):
    R, known, others = problem(5, 4)
    whole, part = solve(R, known, others, steps, 0, len(R)), solve(R, known, others, steps, 1, 3)
    assert len(R) > 3
    for one, other in zip(whole, part, strict=True):
        np.testing.assert_array_equal(other[1:3], one[1:3])
        assert np.isnan(other[[0, *range(3, len(R))]]).all()


def test_steps_begin_where_the_row_is_and_come_nearer():
    R, known, others = problem(5, 4)
    exact, _ = solve(R, known, others, 0, 0, len(R))
    away = [np.abs(solve(R, known, others, steps, 0, len(R), start)[0] - exact).max()
            for steps, start in ((1, 0.0), (2, 0.0), (1, exact))]  # fmt: skip
    assert away[0] > away[1] > 1e-5
    assert away[2] < 1e-5
