"""ContentRecommender: items whose features are similar to those that a user liked."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from fastrec.features import FeatureEncoder, align_rows
from fastrec.features.encoder import KINDS, read_columns
from fastrec.fields import Array, Either, Fields, Matrix, Value
from fastrec.matrix.arrays import Codes, Floats
from fastrec.matrix.cells import row_numbers
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr, check_matrix
from fastrec.matrix.rows import rows_of_lists
from fastrec.models.base.derived import Key
from fastrec.models.base.explanation import Explaining
from fastrec.options import ByColumn, Choice, Integer, Jobs, Number, Options
from fastrec.parallel import effective_jobs
from fastrec.retrieval.select import select_topk
from fastrec.solvers.truncated_svd import add_dense_products, pad_columns, sum_vectors

BY_FEATURE: Key[csr_array] = Key("items by feature")


class ContentRecommender(Explaining):
    """Recommends items with features like those of the user's items: text, categories, numbers or given vectors.

    Values are strengths of any sign: a negative one is a dislike, which lowers similar items. Stored zeros
    are no entries. With f_i the features of an item, brought to length one, the profile of a history r is the weighted
    sum p = Σ r_i f_i, and a score is the cosine of profile and item, p·f_j / ‖p‖ (Lops, de Gemmis, Semeraro 2011).
    Items without events are recommended, too, if they have features.

    Features come from ``fit(X, item_features=...)``, or from the titles and facts that came with Interactions
    (``item_info``); without either, each item is its own only feature, and similar to no other.

    Parameters
    ----------
    columns : mapping of str to str, or None
        The columns of a frame of features to use, and their kinds, as in `FeatureEncoder`; None is all columns, with
        kinds recognised from their content.
    text : {"tfidf", "hashing"}
        The encoding of text.
    max_features : int or None
        The largest number of words of a text column.
    min_frequency : int
        Words and categories of fewer items are left out.
    column_weights : mapping of str to float, or None
        The weight of each column; 1 for the others.
    n_jobs : int or None
        Threads; None is all cores. The answer does not depend on it.

    Attributes
    ----------
    item_features_ : csr_array or ndarray of shape (n_items, width)
        float32, rows of length one, or zero.

    Raises
    ------
    ValueError, TypeError
        In `fit`, if an option or a value of X is invalid, or the features do not fit the items.

    References
    ----------
    Lops, de Gemmis, Semeraro: Content-based recommender systems. Recommender Systems Handbook, 2011.

    Examples
    --------
    >>> films = {"genres": [["war"], ["war", "drama"], ["comedy"], ["comedy"]]}
    >>> model = ContentRecommender().fit([[1, 0, 0, 0], [0, 0, 1, 0]], item_features=films)
    >>> model.recommend([0, 1], k=1).codes
    array([[1],
           [3]], dtype=int32)
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"explain"})
    takes_negatives: ClassVar[bool] = True
    _options: ClassVar[Options] = {
        "columns": ByColumn(Choice(KINDS), also=(None,)),
        "text": Choice(("tfidf", "hashing")),
        "max_features": Integer(1, memory=True, also=(None,)),
        "min_frequency": Integer(1),
        "column_weights": ByColumn(Number(0), also=(None,)),
        "n_jobs": Jobs(),
    }
    _learned: ClassVar[Fields] = {
        "item_features_": Either(Matrix(("n_items", "n_features")), Array(("n_items", "n_features"))),
        "features_given_": Value(bool),
    }

    item_features_: Any
    features_given_: bool

    def __init__(
        self,
        columns: Mapping[str, str] | None = None,
        *,
        text: str = "tfidf",
        max_features: int | None = None,
        min_frequency: int = 1,
        column_weights: Mapping[str, float] | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.columns = columns
        self.text = text
        self.max_features = max_features
        self.min_frequency = min_frequency
        self.column_weights = column_weights
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None, *, item_features: Any = None, item: str | None = None) -> Self:
        """Reads the items' features and the users' histories.

        Parameters
        ----------
        X
            Interactions, any SciPy sparse matrix or array, or a dense array, of shape (n_users, n_items).
        y
            Not used; accepted because scikit-learn passes it.
        item_features
            Facts about the items: a sparse or dense matrix of shape (n_items, width), its rows in the order of the
            items' codes; or a frame, or a mapping of columns, of n_items rows in that order. If the items have ids, and
            a column holds them, `item` must name it. None: the `item_info` of the Interactions.
        item
            The column of the frame with the items' ids; with it, the rows may have any order and number.

        Returns
        -------
        The fitted model itself.
        """
        return self._learn(X, item_features=item_features, item=item)

    def _fit(self, matrix: CodeMatrix, item_features: Any = None, item: str | None = None) -> None:
        if item_features is None:
            item_features = self.item_info_
        self.features_given_ = item_features is not None
        if item_features is None:
            features: Any = _identity(matrix.shape[1])
        elif issparse(item_features) or isinstance(item_features, np.ndarray | list | tuple):
            features = _check_features(item_features)
        else:
            features = self._encode_frame(item_features, item)
        if features.shape[0] != matrix.shape[1]:
            wanted = f"{matrix.shape[1]} rows, one for each item"
            raise ValueError(f"item_features must have {wanted}, got {features.shape[0]}")
        self.item_features_ = _unit_rows(features)

    def _encode_frame(self, frame: Any, item: str | None) -> Any:
        columns = read_columns(frame)
        ids = None
        if item is not None:
            if item not in columns or self.items_ is None:
                raise ValueError(f"item={item!r} needs a column of that name, and Interactions with ids of items")
            ids = columns.pop(item)
        elif self.items_ is not None and frame is not self.item_info_:
            for name, values in columns.items():
                if len(values) == len(self.items_) and set(map(str, values)) == set(map(str, self.items_.ids)):
                    raise ValueError(
                        f"the column {name!r} has the items' ids: give item={name!r}, so that rows are matched by id"
                    )
        encoder = FeatureEncoder(
            self.columns,
            text=self.text,
            max_features=self.max_features,
            min_frequency=self.min_frequency,
            weights=self.column_weights,
        )
        features = encoder.fit_transform(columns)
        return features if ids is None or self.items_ is None else align_rows(features, ids, self.items_)

    def _score_batch(self, histories: CodeMatrix, codes: Codes | None) -> Floats:
        features, histories = self.item_features_, _of_one_size(histories)
        if isinstance(features, np.ndarray):
            jobs = effective_jobs(self.n_jobs) if histories.shape[0] > 1 else 1
            profiles = sum_vectors(histories, features, jobs)
            profiles /= _lengths(np.einsum("ij,ij->i", profiles, profiles, dtype=np.float64))[:, None]
            columns = pad_columns(np.ascontiguousarray(profiles.T))
            scores = np.zeros((len(features), columns.shape[1]), np.float32)
            add_dense_products(features, columns, scores, jobs)
            return np.ascontiguousarray(scores[:, : histories.shape[0]].T)
        profiles = _unit_rows(_plain(histories) @ _plain(features))
        return np.ascontiguousarray((_plain(profiles) @ self._by_feature()).toarray(), np.float32)

    def _by_feature(self) -> csr_array:
        return self._derived.get(BY_FEATURE, lambda: _plain(self.item_features_).T.tocsr())

    def _contributions(self, history: CodeMatrix, item: int) -> NDArray[np.float64]:
        """The contribution r_i f_i·f_j / ‖p‖ of each entry i of the row."""
        if isinstance(self.item_features_, np.ndarray):
            own: Any = self.item_features_[history.indices].astype(np.float64)
            other: Any = self.item_features_[item].astype(np.float64)
            profile = history.data @ own
            alike = own @ other
        else:
            own = _plain(self.item_features_)[history.indices].astype(np.float64)
            other = _plain(self.item_features_)[[item]].astype(np.float64)
            profile = np.asarray(own.T @ history.data)
            alike = np.asarray((own @ other.T).toarray())[:, 0]
        contributions: NDArray[np.float64] = history.data * alike / _lengths(np.array([profile @ profile]))[0]
        return contributions

    def _similar_items(self, items: Codes, k: int) -> tuple[Codes, Floats]:
        codes, scores = np.empty((len(items), k), np.int32), np.empty((len(items), k), np.float32)
        warm = self.recommendable_items()
        for part in self._batches(len(items)):
            some = rows_of_lists(items[part], [1] * len(items[part]), self.n_features_in_)
            one_each = assemble_csr(
                np.ones(len(items[part]), np.float32), items[part], np.arange(len(items[part]) + 1), some.shape
            )
            codes[part], scores[part] = select_topk(self._score_batch(one_each, None), k, exclude=some, allow=warm)
        nothing = ~np.isin(items, self._items_with_features())
        codes[nothing], scores[nothing] = -1, -np.inf
        return codes, scores

    def _items_with_features(self) -> NDArray[np.int64]:
        """The codes of the items with features."""
        if isinstance(self.item_features_, np.ndarray):
            return np.flatnonzero(self.item_features_.any(axis=1))
        return np.flatnonzero(np.diff(self.item_features_.indptr))

    def _find_recommendable(self) -> NDArray[np.bool_] | None:
        warm = self.item_counts_ > 0
        if self.features_given_:
            warm[self._items_with_features()] = True
        return None if warm.all() else warm


def _identity(n: int) -> csr_array:
    return csr_array((np.ones(n, np.float32), np.arange(n), np.arange(n + 1)), shape=(n, n))


def _check_features(features: Any) -> Any:
    if issparse(features):
        return check_matrix(features, name="item_features", negative="accept", zeros="drop")
    array = np.asarray(features)
    if array.ndim != 2 or array.dtype.kind not in "biuf" or array.shape[1] < 1:
        raise ValueError(f"item_features must be a matrix of numbers, got {array.dtype} of shape {array.shape}")
    with np.errstate(over="ignore"):
        converted = array.astype(np.float32)
    if not np.isfinite(converted).all():
        row, column = (int(place) for place in np.argwhere(~np.isfinite(converted))[0])
        value = array[row, column]
        what = "numbers that float32 holds" if np.isfinite(value) else "finite"
        raise ValueError(f"item_features must be {what}, got {value} in row {row}, column {column}")
    return converted


def _unit_rows(features: Any) -> Any:
    """The features with rows of length one: a CodeMatrix, or an array."""
    if isinstance(features, np.ndarray):
        squares = np.einsum("ij,ij->i", features, features, dtype=np.float64)
        return np.ascontiguousarray(features / _lengths(squares)[:, None], np.float32)
    matrix = check_matrix(features, name="item_features", negative="accept", zeros="drop")
    data = (matrix.data / _lengths(_row_squares(matrix))[row_numbers(matrix)]).astype(np.float32)
    return assemble_csr(data, matrix.indices, matrix.indptr, matrix.shape)


def _of_one_size(histories: CodeMatrix) -> CodeMatrix:
    """Each row times a power of two that brings its largest value near 1; the length of a profile cancels anyway."""
    rows = row_numbers(histories)
    largest = np.zeros(histories.shape[0], np.float32)
    np.maximum.at(largest, rows, np.abs(histories.data))
    data = np.ldexp(histories.data, -np.frexp(largest)[1][rows])
    return assemble_csr(data, histories.indices, histories.indptr, histories.shape)


def _row_squares(matrix: CodeMatrix) -> NDArray[np.float64]:
    """The sum of the squares of each row, in the order of its entries."""
    sums: NDArray[np.float64] = np.bincount(
        row_numbers(matrix), np.square(matrix.data, dtype=np.float64), matrix.shape[0]
    ).astype(np.float64)
    return sums


def _lengths(squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """The roots of the squares; 1 for a zero."""
    return np.where(squares > 0, np.sqrt(squares), 1.0)


def _plain(matrix: CodeMatrix) -> csr_array:
    """A csr_array of SciPy's own kind over the same arrays, for SciPy's products."""
    return csr_array((matrix.data, matrix.indices, matrix.indptr), shape=matrix.shape)
