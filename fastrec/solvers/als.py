"""Alternating least squares over dense factors and sparse entries: each side's half of an epoch, dealt to threads.

The arrays of factors are float32, C-contiguous and of a width that is a multiple of sixteen, the columns beyond the
factors zero.
"""

import itertools
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels._jit import Static
from fastrec.kernels.als import REGISTERS, Equations, narrow, solve_rows_cg, solve_rows_cholesky
from fastrec.kernels.als_folding import fold_rows
from fastrec.kernels.sparse import Entries, sum_rows
from fastrec.matrix.arrays import Codes, Floats, aligned_zeros, readonly
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.rows import shared_value
from fastrec.parallel import balanced_cuts, run_pieces

BLOCK = 1024  # rows multiplied at a time, so that a block and its product stay in the cache
PIECES = 64  # the maximum number of pieces of a half epoch: enough for any balance, few enough to cost nothing
LARGEST = float(np.finfo(np.float32).max)  # the largest weight of a row
PIECE_COST = 10_000  # the minimum number of entries in a piece
ROW_COST = 16  # the cost of a row besides its entries, in entries
ONE = np.float32(1)


class Gathered(NamedTuple):
    """The vectors of the other side in the form for kernels, made once for all rows of a half epoch.

    Parameters
    ----------
    vectors
        float32, or float16 as its bits in uint16, of shape (n, width), times `scale`.
    scale
        A power of two that fits the vectors to float16's range.
    eigenvalues
        The eigenvalues of the vectors' Gramian, without the scale, of shape (factors,), the largest first.
    """

    vectors: NDArray[Any]
    scale: float
    eigenvalues: NDArray[np.float64]

    def numbers(self, codes: Codes) -> NDArray[np.float64]:
        """Some vectors as numbers, without the scale, of shape (n, width)."""
        rows = self.vectors[codes]
        return (rows.view(np.float16) if rows.dtype == np.uint16 else rows).astype(np.float64) / self.scale


class Fixed(NamedTuple):
    """The vectors of the other side in the form for fold-in, made once for all that is folded in.

    Parameters
    ----------
    vectors
        float32, flat: n vectors of `width` numbers, read-only.
    squares
        The eigenvalues of the vectors' Gramian, float32, of shape (width,), with ones for padding, read-only.
    width
        The width of the vectors: known to the compiler, if a row fits in registers.
    """

    vectors: Floats
    squares: NDArray[np.float32]
    width: Static | int

    @classmethod
    def of(cls, vectors: Floats, eigenvalues: NDArray[np.float64]) -> "Fixed":
        """Makes the form of vectors of shape (n, width), with the eigenvalues of their Gramian."""
        width = vectors.shape[1]
        size = Static(width) if width <= REGISTERS else width
        return cls(readonly(vectors.reshape(-1)), padded_squares(eigenvalues, 1.0, width), size)


class Objective(NamedTuple):
    """One side's part of the objective; the parts add up to the whole."""

    loss: float  # the sum over the rows, their own penalties included
    penalty: float  # the sum of these penalties alone


@dataclass(frozen=True)
class Solver:
    """The solver of the rows.

    Parameters
    ----------
    method
        "cg" or "cholesky".
    steps, tolerance
        Conjugate-gradient steps at most, and the share of the squared residual at which a row is done.
    relaxation
        The factor by which each row moves past its solution.
    n_jobs
        The number of threads.
    """

    method: str
    steps: int
    tolerance: float
    relaxation: float
    n_jobs: int


class Side:
    """One side's rows: their entries, their penalties, and their pieces for threads.

    Parameters
    ----------
    matrix
        The matrix, with this side's rows and the other side's columns.
    alpha, regularization, exponent
        As in `ImplicitALS`.
    """

    def __init__(self, matrix: CodeMatrix, alpha: float, regularization: float, exponent: float) -> None:
        self.entries = Entries(*map(readonly, (matrix.indptr, matrix.indices, shared_value(matrix.data))))
        self.alpha = np.float32(alpha)
        n, width = matrix.shape
        sums = np.empty(n)
        sum_rows(self.entries.indptr, self.entries.values, sums)
        confidence = width + alpha * sums
        weights = np.minimum(confidence**exponent, LARGEST)
        self.penalties = (regularization * weights).astype(np.float32)
        self.weights = None if exponent == 0 else weights.astype(np.float32)
        pieces = min(PIECES, 1 + (len(self.entries.indices) + ROW_COST * n) // PIECE_COST)
        self.cuts = [0, n] if pieces == 1 else _cut_rows(matrix, pieces)

    def solve(self, solutions: Floats, gathered: Gathered, solver: Solver) -> Objective:
        """Moves each row of `solutions`, in place, towards its solution given the other side's vectors.

        Both are in the eigenbasis of these vectors' Gramian. Returns the objective after the step.
        """
        width = solutions.shape[1]
        equations = self._equations(gathered)
        losses, norms = np.empty(len(solutions)), np.empty(len(solutions))
        flat = solutions.reshape(-1)
        size = Static(width) if width <= REGISTERS else width

        def solve_piece(piece: int) -> None:
            first, last = self.cuts[piece], self.cuts[piece + 1]
            if solver.method == "cholesky":
                relaxation = np.float32(solver.relaxation)
                solve_rows_cholesky(self.entries, first, last, equations, width, relaxation, flat, losses, norms)
                return
            solve_rows_cg(
                self.entries, first, last, equations, size, solver.steps, np.float32(solver.tolerance),
                np.float32(solver.relaxation), flat, losses, norms,
            )  # fmt: skip

        run_pieces(solve_piece, range(len(self.cuts) - 1), solver.n_jobs)
        return Objective(float(losses.sum()), float(norms.sum()))

    def fold(self, fixed: Fixed, n_jobs: int) -> Floats:
        """Solves each row given the other side's vectors, with the accuracy stated in docs/explanation/ials.md."""
        vectors, squares, width = fixed
        solutions = aligned_zeros(len(self.penalties), len(squares))
        equations, flat = Equations(vectors, squares, readonly(self.penalties), self.alpha, ONE), solutions.reshape(-1)

        def fold_piece(piece: int) -> None:
            fold_rows(self.entries, self.cuts[piece], self.cuts[piece + 1], equations, width, flat)

        run_pieces(fold_piece, range(len(self.cuts) - 1), n_jobs)
        return solutions

    def _equations(self, gathered: Gathered) -> Equations:
        """The common part of the rows' equations."""
        vectors, scale, eigenvalues = gathered
        squares = padded_squares(eigenvalues, scale, vectors.shape[1])
        penalties = self.penalties * np.float32(scale**2)
        return Equations(readonly(vectors.reshape(-1)), squares, readonly(penalties), self.alpha, np.float32(scale))


def _cut_rows(matrix: CodeMatrix, pieces: int) -> list[int]:
    """Cuts rows into at most so many pieces of about equal cost."""
    cuts: list[int] = np.unique(balanced_cuts(np.diff(matrix.indptr) + ROW_COST, pieces)).tolist()
    return cuts


def padded_squares(eigenvalues: NDArray[np.float64], scale: float, width: int) -> NDArray[np.float32]:
    """The floored eigenvalues of scaled vectors, and ones for their padding, of shape (width,), read-only."""
    squares = np.ones(width, np.float32)
    squares[: len(eigenvalues)] = floored(eigenvalues) * scale**2
    return readonly(squares)


def floored(eigenvalues: NDArray[np.float64]) -> NDArray[np.float64]:
    """The eigenvalues, none below 1e-7 of the largest: smaller ones of a float32 Gramian are rounding errors."""
    floor: NDArray[np.float64] = np.maximum(eigenvalues, max(float(eigenvalues[0]), 1e-30) * 1e-7)
    return floor


def block_cuts(n: int) -> NDArray[np.int64]:
    """The cuts of n rows into pieces: at most 64 of them, cut at multiples of 1024 rows.

    >>> block_cuts(3000)
    array([   0, 1024, 2048, 3000])
    """
    step = BLOCK * max(1, -(-n // (BLOCK * PIECES)))
    return np.append(np.arange(0, max(n, 1), step), n)


def sum_gramian(factors: Floats, weights: Floats | None = None) -> NDArray[np.float64]:
    """The Gramian YᵀY of one piece, or Yᵀ diag(weights) Y, summed in float64 over blocks of 1024 rows, in order."""
    total = np.zeros((factors.shape[1], factors.shape[1]))
    for first in range(0, len(factors), BLOCK):
        block = factors[first : first + BLOCK]
        if weights is not None:
            block = block * np.sqrt(weights[first : first + BLOCK, None])
        total += block.T @ block
    return total


def gramian(factors: Floats, n_jobs: int, weights: Floats | None = None) -> NDArray[np.float64]:
    """The Gramian YᵀY, or Yᵀ diag(weights) Y, summed over pieces in their order, so that it depends neither on
    `n_jobs` nor on who summed a piece.
    """

    def sum_piece(piece: tuple[int, int]) -> NDArray[np.float64]:
        rows = slice(*piece)
        return sum_gramian(factors[rows], None if weights is None else weights[rows])

    parts = run_pieces(sum_piece, itertools.pairwise(block_cuts(len(factors))), n_jobs)
    return np.add.reduce(parts)  # type: ignore[no-any-return]


def start_rows(rows: Floats, factors: int, seed: list[int], first: int = 0) -> None:
    """Fills the first columns of rows with normal numbers of variance 0.01 / factors; each 1024 rows have a seed.

    `first` is the place of the rows among all, a multiple of 1024: filling a part gives the same as filling all.
    """
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK]
        rng = np.random.default_rng([*seed, (first + start) // BLOCK])
        block[:, :factors] = rng.standard_normal((len(block), factors), np.float32)
        block[:, :factors] *= np.float32(0.1 / math.sqrt(factors))


def rotate(factors: Floats, basis: Floats, n_jobs: int) -> None:
    """Multiplies rows by a basis, in place."""

    def rotate_block(first: int) -> None:
        block = factors[first : first + BLOCK]
        block[:] = block @ basis

    run_pieces(rotate_block, range(0, len(factors), BLOCK), n_jobs)


def gather(vectors: Floats, eigenvalues: NDArray[np.float64], dtype: str, n_jobs: int) -> Gathered:
    """The vectors as `dtype`, "float16" or "float32".

    No entry is above the square root of the largest eigenvalue, which is the sum of a whole column's squares.
    """
    if dtype == "float32":
        return Gathered(vectors, 1.0, eigenvalues)
    largest = math.sqrt(float(eigenvalues[0]))
    scale = 2.0 ** min(40, 14 - math.frexp(largest)[1])
    halves = aligned_zeros(len(vectors), vectors.shape[1], np.uint16)

    def narrow_block(first: int) -> None:
        block = slice(first, first + BLOCK)
        narrow(vectors[block].reshape(-1), np.float32(scale), halves[block].reshape(-1))

    run_pieces(narrow_block, range(0, len(vectors), BLOCK), n_jobs)
    return Gathered(halves, scale, eigenvalues)
