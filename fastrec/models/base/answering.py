"""Answers of models: from users and their recommendable items to codes and scores, a batch of users at a time."""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from fastrec.matrix.arrays import Codes, Floats
from fastrec.matrix.cells import row_numbers
from fastrec.matrix.code_matrix import CodeMatrix, check_matrix, keep_entries
from fastrec.matrix.rows import join_rows, pick_rows, rows_of_lists
from fastrec.matrix.sequences import HistoryRow
from fastrec.models.base.asking import Rows, Scores
from fastrec.models.base.audience import Audience
from fastrec.models.base.derived import Key
from fastrec.models.base.item_filter import Excluded, ItemFilter, mask_of
from fastrec.models.base.items import read_items
from fastrec.models.base.learner import Learner
from fastrec.models.base.scores import DenseScores, SearchedScores, scores_of_pairs
from fastrec.models.base.single import Single, SingleAnswer
from fastrec.models.base.tracing import Step, end_in_list
from fastrec.retrieval import TopK
from fastrec.retrieval.filters import Mask, read_allowed
from fastrec.retrieval.select import select_one, select_topk
from fastrec.validation import check_choice, check_flag

# A batch has as many users as keep the dense scores within the first number of bytes, and all temporary arrays within
# the second.
BATCH_BYTES = 32 << 20
WORK_BYTES = 4 * BATCH_BYTES

SIMILAR_ITEMS, SIMILAR_USERS = ("item", "similar"), ("user", "similar")

TRACED = 1000  # places in which an item is looked for that is not in a list

READ_MASK: Key[Mask | None] = Key("mask of recommendable items")
LAST_MASK: Key[dict[str, tuple[NDArray[np.bool_], Mask]]] = Key("last mask")
RECOMMENDABLE: Key[NDArray[np.bool_] | None] = Key("recommendable items")
STRUCTURE: Key[tuple[Any, Any]] = Key("structure")


class Answering(Learner):
    """The answers of models: by dense scores, unless a family has a better way; by popularity for empty histories."""

    needs_history: ClassVar[bool] = True
    """Whether a user without any history is answered by popularity instead of by the model."""

    excludes_seen: ClassVar[bool] = True
    """Whether answers leave out what a user has had, unless the caller says `exclude_seen`."""

    def _score_batch(self, histories: CodeMatrix, codes: Codes | None) -> Floats:
        """Scores of all items for some users, float32, C-contiguous, of shape (b, n_items).

        `histories` are the rows of these users. `codes` are their codes in the training data, None for other users. A
        row's scores must not depend on the other rows of the batch.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no _score_batch")

    @property
    def fades(self) -> bool:
        """Tells whether answers count the late events of a history for more, though the model learned from
        sets.
        """
        return False

    def _weigh(self, audience: Audience) -> CodeMatrix:
        """The entries that scores are made of: the histories, which fade if the family has a memory."""
        return self._as_weights(audience.histories())

    def _as_weights(self, histories: CodeMatrix) -> CodeMatrix:
        """Histories with the weight of each event in an answer in place of its value, for families where these
        differ.
        """
        return histories

    # -- what may be recommended

    def item_filter(
        self,
        audience: Audience,
        exclude_seen: bool | None = None,
        allow: Any = None,
        deny: Any = None,
        on_unknown: str = "error",
    ) -> ItemFilter:
        """See `Asked.item_filter`."""
        exclude_seen = self.excludes_seen if exclude_seen is None else check_flag("exclude_seen", exclude_seen)
        if allow is None and deny is None:
            return ItemFilter(self._exclusion(audience) if exclude_seen else None, self.recommendable_items())
        only = read_items(self, "allow", allow, len(audience), on_unknown)
        never = read_items(self, "deny", deny, len(audience), on_unknown)
        if isinstance(never, CodeMatrix):
            exclude: Excluded = join_rows(seen_rows(audience) if exclude_seen else None, never)
        else:
            exclude = self._exclusion(audience) if exclude_seen else None
        chosen = ItemFilter(exclude, self.recommendable_items())
        if never is not None and not isinstance(never, CodeMatrix):
            chosen = chosen.within(~mask_of(never, self.n_features_in_))
        return chosen.within(
            only if only is None or isinstance(only, CodeMatrix) else mask_of(only, self.n_features_in_)
        )

    def _exclusion(self, audience: Audience) -> Excluded:
        """The items that each user has seen; a plain array of codes for a single user, to avoid the cost of a
        matrix.
        """
        if len(audience) == 1 and audience.codes is not None:
            code = int(audience.codes[0])
            return self.user_row(code).codes if code >= 0 else np.empty(0, np.int32)
        return seen_rows(audience)

    def recommendable_items(self) -> NDArray[np.bool_] | None:
        """See `Asked.recommendable_items`."""
        return self._derived.get(RECOMMENDABLE, self._find_recommendable)

    def _recommendable_mask(self) -> Mask | None:
        """The mask of recommendable items in the form that searches read."""
        return self._derived.get(READ_MASK, self._read_recommendable)

    def _mask_within(self, only: NDArray[np.bool_] | None) -> Mask | None:
        """The recommendable items within a mask, in the form that searches read; the result for the last mask is
        kept.
        """
        if only is None:
            return self._recommendable_mask()
        kept = self._derived.get(LAST_MASK, dict)
        found = kept.get("last")
        if found is None or found[0] is not only:
            warm = self.recommendable_items()
            found = kept["last"] = only, read_allowed(only if warm is None else warm & only, self.n_features_in_)
        return found[1]

    def _read_recommendable(self) -> Mask | None:
        warm = self.recommendable_items()
        return None if warm is None else read_allowed(warm, self.n_features_in_)

    def _find_recommendable(self) -> NDArray[np.bool_] | None:
        warm = self.told_counts() > 0
        return None if warm.all() else warm

    # -- lists

    def answer(self, audience: Audience, k: int, wanted: ItemFilter | None = None, on_empty: str = "popular") -> TopK:
        """See `Asked.answer`."""
        wanted = self.item_filter(audience) if wanted is None else wanted
        helpless = self._helpless(audience, on_empty)
        if helpless is None:
            return self._top(*self._search(audience, k, wanted), audience.labels, None)
        codes = np.empty((len(audience), k), np.int32)
        scores = np.empty((len(audience), k), np.float32)
        for rows, search in ((~helpless, self._search), (helpless, self._search_popular)):
            if rows.any():
                found = search(audience.part(rows), k, wanted.part(rows))
                codes[rows], scores[rows] = found
        return self._top(codes, scores, audience.labels, helpless)

    def _helpless(self, audience: Audience, on_empty: str) -> NDArray[np.bool_] | None:
        """A mask of the rows that the model itself cannot answer; None if it can answer all."""
        check_choice("on_empty", on_empty, ("popular", "error"))
        if not self.needs_history:
            unknown = None if audience.codes is None else audience.codes < 0
            return unknown if unknown is not None and unknown.any() else None
        lengths = audience.lengths()
        if len(lengths) == 1 and lengths[0]:
            return None
        empty: NDArray[np.bool_] = lengths == 0
        if not empty.any():
            return None
        if on_empty == "error":
            silent = empty if audience.codes is None else empty & (audience.codes >= 0)
            if silent.any():
                raise ValueError(f"user {audience.labels.tolist()[int(np.argmax(silent))]!r} has no history")
        return empty

    def _search(self, audience: Audience, k: int, wanted: ItemFilter) -> tuple[Codes, Floats]:
        """Codes and scores of shape (n, k), by dense scores of a batch of users at a time."""
        return self._select(self._dense, audience, k, wanted)

    def _search_popular(self, audience: Audience, k: int, wanted: ItemFilter) -> tuple[Codes, Floats]:
        popularity = self._popularity()
        return self._select(lambda part: np.tile(popularity, (len(part), 1)), audience, k, wanted)

    def choice_in_words(self) -> str:
        """Says which part of the model answers, if `fit` has chosen one by the data; otherwise an empty text."""
        return ""

    def _popularity(self) -> Floats:
        """The popularity of each item (its number of users), which answers users whom the model cannot answer."""
        return self.item_counts_.astype(np.float32)

    def _select(
        self,
        make: Callable[[Audience], Floats],
        audience: Audience,
        k: int,
        wanted: ItemFilter,
    ) -> tuple[Codes, Floats]:
        if len(audience) == 1:  # a single user needs no batches
            return select_topk(make(audience), k, exclude=wanted.excluded_of(1), allow=wanted.allow)
        codes = np.empty((len(audience), k), np.int32)
        scores = np.empty((len(audience), k), np.float32)
        for rows in self._batches(len(audience)):
            dense = make(audience.part(rows))
            part = wanted.part(rows)
            codes[rows], scores[rows] = select_topk(dense, k, exclude=part.exclude, allow=part.allow)
        return codes, scores

    def exact_model(self) -> Self:
        """See `Asked.exact_model`."""
        return self

    def answer_one(self, who: Single, k: int, only: NDArray[np.bool_] | None = None) -> SingleAnswer:
        """See `Asked.answer_one`."""
        row = who.row(self)
        if row is not None and self._learns_from(row.values):
            found = self._search_one(who, row, k, only)
            if found is not None:
                check_best(found[1].item(0))
                return SingleAnswer(*found)
        audience = who.audience(self)
        top = self.answer(audience, k, None if only is None else self.item_filter(audience).within(only))
        return SingleAnswer(top.codes[0], top.scores[0], bool(top.fallback[0]))

    def _learns_from(self, values: Floats) -> bool:
        """Tells whether the model learns from an entry of a history; nearly always it does from the first."""
        return len(values) > 0 and bool(self.keeps_zeros or values.item(0) or np.count_nonzero(values))

    def _search_one(
        self, who: Single, row: HistoryRow, k: int, only: NDArray[np.bool_] | None
    ) -> tuple[Codes, Floats] | None:
        """The `_search` for a single user with a history, `row`: codes and scores, of shape (k,).

        It uses dense scores if `_search` does. A family with another search returns None if it has no shorter way for a
        single user.
        """
        kind = type(self)
        if kind._search is not Answering._search or kind.answer is not Answering.answer:
            return None
        return self._select_one(who, row, k, only)

    def _select_one(self, who: Single, row: HistoryRow, k: int, only: NDArray[np.bool_] | None) -> tuple[Codes, Floats]:
        """The `_search_one` by dense scores."""
        scores = self._dense(who.audience(self))[0]
        closed = row.codes if self.excludes_seen else row.codes[:0]
        return select_one(scores, k, closed, self._mask_within(only))

    def _top(
        self,
        codes: Codes,
        scores: Floats,
        labels: NDArray[Any],
        fallback: NDArray[np.bool_] | None,
        names: tuple[str, str] = ("user", "item"),
    ) -> TopK:
        check_scores(scores[:, 0])  # the best scores come first
        return TopK(
            codes,
            scores,
            users=labels,
            item_vocabulary=self.items_,
            fallback=fallback,
            item_info=self.item_info_,
            names=names,
        )

    # -- scores

    def _batches(self, n: int) -> Iterator[slice]:
        step = max(1, min(BATCH_BYTES // (4 * self.n_features_in_), WORK_BYTES // self.row_bytes()))
        return (slice(start, min(start + step, n)) for start in range(0, n, step))

    def row_bytes(self) -> int:
        """See `Asked.row_bytes`: more if scores of other things than items are wide."""
        return 4 * self.n_features_in_

    def fold_in(self, audience: Audience, users: Codes | None = None) -> Floats | None:
        """See `Asked.fold_in`."""
        return None

    def scores(self, audience: Audience) -> Scores:
        """See `Asked.scores`."""
        if type(self)._score_batch is Answering._score_batch and type(self)._dense is Answering._dense:
            return SearchedScores(self._search, self.pair_scores, audience)
        return DenseScores(self._dense(audience))

    def _dense(self, audience: Audience) -> Floats:
        return self._score_batch(self._weigh(audience), audience.codes)

    def pair_scores(self, audience: Audience, rows: Rows, items: Codes) -> Floats:
        """See `Asked.pair_scores`."""
        if len(audience) == 1 and len(rows):  # a single user needs no batches
            return self._score_pairs(audience, rows, items)
        scores = np.empty(len(items), np.float32)
        for part, places, own in self._batches_of_pairs(audience, rows):
            scores[places] = self._score_pairs(part, own, items[places])
        return scores

    def _score_pairs(self, audience: Audience, rows: Rows, items: Codes) -> Floats:
        """The `pair_scores` of a batch of users, at least one pair, in ascending order of rows."""
        return scores_of_pairs(self._dense(audience), rows, items)

    def _batches_of_pairs(self, audience: Audience, rows: Rows) -> Iterator[tuple[Audience, Rows, Rows]]:
        """Yields users in batches: their codes, the places of their pairs, and the number of each pair's user in
        the batch.
        """
        order = np.argsort(rows, kind="stable")
        ascending = rows[order]
        for batch in self._batches(len(audience)):
            start, stop = np.searchsorted(ascending, (batch.start, batch.stop))
            if start < stop:
                yield audience.part(batch), order[start:stop], ascending[start:stop] - batch.start

    def trace_item(self, audience: Audience, item: int, k: int, wanted: ItemFilter) -> list[Step]:
        """See `Asked.trace_item`: a single stage, unless a model has others."""
        top = self.answer(audience, max(k, min(TRACED, self.n_features_in_)), wanted)
        stage = "popularity, since there is no history" if top.fallback[0] else type(self).__name__
        return [end_in_list(stage, top.codes[0], top.scores[0], item, k)]

    # -- items like items

    def _similar_items(self, items: Codes, k: int) -> tuple[Codes, Floats]:
        """Codes and scores of the nearest items, of shape (n, k); the item itself is not among them."""
        self._check_has_users(
            "its scores of items are the same for the same users", "ask a model with weights or vectors of items"
        )
        columns, rows = self._derived.get(STRUCTURE, self._structure)
        codes = np.empty((len(items), k), np.int32)
        scores = np.empty((len(items), k), np.float32)
        norms = np.sqrt(np.maximum(self.item_counts_, 1))
        for part in self._batches(len(items)):
            some = items[part]
            shared = check_matrix(columns[some] @ rows)
            shared = keep_entries(shared, shared.data >= self.min_support)
            cosine = (shared.toarray() / norms[some, None] / norms).astype(np.float32)
            itself = rows_of_lists(some, [1] * len(some), self.n_features_in_)
            codes[part], scores[part] = select_topk(cosine, k, exclude=itself, allow=shared)
        return codes, scores

    def _structure(self) -> tuple[Any, Any]:
        """Two matrices of ones where the training data has an entry: items × users, and users × items."""
        taken = self._training
        ones = csr_array((np.ones(taken.nnz, np.float32), taken.indices, taken.indptr), shape=taken.shape)
        return ones.T.tocsr(), ones


def check_scores(scores: Any) -> None:
    """Raises a FloatingPointError if a score is NaN or infinite; -inf marks an item that must not be recommended."""
    check_best(np.maximum.reduce(scores, axis=None, initial=-np.inf))  # NaN is the maximum if there is one


def check_best(score: float) -> None:
    """Does as `check_scores`, given the largest of all scores."""
    if not score < np.inf:
        raise FloatingPointError("scores are beyond float32: the values of X, or of a history, are too large")


def seen_rows(audience: Audience) -> CodeMatrix:
    """The items that each user has seen, as rows; none for a user unknown to the model."""
    if audience.codes is None or not len(audience.codes) or audience.codes.min() >= 0:
        return audience.seen()
    if not audience.model.has_users:
        return rows_of_lists(np.empty(0, np.int32), [0] * len(audience), audience.model.seen_.shape[1])
    known = np.maximum(audience.codes, 0)
    rows = pick_rows(audience.model.seen_, known)
    return keep_entries(rows, (audience.codes >= 0)[row_numbers(rows)])
