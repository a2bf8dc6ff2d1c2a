"""Private EASE: item-to-item weights from one noised Gramian."""

import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fastrec.fields import Array, Fields
from fastrec.kernels.neighbors import add_dense_rows
from fastrec.matrix.arrays import Codes, Floats, readonly
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr
from fastrec.models.base.explanation import Explaining
from fastrec.models.base.private import PrivateRecommender
from fastrec.options import Integer, Jobs, Options
from fastrec.parallel import balanced_cuts, effective_jobs, run_pieces
from fastrec.privacy import Spending
from fastrec.privacy.contributions import rows_of_lower, sum_pairs
from fastrec.retrieval.select import select_topk
from fastrec.solvers.neighbors import PIECES, rows_of
from fastrec.solvers.shrinkage import edge_of_noise, solve_noised

COUNTS_SHARE = 0.05  # the share of μ² for the popularity of items, which chooses the head
# A user's weight of an item is its popularity to this power, so that rare items count: in eighths, from 1 to 4 times
# that of the most popular item.
EXPONENT, EIGHTHS, HEAVIEST = -0.25, 8, 32
RIDGE = 2.0  # in multiples of the largest eigenvalue of the noise
HEAD = 3.6, 0.58  # factor and exponent of users times μ in the number of items of "auto"
# The least weight of a history beside popularity, and the concentration of events from which on it weighs less: see
# `_trust_histories`.
LEAST_TRUST, CONCENTRATION, MOST_POPULAR = 0.1, 1 / 150, 20
TAIL = 0.02  # the weight of popularity, as a multiple of the most popular item's: it matters if histories are short


class PrivateEASE(PrivateRecommender, Explaining):
    """`EASE` of the most popular items, released with user-level differential privacy.

    Each user contributes pairs of the `head` most popular items, in a vector of length 1. The sum of these vectors is
    released once, with Gaussian noise. Its eigenvalues are shrunk by what the noise adds to them, and the weights are
    those of EASE with a ridge above the noise. All other items are answered by private popularity. There are no epochs.

    Values are not read: each event counts as one; negative values are refused.

    Parameters
    ----------
    epsilon : float
        ε, above 0: the bound of what a model may reveal about whether a user was in the data. See
        docs/explanation/privacy.md.
    delta : float
        δ, above 0 and below 1 / users.
    head : int or "auto"
        The number of items that take part, the most popular ones by noised counts, at least 1. "auto" grows with the
        users and epsilon, and takes only items that stand out of the noise.
    budget : str or None
        The path of a `fastrec.privacy.Budget`, which is charged before anything is released; None: no budget is
        charged.
    noise_seed : int or None
        None: noise comes from the system's cryptographic source, and every fit differs. A number makes the noise
        reproducible, for tests: such a model is not private, and `save` warns.
    n_jobs : int or None
        Threads; None is all cores. The answer does not depend on it.

    Attributes
    ----------
    weights_ : ndarray of shape (head, head)
        float32: the entry in row i and column j is what item `head_[i]` in a history adds to item `head_[j]`'s score.
    head_ : ndarray of shape (head,)
        The codes of the items that take part, int32, ascending.
    item_scores_ : ndarray of shape (n_items,)
        For each item the sum of 1 / √n over its users of n items each, with noise, float32; 0 if it does not stand out
        of the noise.
    privacy_ : dict
        The releases, and their cost.

    Raises
    ------
    ValueError, TypeError
        In `fit`, if an option or a value of X is invalid, or `delta` is not below 1 / users.
    BudgetSpentError
        In `fit`, if the budget does not have enough left.

    Notes
    -----
    See docs/explanation/privacy.md for the guarantee, the equations, and the accuracy.

    Examples
    --------
    >>> X = np.kron(np.eye(2), np.ones((2000, 5)))  # two groups of users, each with five items of its own
    >>> model = PrivateEASE(epsilon=5.0, delta=1e-6).fit(X)
    >>> int(model.recommend([[0, 1, 1, 1, 1, 0, 0, 0, 0, 0]], k=1).codes[0, 0])
    0
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"explain"})
    _options: ClassVar[Options] = {"head": Integer(1, memory=True, log=True, also=("auto",)), "n_jobs": Jobs()}
    _learned: ClassVar[Fields] = {
        "weights_": Array(("head", "head")),
        "head_": Array(("head",), "int32", least=0, below="n_items", order="distinct"),
        "head_weights_": Array(("head",), least=0),
    }

    weights_: Floats
    head_: Codes
    head_weights_: Floats

    def __init__(
        self,
        epsilon: float = 1.0,
        delta: float = 1e-6,
        *,
        head: int | str = "auto",
        budget: str | None = None,
        noise_seed: int | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.epsilon = epsilon
        self.delta = delta
        self.head = head
        self.budget = budget
        self.noise_seed = noise_seed
        self.n_jobs = n_jobs

    def _fit_private(self, matrix: CodeMatrix, spending: Spending) -> None:
        counts = self._release_counts(matrix, spending, COUNTS_SHARE)
        self.head_ = self._choose_head(counts, spending)
        popularity = np.maximum(counts[self.head_], 0)
        weights, rows = _weigh_items(popularity), _select_columns(matrix, self.head_)
        unit = spending.unit(1 - COUNTS_SHARE)
        noised = spending.release("pairs of items", sum_pairs(rows, weights, unit, effective_jobs(self.n_jobs)), unit)
        self.head_weights_ = (weights / EIGHTHS).astype(np.float32)
        diagonal = _guess_diagonal(popularity * self.head_weights_**2, spending.n_users)
        edge = edge_of_noise(len(weights), spending.deviation(unit) / math.sqrt(2))
        self.weights_ = solve_noised(_make_square(noised, diagonal), edge, RIDGE * max(edge, 1e-6))
        self.head_weights_ *= np.float32(_trust_histories(counts, spending.n_users))

    def _choose_head(self, counts: NDArray[np.float64], spending: Spending) -> Codes:
        """The most popular items, by public or noised numbers."""
        if self.head == "auto":
            factor, exponent = HEAD
            size = min(int(factor * (spending.n_users * spending.mu) ** exponent), int((self.item_scores_ > 0).sum()))
        else:
            size = min(int(self.head), len(counts))
        return np.sort(np.argsort(-counts, kind="stable")[:size]).astype(np.int32)

    # -- answering

    def _score_batch(self, histories: CodeMatrix, codes: Codes | None) -> Floats:
        scores = np.tile(self._tail(), (histories.shape[0], 1))
        scores[:, self.head_] += self._score_head(histories)
        return scores

    def _tail(self) -> Floats:
        """The term of popularity in the score of each item: it ranks the items beyond the head, and answers short
        histories.
        """
        tail: Floats = self.item_scores_ * np.float32(TAIL / max(float(self.item_scores_.max(initial=0)), 1e-30))
        return tail

    def _score_head(self, histories: CodeMatrix) -> Floats:
        chosen = _select_columns(histories, self.head_)
        data = self.head_weights_[chosen.indices]
        rows = rows_of(assemble_csr(data, chosen.indices, chosen.indptr, chosen.shape))
        scores, weights = np.zeros((histories.shape[0], len(self.head_)), np.float32), readonly(self.weights_)
        cuts = balanced_cuts(np.diff(chosen.indptr) + 1, min(PIECES, max(1, len(scores))))

        def add_piece(piece: int) -> None:
            first, last = cuts[piece], cuts[piece + 1]
            add_dense_rows(rows, first, last, weights, scores[first:last])

        run_pieces(add_piece, range(len(cuts) - 1), effective_jobs(self.n_jobs) if len(scores) > PIECES else 1)
        return scores

    def _contributions(self, history: CodeMatrix, item: int) -> NDArray[Any]:
        """The contributions: weights of the items in the head, and popularity in equal parts."""
        parts = np.full(history.nnz, self._tail()[item] / max(1, history.nnz), np.float64)
        place = int(np.searchsorted(self.head_, item))
        if place < len(self.head_) and self.head_[place] == item:
            places = _places(self.head_, self.n_features_in_)[history.indices]
            known = places >= 0
            parts[known] += self.head_weights_[places[known]] * self.weights_[places[known], place].astype(np.float64)
        return parts

    def _similar_items(self, items: Codes, k: int) -> tuple[Codes, Floats]:
        """The largest weights above 0 from each item, among the items in the head."""
        places = _places(self.head_, self.n_features_in_)[items]
        codes, scores = super()._similar_items(items, k)
        known = np.flatnonzero(places >= 0)
        for part in self._batches(len(known)):
            dense = np.full((len(known[part]), self.n_features_in_), -np.inf, np.float32)
            weights = self.weights_[places[known[part]]]
            dense[:, self.head_] = np.where(weights > 0, weights, np.float32(-np.inf))
            codes[known[part]], scores[known[part]] = select_topk(dense, k, allow=self.recommendable_items())
        return codes, scores


def _weigh_items(counts: NDArray[np.float64]) -> NDArray[np.int64]:
    """The weights of items from their popularity, in eighths, from 8 to 32."""
    most = counts.max(initial=1e-3)
    wanted = np.floor(EIGHTHS * (np.maximum(counts, 1e-9 * most) / most) ** EXPONENT)
    weights: NDArray[np.int64] = np.minimum(wanted, HEAVIEST).astype(np.int64)
    return weights


def _trust_histories(counts: NDArray[np.float64], n_users: int) -> float:
    """Returns the weight of a history beside popularity, from 0.1 to 1, by noised counts.

    Popularity says the more, the larger the share of the most popular items in all events is, beyond what as many of
    equal items would have; and a history the more, the longer it is. Counts sum up to users times the mean root of the
    number of their items.
    """
    total = max(float(counts.sum()), 1e-9)
    share = float(np.sort(counts)[-MOST_POPULAR:].sum()) / total - MOST_POPULAR / len(counts)
    concentration = share / max(total / n_users, 1.0)
    return min(1.0, max(LEAST_TRUST, CONCENTRATION / max(concentration, 1e-9)))


def _places(head: Codes, n_items: int) -> Codes:
    """The place of each item in the head, -1 for items beyond it."""
    places = np.full(n_items, -1, np.int32)
    places[head] = np.arange(len(head), dtype=np.int32)
    return places


def _select_columns(matrix: CodeMatrix, columns: Codes) -> CodeMatrix:
    """Returns a matrix of ones at the entries of some columns; columns in ascending order."""
    places = _places(columns, matrix.shape[1])[matrix.indices]
    kept = np.flatnonzero(places >= 0)
    indptr = np.searchsorted(kept, matrix.indptr)
    return assemble_csr(np.ones(len(kept), np.float32), places[kept], indptr, (matrix.shape[0], len(columns)))


def _guess_diagonal(popularity: NDArray[np.float64], n_users: int) -> NDArray[np.float64]:
    """Guesses the diagonal: the sums of pairs of an item with itself if each user adds 1 to them, at the items'
    usual shares.
    """
    return n_users / max(float(popularity.sum()), 1e-9) * popularity


def _make_square(lower: NDArray[np.float64], diagonal: NDArray[np.float64]) -> NDArray[np.float64]:
    """The lower triangle of a symmetric matrix in which `sum_pairs` has length 1, and so each number 1 / √2 of it."""
    n = len(diagonal)
    square = np.zeros((n, n))
    for row, part in enumerate(rows_of_lower(lower, n)):
        np.multiply(part, 1 / math.sqrt(2), out=square[row, :row])
    np.fill_diagonal(square, diagonal)
    return square
