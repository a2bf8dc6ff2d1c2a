"""Alternating least squares over dense factors and sparse entries: each side's half of an epoch, dealt to threads.

The arrays of factors are float32, C-contiguous and of a width that is a multiple of sixteen, the columns beyond the
factors zero.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels._jit import Static
from fastrec.kernels.als import REGISTERS, Entries, Equations, fold_rows, narrow, solve_rows_cg, solve_rows_cholesky
from fastrec.kernels.sparse import sum_rows
from fastrec.matrix.arrays import aligned_zeros, readonly
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.rows import shared_value
from fastrec.parallel import balanced_cuts, run_pieces

Floats = NDArray[np.float32]

BLOCK = 1024  # rows that are multiplied at a time, so that a block and its product stay in the cache
PIECES = 64  # pieces at most that a half epoch is dealt in: enough for any balance, few enough to cost nothing
PIECE_COST = 10_000  # entries at least in each of them
ROW_COST = 16  # what a row costs beside its entries, in entries


@dataclass(frozen=True)
class Solver:
    """How the rows are solved.

    Parameters
    ----------
    method
        "cg" or "cholesky".
    steps, tolerance
        Conjugate-gradient steps at most, and the share of the squared residual at which a row is done.
    relaxation
        How many times as far as its solution each row is moved.
    dtype
        "float16" or "float32": how the vectors of the other side are read.
    n_jobs
        The number of threads.
    """

    method: str
    steps: int
    tolerance: float
    relaxation: float
    dtype: str
    n_jobs: int


class Side:
    """One side's rows: their entries, the penalty of each, and how they are dealt to threads.

    Parameters
    ----------
    matrix
        Its rows against the other side's columns.
    alpha, regularization, exponent
        As in `ImplicitALS`.
    """

    def __init__(self, matrix: CodeMatrix, alpha: float, regularization: float, exponent: float) -> None:
        self.entries = Entries(*map(readonly, (matrix.indptr, matrix.indices, shared_value(matrix.data))))
        self.alpha = np.float32(alpha)
        lengths = np.diff(matrix.indptr)
        sums = np.empty(matrix.shape[0])
        sum_rows(self.entries.indptr, self.entries.values, sums)
        confidence = matrix.shape[1] + alpha * sums
        self.penalties = (regularization * confidence**exponent).astype(np.float32)
        cost = matrix.nnz + ROW_COST * len(lengths)
        pieces = min(PIECES, 1 + cost // PIECE_COST)
        self.cuts = np.unique(balanced_cuts(lengths + ROW_COST, pieces))

    def solve(self, solutions: Floats, vectors: Floats, eigenvalues: NDArray[np.float64], solver: Solver) -> float:
        """Move each row of `solutions`, in place, towards its solution given the other side's `vectors`.

        Both are in the eigenbasis of the Gramian of `vectors`, whose `eigenvalues` are given. Returns the loss after
        it: the sum over the rows, their own penalties included; `penalty` is then the sum of these alone.
        """
        width = solutions.shape[1]
        equations = self._equations(*_gathered(vectors, eigenvalues, solver), eigenvalues)
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
        self.penalty = float(norms.sum())
        return float(losses.sum())

    def fold(self, vectors: Floats, eigenvalues: NDArray[np.float64], n_jobs: int) -> Floats:
        """The solution of each row given the other side's `vectors`, as accurate as docs/ials.md says."""
        solutions = aligned_zeros(len(self.entries.indptr) - 1, vectors.shape[1])
        equations = self._equations(vectors, 1.0, eigenvalues)
        width, flat = vectors.shape[1], solutions.reshape(-1)
        size = Static(width) if width <= REGISTERS else width

        def fold_piece(piece: int) -> None:
            fold_rows(self.entries, self.cuts[piece], self.cuts[piece + 1], equations, size, flat)

        run_pieces(fold_piece, range(len(self.cuts) - 1), n_jobs)
        return solutions

    def _equations(self, vectors: NDArray[Any], scale: float, eigenvalues: NDArray[np.float64]) -> Equations:
        """What the rows' equations share, given the other side's vectors as they are read, times `scale`."""
        floor = max(float(eigenvalues[0]), 1e-30) * 1e-7  # below it a float32 Gramian says nothing
        squared = (np.maximum(eigenvalues, floor) * scale**2).astype(np.float32)
        squared = np.concatenate([squared, np.ones(vectors.shape[1] - len(squared), np.float32)])
        penalties = self.penalties * np.float32(scale**2)
        return Equations(
            readonly(vectors.reshape(-1)), readonly(squared), readonly(penalties), self.alpha, np.float32(scale)
        )


def gramian(factors: Floats, n_jobs: int) -> NDArray[np.float64]:
    """YᵀY, summed in float64 over fixed blocks in a fixed order, so that it does not depend on `n_jobs`."""
    pieces = min(PIECES, 1 + len(factors) // BLOCK)
    cuts = np.linspace(0, len(factors), pieces + 1).astype(np.int64)

    def sum_piece(piece: int) -> NDArray[np.float64]:
        total = np.zeros((factors.shape[1], factors.shape[1]))
        for first in range(cuts[piece], cuts[piece + 1], BLOCK):
            block = factors[first : min(first + BLOCK, cuts[piece + 1])]
            total += block.T @ block
        return total

    return np.add.reduce(run_pieces(sum_piece, range(pieces), n_jobs))  # type: ignore[no-any-return]


def eigenbasis(matrix: NDArray[np.float64], factors: int) -> tuple[NDArray[np.float64], Floats]:
    """Eigenvalues, the largest first, of shape (factors,), and eigenvectors of the part of a Gramian that is in use.

    The eigenvectors are of the Gramian's own shape: columns beyond the factors are zero.
    """
    if not np.isfinite(matrix).all():
        raise FloatingPointError("the factors are not finite: stronger regularization or smaller values may help")
    values, vectors = np.linalg.eigh(matrix[:factors, :factors])
    basis = np.zeros(matrix.shape, np.float32)
    basis[:factors, :factors] = vectors[:, ::-1]
    return np.maximum(values[::-1], 0), basis


def rotate(factors: Floats, basis: Floats, n_jobs: int) -> None:
    """Multiply rows by a basis, in place."""

    def rotate_block(first: int) -> None:
        block = factors[first : first + BLOCK]
        block[:] = block @ basis

    run_pieces(rotate_block, range(0, len(factors), BLOCK), n_jobs)


def _gathered(vectors: Floats, eigenvalues: NDArray[np.float64], solver: Solver) -> tuple[NDArray[Any], float]:
    """The vectors as the kernel reads them, and the power of two that they were multiplied by to use float16's range.

    No entry is above the square root of the largest eigenvalue, which is the sum of a whole column's squares.
    """
    if solver.dtype == "float32":
        return vectors, 1.0
    largest = math.sqrt(float(eigenvalues[0]))
    scale = 2.0 ** min(40, 14 - math.frexp(largest)[1])
    halves = aligned_zeros(len(vectors), vectors.shape[1], np.uint16)

    def narrow_block(first: int) -> None:
        block = slice(first, first + BLOCK)
        narrow(vectors[block].reshape(-1), np.float32(scale), halves[block].reshape(-1))

    run_pieces(narrow_block, range(0, len(vectors), BLOCK), solver.n_jobs)
    return halves, scale
