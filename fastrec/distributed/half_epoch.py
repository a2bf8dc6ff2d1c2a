"""Half an epoch in executors: the driver's k² numbers, and the work on each block."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastrec.distributed.blocks import Block
from fastrec.distributed.cells import array_of, bytes_of
from fastrec.matrix.arrays import Floats, aligned_zeros
from fastrec.parallel import one_blas_thread
from fastrec.solvers.als import Gathered, Side, Solver, gather, rotate, start_rows, sum_gramian

STATE = pa.schema(
    [
        ("piece", pa.int32()),
        ("factors", pa.binary()),
        ("gram", pa.binary()),
        ("loss", pa.float64()),
        ("penalty", pa.float64()),
    ]
)
Row = tuple[int, pa.Buffer, pa.Buffer, float, float]
"""A piece of one side's factors: a row of `STATE`."""


class Turn(NamedTuple):
    """The transfer of one side's factors to the other: rotated into their eigenbasis, and narrowed."""

    basis: Floats  # (width, width)
    eigenvalues: NDArray[np.float64]  # (factors,)
    dtype: str

    @property
    def width(self) -> int:
        """The number of numbers in a row."""
        return len(self.basis)

    @property
    def kind(self) -> Any:
        """The type of the numbers in transfer."""
        return np.float32 if self.dtype == "float32" else np.uint16


class Weights(NamedTuple):
    """The loss: as in `ImplicitALS`."""

    alpha: float
    regularization: float
    exponent: float


class HalfEpoch(NamedTuple):
    """The driver's description of half an epoch."""

    n_others: int
    turned: tuple[Floats, ...]  # the rotations still to apply to own rows, in order
    turn: Turn
    weights: Weights
    solver: Solver


def start_piece(piece: int, rows: int, first: int, width: int, factors: int, seed: list[int]) -> Row:
    """The first factors of a piece."""
    array = aligned_zeros(rows, width)
    start_rows(array, factors, seed, first)
    return state_row(piece, array)


def turn_rows(cell: Any, turn: Turn, n_jobs: int = 1) -> Gathered:
    """A piece of the other side in the form for kernels."""
    rows = rows_of(cell, turn.width)
    with one_blas_thread():
        rotate(rows, turn.basis, n_jobs)
    return gather(rows, turn.eigenvalues, turn.dtype, n_jobs)


def solve_block(block: Block, own: Any, vectors: Gathered, half: HalfEpoch, n_jobs: int) -> Row:
    """Solves a block's rows, whose earlier factors are in the cell `own`."""
    solutions = rows_of(own, half.turn.width)
    side = Side(block.training(half.n_others), *half.weights)
    with one_blas_thread():
        for basis in half.turned:
            rotate(solutions, basis, n_jobs)
    objective = side.solve(solutions, vectors, replace(half.solver, n_jobs=n_jobs))
    return state_row(block.piece, solutions, objective.loss, objective.penalty)


def state_row(piece: int, factors: Floats, loss: float = 0.0, penalty: float = 0.0) -> Row:
    """A piece's factors with their Gramian, and their part of the objective."""
    with one_blas_thread():
        gram = sum_gramian(factors)
    return piece, bytes_of(factors), bytes_of(gram), loss, penalty


def rows_of(cell: Any, width: int) -> Floats:
    """The factors in a cell: a copy that starts at a cache line."""
    given = array_of(cell, np.float32).reshape(-1, width)
    rows = aligned_zeros(*given.shape)
    rows[:] = given
    return rows
