"""The first rows of a fold-in."""

import numpy as np

from fastrec.matrix.arrays import aligned_zeros
from fastrec.matrix.code_matrix import check_matrix
from fastrec.solvers.discriminant import SPREAD, Discriminant

N_ITEMS, WIDTH, FACTORS = 50, 16, 10
POOL = np.arange(5, N_ITEMS, dtype=np.int32)


def item_rows():
    rows = aligned_zeros(N_ITEMS, WIDTH)
    rows[:, :FACTORS] = np.random.default_rng(0).normal(1, np.linspace(0.2, 1, FACTORS), (N_ITEMS, FACTORS))
    return rows


def histories(n=20):
    rng = np.random.default_rng(1)
    dense = (rng.random((n, N_ITEMS)) < 0.2) * rng.uniform(0.5, 2, (n, N_ITEMS))
    dense[3] = 0
    return check_matrix(dense.astype(np.float32))


def test_first_rows_are_the_direction_of_fishers_discriminant():
    rows, matrix = item_rows(), histories()
    found = Discriminant.of(rows, POOL).first_rows(matrix, matrix.data, 1)
    vectors = rows[POOL, :FACTORS].astype(float)
    covariance = np.cov(vectors.T, bias=True)
    mean = np.trace(covariance) / FACTORS
    sums = matrix.toarray() @ (rows[:, :FACTORS] - vectors.mean(axis=0))
    expected = np.linalg.solve(covariance + mean * np.eye(FACTORS), sums.T).T
    expected *= SPREAD / np.sqrt(mean) / np.maximum(np.linalg.norm(expected, axis=1, keepdims=True), 1e-12)
    np.testing.assert_allclose(found[:, :FACTORS], expected, atol=1e-4)
    assert not found[:, FACTORS:].any()
    assert not found[3].any()


def test_a_row_does_not_depend_on_others_or_on_threads():
    matrix, one = histories(), np.ones(1, np.float32)
    discriminant = Discriminant.of(item_rows(), POOL)
    whole = discriminant.first_rows(matrix, one, 2)
    for row in range(matrix.shape[0]):
        alone = discriminant.first_rows(check_matrix(matrix[[row]].toarray()), one, 1)
        np.testing.assert_array_equal(alone[0], whole[row])


def test_items_that_are_all_alike_tell_nothing():
    rows = aligned_zeros(N_ITEMS, WIDTH)
    rows[:, :FACTORS] = 1
    found = Discriminant.of(rows, POOL).first_rows(histories(), np.ones(1, np.float32), 1)
    assert not found.any()
