"""Filters over interactions, as scikit-learn transformers: they remove or add entries and keep the shape."""

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from fastrec.data import Interactions, Vocabulary
from fastrec.fields import Array, Fields
from fastrec.matrix.cells import cell_keys, cell_numbers, repeat_by_row, row_numbers
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr, check_matrix, keep_entries
from fastrec.matrix.hashing import hash_cells, hash_rows, mix_bits
from fastrec.matrix.pairs import number_cells
from fastrec.options import Choice, Integer, Number, Options, OptionsMixin
from fastrec.validation import name_options


class Preprocessor(OptionsMixin, OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """The base of all transformers: X may be Interactions, sparse or dense, and is returned in the same form."""

    by_row: ClassVar[bool] = True
    """Whether a row without times comes out as in the training data, so that a model behind the step can be updated."""

    reads_times: ClassVar[bool] = False
    """Whether the step reads the times of events, if there are any."""

    weighs_events: ClassVar[bool] = False
    """Whether the step weighs each event by its time and keeps all; later events than those of `fit` count in full."""

    by_item: ClassVar[bool] = False
    """Whether the step learns a value for each item, so that new items have none."""

    _learned: ClassVar[Fields] = {}
    """The learned values besides the number of items; each class declares its own."""

    _items: Vocabulary | None

    def __init_subclass__(cls, **options: Any) -> None:
        if "__init__" in vars(cls):
            setattr(cls, "__init__", name_options(vars(cls)["__init__"]))  # noqa: B010
        super().__init_subclass__(**options)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    def _check(self, X: Any, *, reset: bool) -> CodeMatrix:
        matrix = check_matrix(X, negative="accept", minimum_rows=1)
        validate_data(self, X=X, skip_check_array=True, reset=reset)
        if reset:
            self._items = X.items if isinstance(X, Interactions) else None
        elif isinstance(X, Interactions) and getattr(self, "_items", None) is not None and X.items != self._items:
            raise ValueError(f"{type(self).__name__} was fitted on other items than those of X")
        return matrix

    def _tell_merged(self, X: Any) -> None:
        """Warns, for transformers of cells, that several interactions of one pair are summed if no policy is given."""
        if isinstance(X, Interactions):
            X.tell_merged(type(self).__name__, "sum")


class KCore(Preprocessor):
    """Keeps only users with enough items and items with enough users, both counted among the kept ones.

    Users with fewer than `user` items and items with fewer than `item` users are emptied, repeatedly, until all the
    others have enough: this is the k-core of the bipartite graph, which is unique. `fit` finds the items of the core.
    `fit_transform` gives the core itself, as a `Pipeline` trains on it; `transform` keeps only the core's items, and
    keeps users with few of them, so that a new user's short history is still answered. `Interactions.compact` drops the
    users and items that were emptied, outside of a pipeline.

    Parameters
    ----------
    user : int
        The minimum number of items of a user. Repeated interactions with one item count once; 1 keeps every user.
    item : int
        The minimum number of users of an item.

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

    by_item = True
    _options: ClassVar[Options] = {"user": Integer(1), "item": Integer(1)}
    _learned: ClassVar[Fields] = {"item_mask_": Array(("n_items",), "bool")}

    def __init__(self, user: int = 5, item: int = 5) -> None:
        self.user = user
        self.item = item

    def fit(self, X: Any, y: Any = None) -> Self:
        """Finds the items of the core.

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
        self._check_options()
        matrix = self._check(X, reset=True)
        self.item_mask_ = find_core_items(matrix, int(self.user), int(self.item))
        return self

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Returns the core of X: only its items, and only users with enough of them.

        Parameters
        ----------
        X : Interactions, sparse matrix or array-like, shape (n_users, n_items)
        y : None
            Not used.

        Returns
        -------
        Interactions, csr_array or ndarray of float32, shape (n_users, n_items)
            The same kind of data as X.
        """
        return self.fit(X)._filter(X, int(self.user))

    def transform(self, X: Any) -> Any:
        """Returns X with only the core's items; users keep all of these, however few.

        Parameters
        ----------
        X : Interactions, sparse matrix or array-like, shape (n_users, n_items)

        Returns
        -------
        Interactions, csr_array or ndarray of float32, shape (n_users, n_items)
            The same kind of data as X.
        """
        check_is_fitted(self)
        return self._filter(X, 1)

    def _filter(self, X: Any, least: int) -> Any:
        """Returns X with only the core's items, and only users with at least so many of them."""
        matrix = self._check(X, reset=False)
        kept = self.item_mask_[matrix.indices]
        counts = np.diff(keep_entries(matrix, kept).indptr)
        enough = counts >= least
        if isinstance(X, Interactions):
            return X.select(self.item_mask_[X.item_codes] & enough[X.user_codes])
        return as_given(X, matrix, kept & repeat_by_row(matrix, enough))


class Binarize(Preprocessor):
    """Turns ratings, counts or seconds into ones: values that reach a threshold count 1, and the others are removed.

    Parameters
    ----------
    at : float
        The smallest value that counts. Cells without an interaction (zeros of a dense array) never count.

    Attributes
    ----------
    n_features_in_ : int
        The number of items.

    Notes
    -----
    If Interactions have several between one user and item, the cell of their matrix (their sum, or the result of
    another policy) is compared, and the result has one interaction for it: the last one.

    Examples
    --------
    >>> import numpy as np
    >>> Binarize(at=4).fit_transform(np.array([[5, 3, 0], [0, 4, 1]]))
    array([[1., 0., 0.],
           [0., 1., 0.]], dtype=float32)
    """

    _options: ClassVar[Options] = {"at": Number()}

    def __init__(self, at: float = 0.0) -> None:
        self.at = at

    def fit(self, X: Any, y: Any = None) -> Self:
        """Checks X and the threshold; there is nothing to learn.

        Parameters
        ----------
        X : Interactions, sparse matrix or array-like, shape (n_users, n_items)
        y : None
            Not used.
        """
        self._check_options()
        self._tell_merged(X)
        self._check(X, reset=True)
        return self

    def transform(self, X: Any) -> Any:
        """Returns X with ones where a value reaches the threshold, and no entry elsewhere.

        Parameters
        ----------
        X : Interactions, sparse matrix or array-like, shape (n_users, n_items)

        Returns
        -------
        Interactions, csr_array or ndarray of float32, shape (n_users, n_items)
            The same kind of data as X.
        """
        check_is_fitted(self)
        self._check_options()
        at, matrix = float(self.at), self._check(X, reset=False)
        if isinstance(X, Interactions):
            return _binarize(X, at)
        ones = assemble_csr(np.ones(matrix.nnz, np.float32), matrix.indices, matrix.indptr, matrix.shape)
        return as_given(X, ones, matrix.data >= at)


def _binarize(data: Interactions, at: float) -> Interactions:
    reached = data.matrix.data >= at
    if data.matrix.nnz == data.n_interactions and data.values is not None:
        events = np.flatnonzero(data.values >= at)
    else:
        last = data.last_events()  # in the order of the cells of the matrix
        events = np.sort(last[reached])
    return data.select(events)._replace(values=None)


def as_given(X: Any, matrix: CodeMatrix, kept: NDArray[np.bool_]) -> Any:
    """Returns the kept entries of the matrix, sparse if X is sparse, otherwise dense."""
    part = keep_entries(matrix, kept)
    result = csr_array((part.data, part.indices, part.indptr), shape=part.shape)
    return result if issparse(X) else result.toarray()


def with_cells(data: Interactions, matrix: CodeMatrix, kept: NDArray[np.bool_] | None = None) -> Interactions:
    """Returns the cells of a matrix with the data's structure, as one interaction each, at the time of the last one."""
    events = data.last_events()
    values = matrix.data
    if kept is not None:
        events, values = events[kept], values[kept]
    return data.select(events)._replace(values=np.array(values, np.float32))


class MergeDuplicates(Preprocessor):
    """Keeps one interaction for each pair of user and item.

    Matrices have only one already: SciPy sums repeated entries.

    Parameters
    ----------
    policy : {"sum", "last", "max"} or None
        The value of several: their sum, that of the last (by time, then by order), or the greatest. None: the
        Interactions' own policy, `duplicates`. The time is that of the last one.

    Attributes
    ----------
    n_features_in_ : int
        The number of items.

    Examples
    --------
    >>> data = Interactions([0, 0, 0], [1, 1, 0], [2, 3, 4])
    >>> MergeDuplicates("max").fit_transform(data).values
    array([4., 3.], dtype=float32)
    """

    _options: ClassVar[Options] = {"policy": Choice((None, "sum", "last", "max"))}

    def __init__(self, policy: str | None = None) -> None:
        self.policy = policy

    def fit(self, X: Any, y: Any = None) -> Self:
        """Checks X and the policy; there is nothing to learn.

        Parameters
        ----------
        X : Interactions, sparse matrix or array-like, shape (n_users, n_items)
        y : None
            Not used.
        """
        self._check_options()
        if self.policy is None:
            self._tell_merged(X)
        self._check(X, reset=True)
        return self

    def transform(self, X: Any) -> Any:
        """Returns X with one interaction for each pair.

        Parameters
        ----------
        X : Interactions, sparse matrix or array-like, shape (n_users, n_items)

        Returns
        -------
        Interactions, csr_array or ndarray of float32, shape (n_users, n_items)
            The same kind of data as X.
        """
        check_is_fitted(self)
        matrix = self._check(X, reset=False)
        if not isinstance(X, Interactions):
            return as_given(X, matrix, np.ones(matrix.nnz, bool))
        merged = X if self.policy is None else X._replace(duplicates=self.policy)
        unvalued = X.values is None and merged.duplicates not in (None, "sum")  # only a sum of ones is not one
        return X.select(X.last_events()) if unvalued else with_cells(merged, merged.matrix)


class Cap(Preprocessor):
    """Limits the items of a user, and approximately the users of an item.

    A user keeps the latest items, if there are times (Interactions), otherwise those of the largest values; a hash
    breaks ties. If an item had too many users in `fit`, every user keeps it with the same probability, so that about
    the allowed number is left. A hash of the user's own items draws, so a user's row does not depend on other users. A
    user with items keeps at least one.

    Parameters
    ----------
    user : int or None
        The maximum number of items of a user; None: no limit.
    item : int or None
        The approximate maximum number of users of an item; None: no limit.
    random_state : int
        The seed of the hash.

    Attributes
    ----------
    item_rates_ : ndarray of float64, shape (n_items,)
        The probability that a user keeps each item.
    n_features_in_ : int
        The number of items.

    Examples
    --------
    >>> import numpy as np
    >>> Cap(user=2).fit_transform(np.array([[5, 3, 4], [0, 1, 0]]))
    array([[5., 0., 4.],
           [0., 1., 0.]], dtype=float32)
    """

    by_row = False
    by_item = reads_times = True
    _learned: ClassVar[Fields] = {"item_rates_": Array(("n_items",), "float64", least=0, most=1)}
    _options: ClassVar[Options] = {
        "user": Integer(1, also=(None,)),
        "item": Integer(1, also=(None,)),
        "random_state": Integer(0),
    }

    def __init__(self, user: int | None = None, item: int | None = None, *, random_state: int = 0) -> None:
        self.user = user
        self.item = item
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Counts the users of each item.

        Parameters
        ----------
        X : Interactions, sparse matrix or array-like, shape (n_users, n_items)
        y : None
            Not used.
        """
        self._check_options()
        if self.user is not None and isinstance(X, Interactions):
            X.tell_far_times("Cap")
        matrix = self._check(X, reset=True)
        counts = np.bincount(matrix.indices, minlength=matrix.shape[1])
        self.item_rates_ = np.ones(matrix.shape[1])
        if self.item is not None:
            self.item_rates_ = np.minimum(1.0, self.item / np.maximum(counts, 1))
        return self

    def transform(self, X: Any) -> Any:
        """Returns X with fewer entries.

        Parameters
        ----------
        X : Interactions, sparse matrix or array-like, shape (n_users, n_items)

        Returns
        -------
        Interactions, csr_array or ndarray of float32, shape (n_users, n_items)
            What X is. All interactions of a pair stay or go together.
        """
        check_is_fitted(self)
        matrix = self._check(X, reset=False)
        kept = self._choose_kept(X, matrix)
        if not isinstance(X, Interactions):
            return as_given(X, matrix, kept)
        order, begins = number_cells(X.user_codes, X.item_codes, X.shape)
        events = np.empty(X.n_interactions, bool)
        events[order] = kept[np.cumsum(begins) - 1] if len(order) else False
        return X.select(events)

    def _choose_kept(self, X: Any, matrix: CodeMatrix) -> NDArray[np.bool_]:
        rows = row_numbers(matrix)
        drawn = hash_cells(matrix, self.random_state)
        share = drawn.astype(np.float64) * 2.0**-64 / self.item_rates_[matrix.indices]
        kept = share < 1.0
        # A user who would lose all items keeps the one that was nearest to staying.
        emptied = (np.diff(matrix.indptr) > 0) & (np.bincount(rows, kept, matrix.shape[0]) == 0)
        order = np.lexsort((share, rows))
        first = order[matrix.indptr[:-1][emptied]]
        kept[first] = True
        if self.user is None:
            return kept
        timed = isinstance(X, Interactions) and X.times is not None
        worth = X.times[X.last_events()] if timed else matrix.data
        order = np.lexsort((drawn, -worth, ~kept, rows))
        place = np.empty(matrix.nnz, np.int64)
        place[order] = np.arange(matrix.nnz) - repeat_by_row(matrix, matrix.indptr[:-1])
        return np.asarray(kept & (place < self.user))


class SampleNegatives(Preprocessor):
    """Adds items that a user has not had, drawn at random, as entries of a low value, for models of ratings.

    Only `fit_transform`, whose output a `Pipeline` trains on, adds them; `transform` leaves histories unchanged. The
    model counts drawn items as seen: ask for training users by their histories if you want those items recommended.

    Parameters
    ----------
    ratio : float
        The number of negatives for each item of a user, as far as there are other items.
    value : float
        The value of negatives. Zero is an entry in Interactions alone: models of ratings read a rating of 0, all others
        a seen item.
    random_state : int
        The seed. The draws for a user depend on it and on the user's own items alone.

    Attributes
    ----------
    n_features_in_ : int
        The number of items.

    Examples
    --------
    >>> import numpy as np
    >>> SampleNegatives(ratio=1).fit_transform(np.array([[1, 1, 0, 0], [0, 0, 0, 0]]))
    array([[ 1.,  1., -1., -1.],
           [ 0.,  0.,  0.,  0.]], dtype=float32)
    """

    by_row = False
    _options: ClassVar[Options] = {
        "ratio": Number(0, above=True),
        "value": Number(),
        "random_state": Integer(0),
    }

    def __init__(self, ratio: float = 1.0, value: float = -1.0, *, random_state: int = 0) -> None:
        self.ratio = ratio
        self.value = value
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Checks X and the options; there is nothing to learn.

        Parameters
        ----------
        X : Interactions, sparse matrix or array-like, shape (n_users, n_items)
        y : None
            Not used.
        """
        self._check_options()
        self._check(X, reset=True)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Returns X with negatives.

        Parameters
        ----------
        X : Interactions, sparse matrix or array-like, shape (n_users, n_items)
        y : None
            Not used.

        Returns
        -------
        Interactions, csr_array or ndarray of float32, shape (n_users, n_items)
            What X is. Negatives of Interactions with times have the time of their user's last interaction.

        Raises
        ------
        ValueError
            If X is a matrix and the value is 0, which is no entry there.
        """
        self.fit(X)
        if np.float32(self.value) == 0 and not isinstance(X, Interactions):
            raise ValueError(
                f"SampleNegatives.value must not be {self.value} for a matrix, where 0 is no entry: give Interactions"
            )
        matrix = self._check(X, reset=False)
        ratio = min(float(self.ratio), matrix.shape[1])  # a user has no more negatives than there are items
        wanted = np.round(ratio * np.diff(matrix.indptr)).astype(np.int64)
        users, items = draw_negatives(matrix, wanted, self.random_state)
        values = np.full(len(users), self.value, np.float32)
        if isinstance(X, Interactions):
            return _join_events(X, users, items, values)
        row = row_numbers(matrix)
        data = np.concatenate([matrix.data, values])
        places = (np.concatenate([row, users]), np.concatenate([matrix.indices, items]))
        result = csr_array((data, places), shape=matrix.shape)
        return result if issparse(X) else result.toarray()

    def transform(self, X: Any) -> Any:
        """Returns X unchanged.

        Parameters
        ----------
        X : Interactions, sparse matrix or array-like, shape (n_users, n_items)

        Returns
        -------
        Interactions, csr_array or ndarray of float32, shape (n_users, n_items)
            The same kind of data as X.
        """
        check_is_fitted(self)
        matrix = self._check(X, reset=False)
        return X if isinstance(X, Interactions) else as_given(X, matrix, np.ones(matrix.nnz, bool))


def _join_events(
    data: Interactions, users: NDArray[Any], items: NDArray[Any], values: NDArray[np.float32]
) -> Interactions:
    old = np.ones(data.n_interactions, np.float32) if data.values is None else data.values
    times = data.times
    if times is not None:
        last = np.full(len(data), np.iinfo(np.int64).min)
        np.maximum.at(last, data.user_codes, times)
        times = np.concatenate([times, last[users]])
    return data._replace(
        user_codes=np.concatenate([data.user_codes, users.astype(np.int32)]),
        item_codes=np.concatenate([data.item_codes, items.astype(np.int32)]),
        values=np.concatenate([old, values]),
        times=times,
    )


def draw_negatives(
    matrix: CodeMatrix, wanted: NDArray[np.int64], seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draws empty cells at random: the wanted number in each row, as far as there are empty ones. Returns rows and
    columns.

    The draws depend on the row's own entries and the seed.
    """
    n_items = matrix.shape[1]
    lengths = np.diff(matrix.indptr)
    wanted = np.minimum(wanted, n_items - lengths)
    seeds = mix_bits(hash_rows(matrix) ^ mix_bits(np.array([seed], np.uint64)))
    filled = cell_numbers(matrix)
    # Rows that will be more than half full are drawn from a permutation of all their empty cells, the others by
    # rejection.
    full = (2 * (lengths + wanted) > n_items) & (wanted > 0)
    cells = [_draw_among_all(np.flatnonzero(full), wanted, seeds, filled, n_items)]
    cells.append(_draw_by_trial(np.where(full, 0, wanted), seeds, filled, n_items))
    found = np.sort(np.concatenate(cells))
    return found // n_items, found % n_items


def _draw_among_all(
    rows: NDArray[Any], wanted: NDArray[Any], seeds: NDArray[np.uint64], filled: NDArray[Any], n_items: int
) -> NDArray[np.int64]:
    found = [np.empty(0, np.int64)]
    everything = np.arange(n_items, dtype=np.int64)
    for row in rows.tolist():
        begin, end = np.searchsorted(filled, [row * n_items, (row + 1) * n_items])
        empty = np.setdiff1d(everything, filled[begin:end] - row * n_items, assume_unique=True)
        order = np.argsort(mix_bits(empty.astype(np.uint64) ^ seeds[row]), kind="stable")
        found.append(row * n_items + empty[order[: wanted[row]]])
    return np.concatenate(found)


def _draw_by_trial(
    wanted: NDArray[np.int64], seeds: NDArray[np.uint64], filled: NDArray[np.int64], n_items: int
) -> NDArray[np.int64]:
    found = np.empty(0, np.int64)
    missing, tried = wanted.copy(), np.zeros(len(wanted), np.int64)
    while missing.any():
        row = np.repeat(np.arange(len(wanted)), missing)
        number = np.arange(len(row)) - np.repeat(np.cumsum(missing) - missing, missing) + tried[row]
        drawn = mix_bits(seeds[row] + mix_bits(number.astype(np.uint64))) % np.uint64(n_items)
        cells = cell_keys(row, drawn.astype(np.int64), n_items)
        tried += missing
        cells = np.unique(cells)
        taken = np.isin(cells, filled, assume_unique=True) | np.isin(cells, found, assume_unique=True)
        found = np.concatenate([found, cells[~taken]])
        missing = wanted - np.bincount(found // n_items, minlength=len(wanted))
    return found


def find_core_items(matrix: CodeMatrix, user: int, item: int) -> NDArray[np.bool_]:
    """Marks the items of the core in which each user has `user` items and each item `item` users; O(entries).

    Only the neighbours of emptied rows and columns are checked again, from both sides of the matrix.
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
    """Returns the indices of all given rows, one after the other."""
    starts, lengths = indptr[rows], indptr[rows + 1] - indptr[rows]
    ends = np.cumsum(lengths)
    places = np.repeat(starts - ends + lengths, lengths) + np.arange(ends[-1] if len(ends) else 0)
    return np.asarray(indices[places])


def _take_away(counts: NDArray[Any], kept: NDArray[np.bool_], lost: NDArray[Any], least: int) -> NDArray[Any]:
    """Lowers the counts of all neighbours of lost ones; removes and returns those that now have too few."""
    if len(lost) * 8 > len(counts):
        counts -= np.bincount(lost, minlength=len(counts))
        few = np.flatnonzero(kept & (counts < least))
    else:
        touched, losses = np.unique(lost, return_counts=True)
        counts[touched] -= losses
        few = touched[kept[touched] & (counts[touched] < least)]
    kept[few] = False
    return few
