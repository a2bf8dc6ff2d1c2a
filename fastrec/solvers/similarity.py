"""Similarities of rows: each is a class here, by which entries are weighted and products of rows are divided."""

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

TINY = np.float32(1e-38)  # below it there is no quotient
LARGEST_SHRINKAGE = 1e30  # above it similarities would be 0 in float32, whatever the products are


class Divisor(NamedTuple):
    """The divisor of the product of rows i and j: left[i] · right[j] + base[i] - less · product."""

    left: Doubles
    right: Doubles
    base: Doubles
    less: float


class Profile(NamedTuple):
    """The form that a similarity gives rows: Σ_f cells[i, f] · weights[f] · cells[j, f] is divided by `divisor`."""

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
        How many rows of the training data each feature occurs in, of shape (n_features,).
    n
        How many rows the training data has.
    shrinkage
        What is added to divisors, so that similarities that rest on little are small.
    asymmetry
        The share of the norms that divides on the right side, from 0 to 1; the rest is the left side's.
    k1, b
        BM25's saturation and normalization by length.
    smoothing, shift
        The exponent of counts of rows, and what is taken from logarithms: of pointwise mutual information.
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
    """Whether the features in common may be counted, where all values are one."""

    def profile(self, rows: CodeMatrix) -> Profile:
        """Rows weighted, with what their products are divided by."""
        cells = with_data(rows, self.weigh(rows))
        return Profile(cells, self.divide(cells))

    @cached_property
    def weights(self) -> Floats:
        """The weight of each feature in a product, float32, of shape (n_features,)."""
        return np.ones(len(self.counts), np.float32)

    @cached_property
    def unit(self) -> float:
        """The unit of values, so that products stay within float32."""
        return unit_of(self.values)

    @property
    def keeps_values(self) -> bool:
        """Tells whether `weigh` leaves values as they are."""
        return False

    @abstractmethod
    def weigh(self, rows: CodeMatrix) -> Floats:
        """The weights of the entries of rows, of shape (nnz,)."""

    @abstractmethod
    def divide(self, cells: CodeMatrix) -> Divisor:
        """The divisor of products of weighted rows."""

    def finish(self, codes: Codes, scores: Floats) -> tuple[Codes, Floats]:
        """Codes, -1 if there is none, and similarities of what was found by the quotients of products."""
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
    """The features that two rows have in common, divided by those that either has."""

    by_bits = True

    def weigh(self, rows: CodeMatrix) -> Floats:
        """See `Similarity.weigh`."""
        return np.ones(rows.nnz, np.float32)

    def divide(self, cells: CodeMatrix) -> Divisor:
        """See `Similarity.divide`."""
        counts = np.diff(cells.indptr).astype(np.float64)
        return Divisor(np.ones(len(counts)), counts, counts + min(LARGEST_SHRINKAGE, self.shrinkage), 1.0)


class TfIdf(Similarity):
    """The cosine of rows weighted by TF-IDF: √value · (log((1 + n) / (1 + n_f)) + 1), as scikit-learn has it."""

    @cached_property
    def weights(self) -> Floats:
        """See `Similarity.weights`: the squares of inverse document frequencies, above 0 whatever the counts are."""
        return ((np.log((1 + self.n) / (1 + self.counts)) + 1) ** 2).astype(np.float32)

    def weigh(self, rows: CodeMatrix) -> Floats:
        """See `Similarity.weigh`."""
        return np.asarray(np.sqrt(rows.data / np.float32(self.unit)), np.float32)

    def divide(self, cells: CodeMatrix) -> Divisor:
        """See `Similarity.divide`."""
        return self._divide_by_norms(cells, self._squares(cells), self.shrinkage / self.unit)


class BM25(Similarity):
    """The inner product of rows weighted by BM25, with log(1 + (n - n_f + 1/2) / (n_f + 1/2)), as Lucene has it."""

    @cached_property
    def mean_length(self) -> float:
        """The mean sum of a row's values."""
        return max(float(self.values.sum(dtype=np.float64)) / self.n, 1e-30)

    @cached_property
    def weights(self) -> Floats:
        """See `Similarity.weights`: the squares of inverse document frequencies, above 0 whatever the counts are."""
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

    c_ij is Σ_f 1 / (n_f - 1) over the features that both rows have, n_f being the rows that have it: a feature counts
    once for each of its rows. c_i is the sum of c_ij over the other rows.
    """

    @cached_property
    def weights(self) -> Floats:
        """See `Similarity.weights`; a feature of one row alone says nothing."""
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
"""Those of items, among them one that says nothing of users."""


def undivided(n: int) -> Divisor:
    """The divisor of n rows whose products stay as they are."""
    return Divisor(np.ones(n), np.ones(n), np.zeros(n), 0.0)


def unit_of(values: Floats) -> float:
    """A power of four near the largest value, or 1 where that is between 2⁻²⁰ and 2²⁰: exact to divide by.

    >>> unit_of(np.ones(3, np.float32)), unit_of(np.float32([0, 2.0**41]))
    (1.0, 1099511627776.0)
    """
    exponent = max(int(np.frexp(values.max(initial=0))[1]) - 1, -126)
    return 1.0 if abs(exponent) <= 20 else 4.0 ** (exponent // 2)
