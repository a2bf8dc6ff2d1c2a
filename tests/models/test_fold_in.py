"""Every model that solves for a user is held to bounds beside a float64 twin, over the range of its options.

With the row's system A x = b in float64: the backward error |Ax - b| is at most 5e-6 (|A| |x| + |b|), the forward error
|x - x*| at most 1e-6 times the condition of A, of |x*|.
"""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from fastrec.matrix.code_matrix import check_matrix
from fastrec.models import ExplicitALS, FixedFactors, ImplicitALS, compress
from fastrec.solvers.als import Side, eigenbasis, gramian

BACKWARD, FORWARD = 5e-6, 1e-6
DRAWN = (Phase.explicit, Phase.generate)  # what is made from a seed cannot be made simpler
SOLVABLE = 1e12  # beyond it float64 cannot tell the solution itself


def assert_solved(matrix, right, got):
    """One row's bounds; what float32 cannot hold at all is left out."""
    largest, smallest = np.linalg.eigvalsh(matrix)[[-1, 0]]
    residual = np.linalg.norm(matrix @ got - right)
    assert residual <= BACKWARD * (largest * np.linalg.norm(got) + np.linalg.norm(right))
    if largest < SOLVABLE * smallest:
        exact = np.linalg.solve(matrix, right)
        error = np.linalg.norm(got - exact)
        assert error <= FORWARD * largest / smallest * np.linalg.norm(exact)


def entries_of(matrix, row):
    part = slice(matrix.indptr[row], matrix.indptr[row + 1])
    return matrix.indices[part], matrix.data[part].astype(np.float64)


def assert_implicit(vectors, matrix, solutions, gramian, alpha, penalty_of):
    """The rows of Hu, Koren and Volinsky's equations."""
    for row, got in enumerate(solutions.astype(np.float64)):
        items, values = entries_of(matrix, row)
        near, extra = vectors[items].astype(np.float64), alpha * values
        equations = gramian + (near.T * extra) @ near + np.eye(len(gramian)) * penalty_of(extra.sum())
        if near.any():
            assert_solved(equations, near.T @ (1 + extra), got)
        else:
            assert not got.any()


@st.composite
def systems(draw):
    """Vectors in the eigenbasis of their Gramian, histories of any lengths and sizes of values, and options."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    width = draw(st.sampled_from([1, 2, 3, 16, 20, 64, 128, 130, 200, 512]))
    n = draw(st.sampled_from([width // 2 + 2, width + 5, 4 * width, 3000 if width < 300 else width]))
    vectors = rng.normal(size=(n, width)) * 10.0 ** rng.uniform(*draw(st.sampled_from([(0, 0), (-2, 2)])), width)
    vectors *= 10.0 ** draw(st.floats(-4, 4))
    kind = draw(st.sampled_from(["plain", "collinear", "duplicated", "zeros"]))
    if kind == "collinear":
        vectors[1::2] = vectors[0] * rng.uniform(-2, 2, (len(vectors[1::2]), 1))
    if kind == "duplicated":
        vectors[1::2] = vectors[: len(vectors[1::2])]
    if kind == "zeros":
        vectors[::3] = 0
    vectors = vectors.astype(np.float32)
    values, basis = eigenbasis(gramian(vectors, 1), width)
    vectors = vectors @ basis
    rows = max(2, min(12, 2_000_000 // (n * width)))
    density = draw(st.sampled_from([1e-3, 0.05, 0.5, 1.0]))
    sizes = draw(st.sampled_from([(0, 0), (0, 1), (-3, 3), (3, 4)]))
    data = (rng.random((rows, n)) < density) * 10.0 ** rng.uniform(*sizes, (rows, n))
    data[0, rng.integers(n)] = 1
    alpha, exponent = 10.0 ** draw(st.floats(-2, 6)), draw(st.sampled_from([0.0, 0.3, 1.0]))
    penalty = draw(st.sampled_from([0.0, 1e-9, 1e-3, 1.0, 1e6])) * max(values[0], 1e-30) / n**exponent
    return vectors, sp.csr_matrix(data.astype(np.float32)), alpha, penalty, exponent


@settings(max_examples=40, deadline=None, phases=DRAWN)
@given(systems())
def test_implicit_rows_are_solved_within_the_bounds(system):
    vectors, data, alpha, penalty, exponent = system
    n, width = vectors.shape
    padded = np.zeros((n, -(-width // 16) * 16), np.float32)
    padded[:, :width] = vectors
    squares = np.square(vectors, dtype=np.float64).sum(axis=0)
    side = Side(check_matrix(data), alpha, penalty, exponent)
    solutions = side.fold(padded, squares, 1)
    assert not solutions[:, width:].any()
    wide = vectors.astype(np.float64)
    assert_implicit(
        vectors, data, solutions[:, :width], wide.T @ wide, alpha, lambda extra: penalty * (n + extra) ** exponent
    )


@settings(max_examples=20, deadline=None, phases=DRAWN)
@given(
    st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 3, 16, 144]), st.integers(2, 200), st.floats(-3, 6),
    st.floats(-9, 0), st.sampled_from([1e-6, 1e-3, 1.0, 1e6]),
)  # fmt: skip
def test_right_sides_that_cancel_are_solved_within_the_bounds(seed, width, n, alpha, rest, penalty):
    # What is left of vectors and their opposites is small beside each; so are its roundings to be.
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, width))
    vectors[1::2] = -vectors[: len(vectors[1::2])] * (1 + 10.0**rest * rng.normal(size=(len(vectors[1::2]), 1)))
    _, basis = eigenbasis(gramian(vectors.astype(np.float32), 1), width)
    vectors = vectors.astype(np.float32) @ basis
    padded = np.zeros((n, -(-width // 16) * 16), np.float32)
    padded[:, :width] = vectors
    data = sp.csr_matrix((rng.random((8, n)) < 0.7).astype(np.float32))
    side = Side(check_matrix(data), 10.0**alpha, penalty, 0.0)
    solutions = side.fold(padded, np.square(vectors, dtype=np.float64).sum(axis=0), 1)[:, :width]
    wide = vectors.astype(np.float64)
    assert_implicit(vectors, data, solutions, wide.T @ wide, 10.0**alpha, lambda extra: penalty)


@pytest.mark.parametrize("width", [1, 64, 128, 144])
@pytest.mark.parametrize("n", [64, 128, 700])
def test_one_vector_again_and_again_is_solved_within_the_bounds(width, n):
    # Each sum is rounded in the same direction as the one before.
    for seed in range(10):
        rng = np.random.default_rng(seed)
        vectors = np.zeros((n, -(-width // 16) * 16), np.float32)
        vectors[:, :width] = rng.normal(size=width).astype(np.float32)
        wide = vectors[:, :width].astype(np.float64)
        squares, alpha, penalty = (
            np.square(wide).sum(axis=0),
            10.0 ** rng.uniform(-1, 3),
            n * 10.0 ** rng.uniform(-2, 2),
        )
        data = sp.csr_matrix(np.ones((1, n), np.float32))
        solutions = Side(check_matrix(data), alpha, penalty, 0.0).fold(vectors, squares, 1)[:, :width]
        known, strength = np.diag(squares), penalty
        assert_implicit(wide, data, solutions, known, alpha, lambda extra, strength=strength: strength)


histories = st.builds(
    lambda seed, rows, columns, density, size: sp.csr_matrix(
        (np.random.default_rng(seed).random((rows, columns)) < density)
        * 10.0 ** np.random.default_rng(seed + 1).uniform(-size, size, (rows, columns)).astype(np.float32)
    ),
    st.integers(0, 2**31),
    st.integers(2, 20),
    st.integers(2, 60),
    st.sampled_from([0.1, 0.5, 1.0]),
    st.sampled_from([0.0, 0.5, 2.0]),
)


@settings(max_examples=15, deadline=None, phases=DRAWN)
@given(histories, st.sampled_from([1, 3, 16]), st.floats(-2, 6), st.floats(-6, 3), st.sampled_from([0.0, 0.5, 1.0]))
def test_implicit_als_folds_in_within_the_bounds(X, factors, alpha, strength, exponent):
    alpha, strength = 10.0**alpha, 10.0**strength
    model = ImplicitALS(
        factors, alpha=alpha, regularization=strength, regularization_exponent=exponent, iterations=2, random_state=0
    ).fit(X)
    n = X.shape[1]
    known = model.item_factors_.astype(np.float64)

    def penalty_of(extra):
        return strength * (n + extra) ** exponent

    assert_implicit(model.item_factors_, X, model.transform(X), known.T @ known, alpha, penalty_of)
    small = compress(model, "int8")
    decoded = small.decode_items(np.arange(n))
    assert_implicit(decoded, X, small.transform(X), np.diag(np.square(known).sum(axis=0)), alpha, penalty_of)


@settings(max_examples=20, deadline=None, phases=DRAWN)
@given(histories, st.sampled_from([1, 3, 16]), st.floats(-2, 6), st.floats(-9, 3))
def test_fixed_factors_fold_in_within_the_bounds(X, factors, alpha, strength):
    items = np.random.default_rng(0).normal(size=(X.shape[1], factors)).astype(np.float32)
    items[1::2] = items[0]
    alpha, strength = 10.0**alpha, 10.0**strength
    model = FixedFactors(None, items, alpha=alpha, regularization=strength).fit(X)
    wide = items.astype(np.float64)
    assert_implicit(items, X, model.transform(X), wide.T @ wide, alpha, lambda extra: strength)


@settings(max_examples=25, deadline=None, phases=DRAWN)
@given(histories, st.sampled_from([1, 3, 16, 40]), st.floats(-6, 3), st.floats(-6, 3), st.sampled_from([0.0, 0.5, 1.0]))
def test_explicit_als_folds_in_within_the_bounds(X, factors, strength, of_biases, exponent):
    strength, of_biases = 10.0**strength, 10.0**of_biases
    model = ExplicitALS(
        factors, regularization=strength, bias_regularization=of_biases, regularization_exponent=exponent,
        iterations=2, random_state=0,
    ).fit(X)  # fmt: skip
    solutions = model.transform(X)
    others = np.column_stack([model.item_factors_[:, :-2], model.item_biases_]).astype(np.float64)
    for row, got in enumerate(solutions[:, :-1].astype(np.float64)):
        items, values = entries_of(X, row)
        near = others[items].copy()
        targets = values - model.mean_ - near[:, -1]
        near[:, -1] = 1
        penalties = np.full(near.shape[1], strength)
        penalties[-1] = of_biases
        equations = near.T @ near + np.diag(penalties) * max(len(items), 1) ** exponent
        if len(items):
            assert_solved(equations, near.T @ targets, got)


@pytest.mark.parametrize("values", [1.0, 5000.0, 2e5])
def test_folded_in_users_are_those_of_an_update(values):
    rng = np.random.default_rng(0)
    X = sp.csr_matrix((rng.random((30, 12)) < 0.4) * values)
    model = ImplicitALS(3, alpha=40.0, regularization_exponent=0, random_state=0).fit(X)
    model.partial_fit(X)
    known = model.item_factors_.astype(np.float64)
    assert_implicit(model.item_factors_, model.seen_, model.user_factors_, known.T @ known, 40.0, lambda extra: 0.01)


@pytest.mark.parametrize("strength", [1e8, 1e11])
def test_factors_that_a_penalty_takes_to_nothing_are_no_division_by_zero(strength):
    X = np.kron(np.eye(2), np.ones((4, 3)))
    model = ImplicitALS(8, regularization=strength, random_state=0).fit(X)
    assert np.isfinite(model.user_factors_).all()
    assert np.isfinite(model.transform(X)).all()
