"""The most similar columns of each row."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.lanes import padded_width
from fastrec.kernels.neighbors import BITS_ROWS, Candidates, Scale, find_neighbors, set_bits
from fastrec.kernels.sparse import Entries
from fastrec.matrix.arrays import Codes, Floats, readonly, starts_of
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr
from fastrec.matrix.rows import shared_value
from fastrec.parallel import balanced_cuts, run_pieces
from fastrec.solvers.similarity import Divisor

Doubles = NDArray[np.float64]

# The number of pieces of work: enough for any balance, few enough to cost nothing.
PIECES = 64


# a batch with fewer additions does not pay for a thread
WORTH_THREADS = 1 << 16


def rows_of(matrix: CodeMatrix) -> Entries:
    """A matrix in the form for kernels: one value if all are equal, otherwise one for each entry."""
    return Entries(readonly(matrix.indptr), readonly(matrix.indices), readonly(shared_value(matrix.data)))


def summed_rows(matrix: CodeMatrix) -> Entries:
    """Rows in the form for kernels that only sum: whether the values of a single row are equal is not looked at."""
    values = matrix.data if matrix.shape[0] == 1 else shared_value(matrix.data)
    return Entries(readonly(matrix.indptr), readonly(matrix.indices), readonly(values))


class WeightedColumns(NamedTuple):
    """The columns that rows are compared with, in the form for the kernel.

    Parameters
    ----------
    features
        The weighted columns by features.
    right
        The columns' part of the divisor, padded to a multiple of sixteen.
    bits
        The columns as bits by features (`bits_of`), if they are the rows, too; of length 0 if products are added up.
    """

    features: Entries
    right: Floats
    bits: NDArray[np.int64]


def columns_of(cells: CodeMatrix, right: Doubles, bits: NDArray[np.int64] | None = None) -> WeightedColumns:
    """Makes weighted columns, of shape (features, columns), with the divisors `right`."""
    padded = np.ones(padded_width(len(right)), np.float32)
    padded[: len(right)] = right
    return WeightedColumns(
        rows_of(cells), readonly(padded), readonly(np.zeros((0, 0), np.int64) if bits is None else bits)
    )


def bits_of(rows: Entries, n_features: int, n_jobs: int) -> NDArray[np.int64] | None:
    """Returns rows as bits by features, int64 of shape (n, words), if these take no more memory than codes; otherwise
    None.

    Two rows' products are then counted 64 features at a time, which is faster than adding them up.
    """
    n, words = len(rows.indptr) - 1, -(-n_features // 64)
    if len(rows.values) != 1 or n * words * 8 > rows.indices.nbytes:
        return None
    bits = np.zeros((n, words), np.int64)
    cuts = balanced_cuts(np.diff(rows.indptr), n_jobs)
    run_pieces(lambda piece: set_bits(rows, int(cuts[piece]), int(cuts[piece + 1]), bits), range(n_jobs), n_jobs)
    return bits


def nearest_columns(
    rows: Entries,
    columns: WeightedColumns,
    weights: Floats,
    divisor: Divisor,
    k: int,
    alone: bool,
    n_jobs: int,
    support: int = 1,
) -> tuple[Codes, Floats]:
    """Finds the codes and similarities of the k most similar columns of each row, of shape (n, k), padded with -1 and
    -inf.

    Their order is arbitrary; `divisor` is that of the rows. Columns count only if they share `support` features with a
    row.
    """
    n, width = len(rows.indptr) - 1, len(columns.right)
    codes, scores = np.empty((n, k), np.int32), np.empty((n, k), np.float32)
    left, base = (readonly(part.astype(np.float32)) for part in (divisor.left, divisor.base))
    scale = Scale(left, columns.right, base, np.float32(divisor.less))
    costs = products_of(rows, columns.features) + 1
    jobs = n_jobs if costs.sum() > WORTH_THREADS else 1
    cuts = balanced_cuts(np.ones(n) if len(columns.bits) else costs, PIECES if jobs > 1 else 1)
    weights = readonly(weights)

    def find_piece(piece: int) -> None:
        first, last = cuts[piece], cuts[piece + 1]
        sums = np.zeros((BITS_ROWS if len(columns.bits) else 1, width), np.float32)
        counts = np.zeros(width if support > 1 else 0, np.int32)
        found = Candidates(
            np.empty(width + 16, np.int32), np.empty(width + 16, np.float32), np.empty(width + 16, np.float32),
            np.empty(width + 16, np.int64),
        )  # fmt: skip
        find_neighbors(
            rows, columns.features, columns.bits, weights, scale, first, last, alone, support, counts, sums, found,
            codes[first:last], scores[first:last],
        )  # fmt: skip

    run_pieces(find_piece, range(len(cuts) - 1), jobs)
    return codes, scores


def products_of(rows: Entries, features: Entries) -> Doubles:
    """The number of products of each row with all columns, of shape (rows,)."""
    lengths = np.diff(features.indptr)[rows.indices]
    total = np.concatenate([np.zeros(1), np.cumsum(lengths, dtype=np.float64)])[rows.indptr]
    return np.diff(total)


def matrix_of_lists(codes: Codes, scores: Floats, n_columns: int) -> CodeMatrix:
    """Lists of codes and scores, ended by -1, as the unsorted rows of a matrix of shape (n, n_columns)."""
    valid = codes >= 0
    indptr = starts_of(valid.sum(axis=1))
    return assemble_csr(scores[valid], codes[valid], indptr, (len(codes), n_columns))
