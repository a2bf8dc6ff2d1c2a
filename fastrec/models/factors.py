"""The base of factor models: a score is the inner product of a user's and an item's vector."""

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import TransformerTags

from fastrec.models.recommender import Allowed, Audience, Codes, Excluded, Recommender
from fastrec.models.rows import rows_of_lists
from fastrec.retrieval import ExactIndex, TopK
from fastrec.validation import CodeMatrix, check_integer

# Pairs whose vectors are multiplied at a time: 2 × 32 MiB of float64 at 64 factors.
PAIRS_AT_ONCE = 1 << 16


class FactorRecommender(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Recommender):
    """The base of factor models.

    A family defines ``__init__``, ``_fit(matrix)``, which sets `item_factors_`, and ``_fold_in(matrix)``. Once fitted,
    `user_factors_` is what `_fold_in` makes of the training rows; a family that has these at hand already, to the bit,
    gives them in ``_training_factors``.

    Attributes
    ----------
    user_factors_ : ndarray of shape (n_users, factors)
        float32, C-contiguous, read-only: `transform` of the training rows.
    item_factors_ : ndarray of shape (n_items, factors)
        float32, C-contiguous, read-only.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"transform", "similar_users"})
    _learned: ClassVar[tuple[str, ...]] = ("user_factors_", "item_factors_")

    user_factors_: NDArray[np.float32]
    item_factors_: NDArray[np.float32]

    @abstractmethod
    def _fold_in(self, matrix: CodeMatrix) -> NDArray[np.float32]:
        """The factors of rows of histories, float32, C-contiguous, of shape (n, factors).

        A row's factors must not depend on the other rows; an empty row's are zeros.
        """

    def _complete(self, matrix: CodeMatrix) -> None:
        self.item_factors_ = _finite_factors(self, "item_factors_", self.item_factors_)
        self.user_factors_ = _finite_factors(self, "user_factors_", self._training_factors(matrix))

    def _training_factors(self, matrix: CodeMatrix) -> NDArray[np.float32]:
        """The factors of the training rows: bit for bit what `_fold_in` makes of them, however they were found."""
        return self._fold_in(matrix)

    def transform(self, X: Any) -> NDArray[np.float32]:
        """The factors of users by their histories, seen in training or not (fold-in).

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
        return self._fold_in(self._histories(X))

    def fit_transform(self, X: Any, y: Any = None) -> NDArray[np.float32]:
        """`fit(X).transform(X)`: the factors of the users of the training data, of shape (n_users, factors)."""
        return self.fit(X, y).user_factors_

    def similar_users(self, users: Any, k: int = 10) -> TopK:
        """The `k` users of the training data whose factors are nearest, by cosine; the user asked about left out.

        Parameters
        ----------
        users
            Ids, or histories, as in `recommend`.
        k
            How many for each.

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
        k = check_integer("k", k, minimum=1)
        audience, _ = self._audience(users, "error")
        codes, scores = self._nearest("user_factors_", self._vectors(audience), audience.codes, k)
        return TopK(codes, scores, users=audience.labels, item_vocabulary=self.users_)

    def _similar_items(self, items: Codes, k: int) -> tuple[Codes, NDArray[np.float32]]:
        return self._nearest("item_factors_", self.item_factors_[items], items, k, self._warm())

    def _nearest(
        self,
        side: str,
        vectors: NDArray[np.float32],
        itself: Codes | None,
        k: int,
        allowed: NDArray[np.bool_] | None = None,
    ) -> tuple[Codes, NDArray[np.float32]]:
        """Codes and cosines of the nearest rows of one side, of shape (n, k); all -1 for a vector of zeros."""
        n = len(getattr(self, side))
        vectors = self._comparable(vectors)
        exclude = None if itself is None else rows_of_lists(itself, np.ones(len(itself), np.int64), n)
        known = self._derived.get(
            f"{side} that are not zero", lambda: _nonzero(self._comparable(getattr(self, side)), allowed)
        )
        top = self._index(side, "cosine").search(vectors, k, exclude, allow=known)
        nothing = ~vectors.any(axis=1)
        codes, scores = top.codes.copy(), top.scores.copy()
        codes[nothing], scores[nothing] = -1, -np.inf
        return codes, scores

    def _comparable(self, factors: NDArray[np.float32]) -> NDArray[np.float32]:
        """The columns by which users are like users and items like items: all, unless some are biases."""
        return factors

    def _search(
        self, audience: Audience, k: int, exclude: Excluded, allowed: Allowed
    ) -> tuple[Codes, NDArray[np.float32]]:
        top = self._index("item_factors_", "ip").search(self._vectors(audience), k, exclude, allow=allowed)
        return top.codes, top.scores

    def _vectors(self, audience: Audience) -> NDArray[np.float32]:
        """The factors of each, of shape (n, factors)."""
        if audience.vectors is not None:
            return audience.vectors
        return self._fold_in(audience.histories()) if audience.codes is None else self.user_factors_[audience.codes]

    def _index(self, side: str, metric: str) -> ExactIndex:
        """The index of one side's factors: made once, when it is first asked for."""
        jobs = getattr(self, "n_jobs", None)
        index: ExactIndex = self._derived.get(
            f"{metric} of {side}", lambda: ExactIndex(metric=metric, n_jobs=jobs).fit(self._indexed(side, metric))
        )
        if index.n_jobs != jobs:
            index.n_jobs = jobs
        return index

    def _indexed(self, side: str, metric: str) -> NDArray[np.float32]:
        factors: NDArray[np.float32] = getattr(self, side)
        return self._comparable(factors) if metric == "cosine" else factors

    def _pair_scores(self, audience: Audience, items: Codes) -> NDArray[np.float32]:
        vectors = self._vectors(audience)
        scores = np.empty(len(audience), np.float32)
        for start in range(0, len(scores), PAIRS_AT_ONCE):
            part = slice(start, start + PAIRS_AT_ONCE)
            # Products of float32 are exact in float64, so the sum is rounded once, as the index rounds it.
            factors = self.item_factors_[items[part]].astype(np.float64)
            scores[part] = np.einsum("ij,ij->i", vectors[part].astype(np.float64), factors)
        return scores

    def _restored(self, *, check: bool) -> None:
        super()._restored(check=check)
        for factors, size in ((self.user_factors_, self.seen_.shape[0]), (self.item_factors_, self.n_features_in_)):
            width = self.item_factors_.shape[1]
            if factors.dtype != np.float32 or factors.shape != (size, width):
                raise ValueError("its factors are not of the type and shape that they must be")
            if check and not _is_finite(factors):
                raise ValueError("its factors are not finite")

    @property
    def _n_features_out(self) -> int:
        return int(self.item_factors_.shape[1])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags = TransformerTags(preserves_dtype=[])
        return tags


def _finite_factors(model: Recommender, name: str, factors: NDArray[Any]) -> NDArray[np.float32]:
    factors = np.require(factors, np.float32, ["C", "A"])
    if not _is_finite(factors):
        row = int(np.argmin(np.isfinite(factors).all(axis=1)))
        raise FloatingPointError(
            f"{type(model).__name__}.{name} is not finite from row {row} on: the training has diverged. Stronger "
            "regularization or smaller values may help."
        )
    return factors


def _is_finite(factors: NDArray[np.float32]) -> bool:
    # The extremes carry NaN and infinity along, and need no array of flags.
    return not factors.size or bool(np.isfinite(factors.min()) and np.isfinite(factors.max()))


def _nonzero(factors: NDArray[np.float32], allowed: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    known: NDArray[np.bool_] = np.asarray(factors.any(axis=1))
    if allowed is not None:
        known &= allowed
    return None if known.all() else known
