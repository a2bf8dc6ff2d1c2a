"""The base of all recommenders: all questions to a model, in the ids of the caller."""

import os
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
from fastrec.permissions import PRIVATE
from fastrec.retrieval import TopK
from fastrec.validation import check_choice, check_flag, check_size

OnUnknown: TypeAlias = Literal["error", "skip", "popular"]
OnEmpty: TypeAlias = Literal["popular", "error"]


class Recommender(Answering):
    """The base of all recommenders.

    A family defines ``__init__`` (which only stores its options), ``_fit(matrix)``, ``_score_batch(histories, codes)``,
    what its options may be in ``_options``, and the names of what it learned in ``_learned``. A family with user and
    item factors derives from `FactorRecommender` instead. Everything else is here: checks, the caller's ids, filters,
    fallbacks, memory in proportion to the batch.

    Attributes
    ----------
    seen_ : csr_array of shape (n_users, n_items)
        What users have had: float32, int32 indices, int64 indptr; read-only. A stored zero is an event of value 0:
        models of implicit feedback do not learn from it.
    item_counts_ : ndarray of shape (n_items,)
        How many users each item has, int64; where zeros are not learned from, they do not count.
    duplicates_ : {"sum", "last", "max"}
        What several events of one user and item came to; updates follow it, where their data says nothing else.
    users_, items_ : Vocabulary or None
        The caller's ids, where the model was fitted with Interactions.
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
        exclude_seen: bool = True,
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
            One id or a sequence of n ids of users of the training data; codes, where the model was fitted with a
            matrix. Or Interactions or a matrix of shape (n, n_items) with the histories of any users, who are folded
            in.
        k
            How many items for each.
        exclude_seen
            Leave out what the user has seen: in the training data, or in the history given.
        allow, deny
            Only these items, and none of these: a sequence of ids for all users; or, for each user, a sequence of
            such sequences, or a sparse matrix of shape (n, n_items) whose entries count.
        on_unknown
            The answer to an id that the model does not know. "error" raises an error. "skip" leaves the user out of the
            result, or the item out of `allow` and `deny`. "popular" recommends what is popular to the user.
        on_empty
            What to do about a user with no history: recommend what is popular, or raise an error.
        exact
            Look at all items, also where the model has an approximate index of them (`FactorRecommender.build_index`).

        Returns
        -------
        TopK
            Codes and scores of shape (n, k), best first, ties by code; -1 and -inf where fewer than k items are left.
            `fallback` marks the rows answered by popularity, whose scores are counts of users. Items without a
            training event are never recommended.

        Raises
        ------
        ValueError
            Where `k` is below 1, an id is unknown, a code is out of range or a matrix has another width.

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
        is_usual = exclude_seen is True and allow is None and deny is None and on_empty == "popular" and exact is False
        if is_usual and known is None and audience.codes is not None and len(audience) == 1:
            return self._recommend_one(audience, k)
        wanted = self.item_filter(audience, exclude_seen, allow, deny, on_unknown)
        if known is not None:  # users left out, once the filters that were given for each have been matched with them
            audience, wanted = audience.part(known), wanted.part(known)
        model = self.exact_model() if check_flag("exact", exact) else self
        return model.answer(audience, k, wanted, on_empty)

    def _recommend_one(self, audience: Audience, k: int) -> TopK:
        """`recommend` of a single known user without filters, by the shortest way."""
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
        exclude_seen: bool = True,
        allow: Any = None,
        deny: Any = None,
        on_unknown: OnUnknown = "error",
        on_empty: OnEmpty = "popular",
        exact: bool = False,
    ) -> int:
        """Write recommendations for many users to a Parquet or CSV file: in bounded memory, resumable after a kill.

        Parameters
        ----------
        path
            The file: user, item, score, rank (from 1), and title where titles are known.
        users
            Ids or histories, as in `recommend`; None for all users of the training data.
        k
            How many items for each.
        batch_size
            Users at a time.
        verbose
            Whether to show progress.
        mode
            The file's permissions: its owner's alone, unless 0o640, say, lets a group read it.
        exclude_seen, allow, deny, on_unknown, on_empty, exact
            As in `recommend`.

        Returns
        -------
        int
            How many rows were written. See `fastrec.models.base.streaming.recommend_to`.
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
        """The histories of users by the ids of their items, as `recommend`, `transform` and `update_users` take them.

        Parameters
        ----------
        items
            A sequence of n sequences of item ids (codes, where the model was fitted with a matrix), the oldest first
            for a model that reads an order. A repeated item counts once, at its last place.
        on_unknown
            Whether an item that the model does not know is an error or left out.

        Returns
        -------
        csr_array of shape (n, n_items)
            Ones; the places of items in their list, from 1 on, where the model needs an order. Where it fades histories
            (its `recency` is below 1), Interactions of that shape, whose times are the order.

        Raises
        ------
        ValueError
            Where an id is unknown.
        TypeError
            For the items of one user alone: there has to be a list for each user.

        Examples
        --------
        >>> from fastrec.models import Popularity
        >>> model = Popularity().fit([[1, 0, 1], [1, 1, 0], [1, 0, 0]])
        >>> model.recommend(model.histories([[0], [0, 1]]), k=1).codes
        array([[1],
               [2]], dtype=int32)
        """
        self._check_fitted()
        check_choice("on_unknown", on_unknown, ("error", "skip"))
        lists = map(check_list, as_sequence(items))
        if self.fades:
            return order_lists(self, lists, on_unknown)
        return encode_lists(self, "items", lists, on_unknown, places=self.needs_order)

    def predict(self, X: Any) -> Codes:
        """The code of the best item that is not in the row, for each row of X.

        Parameters
        ----------
        X
            Interactions or a matrix of histories, of shape (n, n_items). The rows are folded in, those of training
            users too.

        Returns
        -------
        ndarray of int32, of shape (n,)
            -1 where nothing can be recommended.

        Examples
        --------
        >>> from fastrec.models import Popularity
        >>> Popularity().fit([[1, 1, 0], [0, 1, 1]]).predict([[0, 1, 0]])
        array([0], dtype=int32)
        """
        return self.answer(read_histories(self, X), 1).codes[:, 0]

    def predict_pairs(self, users: Any, items: Any) -> NDArray[np.float32]:
        """The scores of pairs of a user and an item.

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
            Where an id is unknown, or the two are not of one length.

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
        if audience.codes is not None:  # who is asked about often is answered once
            _, first, number = np.unique(audience.codes, return_index=True, return_inverse=True)
            audience, rows = audience.part(first), number[rows]
        scores = self.pair_scores(audience, rows, codes if len(codes) == n else np.repeat(codes[:1], n))
        check_scores(scores)
        return scores

    def similar_items(self, items: Any, k: int = 10) -> TopK:
        """The `k` items most similar to each item, itself left out.

        Here, similar are items with the same users: the cosine of the two columns of the training data, each a user
        or not. Models with vectors or weights for items compare those.

        Parameters
        ----------
        items
            One id or a sequence of n ids (codes, where the model was fitted with a matrix).
        k
            How many for each.

        Returns
        -------
        TopK
            Codes and scores of shape (n, k); `users` are the items asked about. Only items with a training event.

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
            What is to be found for each row: Interactions or a matrix of shape (n, n_items), or one item for each row,
            of shape (n,). Without it, a fifth of each row's items (one at least) is hidden and to be found: chosen by
            a hash of the row's own items, so the same in every run. Rows of fewer than two items are left out.
        metric
            The name of a ranking metric with a cut-off, such as "recall@20".

        Returns
        -------
        float
            From 0 to 1; NaN where no row has anything to find.

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
        truth = check_truth(truth)  # what is not above 0 is nothing to find
        rows = np.flatnonzero(np.diff(truth.indptr))
        if not len(rows):
            return float("nan")
        ranking = self.answer(audience.part(rows), k).codes
        return float(np.mean(measure(ranking, pick_rows(truth, rows), metric)[metric]))

    def save(self, path: str | os.PathLike[str], *, mode: int = PRIVATE) -> None:
        """Write the model to a file that `fastrec.load` reads; see `fastrec.save`."""
        save(self, path, mode=mode)
