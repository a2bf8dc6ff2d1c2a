"""Rows folded in are within the bounds of their equations, for all vectors, histories and options."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from fastrec.matrix.code_matrix import check_matrix
from fastrec.solvers.als import Fixed, Side, gramian
from fastrec.solvers.als_bases import eigenbasis
from tests.reference.solved_rows import assert_implicit

DRAWN = (Phase.explicit, Phase.generate)  # data made from a seed cannot be simplified


@st.composite
def systems(draw):
    """Draws vectors in the eigenbasis of their Gramian, histories of any lengths and sizes of values, and options."""
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
    solutions = side.fold(Fixed.of(padded, squares), 1)
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
@example(4226553411, 3, 102, -1.33, -1.56, 1e6)
@example(3847772516, 2, 155, -0.25, -1.58, 1e6)
@example(2353566269, 3, 61, -1.42, -2.09, 1e6)
@example(1947040467, 3, 169, 2.25, -5.55, 1e6)
@example(1986783167, 2, 82, -0.9, -7.57, 1e6)
def test_right_sides_that_cancel_are_solved_within_the_bounds(seed, width, n, alpha, rest, penalty):
    # The sum of vectors and their opposites is small beside each of them; its roundings must be small, too.
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, width))
    vectors[1::2] = -vectors[: len(vectors[1::2])] * (1 + 10.0**rest * rng.normal(size=(len(vectors[1::2]), 1)))
    _, basis = eigenbasis(gramian(vectors.astype(np.float32), 1), width)
    vectors = vectors.astype(np.float32) @ basis
    padded = np.zeros((n, -(-width // 16) * 16), np.float32)
    padded[:, :width] = vectors
    data = sp.csr_matrix((rng.random((8, n)) < 0.7).astype(np.float32))
    side = Side(check_matrix(data), 10.0**alpha, penalty, 0.0)
    solutions = side.fold(Fixed.of(padded, np.square(vectors, dtype=np.float64).sum(axis=0)), 1)[:, :width]
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
        solutions = Side(check_matrix(data), alpha, penalty, 0.0).fold(Fixed.of(vectors, squares), 1)[:, :width]
        known, strength = np.diag(squares), penalty
        assert_implicit(wide, data, solutions, known, alpha, lambda extra, strength=strength: strength)
