"""Half an epoch of ImplicitALS in executors starts, sends and solves pieces with the bits of a single machine."""

import numpy as np
import pytest

pytest.importorskip("pyspark", reason="pyspark is not installed: make test-spark has it")

from scipy.sparse import random_array

from fastrec.distributed.blocks import Block
from fastrec.distributed.cells import array_of, bytes_of
from fastrec.distributed.half_epoch import RowSums, Turn, rows_of, turn_rows
from fastrec.distributed.implicit_alternation import ImplicitHalf, Seeded, Weights
from fastrec.distributed.solving import Solving
from fastrec.matrix.arrays import aligned_zeros
from fastrec.matrix.code_matrix import check_matrix
from fastrec.solvers.als import Side, Solver, block_cuts, gather, gramian, rotate, start_rows
from fastrec.solvers.als_bases import eigenbasis


def test_pieces_start_as_the_whole_does():
    whole = aligned_zeros(1500, 16)
    start_rows(whole, 5, [1, 0])
    second = Seeded(16, 5, (1, 0)).pieces(block_cuts(1500), [1])[0]
    assert np.array_equal(rows_of(second[1], 16), whole[1024:])
    assert np.array_equal(array_of(second[2], np.float64).reshape(16, 16), gramian(whole[1024:].copy(), 1))


@pytest.fixture
def case():
    """Returns a matrix, its sides' first factors, and the eigenvalues and basis of the items."""
    rng = np.random.default_rng(0)
    matrix = check_matrix(random_array((40, 30), density=0.3, rng=rng))
    users, items = aligned_zeros(40, 16), aligned_zeros(30, 16)
    start_rows(users, 9, [0, 0])
    start_rows(items, 9, [0, 1])
    return matrix, users, items, *eigenbasis(gramian(items, 1), 9)


def test_a_block_is_solved_as_by_the_side_it_is_of(case):
    matrix, users, items, values, basis = case
    solver, turn = Solver("cg", 2, 0.0, 1.0, 1), Turn(basis, values, "float16")
    half = ImplicitHalf(30, (basis, basis), turn, Weights(2.0, 0.01, 1.0), solver, weighted=True)
    vectors = turn_rows(bytes_of(items), turn)
    block = Block(7, matrix.indptr, matrix.indices, matrix.data)
    solutions = half.start(bytes_of(users), 2)
    found = half.solve(block, solutions, vectors, 2)
    for _ in half.turned:
        rotate(users, basis, 1)
    rotate(items, basis, 1)
    side = Side(matrix, 2.0, 0.01, 1.0)
    objective = side.solve(users, gather(items, values, "float16", 1), solver)
    assert np.array_equal(solutions, users)
    assert found == objective
    row = half.row(block, solutions, found)
    assert (row[0], row[4:]) == (7, objective)
    assert np.array_equal(array_of(row[3], np.float64).reshape(16, 16), gramian(users, 1, side.weights))
    assert np.array_equal(rows_of(row[1], 16), users)


@pytest.mark.parametrize("method", ["cg", "cholesky"])
def test_sums_over_the_parts_of_a_row_solve_it_as_its_entries_do(case, method):
    matrix, users, items, values, basis = case
    turn, solver = Turn(basis, values, "float16"), Solver(method, 2, 0.0, 1.5, 1)
    half = ImplicitHalf(30, (basis,), turn, Weights(2.0, 0.01, 0.7), solver)
    vectors = turn_rows(bytes_of(items), turn)
    check_sums_of_rows(half, matrix, vectors, half.start(bytes_of(users), 1))


def check_sums_of_rows(half, matrix, vectors, solutions):
    data = matrix.data.copy()
    data[::5] = 0  # events of value 0
    block = Block(0, matrix.indptr, matrix.indices, data)
    for row in range(40):
        alone, summed = solutions[row : row + 1].copy(), solutions[row].copy()
        objective = half.solve(block.pick(np.array([row])), alone, vectors, 1)
        cuts = np.array_split(np.arange(*matrix.indptr[row : row + 2]), 3)
        parts = [half.sum_entries(matrix.indices[part], data[part], vectors).flat() for part in cuts]
        totals = RowSums.of(np.sum(parts, axis=0))
        found = half.solve_sums(summed, totals)
        np.testing.assert_allclose(summed, alone[0], atol=2e-6)
        np.testing.assert_allclose(found, objective, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cut", [[3], list(range(40))])
def test_a_piece_is_solved_by_sums_where_its_rows_are_cut(case, cut):
    matrix, users, items, values, basis = case
    turn = Turn(basis, values, "float32")
    half = ImplicitHalf(30, (basis,), turn, Weights(2.0, 0.01, 1.0), Solver("cg", 2, 0.0, 1.0, 1))
    vectors, block = turn_rows(bytes_of(items), turn), Block(0, matrix.indptr, matrix.indices, matrix.data)
    whole, found = half.start(bytes_of(users), 1), half.start(bytes_of(users), 1)
    objective = half.solve(block, whole, vectors, 1)
    spans = {row: slice(*matrix.indptr[row : row + 2]) for row in cut}
    sums = {row: half.sum_entries(matrix.indices[span], matrix.data[span], vectors) for row, span in spans.items()}
    mine = Solving(half, {0: sums})._solve(block, found, vectors, 1)
    np.testing.assert_allclose(found, whole, atol=2e-6)
    others = np.setdiff1d(np.arange(40), cut)
    assert np.array_equal(found[others], whole[others])
    np.testing.assert_allclose(mine, objective, rtol=1e-5)
