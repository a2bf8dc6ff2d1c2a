"""Half an epoch in executors starts, sends and solves pieces with the bits of a single machine."""

import numpy as np
from scipy.sparse import random_array

from fastrec.distributed.blocks import Block
from fastrec.distributed.cells import array_of, bytes_of
from fastrec.distributed.half_epoch import HalfEpoch, Turn, Weights, rows_of, solve_block, start_piece, turn_rows
from fastrec.matrix.arrays import aligned_zeros
from fastrec.matrix.code_matrix import check_matrix
from fastrec.solvers.als import Gathered, Side, Solver, eigenbasis, gather, gramian, rotate, start_rows


def test_pieces_start_as_the_whole_does():
    whole = aligned_zeros(1500, 16)
    start_rows(whole, 5, [1, 0])
    second = start_piece(1, 476, 1024, 16, 5, [1, 0])
    assert np.array_equal(rows_of(second[1], 16), whole[1024:])
    assert np.array_equal(array_of(second[2], np.float64).reshape(16, 16), gramian(whole[1024:].copy(), 1))


def test_a_block_is_solved_as_by_the_side_it_is_of():
    rng = np.random.default_rng(0)
    matrix = check_matrix(random_array((40, 30), density=0.3, rng=rng))
    users, items = aligned_zeros(40, 16), aligned_zeros(30, 16)
    start_rows(users, 9, [0, 0])
    start_rows(items, 9, [0, 1])
    state = bytes_of(users), bytes_of(items)
    values, basis = eigenbasis(gramian(items, 1), 9)
    solver = Solver("cg", 2, 0.0, 1.0, 1)
    turn = Turn(basis, values, "float16")
    half = HalfEpoch(30, (basis, basis), turn, Weights(2.0, 0.01, 1.0), solver)
    part = turn_rows(state[1], turn)
    block = Block(0, matrix.indptr, matrix.indices, matrix.data)
    row = solve_block(block, state[0], Gathered(part.vectors, part.scale, values), half, 2)
    for _ in half.turned:
        rotate(users, basis, 1)
    rotate(items, basis, 1)
    objective = Side(matrix, 2.0, 0.01, 1.0).solve(users, gather(items, values, "float16", 1), solver)
    assert np.array_equal(rows_of(row[1], 16), users)
    assert row[3:] == (objective.loss, objective.penalty)
