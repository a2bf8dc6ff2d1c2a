"""Regression of the faded future of sequences on their faded past, over every prefix, without making one."""

from collections.abc import Callable

import numpy as np
from scipy.sparse import csr_array

from fastrec.kernels.lanes import padded_width
from fastrec.kernels.prefixes import Fading, Occurrences, sum_prefixes
from fastrec.matrix.arrays import Floats, aligned_zeros, readonly, starts_of
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr
from fastrec.matrix.rows import transpose
from fastrec.matrix.sequences import Sequences
from fastrec.parallel import balanced_cuts, run_pieces
from fastrec.solvers.inversion import invert_lower, solve_in_place
from fastrec.solvers.truncated_svd import SparseProduct

PIECES = 64
TILE = 512  # rows and columns that are added to their mirror image at a time
# Below this density the product of the inverse with a sparse right side takes less time than substitution does.
SPARSE = 0.1


def find_occurrences(sequences: Sequences, n_items: int, power: float) -> Occurrences:
    """Where each item occurs; a sequence of n events weighs (n - 1) to the power of -`power`, and 0 if it is one."""
    lengths = np.diff(sequences.starts)
    users = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    places = np.argsort(sequences.items, kind="stable")
    weights = np.where(lengths > 1, np.maximum(lengths - 1, 1).astype(np.float64) ** -power, 0).astype(np.float32)
    indptr = starts_of(np.bincount(sequences.items, minlength=n_items))
    return Occurrences(
        readonly(sequences.starts),
        readonly(sequences.items),
        readonly(weights),
        readonly(indptr),
        readonly(places),
        readonly(users[places]),
    )


def make_fading(memory: float, ahead: float, window: int, longest: int) -> Fading:
    """The series of `sum_prefixes`, for distances up to `window` and sequences of up to `longest` events.

    >>> make_fading(0.5, 0.5, 2, 2).cross, make_fading(0.5, 0.0, 2, 2).tails
    (array([0., 1., 1.], dtype=float32), array([0.  , 1.  , 1.25], dtype=float32))
    """
    distances = np.arange(window + 1, dtype=np.float64)
    if memory == ahead:
        cross = distances * memory ** np.maximum(distances - 1, 0)
    else:
        cross = (memory**distances - ahead**distances) / (memory - ahead)
    tails = np.concatenate([np.zeros(1), np.cumsum(memory ** (2 * np.arange(longest, dtype=np.float64)))])
    return Fading(*(readonly(part.astype(np.float32)) for part in (cross, memory**distances, tails)))


def sum_over_prefixes(
    sequences: Sequences, n_items: int, memory: float, ahead: float, window: int, power: float, n_jobs: int
) -> tuple[CodeMatrix, Floats]:
    """Σ s yᵀ, sparse, and the lower triangle of Σ s sᵀ, dense: float32, of shape (n_items, n_items)."""
    events = find_occurrences(sequences, n_items, power)
    fading = make_fading(memory, ahead, window, int(np.diff(sequences.starts).max(initial=0)))
    past = np.empty((n_items, n_items), np.float32)
    cuts = np.unique(balanced_cuts(np.diff(events.indptr) * window + n_items // 8 + 1, PIECES))

    def sum_piece(piece: int) -> csr_array:
        first, last = int(cuts[piece]), int(cuts[piece + 1])
        future = np.empty((last - first, n_items), np.float32)
        sum_prefixes(events, fading, first, last, future, past)
        return csr_array(future)

    parts = run_pieces(sum_piece, range(len(cuts) - 1), n_jobs)
    _add_mirrored(past, n_jobs)
    lengths = np.concatenate([np.diff(part.indptr) for part in parts])
    data, indices = (np.concatenate([getattr(part, name) for part in parts]) for name in ("data", "indices"))
    return assemble_csr(data, indices.astype(np.int32, copy=False), starts_of(lengths), past.shape), past


def _add_mirrored(matrix: Floats, n_jobs: int) -> None:
    """Add the upper triangle, mirrored, to the lower one; the diagonal is doubled."""
    n = len(matrix)

    def add_rows(top: int) -> None:
        rows = slice(top, top + TILE)
        for left in range(0, top, TILE):
            columns = slice(left, left + TILE)
            matrix[rows, columns] += matrix[columns, rows].T
        matrix[rows, rows] = matrix[rows, rows] + matrix[rows, rows].T

    run_pieces(add_rows, range(0, n, TILE), n_jobs)


def regress(gramian: Floats, future: CodeMatrix, n_jobs: int, advance: Callable[[], object]) -> Floats:
    """A⁻¹ S of a positive definite A, whose lower triangle is given and spoiled, and a sparse S: float32, dense.

    `advance` is called 3 · `count_tiles(n)` times.

    Raises
    ------
    NotPositiveDefiniteError
        Where A is not, as far as float32 can tell.
    """
    n = len(gramian)
    if future.nnz > SPARSE * n * n:
        right: Floats = future.toarray()
        solve_in_place(gramian, right, n_jobs, advance)
        return right
    invert_lower(gramian, n_jobs, advance)
    inverse = aligned_zeros(n, padded_width(n))
    for top in range(0, n, TILE):
        rows = slice(top, min(top + TILE, n))
        inverse[rows, :top] = gramian[rows, :top]
        inverse[:top, rows] = gramian[rows, :top].T
        tile = np.tril(gramian[rows, rows])
        inverse[rows, rows] = tile + np.tril(tile, -1).T
    mirrored = SparseProduct(transpose(future, n_jobs)).times(inverse, n_jobs)[:, :n]
    return np.ascontiguousarray(mirrored.T)
