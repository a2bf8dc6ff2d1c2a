"""The base of factor models, whose score is the inner product of a user's and an item's vector."""

import copy
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.utils import TransformerTags

from fastrec.data.vocabulary import CodeVocabulary
from fastrec.fields import Array, Fields
from fastrec.matrix.arrays import Codes, Floats, readonly
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.rows import rows_of_lists
from fastrec.matrix.sequences import HistoryRow
from fastrec.models.base.answering import READ_MASK, RECOMMENDABLE, SIMILAR_USERS
from fastrec.models.base.asking import Rows, Scores
from fastrec.models.base.audience import Audience, find_audience, read_histories
from fastrec.models.base.derived import Key
from fastrec.models.base.fields import Index
from fastrec.models.base.item_filter import Allowed, ItemFilter
from fastrec.models.base.persistence import freeze
from fastrec.models.base.recommender import Recommender
from fastrec.models.base.scores import VectorScores
from fastrec.models.base.single import Single
from fastrec.retrieval import ExactIndex, IVFIndex, TopK
from fastrec.retrieval.exact import score_pairs
from fastrec.validation import check_size

# From this number of items on a scan of bytes is faster than one of float32, for one query and for many; the answers
# are the same.
BYTES_FROM_VECTORS, BYTES_FROM_FACTORS = 2000, 32


Side: TypeAlias = Literal["user_factors_", "item_factors_", "center_factors_"]
INDEXES: dict[tuple[Side, str], Key[ExactIndex]] = {
    (side, metric): Key(f"{metric} of {side}") for side in get_args(Side) for metric in ("ip", "cosine")
}
NONZERO: dict[Side, Key[NDArray[np.bool_] | None]] = {side: Key(f"{side} that are not zero") for side in get_args(Side)}


class FactorRecommender(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Recommender):
    """The base of factor models.

    A family defines ``__init__``, ``_fit(matrix)``, which sets `item_factors_`, and ``_fold_in(matrix)``. After a fit,
    `user_factors_` is the result of `_fold_in` for the training rows. A family that has computed the same bits already
    returns them in ``_training_factors``.

    Attributes
    ----------
    user_factors_ : ndarray of shape (n_users, factors)
        float32, C-contiguous, read-only: `transform` of the training rows, without fading.
    item_factors_ : ndarray of shape (n_items, factors)
        float32, C-contiguous, read-only.
    index_ : IVFIndex
        Only after `build_index`.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"transform", "similar_users"})
    _learned: ClassVar[Fields] = {
        "user_factors_": Array(("n_users", "width")),
        "item_factors_": Array(("n_items", "width")),
        "index_": Index(("n_items", "width"), absent=True),
    }

    _by_item: ClassVar[tuple[str, ...]] = ("item_factors_",)
    """The learned arrays with a vector for each item that fold-in or recommending reads: compression encodes them."""

    _alike_by: ClassVar[tuple[Side, ...]] = ("item_factors_",)
    """The vectors that item similarity compares: the first of these that were learned."""

    _spare: ClassVar[tuple[str, ...]] = ()
    """The learned arrays that only further training reads: compression leaves them out."""

    _whole_fields: ClassVar[Fields] = {}
    """What `_whole` gives."""

    _of_items: ClassVar[tuple[Key[Any], ...]] = (
        RECOMMENDABLE,
        READ_MASK,
        INDEXES["item_factors_", "ip"],
        INDEXES["item_factors_", "cosine"],
        NONZERO["item_factors_"],
    )
    """Values derived from items alone and from which of them have events."""

    user_factors_: Floats
    item_factors_: Floats
    index_: IVFIndex

    @abstractmethod
    def _fold_in(self, matrix: CodeMatrix) -> Floats:
        """The factors of rows of histories, float32, C-contiguous, of shape (n, factors).

        A row's factors must not depend on the other rows; an empty row's are zeros.
        """

    def _complete(self, matrix: CodeMatrix) -> None:
        self.item_factors_ = _finite_factors(self, "item_factors_", self.item_factors_)
        self.user_factors_ = _finite_factors(self, "user_factors_", self._training_factors(matrix))
        self.__dict__.pop("index_", None)  # the index of the old factors

    def _training_factors(self, matrix: CodeMatrix) -> Floats:
        """The factors of the training rows: bit for bit those of `_fold_in`, however they were computed."""
        return self._fold_in(matrix)

    def _factors_of(self, users: NDArray[Any] | slice) -> Floats:
        """The factors of some users of the training data from their histories, without fading."""
        codes = np.arange(self.seen_.shape[0], dtype=np.int32)[users]
        return self._fold_in(self._weigh_unfaded(Audience.of_users(self, codes)))

    def _weigh_unfaded(self, audience: Audience) -> CodeMatrix:
        """The weights of entries without fading."""
        return self._as_weights(audience.histories()) if self.fades else self._weigh(audience)

    def for_users(self, histories: CodeMatrix) -> Self:
        """Returns a model with the same items and other users, by their places; it shares all arrays of items.

        All such models share the values derived from the items.
        """
        other = copy.copy(self)
        other._derived = self._derived.kept(self._of_items)
        other.seen_, other.users_ = histories, CodeVocabulary(histories.shape[0])
        other.user_factors_ = readonly(other.transform(histories))
        freeze(other)
        self._derived = other._derived.kept(self._of_items)
        return other

    # -- with vectors at hand for some items only

    def _whole(self) -> dict[str, NDArray[Any]]:
        """The part of fold-in that sums over all items: it is small, and kept where the item vectors are elsewhere."""
        return {}

    def _with_items(self, items: Codes, arrays: Mapping[str, Any], whole: Mapping[str, NDArray[Any]]) -> Self:
        """A copy with some items only: rows of its histories hold places in `items`, in ascending order.

        `arrays` are those of `_by_item` for these items, and `whole` is the result of `_whole`. `n_features_in_` and
        the width of histories count all items.
        """
        part = copy.copy(self)
        for name, array in arrays.items():
            setattr(part, name, array)
        part.clear_derived()
        return part

    def _items_to_fold(self, whole: Mapping[str, NDArray[Any]]) -> Codes:
        """The items that fold-in needs besides those of the histories."""
        return np.empty(0, np.int32)

    def transform(self, X: Any) -> Floats:
        """The factors of users from their histories, of training users or not (fold-in).

        Parameters
        ----------
        X
            Interactions or a matrix of histories, of shape (n, n_items).

        Returns
        -------
        ndarray of float32, of shape (n, factors)

        Examples
        --------
        >>> from fastrec.models import ImplicitALS
        >>> model = ImplicitALS(factors=2, random_state=0).fit(np.eye(4))
        >>> model.transform([[1, 0, 1, 0]]).shape
        (1, 2)
        """
        return self._fold_audience(read_histories(self, X))

    def fit_transform(self, X: Any, y: Any = None) -> Floats:
        """The factors of the users of the training data, of shape (n_users, factors): the same as
        `fit(X).transform(X)`.
        """
        self.fit(X, y)
        return self.transform(X) if self.fades else self.user_factors_

    def build_index(self, index: IVFIndex | None = None) -> Self:
        """Builds an approximate index, with which `recommend` scores only the most promising items instead of all.

        The index holds the items' factors, and the users' factors are the queries for its recall target. It is saved
        with the model. A change of the items' factors removes it: `fit`, and an update that changes items.

        Parameters
        ----------
        index
            An index to fit a copy of, for inner products; None is `IVFIndex(recall_target=0.95, random_state=0)`.

        Returns
        -------
        The model itself. `index_.recall_` is the share of the true best 10 that is found.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError, ValueError
            If the index is no IVFIndex for inner products, or its options are invalid.

        Examples
        --------
        >>> from fastrec.models import FixedFactors
        >>> random = np.random.default_rng(0)
        >>> users, items = random.normal(size=(500, 8)), random.normal(size=(3000, 8))
        >>> model = FixedFactors(users, items).fit(np.ones((500, 3000)) * (items[:, 0] > 2)).build_index()
        >>> model.index_.recall_ > 0.95, model.index_.n_probe_ < model.index_.n_lists_
        (True, True)
        >>> top, exact = model.recommend([7], k=3), model.recommend([7], k=3, exact=True)
        """
        self._check_fitted()
        index = IVFIndex(random_state=0) if index is None else index
        if not isinstance(index, IVFIndex):
            raise TypeError(f"index must be an IVFIndex or None, got {type(index).__name__}")
        if index.metric != "ip":
            raise ValueError(f"index must have metric='ip', since scores are inner products, got {index.metric!r}")
        asked = self.user_factors_[self.user_factors_.any(axis=1)]
        fitted = clone(index).fit(self.item_factors_, queries=asked if len(asked) else None)
        self.index_ = fitted
        return self

    def exact_model(self) -> Self:
        """See `Asked.exact_model`."""
        if "index_" not in vars(self):
            return self
        twin = object.__new__(type(self))
        twin.__dict__ = {name: value for name, value in vars(self).items() if name != "index_"}
        return twin

    def similar_users(self, users: Any, k: int = 10) -> TopK:
        """The `k` users of the training data with the nearest factors by cosine, without the user itself.

        Parameters
        ----------
        users
            Ids, or histories, as in `recommend`.
        k
            The number of similar users for each user.

        Returns
        -------
        TopK
            Codes and scores of shape (n, k); its `items` are users. Users without a history are never among them.

        Examples
        --------
        >>> from fastrec.models import ImplicitALS
        >>> model = ImplicitALS(factors=2, random_state=0).fit(np.kron(np.eye(2), np.ones((2, 3))))
        >>> model.similar_users([0, 3], k=1).codes
        array([[1],
               [2]], dtype=int32)
        """
        k = check_size("k", k)
        self._check_fitted()
        self._check_has_users("it has no users that could be similar", "ask the original model, which has its users")
        audience, _ = find_audience(self, users, "error")
        codes = audience.codes
        vectors = self._fold_in(self._weigh_unfaded(audience)) if codes is None else self._known_users(codes)
        found, scores = self._nearest("user_factors_", vectors, codes, k)
        return TopK(found, scores, users=audience.labels, item_vocabulary=self.users_, names=SIMILAR_USERS)

    def _similar_items(self, items: Codes, k: int) -> tuple[Codes, Floats]:
        side = self._alike_side()
        return self._nearest(side, getattr(self, side)[items], items, k, self.recommendable_items())

    def _alike_side(self) -> Side:
        return next(side for side in self._alike_by if getattr(self, side, None) is not None)

    def alike_vectors(self) -> Floats:
        """The vectors that item similarity compares by cosine, of shape (n_items, d)."""
        return self._comparable(getattr(self, self._alike_side()))

    def _nearest(
        self,
        side: Side,
        vectors: Floats,
        itself: Codes | None,
        k: int,
        allowed: NDArray[np.bool_] | None = None,
    ) -> tuple[Codes, Floats]:
        """Codes and cosines of the nearest rows of one side, of shape (n, k); all -1 for a zero vector."""
        n = len(getattr(self, side))
        vectors = self._comparable(vectors)
        exclude = None if itself is None else rows_of_lists(itself, np.ones(len(itself), np.int64), n)
        known = self._derived.get(NONZERO[side], lambda: _nonzero(self._comparable(getattr(self, side)), allowed))
        top = self._index(side, "cosine").search(vectors, k, exclude, allow=known)
        nothing = ~vectors.any(axis=1)
        codes, scores = top.codes.copy(), top.scores.copy()
        codes[nothing], scores[nothing] = -1, -np.inf
        return codes, scores

    def _comparable(self, factors: Floats) -> Floats:
        """The columns that similarity of users and of items compares: all, except biases."""
        return factors

    def _search(self, audience: Audience, k: int, wanted: ItemFilter) -> tuple[Codes, Floats]:
        index = vars(self).get("index_") or self._index("item_factors_", "ip")
        exclude = wanted.excluded_of(len(audience))
        top = index.search(self._vectors(audience), k, exclude, allow=self._as_read(wanted.allow))
        return top.codes, top.scores

    def _as_read(self, allowed: Allowed) -> Any:
        """The filter in the form that searches read; the common mask of warm items is converted once."""
        return self._recommendable_mask() if allowed is self.recommendable_items() else allowed

    def _search_one(
        self, who: Single, row: HistoryRow, k: int, only: NDArray[np.bool_] | None
    ) -> tuple[Codes, Floats] | None:
        if "index_" in vars(self):
            return None
        index = self._index("item_factors_", "ip")
        return index.search_one(self._vector_of_one(who), k, row.codes, self._mask_within(only))

    def _vector_of_one(self, who: Single) -> Floats:
        """The factors with which a single user is answered, read-only, of shape (factors,)."""
        if who.history is None and not self.fades:
            return self._known_user(who.code)
        vectors = self._vectors(who.audience(self)) if who.vectors is None else who.vectors
        vector: Floats = readonly(vectors[0])
        return vector

    def _known_user(self, code: int) -> Floats:
        """The `_known_users` of one user, read-only, of shape (factors,)."""
        vector: Floats = self.user_factors_[code]
        return vector

    def _vectors(self, audience: Audience) -> Floats:
        """The factors with which each user is answered, of shape (n, factors)."""
        if audience.vectors is not None:
            return audience.vectors
        if audience.codes is None or self.fades:
            return self._fold_audience(audience)
        return self._known_users(audience.codes)

    def _known_users(self, codes: Codes) -> Floats:
        """The learned factors of users of the training data, without fading."""
        return self.user_factors_[codes]

    def _fold_audience(self, audience: Audience, users: Codes | None = None) -> Floats:
        """The factors of histories for answers: faded, if the model fades them."""
        return self._fold_in(self._weigh(audience))

    def fold_in(self, audience: Audience, users: Codes | None = None) -> Floats | None:
        """See `Asked.fold_in`."""
        return self._fold_audience(audience, users)

    def scores(self, audience: Audience) -> Scores:
        """See `Asked.scores`."""
        return VectorScores(self._vectors(audience), self.item_factors_, self._index("item_factors_", "ip"))

    def _index(self, side: Side, metric: str) -> ExactIndex:
        """The index of one side's factors, made on first use."""
        jobs = getattr(self, "n_jobs", None)
        make = lambda: _exact_index(self._vectors_to_index(side, metric), metric, jobs)
        index = self._derived.get(INDEXES[side, metric], make)
        if index.n_jobs != jobs:
            index.n_jobs = jobs
        return index

    def _vectors_to_index(self, side: Side, metric: str) -> Floats:
        factors: Floats = getattr(self, side)
        return self._comparable(factors) if metric == "cosine" else factors

    def pair_scores(self, audience: Audience, rows: Rows, items: Codes) -> Floats:
        """See `Asked.pair_scores`."""
        return score_pairs(self._vectors(audience), rows, self.item_factors_, items)

    @property
    def _n_features_out(self) -> int:
        return int(self.item_factors_.shape[1])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags = TransformerTags(preserves_dtype=[])
        return tags


def _exact_index(vectors: Floats, metric: str, n_jobs: int | None) -> ExactIndex:
    n, factors = vectors.shape
    storage = "int8" if n >= BYTES_FROM_VECTORS and factors >= BYTES_FROM_FACTORS else "float32"
    return ExactIndex(metric, storage, n_jobs).fit(vectors)


def _finite_factors(model: Recommender, name: str, factors: NDArray[Any]) -> Floats:
    factors = np.require(factors, np.float32, ["C", "A"])
    if not _is_finite(factors):
        row = int(np.argmin(np.isfinite(factors).all(axis=1)))
        raise FloatingPointError(
            f"{type(model).__name__}.{name} is not finite from row {row} on: the training has diverged. Stronger "
            "regularization or smaller values may help."
        )
    return factors


def _is_finite(factors: Floats) -> bool:
    # The extremes pass on NaN and infinity, and need no array of flags.
    return not factors.size or bool(np.isfinite(factors.min()) and np.isfinite(factors.max()))


def _nonzero(factors: Floats, allowed: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    known: NDArray[np.bool_] = np.asarray(factors.any(axis=1))
    if allowed is not None:
        known &= allowed
    return None if known.all() else known
