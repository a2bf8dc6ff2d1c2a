"""Regression of the faded future of sequences on their faded past over every prefix, without building prefixes."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.prefixes import Fading, Listed, Occurrences, list_prefixes, sum_prefixes
from fastrec.kernels.session_neighbors import place_visits
from fastrec.matrix.arrays import Floats, readonly, starts_of
from fastrec.matrix.cells import count_codes, row_numbers
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr, drop_zeros, from_dense, keep_entries
from fastrec.matrix.rows import transpose, with_data
from fastrec.matrix.sequences import Sequences
from fastrec.parallel import balanced_cuts, run_pieces
from fastrec.solvers.elimination import solve_sparse_last
from fastrec.solvers.inversion import invert_lower
from fastrec.solvers.symmetric_products import multiply_in_place

PIECES = 64
TILE = 512  # rows and columns added to their mirror image at a time
# Below this density a product of the inverse with a sparse right side takes less time than substitution.
SPARSE = 0.2


class Series(NamedTuple):
    """The fading of past and future: see `LinearSequence`."""

    memory: float
    ahead: float
    window: int
    power: float
    before: float = 0.0  # the weight of a pair in Σ s yᵀ in reversed order


def find_occurrences(sequences: Sequences, n_items: int, power: float) -> Occurrences:
    """Finds the occurrences of each item; a sequence of n events weighs (n - 1) to the power of -`power`, and 0
    if it is one.
    """
    lengths = np.diff(sequences.starts)
    indptr = starts_of(count_codes(sequences.items, n_items))
    users, places = np.empty(len(sequences.items), np.int32), np.empty(len(sequences.items), np.int32)
    place_visits(readonly(sequences.starts), readonly(sequences.items), indptr[:-1].copy(), users, places)
    weights = np.where(lengths > 1, np.maximum(lengths - 1, 1).astype(np.float64) ** -power, 0).astype(np.float32)
    return Occurrences(
        readonly(sequences.starts),
        readonly(sequences.items),
        readonly(weights),
        readonly(indptr),
        readonly(sequences.starts[users] + places),
        readonly(users),
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
    sequences: Sequences, n_items: int, series: Series, n_jobs: int
) -> tuple[CodeMatrix | Floats, Floats]:
    """Σ s yᵀ and the lower triangle of Σ s sᵀ, which is dense: float32, of shape (n_items, n_items).

    The first is sparse if fewer than a share of `SPARSE` of its entries are not 0.
    """
    if has_few_pairs(sequences, n_items, series):
        listed, lower = list_over_prefixes(sequences, n_items, series, n_jobs)
        return listed, lower.toarray()
    events, fading = _read(sequences, n_items, series)
    future, past = (np.empty((n_items, n_items), np.float32) for _ in range(2))
    cuts = np.unique(balanced_cuts(np.diff(events.indptr) * series.window + n_items // 8 + 1, PIECES))

    def sum_piece(piece: int) -> None:
        first, last = int(cuts[piece]), int(cuts[piece + 1])
        sum_prefixes(events, fading, first, last, future[first:last], past)

    run_pieces(sum_piece, range(len(cuts) - 1), n_jobs)
    _add_mirrored(past, n_jobs)
    if series.before:
        future = future + np.float32(series.before) * future.T
    return (future if np.count_nonzero(future) > SPARSE * n_items * n_items else from_dense(future)), past


def has_few_pairs(sequences: Sequences, n_items: int, series: Series) -> bool:
    """Tells if Σ s yᵀ is sparse because there are too few pairs for more."""
    return count_pairs(np.diff(sequences.starts), series.window) <= SPARSE * n_items * n_items


def list_over_prefixes(
    sequences: Sequences, n_items: int, series: Series, n_jobs: int
) -> tuple[CodeMatrix, CodeMatrix]:
    """The product Σ s yᵀ and the lower triangle of Σ s sᵀ, both sparse; no array of size n_items × n_items is made."""
    events, fading = _read(sequences, n_items, series)
    most = np.minimum(np.diff(events.indptr) * series.window, n_items) + 1  # entries of each row
    cuts = np.unique(balanced_cuts(np.diff(events.indptr) * series.window + 1, PIECES))

    def list_piece(piece: int) -> Listed:
        first, last = int(cuts[piece]), int(cuts[piece + 1])
        future, past = np.zeros(n_items, np.float32), np.zeros(n_items, np.float32)
        room = int(most[first:last].sum()) + 1
        found = Listed(np.empty(last - first, np.int64), *(np.empty(room, kind) for kind in ("i4", "f4", "f4")))
        list_prefixes(events, fading, first, last, future, past, np.full(n_items, -1, np.int32), found)
        for part in found[1:]:
            part.resize(int(found.lengths.sum()), refcheck=False)  # unwritten memory was never allocated
        return found

    lengths, codes, cross, half = map(
        np.concatenate, zip(*run_pieces(list_piece, range(len(cuts) - 1), n_jobs), strict=True)
    )
    indptr, shape = starts_of(lengths), (n_items, n_items)
    future, past = (drop_zeros(assemble_csr(values, codes, indptr, shape)) for values in (cross, half))
    if series.before:
        back = transpose(future, n_jobs)
        future = _add_sparse(future, with_data(back, np.float32(series.before) * back.data))
    return future, _lower_of(past, n_jobs)


def count_pairs(lengths: NDArray[np.int64], window: int) -> int:
    """Counts the pairs of events of sequences that are at most `window` apart.

    >>> count_pairs(np.array([4, 1, 0]), 2)
    5
    """
    farthest = np.minimum(window, np.maximum(lengths - 1, 0))
    return int((farthest * lengths - farthest * (farthest + 1) // 2).sum())


def _read(sequences: Sequences, n_items: int, series: Series) -> tuple[Occurrences, Fading]:
    longest = int(np.diff(sequences.starts).max(initial=0))
    fading = make_fading(series.memory, series.ahead, series.window, longest)
    return find_occurrences(sequences, n_items, series.power), fading


def _add_sparse(one: CodeMatrix, other: CodeMatrix) -> CodeMatrix:
    both = one + other
    return assemble_csr(both.data, both.indices.astype(np.int32, copy=False), both.indptr.astype(np.int64), one.shape)


def _lower_of(half: CodeMatrix, n_jobs: int) -> CodeMatrix:
    """The lower triangle of a matrix added to its transpose."""
    whole = _add_sparse(half, transpose(half, n_jobs))
    return keep_entries(whole, whole.indices <= row_numbers(whole))


def _add_mirrored(matrix: Floats, n_jobs: int) -> None:
    """Adds the upper triangle, mirrored, to the lower one; the diagonal is doubled."""
    n = len(matrix)

    def add_rows(top: int) -> None:
        rows = slice(top, top + TILE)
        for left in range(0, top, TILE):
            columns = slice(left, left + TILE)
            matrix[rows, columns] += matrix[columns, rows].T
        matrix[rows, rows] = matrix[rows, rows] + matrix[rows, rows].T

    run_pieces(add_rows, range(0, n, TILE), n_jobs)


def regress(gramian: Floats, future: CodeMatrix | Floats, n_jobs: int, advance: Callable[[], object]) -> Floats:
    """Returns A⁻¹ S, float32 and dense, for a positive definite A, whose lower triangle is given and overwritten.

    A dense S is overwritten, too. It takes the least time if the rows of A with few numbers other than 0 are the last.

    `advance` is called 3 · `count_tiles(n)` times.

    Raises
    ------
    NotPositiveDefiniteError
        If A is not positive definite, as far as float32 can tell.
    """
    n = len(gramian)
    if not isinstance(future, CodeMatrix) or future.nnz > SPARSE * n * n:
        right: Floats = future.toarray() if isinstance(future, CodeMatrix) else future
        solve_sparse_last(gramian, right, n_jobs, advance)
        return right
    invert_lower(gramian, n_jobs, advance)
    multiply_in_place(gramian, future, n_jobs)
    return gramian
