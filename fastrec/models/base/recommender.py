"""The base of all recommenders: the questions to a model, in the ids of the caller."""

import os
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastrec.data import Interactions
from fastrec.data.ids import as_sequence
from fastrec.matrix.arrays import Codes
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.rows import hide_part, pick_rows
from fastrec.metrics import measure
from fastrec.metrics.inputs import check_truth
from fastrec.metrics.scorers import Scorer
from fastrec.models.base.answering import SIMILAR_ITEMS, Answering, check_scores
from fastrec.models.base.audience import Audience, find_audience, read_histories
from fastrec.models.base.items import check_list, encode_items, encode_lists, order_lists, read_truth
from fastrec.models.base.persistence import save
from fastrec.models.base.single import Single
from fastrec.models.base.streaming import recommend_to
from fastrec.models.base.tracing import Step, Trace
from fastrec.permissions import PRIVATE
from fastrec.retrieval import TopK
from fastrec.validation import check_choice, check_flag, check_size

OnUnknown: TypeAlias = Literal["error", "skip", "popular"]
OnEmpty: TypeAlias = Literal["popular", "error"]


class Recommender(Answering):
    """The base of all recommenders.

    A family defines ``__init__`` (which only stores its options), ``_fit(matrix)``, ``_score_batch(histories, codes)``,
    the declarations of its options in ``_options``, and those of its learned values in ``_learned``. A family with user
    and item factors derives from `FactorRecommender` instead. Everything else is here: checks, the caller's ids,
    filters, fallbacks, memory in proportion to the batch.

    Attributes
    ----------
    seen_ : csr_array of shape (n_users, n_items)
        The users' items: float32, int32 indices, int64 indptr; read-only. A stored zero is an event of value 0: models
        of implicit feedback do not learn from it.
    item_counts_ : ndarray of shape (n_items,)
        The number of users of each item, int64; zeros do not count if the model does not learn from them.
    duplicates_ : {"sum", "last", "max"}
        The policy that merged several events of one user and item; updates use it unless their data has another one.
    users_, items_ : Vocabulary or None
        The caller's ids, if the model was fitted with Interactions.
    item_info_ : mapping of str to ndarray, or None
        Titles and other facts about items, in the order of their codes.
    n_features_in_ : int
        The number of items.
    """

    def recommend(
        self,
        users: Any,
        k: int = 10,
        *,
        exclude_seen: bool | None = None,
        allow: Any = None,
        deny: Any = None,
        on_unknown: OnUnknown = "error",
        on_empty: OnEmpty = "popular",
        exact: bool = False,
    ) -> TopK:
        """The `k` best items for each user.

        Parameters
        ----------
        users
            One id or a sequence of n ids of users of the training data; codes, if the model was fitted with a matrix.
            Or Interactions or a matrix of shape (n, n_items) with the histories of any users, who are folded in.
        k
            The number of items for each user.
        exclude_seen
            Whether to leave out what the user has had: in the training data, or in the history given. None is the
            model's own `excludes_seen`: False for a model of what users have again (`TIFUKNN`), and True for others.
        allow, deny
            Only these items, and none of these: a sequence of ids for all users; or, for each user, a sequence of
            such sequences, or a sparse matrix of shape (n, n_items) whose entries count.
        on_unknown
            The answer to an id that the model does not know. "error" raises an error. "skip" leaves the user out of the
            result, or the item out of `allow` and `deny`. "popular" recommends popular items to the user.
        on_empty
            The answer to a user without history: popular items, or an error.
        exact
            Score all items, even if the model has an approximate index of them (`FactorRecommender.build_index`).

        Returns
        -------
        TopK
            Codes and scores of shape (n, k), best first, ties by code; -1 and -inf if fewer than k items are left.
            `fallback` marks the rows answered by popularity, whose scores are counts of users. Items without a
            training event are never recommended.

        Raises
        ------
        ValueError
            If `k` is below 1, an id is unknown, a code is out of range or a matrix has another width.

        Examples
        --------
        >>> from fastrec.models import Popularity
        >>> model = Popularity().fit([[1, 1, 0, 1], [0, 1, 1, 0], [0, 1, 1, 0]])
        >>> model.recommend([0, 1], k=2).codes
        array([[ 2, -1],
               [ 0,  3]], dtype=int32)
        >>> model.recommend([[0, 1, 0, 0]], k=2, deny=[0]).codes
        array([[2, 3]], dtype=int32)
        """
        k = check_size("k", k)
        audience, known = find_audience(self, users, on_unknown)
        check_size("k", k, each=8 * max(1, len(audience)))
        own = exclude_seen is None or exclude_seen is self.excludes_seen
        is_usual = own and allow is None and deny is None and on_empty == "popular" and exact is False
        if is_usual and known is None and audience.codes is not None and len(audience) == 1:
            return self._recommend_one(audience, k)
        wanted = self.item_filter(audience, exclude_seen, allow, deny, on_unknown)
        if known is not None:  # unknown users leave after the filters have been matched with them
            audience, wanted = audience.part(known), wanted.part(known)
        model = self.exact_model() if check_flag("exact", exact) else self
        return model.answer(audience, k, wanted, on_empty)

    def _recommend_one(self, audience: Audience, k: int) -> TopK:
        """Answers `recommend` for a single known user without filters, by the shortest way."""
        assert audience.codes is not None
        codes, scores, fallback = self.answer_one(Single(int(audience.codes[0])), k)
        return self._top(codes[None], scores[None], audience.labels, np.ones(1, bool) if fallback else None)

    def recommend_to(
        self,
        path: str | os.PathLike[str],
        users: Any = None,
        k: int = 10,
        *,
        batch_size: int = 10_000,
        verbose: bool | int = False,
        mode: int = PRIVATE,
        exclude_seen: bool | None = None,
        allow: Any = None,
        deny: Any = None,
        on_unknown: OnUnknown = "error",
        on_empty: OnEmpty = "popular",
        exact: bool = False,
    ) -> int:
        """Writes recommendations for many users to a Parquet or CSV file, in bounded memory; a killed run can be
        resumed.

        Parameters
        ----------
        path
            The file: user, item, score, rank (from 1), and title if titles are known.
        users
            Ids or histories, as in `recommend`; None for all users of the training data.
        k
            The number of items for each user.
        batch_size
            The number of users at a time.
        verbose
            Whether to show progress.
        mode
            The file's permissions: by default its owner alone may read it; 0o640 lets a group read it.
        exclude_seen, allow, deny, on_unknown, on_empty, exact
            As in `recommend`.

        Returns
        -------
        int
            The number of rows written. See `fastrec.models.base.streaming.recommend_to`.
        """
        options = {
            "exclude_seen": exclude_seen,
            "allow": allow,
            "deny": deny,
            "on_unknown": on_unknown,
            "on_empty": on_empty,
            "exact": exact,
        }
        return recommend_to(self, path, users, k, batch_size=batch_size, verbose=verbose, mode=mode, **options)

    def histories(self, items: Any, *, on_unknown: Literal["error", "skip"] = "error") -> CodeMatrix | Interactions:
        """Makes histories from ids of items, in the form that `recommend`, `transform` and `update_users` take.

        Parameters
        ----------
        items
            A sequence of n sequences of item ids (codes, if the model was fitted with a matrix), the oldest first
            for a model that reads an order. A repeated item counts once, at its last place. A mapping in the place of a
            sequence gives each item a value: ``{item: value, …}``.
        on_unknown
            Whether an item that the model does not know is an error or left out.

        Returns
        -------
        csr_array of shape (n, n_items)
            A matrix of ones; or of the places of items in their list, from 1 on, if the model needs an order. If the
            model fades histories (its `recency` is below 1, or a feature of `TwoStage` reads their order), or a
            mapping gives values, Interactions of that shape, whose times are the order.

        Raises
        ------
        ValueError
            If an id is unknown.
        TypeError
            If `items` holds the items of one user: give a list for each user.

        Examples
        --------
        >>> from fastrec.models import Popularity
        >>> model = Popularity().fit([[1, 0, 1], [1, 1, 0], [1, 0, 0]])
        >>> model.recommend(model.histories([[0], [0, 1]]), k=1).codes
        array([[1],
               [2]], dtype=int32)
        >>> model.histories([{0: 5.0, 2: 1.0}]).values
        array([5., 1.], dtype=float32)
        """
        self._check_fitted()
        check_choice("on_unknown", on_unknown, ("error", "skip"))
        lists = list(map(check_list, as_sequence(items)))
        if self.fades or any(isinstance(row, Mapping) for row in lists):
            return order_lists(self, lists, on_unknown)
        return encode_lists(self, "items", lists, on_unknown, places=self.needs_order)

    def predict(self, X: Any) -> Codes:
        """Predicts the code of the best item outside the row, for each row of X.

        Parameters
        ----------
        X
            Interactions or a matrix of histories, of shape (n, n_items). The rows are folded in, even those of training
            users.

        Returns
        -------
        ndarray of int32, of shape (n,)
            The codes; -1 if nothing can be recommended.

        Examples
        --------
        >>> from fastrec.models import Popularity
        >>> Popularity().fit([[1, 1, 0], [0, 1, 1]]).predict([[0, 1, 0]])
        array([0], dtype=int32)
        """
        return self.answer(read_histories(self, X), 1).codes[:, 0]

    def predict_pairs(self, users: Any, items: Any) -> NDArray[np.float32]:
        """Predicts the scores of pairs of a user and an item.

        Parameters
        ----------
        users
            n ids of users, or one for all items; or histories, as in `recommend`.
        items
            n ids of items, or one for all users.

        Returns
        -------
        ndarray of float32, of shape (n,)

        Raises
        ------
        ValueError
            If an id is unknown, or the two are not of one length.

        Examples
        --------
        >>> from fastrec.models import Popularity
        >>> Popularity().fit([[1, 1, 0], [0, 1, 1]]).predict_pairs([0, 1], [1, 2])
        array([2., 1.], dtype=float32)
        """
        audience, _ = find_audience(self, users, "error")
        codes = encode_items(self, "items", items)
        if len(audience) != len(codes) and 1 not in (len(audience), len(codes)):
            raise ValueError(f"users and items must be of one length, got {len(audience)} and {len(codes)}")
        n = max(len(audience), len(codes)) if len(audience) and len(codes) else 0
        rows = np.arange(n) if n == len(audience) else np.zeros(n, np.int64)
        if audience.codes is not None:  # a user of many pairs is answered once
            _, first, number = np.unique(audience.codes, return_index=True, return_inverse=True)
            audience, rows = audience.part(first), number[rows]
        scores = self.pair_scores(audience, rows, codes if len(codes) == n else np.repeat(codes[:1], n))
        check_scores(scores)
        return scores

    def trace(
        self,
        user: Any,
        item: Any,
        k: int = 10,
        *,
        exclude_seen: bool | None = None,
        allow: Any = None,
        deny: Any = None,
    ) -> Trace:
        """The stages that an item comes through on its way to a user's list: why it is there, or which one lost it.

        Parameters
        ----------
        user
            The id of a user of the training data, or Interactions or a matrix of one row: anybody's history.
        item
            The id of the item.
        k, exclude_seen, allow, deny
            As in `recommend`, which gives the list.

        Returns
        -------
        Trace
            `steps`, and `lost`, the stage that lost the item. First come the filters (seen, in deny, not in allow, no
            training event), then the stages of the model: of one made of models, those of its members too.

        Raises
        ------
        ValueError
            Where `k` is below 1, an id is unknown, or not one user or one item is given.

        Examples
        --------
        >>> from fastrec.models import Popularity
        >>> model = Popularity().fit([[1, 1, 0, 1], [0, 1, 1, 0], [0, 1, 1, 0]])
        >>> model.trace(0, 1).lost
        Step(stage='filters', passes=False, why='seen')
        >>> model.trace(1, 3, k=1)
        Trace of 3 for 1, a list of 1: is lost: below the k: place 2, score 1
          filters: passes, open
          Popularity: lost, below the k: place 2, score 1
        """
        k = check_size("k", k)
        audience, _ = find_audience(self, user, "error")
        codes = encode_items(self, "item", item)
        if len(audience) != 1 or len(codes) != 1:
            raise ValueError(f"trace takes one user and one item, got {len(audience)} and {len(codes)}")
        code, why = int(codes[0]), "open"
        seen = self.item_filter(audience, exclude_seen)
        wanted = self.item_filter(audience, exclude_seen, allow, deny)
        warm = self.recommendable_items()
        if warm is not None and not warm[code]:
            why = "no training event"
        elif not seen.lets_through(code):
            why = "seen"
        elif not wanted.lets_through(code):
            why = "in deny" if not self.item_filter(audience, False, None, deny).lets_through(code) else "not in allow"
        steps = [Step("filters", why == "open", why)]
        if why == "open":
            steps += self.trace_item(audience, code, k, wanted)
        return Trace(audience.labels.tolist()[0], self.item_vocabulary.decode(codes).tolist()[0], k, steps)

    def similar_items(self, items: Any, k: int = 10) -> TopK:
        """Finds the `k` items most similar to each item, without the item itself.

        Here, similarity is the cosine of two columns of the training data as sets of users. Models with vectors or
        weights of items compare those.

        Parameters
        ----------
        items
            One id or a sequence of n ids (codes, if the model was fitted with a matrix).
        k
            The number of similar items for each.

        Returns
        -------
        TopK
            Codes and scores of shape (n, k); `users` holds the given items. Only items with a training event are
            listed.

        Examples
        --------
        >>> from fastrec.models import Popularity
        >>> Popularity().fit([[1, 1, 0], [1, 1, 0], [0, 1, 1]]).similar_items(0, k=1).codes
        array([[1]], dtype=int32)
        """
        k = check_size("k", k)
        self._check_fitted()
        codes = encode_items(self, "items", items)
        check_size("k", k, each=8 * max(1, len(codes)))
        found, scores = self._similar_items(codes, k)
        warm = self.recommendable_items()
        if warm is not None:
            found[~warm[codes]], scores[~warm[codes]] = -1, -np.inf
        return self._top(found, scores, self.item_vocabulary.decode(codes), None, SIMILAR_ITEMS)

    def score(self, X: Any, y: Any = None, *, metric: str = "ndcg@10") -> float:
        """The mean NDCG@10, or another ranking metric, of recommendations for histories.

        Parameters
        ----------
        X
            Interactions or a matrix of histories, of shape (n, n_items); the rows are folded in.
        y
            The items to find for each row: Interactions or a matrix of shape (n, n_items), or one item for each row, of
            shape (n,). Without it, a fifth of each row's items (at least one) is hidden and must be found. A hash of
            the row's own items chooses them, so they are the same in every run. Rows of fewer than two items are left
            out.
        metric
            The name of a ranking metric with a cut-off, such as "recall@20".

        Returns
        -------
        float
            The mean, from 0 to 1; NaN if no row has an item to find.

        Examples
        --------
        >>> from fastrec.models import Popularity
        >>> model = Popularity().fit([[1, 1, 0], [0, 1, 1], [0, 1, 1]])
        >>> model.score([[0, 0, 1]], [1])
        1.0
        """
        k = Scorer(metric).k
        audience = read_histories(self, X)
        if y is None:
            _, truth = hide_part(audience.histories())
            audience = audience.without(truth)
        else:
            truth = read_truth(self, y, len(audience))
        truth = check_truth(truth)  # values that are not above 0 are nothing to find
        rows = np.flatnonzero(np.diff(truth.indptr))
        if not len(rows):
            return float("nan")
        ranking = self.answer(audience.part(rows), k).codes
        return float(np.mean(measure(ranking, pick_rows(truth, rows), metric)[metric]))

    def save(self, path: str | os.PathLike[str], *, mode: int = PRIVATE) -> None:
        """Writes the model to a file that `fastrec.load` reads; see `fastrec.save`."""
        save(self, path, mode=mode)
