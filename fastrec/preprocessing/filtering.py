"""Filters over interactions, as scikit-learn transformers: entries vanish, the shape stays."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from fastrec.data import Interactions
from fastrec.data.pairs import number_cells
from fastrec.validation import CodeMatrix, assemble_csr, check_integer, check_matrix, check_number


class _Filter(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """What the filters share: X may be Interactions, sparse or dense, and comes back as what it was."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    def _check(self, X: Any, *, reset: bool) -> CodeMatrix:
        matrix = check_matrix(X, negative="accept", minimum_rows=1)
        validate_data(self, X=X, skip_check_array=True, reset=reset)
        return matrix


class KCore(_Filter):
    """Keep only users with enough items and items with enough users, both counted among what is kept.

    Users with fewer than `user` items and items with fewer than `item` users are emptied, again and again until all
    that are left have enough: the k-core of the bipartite graph, which is unique. `fit` finds the items of the core.
    `transform` keeps these items, and of the users those who have enough of them: on the training data that is the
    core itself, and a new user can be filtered without the others.

    Parameters
    ----------
    user : int, default=5
        The fewest items of a user. Repeated interactions with one item count once; 1 keeps every user.
    item : int, default=5
        The fewest users of an item.

    Attributes
    ----------
    item_mask_ : ndarray of bool, shape (n_items,)
        Whether each item is in the core.
    n_features_in_ : int
        The number of items.

    Examples
    --------
    >>> import numpy as np
    >>> KCore(user=2, item=2).fit_transform(np.array([[1, 1, 0], [1, 1, 0], [0, 1, 1]]))
    array([[1., 1., 0.],
           [1., 1., 0.],
           [0., 0., 0.]], dtype=float32)
    """

    def __init__(self, user: int = 5, item: int = 5) -> None:
        self.user = user
        self.item = item

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the items of the core.

        Parameters
        ----------
        X : Interactions, sparse matrix or array-like, shape (n_users, n_items)
        y : None
            Not used.

        Raises
        ------
        ValueError
            If X holds a NaN or an infinite value.
        """
        user = check_integer("KCore.user", self.user, minimum=1)
        item = check_integer("KCore.item", self.item, minimum=1)
        matrix = self._check(X, reset=True)
        self.item_mask_ = find_core_items(matrix, user, item)
        self._items = X.items if isinstance(X, Interactions) else None
        return self

    def transform(self, X: Any) -> Any:
        """X with only the core's items, and only users that have enough of them.

        Parameters
        ----------
        X : Interactions, sparse matrix or array-like, shape (n_users, n_items)

        Returns
        -------
        Interactions, csr_array or ndarray of float32, shape (n_users, n_items)
            What X is.
        """
        check_is_fitted(self)
        user = check_integer("KCore.user", self.user, minimum=1)
        matrix = self._check(X, reset=False)
        known = getattr(self, "_items", None)
        if isinstance(X, Interactions) and known is not None and X.items != known:
            raise ValueError("KCore was fitted on other items than those of X")
        kept = self.item_mask_[matrix.indices]
        counts = np.diff(np.concatenate([[0], np.cumsum(kept)])[matrix.indptr])
        enough = counts >= user
        if isinstance(X, Interactions):
            return X.select(self.item_mask_[X.item_codes] & enough[X.user_codes])
        return _as_given(X, matrix, kept & enough.repeat(np.diff(matrix.indptr)))


class Binarize(_Filter):
    """Turn ratings, counts or seconds into yes or no: what reaches a threshold counts 1, the rest vanishes.

    Parameters
    ----------
    at : float, default=0
        The least value that counts. Cells without an interaction (zeros of a dense array) never count.

    Attributes
    ----------
    n_features_in_ : int
        The number of items.

    Notes
    -----
    Of Interactions with several between one user and item, each cell of their matrix (their sum, or what else their
    policy says) is compared, and the result has one interaction for it: the last one.

    Examples
    --------
    >>> import numpy as np
    >>> Binarize(at=4).fit_transform(np.array([[5, 3, 0], [0, 4, 1]]))
    array([[1., 0., 0.],
           [0., 1., 0.]], dtype=float32)
    """

    def __init__(self, at: float = 0.0) -> None:
        self.at = at

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check X and the threshold; there is nothing to learn.

        Parameters
        ----------
        X : Interactions, sparse matrix or array-like, shape (n_users, n_items)
        y : None
            Not used.
        """
        check_number("Binarize.at", self.at)
        self._check(X, reset=True)
        return self

    def transform(self, X: Any) -> Any:
        """X with ones where a value reaches the threshold, and nothing elsewhere.

        Parameters
        ----------
        X : Interactions, sparse matrix or array-like, shape (n_users, n_items)

        Returns
        -------
        Interactions, csr_array or ndarray of float32, shape (n_users, n_items)
            What X is.
        """
        check_is_fitted(self)
        at = check_number("Binarize.at", self.at)
        matrix = self._check(X, reset=False)
        if isinstance(X, Interactions):
            return _binarized(X, at)
        ones = assemble_csr(np.ones(matrix.nnz, np.float32), matrix.indices, matrix.indptr, matrix.shape)
        return _as_given(X, ones, matrix.data >= at)


def _binarized(data: Interactions, at: float) -> Interactions:
    reached = data.matrix.data >= at
    if data.matrix.nnz == data.n_interactions and data.values is not None:
        events = np.flatnonzero(data.values >= at)
    else:
        last = _last_of_cells(data)  # in the order of the cells of the matrix
        events = np.sort(last[reached])
    return data.select(events)._replaced(values=None)


def _last_of_cells(data: Interactions) -> NDArray[np.int64]:
    by_time = np.arange(data.n_interactions) if data.times is None else np.argsort(data.times, kind="stable")
    order, begins = number_cells(data.user_codes[by_time], data.item_codes[by_time], data.shape)
    ends = np.append(begins[1:], True)[: len(order)]
    return np.asarray(by_time[order[ends]])


def _as_given(X: Any, matrix: CodeMatrix, kept: NDArray[np.bool_]) -> Any:
    """The kept entries of the matrix, sparse if X is, else dense."""
    indptr = np.concatenate([[0], np.cumsum(kept)])[matrix.indptr]
    result = csr_array((matrix.data[kept], matrix.indices[kept], indptr), shape=matrix.shape)
    return result if issparse(X) else result.toarray()


def find_core_items(matrix: CodeMatrix, user: int, item: int) -> NDArray[np.bool_]:
    """Which items are in the core where each user has `user` items and each item `item` users; O(entries).

    Only the neighbours of what was emptied are looked at again, from both sides of the matrix.
    """
    cells = csr_array((np.ones(matrix.nnz, np.int8), matrix.indices, matrix.indptr), shape=matrix.shape)
    by_item = cells.tocsc()
    items_of = (matrix.indptr, matrix.indices)
    users_of = (by_item.indptr, by_item.indices)
    item_counts, user_counts = np.diff(by_item.indptr).astype(np.int64), np.diff(matrix.indptr).astype(np.int64)
    user_kept, item_kept = user_counts >= user, item_counts >= item
    few_users, few_items = np.flatnonzero(~user_kept), np.flatnonzero(~item_kept)
    while len(few_users) or len(few_items):
        next_items = _take_away(item_counts, item_kept, _neighbours(*items_of, few_users), item)
        next_users = _take_away(user_counts, user_kept, _neighbours(*users_of, few_items), user)
        few_users, few_items = next_users, next_items
    return item_kept


def _neighbours(indptr: NDArray[Any], indices: NDArray[Any], rows: NDArray[Any]) -> NDArray[Any]:
    """The indices of all given rows, one after the other."""
    starts, lengths = indptr[rows], indptr[rows + 1] - indptr[rows]
    ends = np.cumsum(lengths)
    places = np.repeat(starts - ends + lengths, lengths) + np.arange(ends[-1] if len(ends) else 0)
    return np.asarray(indices[places])


def _take_away(counts: NDArray[Any], kept: NDArray[np.bool_], lost: NDArray[Any], least: int) -> NDArray[Any]:
    """Lower the counts of all that lost a neighbour; those that now have too few are no longer kept, and returned."""
    if len(lost) * 8 > len(counts):
        counts -= np.bincount(lost, minlength=len(counts))
        few = np.flatnonzero(kept & (counts < least))
    else:
        touched, losses = np.unique(lost, return_counts=True)
        counts[touched] -= losses
        few = touched[kept[touched] & (counts[touched] < least)]
    kept[few] = False
    return few
