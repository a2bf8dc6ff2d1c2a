"""Half an epoch in executors: the transfer of the other side's factors, and the state of each piece."""

from typing import Any, NamedTuple, Protocol, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastrec.distributed.blocks import Block
from fastrec.distributed.cells import array_of, bytes_of
from fastrec.matrix.arrays import Codes, Floats, aligned_zeros
from fastrec.parallel import one_blas_thread
from fastrec.solvers.als import Gathered, Objective, gather, rotate, sum_gramian

STATE = pa.schema(
    [
        ("piece", pa.int32()),
        ("factors", pa.binary()),
        ("gram", pa.binary()),  # empty if no half epoch needs it
        ("weighted", pa.binary()),  # the Gramian weighted by penalties; likewise
        ("loss", pa.float64()),
        ("penalty", pa.float64()),
    ]
)
Row = tuple[int, pa.Buffer, pa.Buffer, pa.Buffer, float, float]
"""A piece of one side's factors: a row of `STATE`."""


class Turn(NamedTuple):
    """The transfer of one side's factors to the other: rotated into their eigenbasis and narrowed, or unchanged."""

    basis: Floats | None  # (width, width)
    eigenvalues: NDArray[np.float64]  # (factors,)
    dtype: str
    own: Floats | None = None  # (width, width): the basis of the rows that are solved, if it changes

    @classmethod
    def unchanged(cls, width: int) -> Self:
        """The transfer of factors as they are."""
        return cls(None, np.ones(width), "float32")

    @property
    def width(self) -> int:
        """The number of numbers in a row."""
        return len(self.eigenvalues if self.basis is None else self.basis)

    @property
    def kind(self) -> Any:
        """The type of the numbers in transfer."""
        return np.float32 if self.dtype == "float32" else np.uint16


class RowSums(NamedTuple):
    """Sums over the entries of a row, from which it can be solved.

    Parameters
    ----------
    matrix, right, constant
        The quadratic form x·(matrix x) - 2 right·x + constant, the row's part of the loss that its entries make up.
    values
        The sum of the values.
    entries
        The number of entries.
    """

    matrix: NDArray[np.float64]
    right: NDArray[np.float64]
    constant: float
    values: float
    entries: float

    def flat(self) -> NDArray[np.float64]:
        """The numbers, one after the other, in one array."""
        return np.concatenate([self.matrix.ravel(), self.right, [self.constant, self.values, self.entries]])

    @classmethod
    def of(cls, flat: NDArray[np.float64]) -> Self:
        """The sums in an array of `flat`."""
        width = round((len(flat) - 2.75) ** 0.5 - 0.5)  # of width² + width + 3 numbers
        return cls(flat[: width**2].reshape(width, width), flat[width**2 : -3], *map(float, flat[-3:]))


class Half(Protocol):
    """The driver's description of half an epoch."""

    @property
    def turn(self) -> Turn:
        """The transfer of the other side's factors."""

    def start(self, own: Any, n_jobs: int) -> Floats:
        """The earlier factors of a piece, in a cell, as the half epoch needs them."""

    def solve(self, block: Block, solutions: Floats, vectors: Gathered, n_jobs: int) -> Objective:
        """Solves a block's rows in place."""

    def sum_entries(self, indices: Codes, values: Floats, vectors: Gathered) -> RowSums:
        """The sums over some entries of a row."""

    def solve_sums(self, solution: Floats, sums: RowSums) -> Objective:
        """Solves a row in place from the sums over its entries."""

    def row(self, block: Block, factors: Floats, objective: Objective) -> Row:
        """The new state of a block's piece."""


def move_by_gradients(
    x: NDArray[np.float64],
    matrix: NDArray[np.float64],
    right: NDArray[np.float64],
    preconditioner: NDArray[np.float64],
    steps: int,
) -> NDArray[np.float64]:
    """The move of `steps` conjugate gradients from x towards the solution of a system, as the kernels of rows do them.

    `preconditioner` is a diagonal.
    """
    move, residual = np.zeros_like(x), right - matrix @ x
    direction = residual / preconditioner
    norm = residual @ direction
    for _ in range(steps):
        if not norm > 1e-30:
            break
        image = matrix @ direction
        length = norm / (direction @ image)
        move += length * direction
        residual -= length * image
        following = residual @ (residual / preconditioner)
        direction = residual / preconditioner + following / norm * direction
        norm = following
    return move


def turn_rows(cell: Any, turn: Turn, n_jobs: int = 1) -> Gathered:
    """A piece of the other side in the form for kernels."""
    rows = rows_of(cell, turn.width)
    if turn.basis is not None:
        with one_blas_thread():
            rotate(rows, turn.basis, n_jobs)
    return gather(rows, turn.eigenvalues, turn.dtype, n_jobs)


def state_row(
    piece: int, factors: Floats, loss: float = 0.0, penalty: float = 0.0, weights: Floats | None = None
) -> Row:
    """A piece's factors with their Gramian, the weighted one if there are weights, and their part of the objective."""
    with one_blas_thread():
        gram, weighted = sum_gramian(factors), np.empty(0) if weights is None else sum_gramian(factors, weights)
    return piece, bytes_of(factors), bytes_of(gram), bytes_of(weighted), loss, penalty


def solved_row(piece: int, factors: Floats, loss: float = 0.0, penalty: float = 0.0) -> Row:
    """A piece's factors with their part of the objective, and no Gramian."""
    return piece, bytes_of(factors), pa.py_buffer(b""), pa.py_buffer(b""), loss, penalty


def rows_of(cell: Any, width: int) -> Floats:
    """The factors in a cell: a copy that starts at a cache line."""
    given = array_of(cell, np.float32).reshape(-1, width)
    rows = aligned_zeros(*given.shape)
    rows[:] = given
    return rows
