"""The kernels of iALS against plain NumPy, through the class that deals rows to them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.kernels.als import narrow
from fastrec.matrix.arrays import aligned_zeros
from fastrec.matrix.code_matrix import check_matrix
from fastrec.solvers.als import Side, Solver, gather, gramian, rotate
from fastrec.solvers.als_bases import eigenbasis
from tests.reference import als as reference

ALPHA, REGULARIZATION = 3.0, 0.02


def half_epoch(X, items, solver, exponent=1.0, users=None, dtype="float32"):
    """Returns (users, items, loss) after one half epoch by the kernels, in the basis of the items' Gramian."""
    width = items.shape[1]
    padded = -(-width // 16) * 16
    vectors, solutions = aligned_zeros(len(items), padded), aligned_zeros(len(X), padded)
    vectors[:, :width] = items
    if users is not None:
        solutions[:, :width] = users
    values, basis = eigenbasis(gramian(vectors, 1), width)
    rotate(vectors, basis, 1)
    rotate(solutions, basis, 1)
    side = Side(check_matrix(X), ALPHA, REGULARIZATION, exponent)
    loss, _ = side.solve(solutions, gather(vectors, values, dtype, 1), solver)
    other = reference.penalties(X.T, ALPHA, REGULARIZATION, exponent) @ (vectors**2).sum(axis=1)
    return solutions[:, :width], vectors[:, :width], loss + other


def random_matrix(rng, rows, columns, density=0.2):
    return (rng.random((rows, columns)) < density) * rng.integers(1, 4, (rows, columns)).astype(float)


@pytest.mark.parametrize("width", [1, 16, 20, 64, 128, 144, 200])
@pytest.mark.parametrize("method", ["cg", "cholesky"])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_rows_are_solved(width, method, dtype):
    rng = np.random.default_rng(width)
    X, items = random_matrix(rng, 30, 50), rng.normal(size=(50, width)).astype(np.float32) * 0.3
    X[3] = 0
    users, rotated, loss = half_epoch(X, items, Solver(method, 200, 1e-12, 1.0, 1), dtype=dtype)
    expected = reference.solve_rows(X, rotated.astype(np.float64), ALPHA, REGULARIZATION, 1.0)
    tolerance = 2e-2 if dtype == "float16" else 2e-3
    np.testing.assert_allclose(users, expected, atol=tolerance * np.abs(expected).max())
    true = reference.loss(X, users, rotated, ALPHA, REGULARIZATION, 1.0)
    assert loss == pytest.approx(true, rel=5e-3 if dtype == "float16" else 1e-4)
    assert not users[3].any()


@pytest.mark.parametrize("method", ["cg", "cholesky"])
@pytest.mark.parametrize("relaxation", [1.0, 1.5, 1.9])
@pytest.mark.parametrize("width", [16, 144])
def test_the_loss_is_true_and_falls_from_any_start(method, relaxation, width):
    rng = np.random.default_rng(1)
    X, items = random_matrix(rng, 40, 30), rng.normal(size=(30, width)).astype(np.float32)
    start = rng.normal(size=(40, width)).astype(np.float32)
    before = reference.loss(X, start, items, ALPHA, REGULARIZATION, 1.0)
    users, rotated, loss = half_epoch(X, items, Solver(method, 2, 0.0, relaxation, 1), users=start)
    assert loss == pytest.approx(reference.loss(X, users, rotated, ALPHA, REGULARIZATION, 1.0), rel=1e-4)
    assert loss < before


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.5, 1.0]), st.integers(1, 60), st.integers(1, 60))
def test_any_shape_and_any_rows(seed, exponent, rows, columns):
    rng = np.random.default_rng(seed)
    X = random_matrix(rng, rows, columns, rng.choice([0.0, 0.1, 1.0]))
    items = rng.normal(size=(columns, 5)).astype(np.float32)
    users, rotated, loss = half_epoch(X, items, Solver("cg", 60, 1e-12, 1.0, 1), exponent)
    expected = reference.solve_rows(X, rotated.astype(np.float64), ALPHA, REGULARIZATION, exponent)
    np.testing.assert_allclose(users, expected, atol=1e-2)
    assert loss == pytest.approx(reference.loss(X, users, rotated, ALPHA, REGULARIZATION, exponent), rel=1e-3)


def test_a_row_longer_than_any_buffer():
    rng = np.random.default_rng(0)
    X = np.zeros((3, 200_000), np.float32)
    X[1] = 1
    X[2, ::7] = 2
    items = rng.normal(size=(200_000, 2)).astype(np.float32) * 0.01
    users, rotated, _ = half_epoch(X, items, Solver("cg", 50, 1e-12, 1.0, 2), dtype="float16")
    expected = reference.solve_rows(X, rotated.astype(np.float64), ALPHA, REGULARIZATION, 1.0)
    np.testing.assert_allclose(users, expected, atol=2e-3 * np.abs(expected).max())


def test_threads_change_no_bit():
    rng = np.random.default_rng(0)
    X, items = random_matrix(rng, 300, 40), rng.normal(size=(40, 16)).astype(np.float32)
    one, two = (half_epoch(X, items, Solver("cg", 2, 0.0, 1.5, jobs), dtype="float16")[0] for jobs in (1, 2))
    assert np.array_equal(one, two)


@pytest.mark.parametrize("magnitude", [1e-12, 1e-3, 1e5, 1e12])
def test_float16_holds_any_magnitude(magnitude):
    # The scaling by a power of two keeps the halves in range, so the products lose nothing to overflow or underflow.
    rng = np.random.default_rng(0)
    X, items = random_matrix(rng, 20, 30), (rng.normal(size=(30, 16)) * magnitude).astype(np.float32)
    side = Side(check_matrix(X), ALPHA, 1e-3 * magnitude**2, 0.0)
    values, basis = eigenbasis(gramian(items, 1), 16)
    vectors, users = items @ basis, np.zeros((20, 16), np.float32)
    side.solve(users, gather(vectors, values, "float16", 1), Solver("cg", 100, 1e-12, 1.0, 1))
    expected = reference.solve_rows(X, vectors.astype(np.float64), ALPHA, 1e-3 * magnitude**2, 0.0)
    np.testing.assert_allclose(users, expected, atol=2e-2 * np.abs(expected).max())


def test_narrow_rounds_as_numpy_does():
    rng = np.random.default_rng(0)
    values = (rng.normal(size=4096) * 10.0 ** rng.integers(-9, 4, 4096)).astype(np.float32)
    halves = np.empty(4096, np.uint16)
    narrow(values, np.float32(0.5), halves)
    assert np.array_equal(halves.view(np.float16), (values * np.float32(0.5)).astype(np.float16))
