"""The base of private models: they learn from noised sums over users, and keep no user."""

import copy
import json
from abc import abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from fastrec.data import Interactions
from fastrec.fields import Array, Fields, Value
from fastrec.matrix.arrays import Codes, Floats
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr
from fastrec.models.base.persistence import freeze
from fastrec.models.base.recommender import Recommender
from fastrec.notices import warn_caller
from fastrec.options import Integer, Number, Options, Other
from fastrec.privacy import Budget, NotPrivateWarning, Spending
from fastrec.privacy.contributions import count_shares
from fastrec.privacy.spending import LARGEST_EPSILON, Record

# An item stands out of the noise if it exceeds 0 by so many of its standard deviations.
DEVIATIONS = 2.0


def _check_path(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be the path of a budget as text, or None, got {value!r}")


class PrivateRecommender(Recommender):
    """The base of private models; a family defines ``__init__`` and ``_fit_private``.

    The model learns sums over users with noise, which say next to nothing about whether any one user was in the data.
    It keeps no user: neither ids nor histories, nor exact counts of items. It answers histories (``recommend(matrix)``,
    ``model.histories(lists)``); `with_users` makes a copy that knows the users of some data.

    Attributes
    ----------
    item_scores_ : ndarray of shape (n_items,)
        float32: for each item the sum of 1 / √(items of the user) over its users, with noise; 0 if it does not stand
        out of the noise. Items with 0 are not recommended.
    item_counts_ : ndarray of shape (n_items,)
        The same as whole numbers, at least 1 for scores above 0: these are no exact counts of users.
    privacy_ : dict
        The releases and their cost: epsilon, delta, mu, and each release.
    """

    _options: ClassVar[Options] = {
        "epsilon": Number(0, LARGEST_EPSILON, above=True),
        "delta": Number(0, 1, above=True, below=True),
        "budget": Other("str", _check_path, also=(None,)),
        "noise_seed": Integer(0, also=(None,)),
    }
    _learned: ClassVar[Fields] = {
        "item_scores_": Array(("n_items",), least=0),
        "privacy_record_": Value(str),
    }

    keeps_users: ClassVar[bool] = False
    """Whether a fitted model knows the users that it was fitted with."""

    epsilon: float
    delta: float
    budget: str | None
    noise_seed: int | None
    item_scores_: Floats
    privacy_record_: str

    @abstractmethod
    def _fit_private(self, matrix: CodeMatrix, spending: Spending) -> None:
        """Learns from releases of `spending` alone, the counts of `_release_counts` among them."""

    @property
    def privacy_(self) -> Record:
        """The releases so far, and their cost."""
        self._check_fitted()
        record: Record = json.loads(self.privacy_record_)
        return record

    def with_users(self, X: Any) -> Self:
        """Returns a copy of the model with users: it answers their ids, and must not be published.

        Parameters
        ----------
        X
            The users' items: Interactions with the model's items, or a matrix of shape (n_users, n_items).

        Returns
        -------
        A model of the same class, which `save` refuses.

        Raises
        ------
        ValueError
            If X has other items than the model.

        Examples
        --------
        >>> import numpy as np
        >>> from fastrec.models import PrivatePopularity
        >>> X = np.tile([[1, 1, 0], [1, 0, 1], [1, 0, 0]], (500, 1))
        >>> PrivatePopularity(epsilon=5.0, delta=1e-6).fit(X).with_users(X).recommend([0], k=1).codes
        array([[2]], dtype=int32)
        """
        matrix = self._histories(X)
        known = copy.copy(self)
        known.seen_ = assemble_csr(matrix.data.copy(), matrix.indices.copy(), matrix.indptr.copy(), matrix.shape)
        known.users_ = X.users if isinstance(X, Interactions) else None
        known.clear_derived()
        freeze(known)
        return known

    # -- learning

    def _fit(self, matrix: CodeMatrix) -> None:
        budget = None if self.budget is None else Budget(self.budget)
        spending = Spending(self.epsilon, self.delta, matrix.shape[0], self.noise_seed, budget)
        self._fit_private(matrix, spending)
        self.privacy_record_ = json.dumps(spending.record())

    def _complete(self, matrix: CodeMatrix) -> None:
        """Drops all users: no ids, no histories, and noised counts in place of the exact ones."""
        self._drop_users()
        self.item_counts_ = _whole(self.item_scores_)

    def _release_counts(self, matrix: CodeMatrix, spending: Spending, share: float) -> NDArray[np.float64]:
        """Releases the popularity of each item, of shape (n_items,), unclipped; sets `item_scores_`."""
        unit = spending.unit(share)
        counts = spending.release("popularity", count_shares(matrix, unit), unit)
        self.item_scores_ = np.where(counts > DEVIATIONS * spending.deviation(unit), counts, 0).astype(np.float32)
        return counts

    # -- answering

    def _popularity(self) -> Floats:
        return self.item_scores_

    def _similar_items(self, items: Codes, k: int) -> tuple[Codes, Floats]:
        """No item is similar to another one: pairs of items were never released."""
        return np.full((len(items), k), -1, np.int32), np.full((len(items), k), -np.inf, np.float32)

    # -- files

    def _check_publishable(self) -> None:
        """Refuses to write users whose privacy was not paid for; warns if the noise can be reproduced."""
        name = type(self).__name__
        if self.seen_.shape[0]:
            raise ValueError(
                f"this {name} knows the users that with_users gave it, whose histories its epsilon does not pay for: "
                "save the model that fit returned"
            )
        if not self.privacy_["private"]:
            warn_caller(
                f"this {name} is not private: its noise came from noise_seed and can be subtracted "
                "again: leave out noise_seed",
                NotPrivateWarning,
            )

    def _check_relations(self, *, ranges: bool) -> None:
        super()._check_relations(ranges=ranges)
        record = json.loads(self.privacy_record_)
        if not isinstance(record, dict) or not {"private", "epsilon", "delta", "releases"} <= record.keys():
            raise ValueError("privacy_record_ must hold the releases and their cost")

    def _check_data(self) -> None:
        if self.seen_.shape[0]:
            raise ValueError("seen_ must have no rows: a private model keeps no users")
        if not np.array_equal(self.item_counts_, _whole(self.item_scores_)):
            raise ValueError("item_counts_ must be item_scores_ in whole numbers")


def _whole(scores: Floats) -> NDArray[np.int64]:
    counts: NDArray[np.int64] = np.where(scores > 0, np.maximum(np.rint(scores), 1), 0).astype(np.int64)
    return counts
