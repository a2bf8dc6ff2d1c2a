"""What is known about users and items: vectors out of features, by a ridge regression of the vectors that were learned.

With f_i the features of row i, a one for all rows among them, the map W minimises

    sum over rows with events  w_i ‖y_i - W f_i‖²  +  μ ‖W‖²,      w_i = n_i / (n_i + 10)      for n_i events of row i,

as in Gantner, Drumond, Freudenthaler, Rendle, Schmidt-Thieme (2010): a vector of few events says little.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fastrec.fields import Array, Fields, Matrix
from fastrec.models.recommender import Audience
from fastrec.models.rows import pick_rows, row_numbers, turned
from fastrec.models.spectrum import SparseProduct, pad_columns
from fastrec.models.updating import Change, resize
from fastrec.models.updating_factors import UpdatingFactors
from fastrec.parallel import effective_jobs
from fastrec.validation import CodeMatrix, assemble_csr, check_matrix, check_number

Floats = NDArray[np.float32]

HALF_TRUSTED = 10  # events that a row needs to count half
# μ in multiples of the mean squared length of the rows: what "auto" tries on hidden rows, from strong to weak.
STRENGTHS = tuple(10.0 ** (exponent / 4) for exponent in range(4, -9, -1))
FOLDS = 5  # parts of the rows, each of which is hidden from those that are to predict it
STEPS, TOLERANCE = 100, 1e-8  # conjugate gradients: at most so many; the squared residual that is small enough


def check_features(name: str, features: Any, n: int) -> CodeMatrix | None:
    """Features as a matrix of n rows; None where there are none."""
    if features is None:
        return None
    if isinstance(features, Mapping):
        raise TypeError(f"{name} must be a matrix with {n} rows, got columns: FeatureEncoder makes one of them")
    matrix = check_matrix(features, name=name, negative="accept", zeros="drop", copy=True)
    if matrix.shape[0] != n:
        raise ValueError(f"{name} must have a row for each of {n} {name.partition('_')[0]}s, got {matrix.shape[0]}")
    return matrix


def check_strength(name: str, strength: Any) -> None:
    """An option of how strong the ridge is."""
    if strength != "auto":
        check_number(f'{name} (if not "auto")', strength, minimum=0, above=True)


def with_constant(features: CodeMatrix) -> CodeMatrix:
    """The features and, as the last column, ones.

    >>> with_constant(check_matrix([[0, 2], [0, 0]])).toarray()
    array([[0., 2., 1.],
           [0., 0., 1.]], dtype=float32)
    """
    n, width = features.shape
    ends = features.indptr[1:]
    data, indices = np.insert(features.data, ends, 1), np.insert(features.indices, ends, width)
    return assemble_csr(data, indices.astype(np.int32), features.indptr + np.arange(n + 1), (n, width + 1))


def map_features(features: CodeMatrix, mapping: Floats, n_jobs: int) -> Floats:
    """The vectors that a map makes of features, of shape (n, d); a row's hang on that row alone, to the bit."""
    product = SparseProduct(with_constant(features)).times(pad_columns(mapping), n_jobs)
    return np.ascontiguousarray(product[:, : mapping.shape[1]])


class FeatureRidge:
    """The regression of one side's vectors on its features.

    Parameters
    ----------
    features
        Of shape (n, m).
    counts
        How many events each row has, of shape (n,); rows without any teach nothing.
    strength
        μ in multiples of the mean squared length of the weighted rows; "auto" is the one of `STRENGTHS` that predicts
        a hidden fifth of the rows best.
    n_jobs
        Threads.
    """

    def __init__(self, features: CodeMatrix, counts: NDArray[np.int64], strength: float | str, n_jobs: int) -> None:
        self.features, self.strength, self.n_jobs = features, strength, n_jobs
        self.known = np.flatnonzero(counts > 0)
        self.roots = np.sqrt(counts[self.known] / (counts[self.known] + HALF_TRUSTED)).astype(np.float32)[:, None]
        rows = pick_rows(with_constant(features), self.known)
        data = rows.data * self.roots[row_numbers(rows), 0]
        self.equations = _Equations(assemble_csr(data, rows.indices, rows.indptr, rows.shape), n_jobs)
        self.folds = np.random.default_rng(0).permutation(len(self.known)) % FOLDS

    def fit(self, vectors: Floats) -> Floats:
        """The map, of shape (m + 1, d), of all rows' vectors, of shape (n, d); chooses the strength."""
        targets = vectors[self.known] * self.roots
        self.chosen = self._choose(targets) if self.strength == "auto" else float(self.strength)
        return self.equations.solve(targets, self.chosen)

    def predict_apart(self, vectors: Floats, start: Floats | None, steps: int) -> tuple[Floats, Floats]:
        """What features say of each row with its own vector left out: by five maps, each of four fifths of the rows.

        Were a row drawn to a map that has seen it, it would be drawn to itself, and the map believe its own errors.

        Returns
        -------
        vectors, maps : ndarray of shape (n, d), (m + 1, 5 · d)
            Of rows without events by the mean of the maps. The maps side by side are `start` of the next call, which
            moves them on by `steps` of conjugate gradients.
        """
        width = vectors.shape[1]
        targets = vectors[self.known] * self.roots
        if start is None:
            self.chosen = self._choose(targets) if self.strength == "auto" else float(self.strength)
        kept = np.repeat(self.folds[:, None] != np.arange(FOLDS), width, axis=1)
        maps = self.equations.solve(np.tile(targets, FOLDS), self.chosen, kept, start, steps)
        found = map_features(self.features, maps, self.n_jobs).reshape(-1, FOLDS, width)
        spread: Floats = found.mean(axis=1)
        spread[self.known] = found[self.known, self.folds]
        return spread, maps

    def spread(self, mapping: Floats) -> Floats:
        """The vectors of all rows by their features, of shape (n, d)."""
        return map_features(self.features, mapping, self.n_jobs)

    def _choose(self, targets: Floats) -> float:
        kept = (self.folds != 0)[:, None]
        if kept.all() or not kept.any():
            return 1.0
        errors, mapping = [], None
        for strength in STRENGTHS:
            mapping = self.equations.solve(targets, strength, kept, mapping, STEPS // 2)
            found = self.equations.forward.times(pad_columns(mapping), self.n_jobs)[:, : targets.shape[1]]
            errors.append(float(np.square((found - targets) * ~kept, dtype=np.float64).sum()))
        return float(STRENGTHS[int(np.argmin(errors))])


class _Equations:
    """(AᵀA + μ) W = AᵀY for rows A, by conjugate gradients on all columns side by side, scaled by the diagonal.

    A column may leave rows out: those where `kept`, of the shape of Y or one column for all, is False.
    """

    def __init__(self, rows: CodeMatrix, n_jobs: int) -> None:
        self.forward, self.n_jobs = SparseProduct(rows), n_jobs
        self.back = SparseProduct(turned(rows, n_jobs))
        squares = np.square(rows.data, dtype=np.float64)
        self.diagonal = np.bincount(rows.indices, squares, rows.shape[1])[:, None]
        self.unit = max(float(squares.sum()) / max(1, rows.shape[0]), 1e-30)

    def solve(
        self,
        targets: Floats,
        strength: float,
        kept: NDArray[np.bool_] | None = None,
        start: Floats | None = None,
        steps: int = STEPS,
    ) -> Floats:
        """W, by at most so many steps from `start`; μ is `strength` times the mean squared length of the rows."""
        mu = np.float32(strength * self.unit)
        inverse = (1 / (self.diagonal + mu)).astype(np.float32)
        mapping = pad_columns(np.zeros((len(inverse), targets.shape[1]), np.float32) if start is None else start).copy()
        mask = None if kept is None else pad_columns(np.broadcast_to(kept, targets.shape).astype(np.float32))
        wanted = pad_columns(targets)
        residual = self.back.times(wanted if mask is None else wanted * mask, self.n_jobs)
        enough = TOLERANCE * _dots(residual, inverse * residual)
        residual -= self._times(mapping, mu, mask)
        direction = inverse * residual
        norms = _dots(residual, direction)
        for _ in range(steps):
            if not (norms > enough).any():
                break
            image = self._times(direction, mu, mask)
            lengths = _ratio(norms, _dots(direction, image))
            mapping += lengths * direction
            residual -= lengths * image
            scaled = inverse * residual
            new = _dots(residual, scaled)
            direction = scaled + _ratio(new, norms) * direction
            norms = new
        return np.ascontiguousarray(mapping[:, : targets.shape[1]])

    def _times(self, mapping: Floats, mu: np.float32, mask: Floats | None) -> Floats:
        image = self.forward.times(mapping, self.n_jobs)
        if mask is not None:
            image *= mask
        product: Floats = self.back.times(image, self.n_jobs) + mu * mapping
        return product


def _dots(a: Floats, b: Floats) -> NDArray[np.float64]:
    """The inner products of columns."""
    products: NDArray[np.float64] = np.einsum("ij,ij->j", a, b, dtype=np.float64)
    return products


def _ratio(a: NDArray[np.float64], b: NDArray[np.float64]) -> Floats:
    return np.divide(a, b, out=np.zeros(len(a)), where=b > 0).astype(np.float32)


class FeaturedFactors(UpdatingFactors):
    """Factor models that can make vectors of features: for items and users that have no events, or few.

    A family calls `_adopt_features` in its `_fit`, sets the maps, and defines `_as_item_factors`,
    `_as_user_factors` and `_fold_in_from`.

    Attributes
    ----------
    item_features_, user_features_ : csr_array of shape (n_items, m), (n_users, m), or None
        What was given to `fit`.
    item_map_, user_map_ : ndarray of shape (m + 1, d), or None
        float32: the vector of each feature, and as the last row what all have.
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
        """What a map makes of items' features, in the columns of `item_factors_`."""

    @abstractmethod
    def _as_user_factors(self, vectors: Floats) -> Floats:
        """What a map makes of users' features, in the columns of `user_factors_`."""

    @abstractmethod
    def _fold_in_from(self, matrix: CodeMatrix, vectors: Floats) -> Floats:
        """`_fold_in` of histories whose users' features make these vectors, of shape (n, d)."""

    def _adopt_features(self, shape: tuple[int, int], item_features: Any, user_features: Any) -> None:
        self.item_features_ = check_features("item_features", item_features, shape[1])
        self.user_features_ = check_features("user_features", user_features, shape[0])
        self.item_map_ = self.user_map_ = None

    def item_vectors(self, item_features: Any) -> Floats:
        """Vectors of items by their features alone: of new items, say, that were not there when the model was fitted.

        Parameters
        ----------
        item_features
            A sparse or dense matrix of shape (n, m), its columns those of `fit`.

        Returns
        -------
        ndarray of float32, of shape (n, d)
            Comparable with `item_factors_`: a user's score is the inner product.

        Raises
        ------
        ValueError
            Where the model was fitted without features of items, or with another number of them.

        Examples
        --------
        >>> from fastrec.models import ImplicitALS
        >>> X, genres = np.kron(np.eye(2), np.ones((20, 5))), np.kron(np.eye(2), np.ones((5, 1)))
        >>> model = ImplicitALS(factors=2, random_state=0).fit(X, item_features=genres)
        >>> scores = model.user_factors_ @ model.item_vectors([[1, 0], [0, 1]]).T
        >>> scores[[0, 20]].argmax(axis=1)
        array([0, 1])
        """
        return self._as_item_factors(self._mapped("item", item_features, self._map_of("item")))

    def user_vectors(self, user_features: Any) -> Floats:
        """Vectors of users by their features alone, without any history.

        Parameters
        ----------
        user_features
            A sparse or dense matrix of shape (n, m), its columns those of `fit`.

        Returns
        -------
        ndarray of float32, of shape (n, d)
            Comparable with `user_factors_`.

        Raises
        ------
        ValueError
            Where the model was fitted without features of users, or with another number of them.
        """
        return self._as_user_factors(self._mapped("user", user_features, self._map_of("user")))

    def transform(self, X: Any, *, user_features: Any = None) -> Floats:
        """The factors of users by their histories, seen in training or not (fold-in), and by their features.

        Parameters
        ----------
        X
            Interactions or a matrix of histories, of shape (n, n_items).
        user_features
            Of the same users, of shape (n, m), where the model was fitted with features of users.

        Returns
        -------
        ndarray of float32, of shape (n, d)
        """
        histories = self._trained(self._histories(X))
        if user_features is None:
            return self._fold_in(histories)
        features = check_features("user_features", user_features, histories.shape[0])
        return self._fold_in_from(histories, self._mapped("user", features, self._map_of("user")))

    def _training_factors(self, matrix: CodeMatrix) -> Floats:
        return self._factors_of(slice(None))

    def _factors_of(self, users: NDArray[Any] | slice) -> Floats:
        """The factors of some users of the training data."""
        rows = self._trained(pick_rows(self.seen_, users))
        if self.user_features_ is None or self.user_map_ is None:
            return self._fold_in(rows)
        return self._fold_in_from(rows, self._mapped("user", pick_rows(self.user_features_, users), self.user_map_))

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

    def _mapped(self, side: str, features: Any, mapping: Floats) -> Floats:
        matrix = check_matrix(features, name=f"{side}_features", negative="accept", zeros="drop")
        if matrix.shape[1] != len(mapping) - 1:
            raise ValueError(f"{side}_features must have {len(mapping) - 1} columns, got {matrix.shape[1]}")
        return map_features(matrix, mapping, effective_jobs(getattr(self, "n_jobs", None)))

    def _find_warm(self) -> NDArray[np.bool_] | None:
        warm = self.item_counts_ > 0
        if self.item_features_ is not None:
            warm |= np.diff(self.item_features_.indptr) > 0
        return None if warm.all() else warm

    def _helpless(self, audience: Audience, on_empty: str) -> NDArray[np.bool_] | None:
        """Users of the training data are answered by their features where they have no history."""
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
                raise ValueError(f"{side}_features_ and {side}_map_ must be there together")
