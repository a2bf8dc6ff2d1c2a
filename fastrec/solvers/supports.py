"""Regressions with their own supports: the few items that may predict each item."""

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.supports import Gramian, choose_supports, solve_supports
from fastrec.matrix.arrays import Codes, Floats, inverse_order, readonly, starts_of
from fastrec.matrix.cells import row_numbers
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr, keep_entries
from fastrec.matrix.rows import transpose
from fastrec.parallel import balanced_cuts, run_pieces
from fastrec.solvers.neighbors import PIECES, columns_of, nearest_columns, rows_of
from fastrec.solvers.similarity import undivided

Doubles = NDArray[np.float64]

# A small system is solved when its squared residual has fallen by this factor, to the rounding of float32. 1e-8 left
# errors of a thousandth in weights, and saved a twentieth of the time.
TOLERANCE = 1e-14
STEPS = 100
ROWS = 64  # systems solved at a time


def gramian_of(lower: CodeMatrix, penalties: Doubles, threshold: float) -> Gramian:
    """Completes the Gramian of a given lower triangle, with penalties added to its diagonal.

    Entries below `threshold` · √(g_ii + penalty_i) √(g_jj + penalty_j) are left out.
    """
    diagonal = lower.diagonal() + penalties
    rows, scales = row_numbers(lower), (1 / np.sqrt(diagonal)).astype(np.float32)
    strong = np.abs(lower.data) * scales[rows] * scales[lower.indices] >= np.float32(threshold)
    kept = keep_entries(lower, strong & (lower.indices < rows))
    parts = kept.indptr, kept.indices, kept.data, diagonal.astype(np.float32), penalties.astype(np.float64)
    return Gramian(*map(readonly, parts))


def regress_on_supports(gramian: Gramian, right: CodeMatrix, k: int, n_jobs: int) -> tuple[Codes, Floats]:
    """Finds for each column s of a right side its support: itself and the k rows that predict it best alone; and A⁻¹ s
    on it.

    An item is in its own support, since it rarely follows itself: its weight there is negative, which raises the
    others' weights.

    Parameters
    ----------
    gramian
        A.
    right
        S, of shape (n, n), its values above 0. A row i alone explains s_i² / a_ii.

    Returns
    -------
    supports, weights : ndarray of shape (n, k + 1)
        The codes of rows, padded with -1.
    """
    columns, n = rows_of(transpose(right, n_jobs)), right.shape[1]
    if len(columns.values) != len(columns.indices):
        columns = columns._replace(values=readonly(np.broadcast_to(columns.values, len(columns.indices))))
    strengths = readonly((1 / np.sqrt(gramian.diagonal)).astype(np.float32))
    supports, rights = np.empty((n, k + 1), np.int32), np.empty((n, k + 1), np.float32)
    cuts = balanced_cuts(np.diff(columns.indptr) + 1, PIECES)
    run_pieces(
        lambda piece: choose_supports(columns, strengths, int(cuts[piece]), int(cuts[piece + 1]), supports, rights),
        range(PIECES),
        n_jobs,
    )
    supports, rights, weights = readonly(supports), readonly(rights), np.zeros(rights.shape, np.float32)

    def solve_piece(first: int) -> None:
        solve_supports(gramian, supports, rights, TOLERANCE, STEPS, first, min(first + ROWS, n), weights)

    run_pieces(solve_piece, range(0, n, ROWS), n_jobs)
    return supports, weights


def join_weights(supports: Codes, weights: Floats, own: Floats | None, order: Codes, n_jobs: int) -> CodeMatrix:
    """Joins the weights to each item, in the given order of items, to a matrix with rows by the codes of source items.

    `own` has each item's weight to itself.
    """
    n = len(order)
    filled = (supports >= 0) & (weights != 0)
    codes, values = order[supports], weights
    if own is not None:
        filled = np.column_stack([filled, own != 0])
        codes, values = np.column_stack([codes, order]), np.column_stack([weights, own])
    rank = inverse_order(order)
    filled, codes, values = filled[rank], codes[rank], values[rank]
    indptr = starts_of(filled.sum(axis=1))
    return transpose(assemble_csr(values[filled], codes[filled], indptr, (n, n)), n_jobs)


def strongest_supports(items: CodeMatrix, users: CodeMatrix, diagonal: Doubles, k: int, least: int, jobs: int) -> Codes:
    """Finds the k items that would predict each item best alone: those with the largest |g_ij| / √(g_ii + Λ_i).

    Only items with at least `least` common users count.
    """
    right = np.sqrt(diagonal)
    divisor = undivided(len(diagonal))._replace(right=right)
    columns = columns_of(_absolute(users), right)
    weights = np.ones(users.shape[0], np.float32)
    codes, _ = nearest_columns(rows_of(_absolute(items)), columns, weights, divisor, k, True, jobs, least)
    codes.sort(axis=1)  # in order of popularity; empty places sort to the front, and then move to the end
    empty = (codes < 0).sum(axis=1)
    rolled: Codes = np.take_along_axis(codes, (np.arange(k) + empty[:, None]) % k, axis=1)
    return rolled


def _absolute(matrix: CodeMatrix) -> CodeMatrix:
    return assemble_csr(np.abs(matrix.data), matrix.indices, matrix.indptr, matrix.shape)
