"""Similarities of rows: each is a class that weighs entries and divides the products of rows."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.matrix.arrays import Codes, Floats
from fastrec.matrix.cells import row_numbers
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.rows import shared_value, with_data

Doubles = NDArray[np.float64]

TINY = np.float32(1e-38)  # smaller divisors have no quotient
LARGEST_SHRINKAGE = 1e30  # larger ones would make all similarities 0 in float32


class Divisor(NamedTuple):
    """The divisor of the product of rows i and j: left[i] · right[j] + base[i] - less · product."""

    left: Doubles
    right: Doubles
    base: Doubles
    less: float


class Profile(NamedTuple):
    """The form in which a similarity compares rows: Σ_f cells[i, f] · weights[f] · cells[j, f], divided by
    `divisor`.
    """

    cells: CodeMatrix
    divisor: Divisor


@dataclass(frozen=True)
class Similarity(ABC):
    """A similarity of rows (items over users, or users over items); each subclass is one of `SIMILARITIES`.

    Parameters
    ----------
    values
        The values of the training data, float32.
    counts
        The number of rows of the training data with each feature, of shape (n_features,).
    n
        The number of rows of the training data.
    shrinkage
        A number added to divisors, which lowers similarities from little data.
    asymmetry
        The exponent's share of the right side's norm, from 0 to 1; the rest is the left side's.
    k1, b
        BM25's saturation and normalization by length.
    smoothing, shift
        For pointwise mutual information: the exponent of counts of rows, and the number subtracted from logarithms.
    """

    values: Floats
    counts: NDArray[np.int64]
    n: int
    shrinkage: float
    asymmetry: float
    k1: float
    b: float
    smoothing: float = 1.0
    shift: float = 0.0

    by_bits: ClassVar[bool] = False
    """Whether common features may be counted if all values are one."""

    def profile(self, rows: CodeMatrix) -> Profile:
        """The weighted rows, with the divisor of their products."""
        cells = with_data(rows, self.weigh(rows))
        return Profile(cells, self.divide(cells))

    @cached_property
    def weights(self) -> Floats:
        """The weight of each feature in a product, float32, of shape (n_features,)."""
        return np.ones(len(self.counts), np.float32)

    @cached_property
    def unit(self) -> float:
        """The unit of values, which keeps products within float32."""
        return unit_of(self.values)

    @property
    def keeps_values(self) -> bool:
        """Tells whether `weigh` leaves values unchanged."""
        return False

    @abstractmethod
    def weigh(self, rows: CodeMatrix) -> Floats:
        """The weights of the entries of rows, of shape (nnz,)."""

    @abstractmethod
    def divide(self, cells: CodeMatrix) -> Divisor:
        """The divisor of products of weighted rows."""

    def finish(self, codes: Codes, scores: Floats) -> tuple[Codes, Floats]:
        """Turns the found quotients of products into codes, -1 if there is none, and similarities."""
        return codes, scores

    def _divide_by_norms(self, cells: CodeMatrix, squares: Doubles, shrinkage: float) -> Divisor:
        norms, share = np.sqrt(squares), self.asymmetry
        base = np.full(len(norms), min(LARGEST_SHRINKAGE, shrinkage))
        return Divisor(norms ** (2 - 2 * share), norms ** (2 * share), base, 0.0)

    def _squares(self, cells: CodeMatrix) -> Doubles:
        """The weighted squared norm of each row."""
        squares = cells.data.astype(np.float64) ** 2 * self.weights[cells.indices]
        return np.asarray(np.bincount(row_numbers(cells), weights=squares, minlength=cells.shape[0]), np.float64)


class Cosine(Similarity):
    """The inner product of rows, divided by their norms."""

    by_bits = True

    @property
    def keeps_values(self) -> bool:
        """See `Similarity.keeps_values`."""
        return self.unit == 1

    def weigh(self, rows: CodeMatrix) -> Floats:
        """See `Similarity.weigh`."""
        return rows.data if self.unit == 1 else np.asarray(rows.data / np.float32(self.unit), np.float32)

    def divide(self, cells: CodeMatrix) -> Divisor:
        """See `Similarity.divide`."""
        return self._divide_by_norms(cells, self._squares(cells), self.shrinkage / self.unit**2)

    def _squares(self, cells: CodeMatrix) -> Doubles:
        if len(shared_value(cells.data)) == 1:
            return np.diff(cells.indptr) * float(cells.data[0]) ** 2
        return super()._squares(cells)


class Jaccard(Similarity):
    """The number of common features of two rows, divided by the number of features of either."""

    by_bits = True

    def weigh(self, rows: CodeMatrix) -> Floats:
        """See `Similarity.weigh`."""
        return np.ones(rows.nnz, np.float32)

    def divide(self, cells: CodeMatrix) -> Divisor:
        """See `Similarity.divide`."""
        counts = np.diff(cells.indptr).astype(np.float64)
        return Divisor(np.ones(len(counts)), counts, counts + min(LARGEST_SHRINKAGE, self.shrinkage), 1.0)


class TfIdf(Similarity):
    """The cosine of rows weighted by TF-IDF: √value · (log((1 + n) / (1 + n_f)) + 1), as in scikit-learn."""

    @cached_property
    def weights(self) -> Floats:
        """See `Similarity.weights`: the squares of inverse document frequencies, which are always above 0."""
        return ((np.log((1 + self.n) / (1 + self.counts)) + 1) ** 2).astype(np.float32)

    def weigh(self, rows: CodeMatrix) -> Floats:
        """See `Similarity.weigh`."""
        return np.asarray(np.sqrt(rows.data / np.float32(self.unit)), np.float32)

    def divide(self, cells: CodeMatrix) -> Divisor:
        """See `Similarity.divide`."""
        return self._divide_by_norms(cells, self._squares(cells), self.shrinkage / self.unit)


class BM25(Similarity):
    """The inner product of rows weighted by BM25, with log(1 + (n - n_f + 1/2) / (n_f + 1/2)), as in Lucene."""

    @cached_property
    def mean_length(self) -> float:
        """The mean sum of a row's values."""
        return max(float(self.values.sum(dtype=np.float64)) / self.n, 1e-30)

    @cached_property
    def weights(self) -> Floats:
        """See `Similarity.weights`: the squares of inverse document frequencies, which are always above 0."""
        return (np.log1p((self.n - self.counts + 0.5) / (self.counts + 0.5)) ** 2).astype(np.float32)

    def weigh(self, rows: CodeMatrix) -> Floats:
        """See `Similarity.weigh`."""
        numbers, exact = row_numbers(rows), rows.data.astype(np.float64)
        lengths = np.bincount(numbers, weights=rows.data, minlength=rows.shape[0]) / self.mean_length
        saturated = exact * (self.k1 + 1) / (self.k1 * (1 - self.b + self.b * lengths)[numbers] + exact)
        return np.asarray(saturated, np.float32)

    def divide(self, cells: CodeMatrix) -> Divisor:
        """See `Similarity.divide`."""
        return undivided(cells.shape[0])


class PMI(Similarity):
    """Shifted positive pointwise mutual information, log(c_ij Σ_k c_k^s / (c_i c_j^s)) - shift, i the row.

    c_ij is Σ_f 1 / (n_f - 1) over the common features, with n_f the number of rows of a feature: a feature counts once
    for each of its rows. c_i is the sum of c_ij over the other rows.
    """

    @cached_property
    def weights(self) -> Floats:
        """See `Similarity.weights`; a feature of a single row does not count."""
        others = np.maximum(self.counts - 1, 1)
        return np.where(self.counts > 1, 1 / others, 0).astype(np.float32)

    def weigh(self, rows: CodeMatrix) -> Floats:
        """See `Similarity.weigh`."""
        return np.ones(rows.nnz, np.float32)

    def divide(self, cells: CodeMatrix) -> Divisor:
        """See `Similarity.divide`."""
        told = self.counts[cells.indices] > 1
        counts = np.bincount(row_numbers(cells)[told], minlength=cells.shape[0]).astype(np.float64)
        powers = np.where(counts > 0, np.maximum(counts, 1) ** self.smoothing, 0)
        known = np.where(powers > 0, powers / max(powers.sum(), 1), 1)
        return Divisor(np.maximum(counts, 1), known, np.zeros(len(counts)), 0.0)

    def finish(self, codes: Codes, scores: Floats) -> tuple[Codes, Floats]:
        """See `Similarity.finish`: logarithms above the shift."""
        information: Floats = np.log(np.maximum(scores, TINY)) - np.float32(self.shift)
        return np.where(information > 0, codes, -1).astype(np.int32), information


SIMILARITIES: dict[str, type[Similarity]] = {"cosine": Cosine, "jaccard": Jaccard, "tfidf": TfIdf, "bm25": BM25}
OF_ITEMS: dict[str, type[Similarity]] = {**SIMILARITIES, "sppmi": PMI}
"""The similarities of items, including one that users do not have."""


def undivided(n: int) -> Divisor:
    """The divisor of n rows whose products stay unchanged."""
    return Divisor(np.ones(n), np.ones(n), np.zeros(n), 0.0)


def unit_of(values: Floats) -> float:
    """A power of four near the largest value, or 1 if that is between 2⁻²⁰ and 2²⁰: division by it is exact.

    >>> unit_of(np.ones(3, np.float32)), unit_of(np.float32([0, 2.0**41]))
    (1.0, 1099511627776.0)
    """
    exponent = max(int(np.frexp(values.max(initial=0))[1]) - 1, -126)
    return 1.0 if abs(exponent) <= 20 else 4.0 ** (exponent // 2)
