"""Adam against its plain form: of weights, of rows that rest, and of numbers, vectors and rows alike."""

import numpy as np
import pytest

from fastrec.kernels._jit import Static, kernel
from fastrec.kernels.adam import correction, next_mean, next_square, step_adam, step_lanes, update_weights
from fastrec.kernels.row import load_row, store_row
from fastrec.kernels.simd import load
from fastrec.solvers.network_training import Embedding, make_step_tables
from tests.reference import network as reference


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("width", [16, 48])
def test_rows_move_as_under_dense_adam(decay, width):
    rng = np.random.default_rng(0)
    n, steps, batch = 12, 300, 3
    values = rng.normal(size=(n, width)).astype("f4")
    dense = reference.Adam(values, 0.01, decay)
    embedding = Embedding(values.reshape(-1), width, batch)
    tables = make_step_tables(0.01, decay)
    begun = np.zeros(n, bool)
    for step in range(1, steps + 1):
        codes = rng.integers(0, n, batch).astype("i4")
        slopes = rng.normal(size=(batch, width)).astype("f4")
        embedding.prepare(codes, step, tables)
        begun[codes] = True
        embedding.slopes[:] = slopes.reshape(-1)
        embedding.update(step, tables)
        whole = np.zeros((n, width))
        np.add.at(whole, codes, slopes)
        before = dense.values[~begun].copy()
        dense.step(whole)
        dense.values[~begun] = before  # decay begins with a row's first sample
        assert (embedding.heads == -1).all()
    embedding.settle(steps, tables)
    # The decay of a resting row's moves is left out: it is of the order of (rate · decay) · rate.
    np.testing.assert_allclose(values, dense.values, atol=1e-5 if decay == 0 else 5e-3)


@pytest.mark.parametrize("pieces", [1, 3])
def test_weights_move_as_under_adam(pieces):
    rng = np.random.default_rng(0)
    values = rng.normal(size=32).astype("f4")
    dense = reference.Adam(values, 0.01, 0.1)
    first, second, tables = np.zeros(32, "f4"), np.zeros(32, "f4"), make_step_tables(0.01, 0.1)
    for step in range(1, 100):
        slopes = rng.normal(size=(pieces, 32)).astype("f4")
        dense.step(slopes.sum(axis=0, dtype="f8"))
        update_weights(values, first, second, slopes, step, tables)
    np.testing.assert_allclose(values, dense.values, atol=1e-5)


@kernel()
def step_all(values, means, squares, slopes, rate, tiny, shrink, width):
    """Moves row 0 as a row, row 1 as vectors, and row 2 as numbers."""
    slope = load_row(slopes, 0, width)
    mean, square = next_mean(load_row(means, 0, width), slope), next_square(load_row(squares, 0, width), slope)
    store_row(means, 0, mean)
    store_row(squares, 0, square)
    store_row(values, 0, step_adam(load_row(values, 0, width), mean, square, rate, tiny, shrink))
    for at in range(32, 64, 16):
        step_lanes(values, means, squares, at, load(slopes, at, 16), rate, tiny, shrink)
    for at in range(64, 96):
        means[at], squares[at] = next_mean(means[at], slopes[at]), next_square(squares[at], slopes[at])
        values[at] = step_adam(values[at], means[at], squares[at], rate, tiny, shrink)


@kernel()
def correct(count, out):
    out[0], out[1] = correction(count)


def test_numbers_vectors_and_rows_take_the_same_step():
    rng = np.random.default_rng(0)
    start = np.tile(rng.normal(size=32), (3, 1)).astype("f4")
    values, dense = start.copy(), reference.Adam(start.astype("f8"), 0.01, 0.1)
    means, squares = np.zeros((3, 32), "f4"), np.zeros((3, 32), "f4")
    for step in range(1, 50):
        slopes = np.tile(rng.normal(size=32), (3, 1)).astype("f4")
        dense.step(slopes.astype("f8"))
        root = np.sqrt(1 - 0.999**step)
        rate, tiny, shrink = 0.01 * root / (1 - 0.9**step), 1e-8 * root, 1 - 0.01 * 0.1
        step_all(
            *(array.reshape(-1) for array in (values, means, squares, slopes)),
            *map(np.float32, (rate, tiny, shrink)),
            Static(32),
        )
    np.testing.assert_allclose(values, dense.values, atol=1e-5)


@pytest.mark.parametrize("count", [1, 2, 10, 1000, 100_000])
def test_corrections_are_those_of_the_count(count):
    out = np.empty(2, np.float32)
    correct(count, out)
    np.testing.assert_allclose(out, [1 / (1 - 0.9**count), np.sqrt(1 - 0.999**count)], rtol=2e-4)
