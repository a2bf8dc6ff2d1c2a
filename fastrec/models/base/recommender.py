"""The base of all recommenders: checks, ids, filters and fallbacks, so that a family defines only its mathematics."""

import inspect
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import _check_feature_names

from fastrec.data import Interactions, Vocabulary
from fastrec.data.ids import as_ids, as_numbers, as_sequence
from fastrec.data.recognition import refuse_table
from fastrec.fields import Array, Fields, Matrix, Sizes, Value
from fastrec.matrix.arrays import check_codes
from fastrec.matrix.cells import common_entries, count_codes, row_numbers
from fastrec.matrix.code_matrix import CodeMatrix, check_matrix, drop_zeros, keep_entries
from fastrec.matrix.rows import hide_part, join_rows, pick_rows, rows_of_lists
from fastrec.metrics import check_truth, ndcg
from fastrec.models.base.audience import Allowed, Audience, Codes, Excluded
from fastrec.models.base.derived import Derived
from fastrec.models.base.explanation import Explanation
from fastrec.models.base.fields import Facts, Ids, Names
from fastrec.models.base.persistence import freeze, save
from fastrec.models.base.registry import register
from fastrec.models.base.streaming import recommend_to
from fastrec.permissions import PRIVATE
from fastrec.retrieval import TopK
from fastrec.retrieval.select import select_topk
from fastrec.validation import check_choice, check_flag, check_size, name_options

OnUnknown: TypeAlias = Literal["error", "skip", "popular"]
OnEmpty: TypeAlias = Literal["popular", "error"]

# Dense scores are made for as many users at a time as fit in the first, and all that is made on the way in the second.
BATCH_BYTES = 32 << 20
WORK_BYTES = 4 * BATCH_BYTES


def _name_options_of(cls: type) -> None:
    """Let the constructor and the public methods of a class name the right option for a wrong one."""
    for name, function in list(vars(cls).items()):
        public = name == "__init__" or not name.startswith("_")
        if public and inspect.isfunction(function) and not hasattr(function, "names_options"):
            setattr(cls, name, name_options(function))


def _checked_list(row: Any) -> Any:
    if isinstance(row, str | bytes) or not isinstance(row, Iterable):
        raise TypeError(
            f"items must be a list of items for each user, as [[1, 2], [3]], got {row!r} in place of a list"
        )
    return row


class Recommender(BaseEstimator, ABC):
    """The base of all recommenders.

    A family defines ``__init__`` (which only stores its options), ``_fit(matrix)``, ``_score_batch(histories, codes)``,
    and the names of what it learned in ``_learned``; one with user and item factors derives from `FactorRecommender`
    instead. Everything else is here: checks, the caller's ids, filters, fallbacks, memory in proportion to the batch.

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

    capabilities: ClassVar[frozenset[str]] = frozenset()
    """What this family can do beyond the base: "transform", "similar_users", "explain", "partial_fit"."""

    takes_negatives: ClassVar[bool] = False
    """Whether values below zero are data, or an error."""

    keeps_zeros: ClassVar[bool] = False
    """Whether an event of value 0 is learned from (ratings), or says only that the item was had (implicit feedback)."""

    needs_history: ClassVar[bool] = True
    """Whether a user without any history is answered by popularity instead of by the model."""

    _learned: ClassVar[Fields] = {
        "n_features_in_": Value(int, equal="n_items"),
        "feature_names_in_": Names("n_items", absent=True),
        "users_": Ids("n_users", optional=True),
        "items_": Ids("n_items", optional=True),
        "item_info_": Facts("n_items", optional=True),
        "seen_": Matrix(("n_users", "n_items")),
        "item_counts_": Array(("n_items",), "int64", least=0),
        "duplicates_": Value(str, choices=("sum", "last", "max"), absent=True),
    }
    """What this class adds to a fitted model, and to a saved one; each class declares only its own."""

    seen_: CodeMatrix
    item_counts_: NDArray[np.int64]
    duplicates_: str
    users_: Vocabulary | None
    items_: Vocabulary | None
    item_info_: Mapping[str, NDArray[Any]] | None
    n_features_in_: int
    _derived: Derived

    def __init_subclass__(cls, **kwargs: Any) -> None:
        _name_options_of(cls)
        super().__init_subclass__(**kwargs)
        if cls.__module__.startswith("fastrec.models."):
            register(cls)

    # -- what a family defines

    def _check_options(self) -> None:
        """Check the constructor's options, before the data is looked at."""

    @abstractmethod
    def _fit(self, matrix: CodeMatrix) -> None:
        """Learn from the checked matrix of shape (n_users, n_items): `_training`, which must not be changed."""

    def _score_batch(self, histories: CodeMatrix, codes: Codes | None) -> NDArray[np.float32]:
        """Scores of all items for some users, float32, C-contiguous, of shape (b, n_items).

        `histories` are their rows; `codes` are theirs as users of the training data, None where they are not. A row's
        scores must not depend on the other rows of the batch.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no _score_batch")

    def _complete(self, matrix: CodeMatrix) -> None:
        """What a kind of models adds after `_fit`."""

    # -- learning

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from interactions.

        Parameters
        ----------
        X
            Interactions, any SciPy sparse matrix or array, or a dense array, of shape (n_users, n_items).
        y
            Not used; there because scikit-learn passes it.

        Returns
        -------
        The fitted model itself.

        Raises
        ------
        ValueError, TypeError
            Where an option or a value of X is not what it must be. The model is left as it was.
        """
        return self._learn(X)

    def _learn(self, X: Any, **options: Any) -> Self:
        """`fit`, with further keywords for the family's `_fit`. Whatever stops it, the model is left as it was."""
        before = dict(self.__dict__)
        try:
            self._check_options()
            self._adopt(X)
            if isinstance(factors := getattr(self, "factors", None), int | np.integer):
                # The rows of both sides, and products of all pairs of columns.
                check_size(
                    f"{type(self).__name__}.factors",
                    factors,
                    minimum=0,
                    each=4 * (sum(self.seen_.shape) + int(factors)),
                )
            self._fit(self._training, **options)
            self._complete(self._training)
            freeze(self)
            if isinstance(X, Interactions):
                X.tell_merged(type(self).__name__, self._own_policy)
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise
        return self

    def _adopt(self, X: Any) -> None:
        """Take over the data: the matrix, the vocabularies, what is known about the items."""
        self.__dict__.pop("duplicates_", None)
        matrix = self._checked(X, copy=True, minimum_rows=1)
        self.duplicates_ = self._policy_of(X)
        if isinstance(X, Interactions):
            self.users_, self.items_, self.item_info_ = X.users, X.items, X.item_info
            self.__dict__.pop("feature_names_in_", None)
        else:
            self.users_ = self.items_ = self.item_info_ = None
            _check_feature_names(self, X, reset=True)
        self._take_matrix(matrix)
        self._derived = Derived()

    def _take_matrix(self, matrix: CodeMatrix) -> None:
        """Take over what users have had, and count what of it is learned from."""
        self.n_features_in_ = int(matrix.shape[1])
        self.seen_ = matrix
        self.item_counts_ = count_codes(self._trained(matrix).indices, matrix.shape[1])

    def _trained(self, rows: CodeMatrix) -> CodeMatrix:
        """The entries of rows that the model learns from: all, but for zeros in models of implicit feedback."""
        return rows if self.keeps_zeros else drop_zeros(rows)

    @property
    def _training(self) -> CodeMatrix:
        """`_trained` of `seen_`, which nearly always is `seen_` itself: then no entry of it is looked at."""
        training: CodeMatrix = self._derived.get("training", self._find_training)
        return training

    def _find_training(self) -> CodeMatrix:
        return self.seen_ if self.seen_.nnz == self.item_counts_.sum() else self._trained(self.seen_)

    def _checked(self, X: Any, *, copy: bool = False, minimum_rows: int = 0) -> CodeMatrix:
        refuse_table(X, "X")
        return check_matrix(
            X,
            negative="accept" if self.takes_negatives else "refuse",
            zeros="events",
            duplicates=self._policy,
            copy=copy,
            minimum_rows=minimum_rows,
        )

    @property
    def _own_policy(self) -> Literal["sum", "last"]:
        """What several events of one user and item come to, where nothing else is said."""
        return "last" if self.keeps_zeros else "sum"

    @property
    def _policy(self) -> Any:
        """What events come to that join those of the training data."""
        return vars(self).get("duplicates_", self._own_policy)

    def _policy_of(self, X: Any) -> Any:
        """What events of X come to: X says it, or else the model."""
        said = X.duplicates if isinstance(X, Interactions) else None
        return self._policy if said in (None, "error") else said

    # -- asking

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
            One id or a sequence of n ids of users of the training data (codes, where the model was fitted with a
            matrix); or Interactions or a matrix of shape (n, n_items) with the histories of any users, who are folded
            in.
        k
            How many items for each.
        exclude_seen
            Leave out what the user has seen: in the training data, or in the history given.
        allow, deny
            Only these items, and none of these: a sequence of ids for all users; or, for each user, a sequence of
            such sequences, or a sparse matrix of shape (n, n_items) whose entries count.
        on_unknown
            What to do about an id that the model does not know: raise an error; leave the user out of the result (or
            the item out of `allow` and `deny`); or recommend to the user what is popular.
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
        audience, known = self._audience(users, on_unknown)
        check_size("k", k, each=8 * max(1, len(audience)))
        exclude, allowed = self._filters(audience, exclude_seen, allow, deny, on_unknown)
        if known is not None:  # users left out, once the filters that were given for each have been matched with them
            audience, exclude, allowed = audience.part(known), _part(exclude, known), _part(allowed, known)
        model = self._exactly() if check_flag("exact", exact) else self
        return model._answer(audience, k, exclude, allowed, on_empty)

    def _exactly(self) -> Self:
        """The model without an approximate index."""
        return self

    def histories(self, items: Any, *, on_unknown: Literal["error", "skip"] = "error") -> CodeMatrix:
        """The histories of users by the ids of their items, as a matrix that `recommend` and `transform` take.

        Parameters
        ----------
        items
            A sequence of n sequences of item ids (codes, where the model was fitted with a matrix). A repeated item
            counts once.
        on_unknown
            Whether an item that the model does not know is an error or left out.

        Returns
        -------
        csr_array of shape (n, n_items)
            Ones.

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
        return self._rows_of("items", map(_checked_list, as_sequence(items)), on_unknown)

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
        return self._recommend_rows(self._histories(X), 1).codes[:, 0]

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
        audience, _ = self._audience(users, "error")
        codes = self._item_codes("items", items)
        if len(audience) != len(codes) and 1 not in (len(audience), len(codes)):
            raise ValueError(f"users and items must be of one length, got {len(audience)} and {len(codes)}")
        n = max(len(audience), len(codes)) if len(audience) and len(codes) else 0
        if n != len(audience):
            audience = audience.part(np.zeros(n, np.int64))
        scores = self._pair_scores(audience, np.broadcast_to(codes[:n], n) if len(codes) != n else codes)
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
        codes = self._item_codes("items", items)
        check_size("k", k, each=8 * max(1, len(codes)))
        found, scores = self._similar_items(codes, k)
        warm = self._warm()
        if warm is not None:
            found[~warm[codes]], scores[~warm[codes]] = -1, -np.inf
        return self._top(found, scores, self._labels_of(codes, self.items_), None)

    def score(self, X: Any, y: Any = None) -> float:
        """The mean NDCG@10 of recommendations for histories.

        Parameters
        ----------
        X
            Interactions or a matrix of histories, of shape (n, n_items); the rows are folded in.
        y
            What is to be found for each row: Interactions or a matrix of shape (n, n_items), or one item for each row,
            of shape (n,). Without it, a fifth of each row's items (one at least) is hidden and to be found: chosen by
            a hash of the row's own items, so the same in every run. Rows of fewer than two items are left out.

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
        histories = self._histories(X)
        if y is None:
            _, truth = hide_part(self._trained(histories))
            histories = keep_entries(histories, ~common_entries(histories, truth))
        else:
            truth = self._truth(y, histories.shape[0])
        truth = check_truth(truth)  # what is not above 0 is nothing to find
        rows = np.flatnonzero(np.diff(truth.indptr))
        if not len(rows):
            return float("nan")
        ranking = self._recommend_rows(pick_rows(histories, rows), 10).codes
        return float(np.mean(ndcg(ranking, pick_rows(truth, rows), 10)))

    def save(self, path: str | os.PathLike[str], *, mode: int = PRIVATE) -> None:
        """Write the model to a file that `fastrec.load` reads; see `fastrec.save`."""
        save(self, path, mode=mode)

    # -- from what the caller says to codes and rows

    def _check_fitted(self) -> None:
        if not hasattr(self, "seen_"):
            name = type(self).__name__
            raise NotFittedError(f"This {name} instance is not fitted yet. Call 'fit' with the interactions first.")

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "seen_")

    def _histories(self, X: Any) -> CodeMatrix:
        """X checked as histories of users over the model's items."""
        self._check_fitted()
        if isinstance(X, Interactions):
            self._check_items_of(X)
        else:
            _check_feature_names(self, X, reset=False)
        matrix = self._checked(X)
        if matrix.shape[1] != self.n_features_in_:
            hint = "; it looks transposed" if matrix.shape[0] == self.n_features_in_ else ""
            raise ValueError(
                f"X has {matrix.shape[1]} features, but {type(self).__name__} is expecting {self.n_features_in_} "
                f"features as input, one for each item{hint}"
            )
        return matrix

    def _check_items_of(self, X: Interactions) -> None:
        if self.items_ is None or X.items is None or X.items == self.items_:
            return
        if X.users == self.items_ or X.items == self.users_:
            raise ValueError("X looks transposed: its users are the model's items, or its items the model's users")
        raise ValueError(
            f"X has another item vocabulary ({len(X.items)} items) than the model was fitted with "
            f"({len(self.items_)} items); make it with Interactions(..., items=model.items_)"
        )

    def _audience(self, users: Any, on_unknown: str) -> tuple[Audience, NDArray[np.bool_] | None]:
        """Whom `users` stand for; and which of them to keep, where some are to be left out."""
        check_choice("on_unknown", on_unknown, ("error", "skip", "popular"))
        if _is_matrix(users):
            histories = self._histories(users)
            labels = users.users.ids if isinstance(users, Interactions) else np.arange(histories.shape[0])
            return Audience(self, labels, None, histories), None
        self._check_fitted()
        if self.users_ is None:
            codes = check_codes("users", as_numbers(users, "users"), self.seen_.shape[0])
            return Audience(self, codes, codes, None), None
        if on_unknown == "error":
            codes = self._encode(self.users_, "users", users)
            return Audience(self, self.users_.decode(codes), codes, None), None
        labels = as_ids(users, "users")
        codes = self.users_.encode(labels, unknown="code") if len(labels) else np.empty(0, np.int32)
        known = codes >= 0
        return Audience(self, labels, codes, None), None if on_unknown == "popular" or known.all() else known

    def _item_codes(self, name: str, items: Any, on_unknown: str = "error") -> Codes:
        """Codes of the items that the caller names, of shape (n,); -1 for the unknown, unless they are an error."""
        self._check_fitted()
        if self.items_ is None:
            return check_codes(name, as_numbers(items, name), self.n_features_in_)
        if on_unknown == "error":
            return self._encode(self.items_, name, items)
        return self.items_.encode(items, unknown="code")

    @staticmethod
    def _encode(vocabulary: Vocabulary, name: str, ids: Any) -> Codes:
        try:
            return vocabulary.encode(ids)
        except (ValueError, TypeError) as error:
            raise type(error)(f"{name}: {error}") from None

    @staticmethod
    def _labels_of(codes: Codes, vocabulary: Vocabulary | None) -> NDArray[Any]:
        return codes if vocabulary is None else vocabulary.decode(codes)

    def _filters(
        self, audience: Audience, exclude_seen: bool, allow: Any, deny: Any, on_unknown: str
    ) -> tuple[Excluded, Allowed]:
        """What to leave out for each row, and what may be in at all."""
        exclude: Excluded = self._exclusion(audience) if check_flag("exclude_seen", exclude_seen) else None
        warm = self._warm()
        if allow is None and deny is None:
            return exclude, warm
        only = self._item_rows("allow", allow, audience, on_unknown)
        never = self._item_rows("deny", deny, audience, on_unknown)
        if isinstance(never, CodeMatrix):
            seen = _seen_rows(audience) if exclude_seen else None
            exclude = join_rows(seen, never)
        elif never is not None:
            warm = ~_mask(never, self.n_features_in_) if warm is None else warm & ~_mask(never, len(warm))
        if isinstance(only, CodeMatrix):
            return exclude, only if warm is None else keep_entries(only, warm[only.indices])
        if only is not None:
            mask = _mask(only, self.n_features_in_)
            warm = mask if warm is None else mask & warm
        return exclude, warm

    def _exclusion(self, audience: Audience) -> Excluded:
        """What each has seen; a plain array of codes for a single user, which costs no matrix."""
        if len(audience) == 1 and audience.codes is not None:
            code = int(audience.codes[0])
            seen = self.seen_
            indices: Codes = seen.indices[seen.indptr[code] : seen.indptr[code + 1]] if code >= 0 else seen.indices[:0]
            return indices
        return _seen_rows(audience)

    def _warm(self) -> NDArray[np.bool_] | None:
        """A mask of the items that can be recommended; None where these are all."""
        warm: NDArray[np.bool_] | None = self._derived.get("warm", self._find_warm)
        return warm

    def _find_warm(self) -> NDArray[np.bool_] | None:
        warm = self.item_counts_ > 0
        return None if warm.all() else warm

    def _item_rows(self, name: str, given: Any, audience: Audience, on_unknown: str) -> CodeMatrix | Codes | None:
        """Items for all users as codes, or for each as a matrix of shape (n, n_items)."""
        if given is None:
            return None
        if isinstance(given, Interactions) or issparse(given):
            if isinstance(given, Interactions):
                self._check_items_of(given)
            matrix = check_matrix(given, name=name, negative="accept")
            wanted = (len(audience), self.n_features_in_)
            if matrix.shape != wanted:
                raise ValueError(f"{name} must be of shape {wanted}, a row for each user, got {matrix.shape}")
            return matrix
        lists = as_sequence(given)
        if not len(lists) or not _holds_lists(name, lists):
            codes = self._item_codes(name, lists, on_unknown)
            return codes[codes >= 0]
        if len(lists) != len(audience):
            raise ValueError(f"{name} must have one list of items for each of {len(audience)} users, got {len(lists)}")
        return self._rows_of(name, lists, on_unknown)

    def _rows_of(self, name: str, lists: Iterable[Any], on_unknown: str) -> CodeMatrix:
        """A matrix of ones with a row for each collection of items."""
        rows = [list(as_sequence(items)) for items in lists]
        codes = self._item_codes(name, [item for row in rows for item in row], on_unknown)
        return rows_of_lists(codes, list(map(len, rows)), self.n_features_in_)

    def _truth(self, y: Any, n: int) -> CodeMatrix:
        if isinstance(y, Interactions):
            self._check_items_of(y)
        if _is_matrix(y):
            truth = check_matrix(y, name="y", negative="accept", zeros="drop")
        else:
            codes = self._item_codes("y", y)
            truth = rows_of_lists(codes, [1] * len(codes), self.n_features_in_)
        if truth.shape != (n, self.n_features_in_):
            raise ValueError(f"y must have {n} rows and {self.n_features_in_} items, as X has, got {truth.shape}")
        return truth

    # -- answering

    def _recommend_rows(self, histories: CodeMatrix, k: int, vectors: NDArray[np.float32] | None = None) -> TopK:
        audience = Audience(self, np.arange(histories.shape[0]), None, histories, vectors)
        return self._answer(audience, k, histories, self._warm(), "popular")

    def _recommend_known(self, codes: Codes, k: int) -> TopK:
        """`recommend` for users by their codes, -1 for one who is answered by popularity."""
        audience = Audience(self, codes, codes, None)
        return self._answer(audience, k, self._exclusion(audience), self._warm(), "popular")

    def _answer(self, audience: Audience, k: int, exclude: Excluded, allowed: Allowed, on_empty: str) -> TopK:
        """The result for each, by the model or, without a history, by popularity."""
        helpless = self._helpless(audience, on_empty)
        if helpless is None:
            return self._top(*self._search(audience, k, exclude, allowed), audience.labels, None)
        codes = np.empty((len(audience), k), np.int32)
        scores = np.empty((len(audience), k), np.float32)
        for rows, search in ((~helpless, self._search), (helpless, self._search_popular)):
            if rows.any():
                found = search(audience.part(rows), k, _part(exclude, rows), _part(allowed, rows))
                codes[rows], scores[rows] = found
        return self._top(codes, scores, audience.labels, helpless)

    def _helpless(self, audience: Audience, on_empty: str) -> NDArray[np.bool_] | None:
        """A mask of the rows that the model itself cannot answer; None where it can answer all."""
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

    def _search(
        self, audience: Audience, k: int, exclude: Excluded, allowed: Allowed
    ) -> tuple[Codes, NDArray[np.float32]]:
        """Codes and scores of shape (n, k), by dense scores of a batch of users at a time."""
        return self._select(self._dense, audience, k, exclude, allowed)

    def _search_popular(
        self, audience: Audience, k: int, exclude: Excluded, allowed: Allowed
    ) -> tuple[Codes, NDArray[np.float32]]:
        popularity = self._popularity()
        return self._select(lambda part: np.tile(popularity, (len(part), 1)), audience, k, exclude, allowed)

    def _popularity(self) -> NDArray[np.float32]:
        """What answers those whom the model cannot: how many users each item has, of shape (n_items,)."""
        return self.item_counts_.astype(np.float32)

    def _select(
        self,
        make: Callable[[Audience], NDArray[np.float32]],
        audience: Audience,
        k: int,
        exclude: Excluded,
        allowed: Allowed,
    ) -> tuple[Codes, NDArray[np.float32]]:
        codes = np.empty((len(audience), k), np.int32)
        scores = np.empty((len(audience), k), np.float32)
        for rows in self._batches(len(audience)):
            dense = make(audience.part(rows))
            codes[rows], scores[rows] = select_topk(dense, k, exclude=_part(exclude, rows), allow=_part(allowed, rows))
        return codes, scores

    def _batches(self, n: int) -> Iterator[slice]:
        step = max(1, min(BATCH_BYTES // (4 * self.n_features_in_), WORK_BYTES // self._row_bytes()))
        return (slice(start, min(start + step, n)) for start in range(0, n, step))

    def _row_bytes(self) -> int:
        """About how many bytes are made for each row of a batch: more where others than the items' scores are wide."""
        return 4 * self.n_features_in_

    def _dense(self, audience: Audience) -> NDArray[np.float32]:
        return self._score_batch(audience.histories(), audience.codes)

    def _pair_scores(self, audience: Audience, items: Codes) -> NDArray[np.float32]:
        """The score of each row's one item, of shape (n,)."""
        scores = np.empty(len(audience), np.float32)
        for rows in self._batches(len(audience)):
            dense = self._dense(audience.part(rows))
            scores[rows] = dense[np.arange(len(dense)), items[rows]]
        return scores

    def _similar_items(self, items: Codes, k: int) -> tuple[Codes, NDArray[np.float32]]:
        """Codes and scores of the nearest items, of shape (n, k); the item itself is not among them."""
        columns, rows = self._derived.get("structure", self._structure)
        codes = np.empty((len(items), k), np.int32)
        scores = np.empty((len(items), k), np.float32)
        norms = np.sqrt(np.maximum(self.item_counts_, 1))
        for part in self._batches(len(items)):
            some = items[part]
            shared = check_matrix(columns[some] @ rows)
            cosine = (shared.toarray() / norms[some, None] / norms).astype(np.float32)
            itself = rows_of_lists(some, [1] * len(some), self.n_features_in_)
            codes[part], scores[part] = select_topk(cosine, k, exclude=itself, allow=shared)
        return codes, scores

    def _structure(self) -> tuple[Any, Any]:
        """Ones where the training data has an entry: items × users, and users × items."""
        taken = self._training
        ones = csr_array((np.ones(taken.nnz, np.float32), taken.indices, taken.indptr), shape=taken.shape)
        return ones.T.tocsr(), ones

    def _top(
        self, codes: Codes, scores: NDArray[np.float32], labels: NDArray[Any], fallback: NDArray[np.bool_] | None
    ) -> TopK:
        check_scores(scores[:, 0])  # the best come first
        return TopK(
            codes,
            scores,
            users=labels,
            item_vocabulary=self.items_,
            fallback=fallback,
            item_info=self.item_info_,
        )

    # -- scikit-learn, pickle and files

    def _restored(self, *, check: bool) -> None:
        """Called once `load` has set all that was learned: what was never saved is made, with `check` all is checked.

        Raises a ValueError where the parts do not fit each other, so that no kernel meets a code out of range.
        """
        self._derived = Derived()

    def _check_relations(self, *, ranges: bool) -> None:
        """Raise a ValueError where what was learned does not fit together, beyond shapes; numbers with `ranges`."""

    def _check_data(self) -> None:
        """Raise a ValueError where the data is none that `fit` would have taken, or the counts are not its own."""
        least = self.seen_.data.min(initial=np.inf)
        if least < 0 and not self.takes_negatives:
            raise ValueError(f"seen_.data must hold numbers from 0 on, got {least}")
        trained = self.seen_ if least > 0 else self._trained(self.seen_)
        if not np.array_equal(self.item_counts_, count_codes(trained.indices, self.n_features_in_)):
            raise ValueError("item_counts_ must be how many users each item of seen_ has, where it is learned from")

    def _sizes(self) -> Sizes:
        """What the symbols in the shapes of `_learned` stand for, as far as what is no array tells: see `fields`."""
        n_users, n_items = self.seen_.shape
        return {"n_users": n_users, "n_items": n_items}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = not self.takes_negatives
        return tags

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        freeze(self)  # unpickled arrays can be written to; kernels are compiled for those that cannot


class Explaining(Recommender):
    """A recommender whose score is a sum over the items of a history; it defines `_contributions`."""

    @abstractmethod
    def _contributions(self, history: CodeMatrix, item: int) -> NDArray[Any]:
        """What each entry of the one row adds to the score of the item, of shape (nnz,)."""

    def explain(self, user: Any, item: Any, k: int | None = None) -> Explanation:
        """What each item of a user's history adds to the score of one item.

        Parameters
        ----------
        user
            The id of a user of the training data, or Interactions or a matrix of one row: anybody's history.
        item
            The id of the item.
        k
            Only the largest `k` contributions; None is all.

        Returns
        -------
        Explanation
            `score`, and `items` with their `contributions`, the largest first.

        Raises
        ------
        ValueError
            Where an id is unknown, or not one user or one item is given.

        Examples
        --------
        >>> from fastrec.models import ImplicitALS
        >>> X = np.kron(np.eye(2), np.ones((6, 3)))
        >>> X[0, 0] = 0
        >>> reasons = ImplicitALS(factors=2, random_state=0).fit(X).explain(0, 0)
        >>> sorted(reasons.items.tolist())
        [1, 2]
        """
        if k is not None:
            check_size("k", k)
        audience, _ = self._audience(user, "error")
        codes = self._item_codes("item", item)
        if len(audience) != 1 or len(codes) != 1:
            raise ValueError(f"explain takes one user and one item, got {len(audience)} and {len(codes)}")
        history = audience.histories()
        parts = np.asarray(self._contributions(history, int(codes[0])), np.float64)
        if not len(parts):  # a score of somebody without a history is nobody's share
            score = self._pair_scores(audience, codes)[0]
        else:
            with np.errstate(over="ignore"):
                score = np.float32(parts.sum())
        check_scores(score)
        order = np.lexsort((history.indices, -parts))[:k]
        items = self._labels_of(history.indices[order], self.items_)
        return Explanation(float(score), items, parts[order].astype(np.float32))


_name_options_of(Recommender)


def check_scores(scores: Any) -> None:
    """Raise a FloatingPointError where a score is NaN or infinite; -inf is nothing to recommend."""
    if not np.maximum.reduce(scores, axis=None, initial=-np.inf) < np.inf:  # NaN is the maximum, where there is one
        raise FloatingPointError("scores are beyond float32: the values of X, or of a history, are too large")


def _is_matrix(X: Any) -> bool:
    """Whether X is a matrix of histories rather than ids."""
    if isinstance(X, Interactions) or issparse(X):
        return True
    shape = getattr(X, "shape", None)
    if shape is not None:
        return len(shape) == 2
    return isinstance(X, list | tuple) and len(X) > 0 and isinstance(X[0], list | tuple | np.ndarray)


def _holds_lists(name: str, given: Any) -> bool:
    if isinstance(given, np.ndarray) and given.dtype != object:
        return given.ndim > 1
    lists = [isinstance(item, Iterable) and not isinstance(item, str | bytes) for item in given]
    if any(lists) and not all(lists):
        raise TypeError(f"{name} must be ids of items for all users, or a list of them for each user, got a mix")
    return all(lists)


def _mask(codes: Codes, n: int) -> NDArray[np.bool_]:
    mask = np.zeros(n, bool)
    mask[codes] = True
    return mask


def _seen_rows(audience: Audience) -> CodeMatrix:
    """What each has seen, as rows; none for a user unknown to the model."""
    if audience.codes is None or not len(audience.codes) or audience.codes.min() >= 0:
        return audience.seen()
    known = np.maximum(audience.codes, 0)
    rows = pick_rows(audience.model.seen_, known)
    return keep_entries(rows, (audience.codes >= 0)[row_numbers(rows)])


def _part(filters: Any, rows: NDArray[np.bool_] | slice) -> Any:
    """The filters of some rows; those that hold for all rows are as they were."""
    return pick_rows(filters, rows) if isinstance(filters, CodeMatrix) else filters
