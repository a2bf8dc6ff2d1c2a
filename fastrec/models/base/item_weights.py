"""The base of models whose score is a history times item-to-item weights, sparse or dense."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fastrec.fields import Array, Either, Fields, Matrix
from fastrec.kernels.neighbors import add_dense_rows, add_weighted_rows, sum_pairs_dense, sum_pairs_sparse
from fastrec.kernels.sparse import Entries
from fastrec.kernels.weighted_lists import UNANSWERED, list_best
from fastrec.matrix.arrays import Codes, Floats, readonly
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.rows import pick_rows, rows_of_lists
from fastrec.matrix.sequences import HistoryRow
from fastrec.models.base.asking import Rows
from fastrec.models.base.audience import Audience
from fastrec.models.base.derived import Key
from fastrec.models.base.explanation import Explaining
from fastrec.models.base.item_filter import ItemFilter
from fastrec.models.base.scores import scores_of_pairs
from fastrec.models.base.single import Single
from fastrec.models.base.updating import Change, Updating
from fastrec.parallel import balanced_cuts, effective_jobs, run_pieces
from fastrec.retrieval.filters import read_filters
from fastrec.retrieval.select import select_topk
from fastrec.solvers.dense_rows import DenseRows
from fastrec.solvers.neighbors import PIECES, WORTH_THREADS, rows_of, summed_rows

WEIGHTS: Key[Entries] = Key("weights")
ROWS: Key[Any] = Key("rows of the weights")
# Sparse weights with at least this share of entries are added up from dense rows, which takes a third of the time,
# unless all rows together have more bytes than the second number.
CROWDED, COPY_BYTES = 0.125, 1 << 28
# Lists are made from the items that a history leads to if these are, on average, less than this share of all items.
FEW_MET = 0.5
USERS_AT_ONCE = 1 << 14
# A weight that is found alone takes as long as so many additions of whole rows.
FOUND_ALONE = 32
# In a larger catalogue "auto" makes sparse weights: dense ones would take 1.6 GB and a minute.
LARGEST_DENSE = 20_000


class ItemWeights(Explaining, Updating):
    """The base of models whose score of an item is the sum of a history's values times item-to-item weights.

    A family defines ``__init__`` and ``_fit(matrix)``, which sets `weights_`.

    Attributes
    ----------
    weights_ : csr_array or ndarray of shape (n_items, n_items)
        float32, read-only: the entry in row i and column j is what a unit of item i in a history adds to item j's
        score.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"explain", "partial_fit"})
    _learned: ClassVar[Fields] = {"weights_": Either(Matrix(("n_items", "n_items")), Array(("n_items", "n_items")))}

    weights_: Any

    def _update(self, change: Change) -> None:
        """Updates the model; if items are to follow, the weights are computed again from all the data: a refit's bits.

        A correction of the old weights would cost less if few entries change. But its rounding errors would add up over
        updates, and would keep traces of deleted users.
        """
        if len(change.items):
            self._fit(self._training)

    def _search(self, audience: Audience, k: int, wanted: ItemFilter) -> tuple[Codes, NDArray[np.float32]]:
        if len(audience) == 1 or not self._lists_directly(wanted):
            return super()._search(audience, k, wanted)
        codes, scores = np.empty((len(audience), k), np.int32), np.empty((len(audience), k), np.float32)
        for start in range(0, len(audience), USERS_AT_ONCE):
            rows = slice(start, start + USERS_AT_ONCE)
            codes[rows], scores[rows] = self._list_best(audience.part(rows), k, wanted.part(rows))
        return codes, scores

    def _lists_directly(self, wanted: ItemFilter) -> bool:
        """Tells whether lists can be made from only the items that the weights of a history lead to."""
        plain = type(self)._score_batch is ItemWeights._score_batch and isinstance(self.weights_, CodeMatrix)
        return plain and not isinstance(wanted.allow, CodeMatrix)

    def _list_best(self, audience: Audience, k: int, wanted: ItemFilter) -> tuple[Codes, NDArray[np.float32]]:
        """Lists the best items of some users, from the items met, if these are few; the scores have the bits of
        dense ones.
        """
        n_items, histories = self.n_features_in_, self._weigh(audience)
        if k > n_items or self._additions(histories) > FEW_MET * n_items * len(audience):
            return super()._search(audience, k, wanted)
        codes, scores = np.empty((len(audience), k), np.int32), np.empty((len(audience), k), np.float32)
        filters = read_filters(wanted.exclude, wanted.allow, len(audience), n_items).closed
        rows, weights, jobs = rows_of(histories), self._kernel_weights(), effective_jobs(getattr(self, "n_jobs", None))
        cuts = balanced_cuts(np.diff(histories.indptr) + 1, PIECES)

        def list_piece(piece: int) -> None:
            sums, touched = np.zeros(n_items, np.float32), np.empty(2 * n_items, np.int32)
            list_best(rows, int(cuts[piece]), int(cuts[piece + 1]), weights, filters, sums, touched, codes, scores)

        run_pieces(list_piece, range(PIECES), jobs)
        left = codes[:, 0] == UNANSWERED
        if left.any():
            codes[left], scores[left] = super()._search(audience.part(left), k, wanted.part(left))
        return codes, scores

    def _score_batch(self, histories: CodeMatrix, codes: Codes | None) -> NDArray[np.float32]:
        scores = np.zeros((histories.shape[0], self.n_features_in_), np.float32)
        rows, weights = self._rows_and_weights(histories)
        add = add_weighted_rows if isinstance(weights, Entries) else add_dense_rows
        if len(scores) == 1 or self._additions(histories) <= WORTH_THREADS:
            add(rows, 0, len(scores), weights, scores)
            return scores
        jobs = effective_jobs(getattr(self, "n_jobs", None))
        cuts = balanced_cuts(np.diff(histories.indptr) + 1, min(PIECES, len(scores)) if jobs > 1 else 1)

        def add_piece(piece: int) -> None:
            first, last = cuts[piece], cuts[piece + 1]
            add(rows, first, last, weights, scores[first:last])

        run_pieces(add_piece, range(len(cuts) - 1), jobs)
        return scores

    def _search_one(self, who: Single, row: HistoryRow, k: int, only: NDArray[np.bool_] | None) -> tuple[Codes, Floats]:
        return self._select_one(who, row, k, only)

    def _additions(self, histories: CodeMatrix) -> float:
        """The approximate number of additions for some histories."""
        n_entries = len(histories.indices)
        if not n_entries:
            return 0.0
        density = (
            self.weights_.nnz / self.n_features_in_ if isinstance(self.weights_, CodeMatrix) else len(self.weights_)
        )
        return float(n_entries * density)

    def _kernel_weights(self) -> Any:
        if isinstance(self.weights_, CodeMatrix):
            return self._derived.get(WEIGHTS, lambda: rows_of(self.weights_))
        return readonly(self.weights_)

    def _rows_and_weights(self, histories: CodeMatrix) -> tuple[Entries, Any]:
        """The histories and weights in the form in which rows are added up; the sums do not depend on the form.

        They are `_kernel_weights`, or dense rows with histories that hold the places of the rows in place of codes.
        """
        rows, weights = summed_rows(histories), self._derived.get(ROWS, self._find_row_weights)
        return weights.of(rows) if isinstance(weights, DenseRows) else (rows, weights)

    def _find_row_weights(self) -> Any:
        n, weights = self.n_features_in_, self.weights_
        if not isinstance(weights, CodeMatrix) or 4 * n * n > COPY_BYTES or weights.nnz < CROWDED * n * n:
            return self._kernel_weights()
        return DenseRows(self._kernel_weights(), n)

    def _score_pairs(self, audience: Audience, rows: Rows, items: Codes) -> Floats:
        histories = self._weigh(audience)
        if self._are_rows_cheaper(histories, rows):
            return scores_of_pairs(ItemWeights._score_batch(self, histories, None), rows, items)
        weights, scores = self._kernel_weights(), np.empty(len(items), np.float32)
        sum_pairs = sum_pairs_sparse if isinstance(weights, Entries) else sum_pairs_dense
        sum_pairs(summed_rows(histories), readonly(rows), readonly(items), weights, scores)
        return scores

    def _are_rows_cheaper(self, histories: CodeMatrix, rows: Rows) -> bool:
        """Tells whether to score all items for each history, or each pair alone: the bits are the same."""
        n, width = histories.shape
        found = len(rows) * len(histories.indices) if n == 1 else np.diff(histories.indptr)[rows].sum()
        return bool(self._additions(histories) + n * width < FOUND_ALONE * found)

    def _contributions(self, history: CodeMatrix, item: int) -> NDArray[Any]:
        contributions: NDArray[Any] = history.data.astype(np.float64) * self._weights_of(history.indices, item)
        return contributions

    def _weights_of(self, rows: Codes, item: int) -> NDArray[Any]:
        """The weights from some items to one, of shape (n,)."""
        if not isinstance(self.weights_, CodeMatrix):
            return np.asarray(self.weights_[rows, item], np.float64)
        ones = rows_of_lists(rows, [1] * len(rows), self.n_features_in_)
        found = np.empty(len(rows), np.float32)
        codes = readonly(np.full(len(rows), item, np.int32))
        sum_pairs_sparse(rows_of(ones), readonly(np.arange(len(rows))), codes, self._kernel_weights(), found)
        return found.astype(np.float64)

    def _similar_items(self, items: Codes, k: int) -> tuple[Codes, NDArray[np.float32]]:
        """The similar items: the largest weights above 0 in the items' rows of `_similarities`."""
        weights = self._similarities()
        codes = np.empty((len(items), k), np.int32)
        scores = np.empty((len(items), k), np.float32)
        for part in self._batches(len(items)):
            some = items[part]
            if isinstance(weights, CodeMatrix):
                rows = pick_rows(weights, some)
                dense = rows.toarray()
            else:
                dense = weights[some]
            dense = np.where(dense > 0, dense, np.float32(-np.inf))
            itself = rows_of_lists(some, [1] * len(some), self.n_features_in_)
            codes[part], scores[part] = select_topk(dense, k, exclude=itself, allow=self.recommendable_items())
        return codes, scores

    def _similarities(self) -> Any:
        """The vectors that `similar_items` compares, as rows of the given items."""
        return self.weights_


def is_dense(method: str, n_items: int) -> bool:
    """Tells whether a closed form is solved for all items at once: `method` is "auto", "dense" or "sparse".

    >>> is_dense("auto", 1000), is_dense("auto", 1_000_000)
    (True, False)
    """
    return method == "dense" or (method == "auto" and n_items <= LARGEST_DENSE)


def is_finite(values: NDArray[np.float32]) -> bool:
    """Tells whether all numbers are finite, without an array of flags: the extremes pass on NaN and infinity."""
    return not values.size or bool(np.isfinite(values.min()) and np.isfinite(values.max()))
