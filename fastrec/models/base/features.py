"""Factor models with vectors from the features of users and items."""

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fastrec.fields import Array, Fields, Matrix
from fastrec.matrix.arrays import Codes, Floats
from fastrec.matrix.cells import row_numbers
from fastrec.matrix.code_matrix import CodeMatrix, check_matrix, keep_entries
from fastrec.matrix.rows import pick_rows
from fastrec.models.base.audience import Audience, read_histories
from fastrec.models.base.updating import Change, resize
from fastrec.models.base.updating_factors import UpdatingFactors
from fastrec.parallel import effective_jobs
from fastrec.solvers.ridge import check_features, map_features


class FeaturedFactors(UpdatingFactors):
    """Factor models that can make vectors from features, for items and users with few or no events.

    A family calls `_adopt_features` in its `_fit`, sets the maps, and defines `_as_item_factors`,
    `_as_user_factors` and `_fold_in_from`.

    Attributes
    ----------
    item_features_, user_features_ : csr_array of shape (n_items, m), (n_users, m), or None
        The features given to `fit`.
    item_map_, user_map_ : ndarray of shape (m + 1, d), or None
        float32: the vector of each feature, and in the last row the part common to all.
    """

    _learned: ClassVar[Fields] = {
        "item_features_": Matrix(("n_items", "item_features"), optional=True),
        "user_features_": Matrix(("n_users", "user_features"), optional=True),
        "item_map_": Array(("item_features + 1", "item_map"), optional=True),
        "user_map_": Array(("user_features + 1", "user_map"), optional=True),
    }

    item_features_: CodeMatrix | None
    user_features_: CodeMatrix | None
    item_map_: Floats | None
    user_map_: Floats | None

    @abstractmethod
    def _as_item_factors(self, vectors: Floats) -> Floats:
        """Maps items' features to the columns of `item_factors_`."""

    @abstractmethod
    def _as_user_factors(self, vectors: Floats) -> Floats:
        """Maps users' features to the columns of `user_factors_`."""

    @abstractmethod
    def _fold_in_from(self, matrix: CodeMatrix, vectors: Floats) -> Floats:
        """Computes `_fold_in` for histories whose users' features give these vectors, of shape (n, d)."""

    def _adopt_features(self, shape: tuple[int, int], item_features: Any, user_features: Any) -> None:
        self.item_features_ = check_features("item_features", item_features, shape[1])
        self.user_features_ = check_features("user_features", user_features, shape[0])
        self.item_map_ = self.user_map_ = None

    def item_vectors(self, item_features: Any) -> Floats:
        """The vectors of items from their features alone, such as items that are new since the fit.

        Parameters
        ----------
        item_features
            A sparse or dense matrix of shape (n, m), its columns those of `fit`.

        Returns
        -------
        ndarray of float32, of shape (n, d)
            Vectors like `item_factors_`: a user's score is the inner product.

        Raises
        ------
        ValueError
            If the model was fitted without features of items, or with another number of them.

        Examples
        --------
        >>> from fastrec.models import ImplicitALS
        >>> X, genres = np.kron(np.eye(2), np.ones((20, 5))), np.kron(np.eye(2), np.ones((5, 1)))
        >>> model = ImplicitALS(factors=2, random_state=0).fit(X, item_features=genres)
        >>> scores = model.user_factors_ @ model.item_vectors([[1, 0], [0, 1]]).T
        >>> scores[[0, 20]].argmax(axis=1)
        array([0, 1])
        """
        return self._as_item_factors(self._apply_map("item", item_features, self._map_of("item")))

    def user_vectors(self, user_features: Any) -> Floats:
        """The vectors of users from their features alone, without a history.

        Parameters
        ----------
        user_features
            A sparse or dense matrix of shape (n, m), its columns those of `fit`.

        Returns
        -------
        ndarray of float32, of shape (n, d)
            Vectors like `user_factors_`.

        Raises
        ------
        ValueError
            If the model was fitted without features of users, or with another number of them.
        """
        return self._as_user_factors(self._apply_map("user", user_features, self._map_of("user")))

    def transform(self, X: Any, *, user_features: Any = None) -> Floats:
        """The factors of users from their histories, of training users or not (fold-in), and from their features.

        Parameters
        ----------
        X
            Interactions or a matrix of histories, of shape (n, n_items).
        user_features
            The features of the same users, of shape (n, m), if the model was fitted with features of users.

        Returns
        -------
        ndarray of float32, of shape (n, d)
        """
        if user_features is None:
            return super().transform(X)
        histories = self._weigh(read_histories(self, X))
        features = check_features("user_features", user_features, histories.shape[0])
        return self._fold_in_from(histories, self._apply_map("user", features, self._map_of("user")))

    def _fold_audience(self, audience: Audience, users: Codes | None = None) -> Floats:
        users = audience.codes if users is None else users
        if users is None or self.user_features_ is None:
            return super()._fold_audience(audience)
        features = pick_rows(self.user_features_, np.maximum(users, 0))
        features = keep_entries(features, (users >= 0)[row_numbers(features)])
        return self._fold_in_from(self._weigh(audience), self._apply_map("user", features, self._map_of("user")))

    def _training_factors(self, matrix: CodeMatrix) -> Floats:
        return self._factors_of(slice(None))

    def _factors_of(self, users: NDArray[Any] | slice) -> Floats:
        """The factors of some users of the training data."""
        rows = self._as_weights(self._select_learned(pick_rows(self.seen_, users)))
        if self.user_features_ is None or self.user_map_ is None:
            return self._fold_in(rows)
        return self._fold_in_from(rows, self._apply_map("user", pick_rows(self.user_features_, users), self.user_map_))

    def _update(self, change: Change) -> None:
        """New items and users have no features."""
        n_users, n_items = self.seen_.shape
        if self.item_features_ is not None:
            self.item_features_ = resize(self.item_features_, (n_items, self.item_features_.shape[1]))
        if self.user_features_ is not None:
            self.user_features_ = resize(self.user_features_, (n_users, self.user_features_.shape[1]))
        super()._update(change)

    def _map_of(self, side: str) -> Floats:
        self._check_fitted()
        mapping: Floats | None = getattr(self, f"{side}_map_")
        if mapping is None:
            raise ValueError(f"this {type(self).__name__} was fitted without {side}_features: give them to fit")
        return mapping

    def _apply_map(self, side: str, features: Any, mapping: Floats) -> Floats:
        matrix = check_matrix(features, name=f"{side}_features", negative="accept", zeros="drop")
        if matrix.shape[1] != len(mapping) - 1:
            raise ValueError(f"{side}_features must have {len(mapping) - 1} columns, got {matrix.shape[1]}")
        return map_features(matrix, mapping, effective_jobs(getattr(self, "n_jobs", None)))

    def _find_recommendable(self) -> NDArray[np.bool_] | None:
        warm = self.item_counts_ > 0
        if self.item_features_ is not None:
            warm |= np.diff(self.item_features_.indptr) > 0
        return None if warm.all() else warm

    def _helpless(self, audience: Audience, on_empty: str) -> NDArray[np.bool_] | None:
        """Marks users without a history; those of the training data are answered from their features."""
        if self.user_features_ is None or audience.codes is None:
            return super()._helpless(audience, on_empty)
        described = np.append(np.diff(self.user_features_.indptr) > 0, False)[audience.codes]
        if not described.any():
            return super()._helpless(audience, on_empty)
        helpless = np.zeros(len(audience), bool)
        others = super()._helpless(audience.part(~described), on_empty)
        if others is not None:
            helpless[~described] = others
        return helpless if helpless.any() else None

    def _check_relations(self, *, ranges: bool) -> None:
        super()._check_relations(ranges=ranges)
        for side in ("item", "user"):
            if (getattr(self, f"{side}_features_") is None) != (getattr(self, f"{side}_map_") is None):
                raise ValueError(f"{side}_features_ and {side}_map_ must be given together")
