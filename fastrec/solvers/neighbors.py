"""Similarities of rows, and the nearest columns of each row."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.lanes import padded_width
from fastrec.kernels.neighbors import BITS_ROWS, Candidates, Rows, Scale, find_neighbors, set_bits
from fastrec.matrix.arrays import Codes, Floats, readonly, starts_of
from fastrec.matrix.cells import row_numbers
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr
from fastrec.matrix.rows import shared_value
from fastrec.parallel import balanced_cuts, run_pieces

Doubles = NDArray[np.float64]

SIMILARITIES = ("cosine", "jaccard", "tfidf", "bm25")

# Pieces that work is dealt in: enough for any balance, few enough to cost nothing.
PIECES = 64


# A batch with fewer additions than this is not worth a thread.
WORTH_THREADS = 1 << 16


def rows_of(matrix: CodeMatrix) -> Rows:
    """A matrix as kernels read it: one value where all are equal, else one for each entry."""
    return Rows(*map(readonly, (matrix.indptr, matrix.indices, shared_value(matrix.data))))


class Profile(NamedTuple):
    """What a similarity makes of rows (items over users, or users over items).

    A product of two rows is Σ_f cells[i, f] · weights[f] · cells[j, f]; it is divided by
    left[i] · right[j] + base[i] - less · product.
    """

    cells: CodeMatrix
    left: Doubles
    right: Doubles
    base: Doubles
    less: float


class Weighting(NamedTuple):
    """How entries are weighted before rows are compared: what the options say, and what the training data says.

    Parameters
    ----------
    similarity
        "cosine", "jaccard", "tfidf" or "bm25".
    k1, b
        BM25's saturation and normalization by length.
    mean_length
        The mean sum of a row's values in the training data.
    features
        float32, of shape (n_features,): the weight of each feature in a product.
    unit
        What the values of the cosine and of TF-IDF are counted in, so that their products stay within float32: 1, or a
        power of four where the largest value is far from it.
    """

    similarity: str
    k1: float
    b: float
    mean_length: float
    features: Floats
    unit: float

    def profile(self, rows: CodeMatrix, asymmetry: float, shrinkage: float) -> Profile:
        """Rows weighted, with what their products are divided by; `asymmetry` is the exponent's share on the right."""
        cells = assemble_csr(self._cells(rows), rows.indices, rows.indptr, rows.shape)
        ones = np.ones(rows.shape[0])
        if self.similarity == "bm25":
            return Profile(cells, ones, ones, ones - 1, 0.0)
        if self.similarity == "jaccard":
            counts = np.diff(rows.indptr).astype(np.float64)
            return Profile(cells, ones, counts, counts + min(1e30, shrinkage), 1.0)
        norms = np.sqrt(self._squares(cells))
        # At most 1e30, above which similarities would be 0 in float32 whatever the products are.
        shrinkage = min(1e30, shrinkage / (self.unit**2 if self.similarity == "cosine" else self.unit))
        return Profile(cells, norms ** (2 - 2 * asymmetry), norms ** (2 * asymmetry), ones * shrinkage, 0.0)

    def _squares(self, cells: CodeMatrix) -> Doubles:
        """The weighted squared norm of each row."""
        if self.similarity == "cosine" and len(rows_of(cells).values) == 1:
            return np.diff(cells.indptr) * float(cells.data[0]) ** 2
        squares = cells.data.astype(np.float64) ** 2 * self.features[cells.indices]
        return np.asarray(np.bincount(row_numbers(cells), weights=squares, minlength=cells.shape[0]), np.float64)

    def _cells(self, rows: CodeMatrix) -> Floats:
        if self.similarity == "jaccard":
            return np.ones(rows.nnz, np.float32)
        if self.similarity == "tfidf":
            return np.asarray(np.sqrt(rows.data / np.float32(self.unit)), np.float32)
        if self.similarity == "bm25":
            numbers = row_numbers(rows)
            lengths = np.bincount(numbers, weights=rows.data, minlength=rows.shape[0]) / max(self.mean_length, 1e-30)
            exact = rows.data.astype(np.float64)
            saturated = exact * (self.k1 + 1) / (self.k1 * (1 - self.b + self.b * lengths)[numbers] + exact)
            return np.asarray(saturated, np.float32)
        return rows.data if self.unit == 1 else np.asarray(rows.data / np.float32(self.unit), np.float32)


def unit_of(values: Floats) -> float:
    """A power of four near the largest value, or 1 where that is between 2⁻²⁰ and 2²⁰: exact to divide by.

    >>> unit_of(np.ones(3, np.float32)), unit_of(np.float32([0, 2.0**41]))
    (1.0, 1099511627776.0)
    """
    exponent = max(int(np.frexp(values.max(initial=0))[1]) - 1, -126)
    return 1.0 if abs(exponent) <= 20 else 4.0 ** (exponent // 2)


def feature_weights(similarity: str, counts: NDArray[np.int64], n_rows: int) -> Floats:
    """The square of each feature's inverse document frequency, float32; ones for the similarities without.

    TF-IDF has log((1 + n) / (1 + n_f)) + 1, as scikit-learn has; BM25 has log(1 + (n - n_f + 1/2) / (n_f + 1/2)), as
    Lucene has: both stay above 0, whatever the counts n_f of n rows.
    """
    if similarity == "tfidf":
        return ((np.log((1 + n_rows) / (1 + counts)) + 1) ** 2).astype(np.float32)
    if similarity == "bm25":
        return (np.log1p((n_rows - counts + 0.5) / (counts + 0.5)) ** 2).astype(np.float32)
    return np.ones(len(counts), np.float32)


def weighting(
    similarity: str, k1: float, b: float, matrix: CodeMatrix, counts: NDArray[np.int64], n_rows: int
) -> Weighting:
    """The weighting of `n_rows` rows whose features occur `counts` times; `matrix` holds the values, either way up."""
    total = float(matrix.data.sum(dtype=np.float64))
    unit = unit_of(matrix.data) if similarity in ("cosine", "tfidf") else 1.0
    return Weighting(similarity, k1, b, total / n_rows, feature_weights(similarity, counts, n_rows), unit)


class Columns(NamedTuple):
    """What rows are compared with, as the kernel reads it.

    Parameters
    ----------
    features
        The weighted columns by features.
    right
        The columns' part of the divisor, filled up to a multiple of sixteen.
    bits
        Columns that are the rows too, as bits by features (`bits_of`); of length 0 where products are added up.
    """

    features: Rows
    right: Floats
    bits: NDArray[np.int64]


def columns_of(cells: CodeMatrix, right: Doubles, bits: NDArray[np.int64] | None = None) -> Columns:
    """Weighted columns, of shape (features, columns), that are divided by `right`."""
    padded = np.ones(padded_width(len(right)), np.float32)
    padded[: len(right)] = right
    return Columns(rows_of(cells), readonly(padded), readonly(np.zeros((0, 0), np.int64) if bits is None else bits))


def bits_of(rows: Rows, n_features: int, n_jobs: int) -> NDArray[np.int64] | None:
    """Rows as bits by features, int64 of shape (n, words), where that takes no more memory than their codes; else None.

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
    rows: Rows, columns: Columns, weights: Floats, profile: Profile, k: int, alone: bool, n_jobs: int
) -> tuple[Codes, Floats]:
    """Codes and similarities of the k most similar columns of each row, of shape (n, k); -1 and -inf behind them.

    They come in any order; `profile` is that of the rows.
    """
    n, width = len(rows.indptr) - 1, len(columns.right)
    codes, scores = np.empty((n, k), np.int32), np.empty((n, k), np.float32)
    left, base = (readonly(part.astype(np.float32)) for part in (profile.left, profile.base))
    scale = Scale(left, columns.right, base, np.float32(profile.less))
    costs = products_of(rows, columns.features) + 1
    jobs = n_jobs if costs.sum() > WORTH_THREADS else 1
    cuts = balanced_cuts(np.ones(n) if len(columns.bits) else costs, PIECES if jobs > 1 else 1)
    weights = readonly(weights)

    def find_piece(piece: int) -> None:
        first, last = cuts[piece], cuts[piece + 1]
        sums = np.zeros((BITS_ROWS if len(columns.bits) else 1, width), np.float32)
        found = Candidates(
            np.empty(width + 16, np.int32), np.empty(width + 16, np.float32), np.empty(width + 16, np.float32),
            np.empty(width + 16, np.int64),
        )  # fmt: skip
        find_neighbors(
            rows, columns.features, columns.bits, weights, scale, first, last, alone, sums, found,
            codes[first:last], scores[first:last],
        )  # fmt: skip

    run_pieces(find_piece, range(len(cuts) - 1), jobs)
    return codes, scores


def products_of(rows: Rows, features: Rows) -> Doubles:
    """How many products each row has with all columns, of shape (rows,)."""
    lengths = np.diff(features.indptr)[rows.indices]
    total = np.concatenate([np.zeros(1), np.cumsum(lengths, dtype=np.float64)])[rows.indptr]
    return np.diff(total)


def matrix_of_lists(codes: Codes, scores: Floats, n_columns: int) -> CodeMatrix:
    """Lists of codes and scores, -1 where they end, as the rows of a matrix of shape (n, n_columns), not sorted."""
    valid = codes >= 0
    indptr = starts_of(valid.sum(axis=1))
    return assemble_csr(scores[valid], codes[valid], indptr, (len(codes), n_columns))
