"""The weights of SLIM: a non-negative regression of each item on the others, from the Gramian of all."""

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.slim import fit_dense, fit_on_supports
from fastrec.kernels.supports import Gramian
from fastrec.matrix.arrays import Codes, Floats, readonly, starts_of
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr
from fastrec.matrix.rows import pick_rows, transpose
from fastrec.parallel import run_pieces
from fastrec.solvers.gramian import by_popularity, gather_entries, squared_norms, whole_gramian
from fastrec.solvers.supports import join_weights, strongest_supports

# the gradient, relative to the largest one at zero weights, at which a solution is accepted
TOLERANCE = np.float32(1e-5)
SWEEPS, ROUNDS = 1000, 1000
ROWS = 16  # items solved at a time


def solve_dense(matrix: CodeMatrix, l1: float, l2: float, n_jobs: int) -> CodeMatrix:
    """Solves for the weights W ≥ 0, with a zero diagonal, that minimise ½‖X - XW‖² + l2/2 ‖W‖² + l1 Σ W.

    Parameters
    ----------
    matrix
        X, of shape (n_users, n), with values of at least 0.

    Returns
    -------
    CodeMatrix of shape (n, n)
        The weights; the entry in row i and column j is that from item i to item j.
    """
    n = matrix.shape[1]
    items, order = by_popularity(matrix, n_jobs)
    gramian = readonly(whole_gramian(transpose(items, n_jobs), n_jobs))
    penalties = np.float32(l1), np.float32(l2)
    found: dict[int, tuple[Floats, Codes, NDArray[np.int64]]] = {}

    def solve_piece(first: int) -> None:
        last = min(first + ROWS, n)
        weights = np.zeros((last - first, n), np.float32)
        fit_dense(gramian, *penalties, TOLERANCE, SWEEPS, ROUNDS, first, last, weights)
        rows, codes = np.nonzero(weights)
        found[first] = weights[rows, codes], order[codes], np.bincount(rows, minlength=last - first)

    run_pieces(solve_piece, range(0, n, ROWS), n_jobs)
    parts = zip(*(found[first] for first in range(0, n, ROWS)), strict=True)
    values, codes, lengths = (np.concatenate(part) for part in parts)
    predicted = assemble_csr(values, codes, starts_of(lengths), (n, n))
    return transpose(pick_rows(predicted, np.argsort(order)), n_jobs)


def solve_sparse(matrix: CodeMatrix, l1: float, l2: float, neighbors: int, threshold: float, n_jobs: int) -> CodeMatrix:
    """Solves the same problem, each item with only the `neighbors` items that would predict it best alone.

    Entries of the Gramian below `threshold` · √(g_ii + l2) √(g_jj + l2) count as 0.
    """
    n = matrix.shape[1]
    items, order = by_popularity(matrix, n_jobs)
    users = transpose(items, n_jobs)
    diagonal = squared_norms(users) + l2
    k = min(neighbors, max(1, n - 1))
    supports = readonly(strongest_supports(items, users, diagonal, k, 1, n_jobs))
    lower = gather_entries(items, users, 1 / np.sqrt(diagonal), threshold, n_jobs)
    parts = (*lower, diagonal.astype(np.float32), np.full(n, l2))
    gramian = Gramian(*(readonly(part) for part in parts))
    weights = np.zeros(supports.shape, np.float32)
    run_pieces(
        lambda first: fit_on_supports(
            gramian, supports, np.float32(l1), TOLERANCE, SWEEPS, first, min(first + ROWS, n), weights
        ),
        range(0, n, ROWS),
        n_jobs,
    )
    return join_weights(supports, weights, None, order, n_jobs)
