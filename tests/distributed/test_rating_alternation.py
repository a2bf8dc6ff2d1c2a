"""Half an epoch of ExplicitALS in executors starts and solves pieces with the bits of a single machine."""

import numpy as np
import pytest

pytest.importorskip("pyspark", reason="pyspark is not installed: make test-spark has it")

from scipy.sparse import random_array

from fastrec.distributed.blocks import Block
from fastrec.distributed.cells import bytes_of
from fastrec.distributed.half_epoch import Turn, rows_of, turn_rows
from fastrec.distributed.rating_alternation import Drawn, RatingHalf, Zeros
from fastrec.matrix.arrays import aligned_zeros
from fastrec.matrix.code_matrix import check_matrix
from fastrec.models.explicit_als import ExplicitALS, Ratings, start_ratings
from fastrec.solvers.als import block_cuts
from tests.distributed.test_implicit_alternation import check_sums_of_rows


def test_pieces_start_as_the_whole_does():
    whole, cuts = aligned_zeros(2500, 6), block_cuts(2500)
    start_ratings(whole, 5, 1.3, np.random.default_rng(7))
    pieces = list(Drawn(6, 1.3, 7).pieces(cuts, [2, 0, 1]))
    assert [piece[0] for piece in pieces] == [0, 1, 2]
    assert np.array_equal(np.concatenate([rows_of(piece[1], 6) for piece in pieces]), whole)
    zeros = list(Zeros(6).pieces(cuts, [2]))
    assert np.array_equal(rows_of(zeros[0][1], 6), np.zeros((452, 6)))


@pytest.mark.parametrize("solver", ["cg", "cholesky"])
def test_a_block_is_solved_as_by_the_ratings_it_is_of(solver):
    rng = np.random.default_rng(0)
    matrix = check_matrix(random_array((40, 30), density=0.3, rng=rng))
    model = ExplicitALS(4, solver=solver)
    model.mean_, model.spread_ = 0.5, 0.3
    users, items = aligned_zeros(40, 5), aligned_zeros(30, 5)
    start_ratings(items, 4, 0.3, rng)
    vectors = turn_rows(bytes_of(items), Turn.unchanged(5))
    half = RatingHalf(30, Turn.unchanged(5), model)
    solutions = half.start(bytes_of(users), 2)
    block = Block(3, matrix.indptr, matrix.indices, matrix.data)
    found = half.solve(block, solutions, vectors, 2)
    ratings = Ratings(model, matrix)
    errors = ratings.solve(users, items, 0.5, 3 if solver == "cg" else 0, 1)
    assert np.array_equal(solutions, users)
    assert found == (errors + ratings.penalty_of(users), ratings.penalty_of(users))
    assert np.array_equal(rows_of(half.row(block, solutions, found)[1], 5), users)
    check_sums_of_rows(half, matrix, vectors, solutions)
