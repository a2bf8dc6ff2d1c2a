"""Interactions: users, items, values and times as immutable arrays of codes, with the vocabularies of their ids."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from fastrec.data.checks import (
    TIME_UNITS,
    Duplicates,
    TimeUnit,
    as_datetimes,
    check_duplicates,
    check_item_info,
    check_times,
    check_values,
)
from fastrec.data.columns import factorize_integers, read_ids
from fastrec.data.durations import find_far_times
from fastrec.data.frames import Backend, make_frame
from fastrec.data.recognition import DROPPED, UNREAD
from fastrec.data.vocabulary import Vocabulary, frozen
from fastrec.matrix.arrays import LARGEST_CODE, check_codes, readonly
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr, check_structure
from fastrec.matrix.pairs import build_csr, count_events, find_repeated, merge_repeated, number_cells
from fastrec.matrix.sequences import Ties, count_ties, order_by_rank
from fastrec.notebook import show_facts
from fastrec.notices import warn_caller
from fastrec.validation import check_choice, check_integer, check_size


class Merged(NamedTuple):
    """A matrix of interactions, and the number of its cells that merge several interactions."""

    matrix: CodeMatrix
    n_repeated: int


# From this many events without values on, our own kernel counts them, in a third of the memory.
MANY = 1 << 20
# The share of tied neighbours that is reported to a model of order, if there are this many neighbours.
MOST_TIED, MANY_NEIGHBORS = 0.2, 1000


class TiedTimesWarning(UserWarning):
    """A warning of a model of order: a user's events have equal times, so their order is that of the rows alone."""


# Codes of which most are empty are probably ids: a warning from the first number on, an error if fewer than one in the
# second number occurs.
MANY_CODES, MOST_EMPTY = 1000, 1000


class EmptyCodesWarning(UserWarning):
    """A warning: most codes of users or items have no interaction, as with ids given in place of codes."""


class FarTimesWarning(UserWarning):
    """A warning: some times are far from all others, as with another unit or a wrong clock."""


class MergedEventsWarning(UserWarning):
    """A warning: several interactions of one user and item were merged, and `duplicates=` did not say how."""


class Interactions:
    """A table of interactions between users and items, in the form that scikit-learn expects of X: users are its
    samples.

    The table is immutable: arrays are read-only, and every operation returns a new object. `read_interactions` makes it
    from files and frames, `Interactions.from_ids` from arrays of ids; the constructor takes codes.

    Parameters
    ----------
    user_codes, item_codes : array-like of integers, shape (n_interactions,)
        The user and the item of each interaction, as codes of `users` and `items`.
    values : array-like of numbers, shape (n_interactions,), optional
        Ratings, counts, seconds; kept as float32. None: every interaction counts 1.
    times : array-like of integers or datetime64, shape (n_interactions,), optional
        The time of each interaction, kept as int64. Dates in minutes or longer units are kept in seconds; units finer
        than a nanosecond are rounded down.
    users, items : Vocabulary or array-like of ids, optional
        The ids behind the codes. None: the codes themselves, from 0 to the greatest one.
    time_unit : {"s", "ms", "us", "ns"}, optional
        The unit of `times` since 1970 (UTC). None: times are only an order.
    duplicates : {"sum", "last", "max", "error"}, optional
        The way to merge several interactions of one user and item: the sum of their values, the value of the last one
        (by time, then by order), the largest value, or an error at once. None: the model that reads the data decides,
        and warns. Models of ratings take the last one, since a new rating replaces the old one; all others take the
        sum.
    item_info : mapping of str to array-like, optional
        Facts about the items, such as `title`, each array aligned with the item codes.

    Raises
    ------
    ValueError
        If lengths differ, a code is out of range, or a value is NaN or infinite; the message names the row. If numeric
        times of many interactions have only two values, as a flag does. If nearly all codes up to the largest one have
        no interaction, as with ids; if most have none, an `EmptyCodesWarning` is issued.
    TypeError
        If codes or times are not integers.

    Examples
    --------
    >>> data = Interactions([0, 0, 1], [0, 1, 1], [5, 3, 4], users=["ann", "bob"], items=["Alien", "Brazil"])
    >>> data.shape, data.n_interactions
    ((2, 2), 3)
    >>> data.matrix.toarray()
    array([[5., 3.],
           [0., 4.]], dtype=float32)
    >>> data[[1]].users.ids
    array(['bob'], dtype=object)
    """

    __slots__ = (
        "_columns",
        "_duplicates",
        "_is_part",
        "_item_codes",
        "_item_info",
        "_items",
        "_merged",
        "_order",
        "_ties",
        "_time_unit",
        "_times",
        "_told",
        "_user_codes",
        "_users",
        "_values",
        "_weighed",
    )

    def __init__(
        self,
        user_codes: ArrayLike,
        item_codes: ArrayLike,
        values: ArrayLike | None = None,
        times: ArrayLike | None = None,
        *,
        users: Vocabulary | ArrayLike | None = None,
        items: Vocabulary | ArrayLike | None = None,
        time_unit: TimeUnit | None = None,
        duplicates: Duplicates | None = None,
        item_info: Mapping[str, ArrayLike] | None = None,
    ) -> None:
        self._users, self._user_codes = _side("user", user_codes, users)
        self._items, self._item_codes = _side("item", item_codes, items)
        if len(self._user_codes) != len(self._item_codes):
            raise ValueError(
                f"user_codes and item_codes must be of one length, got {len(self._user_codes)} "
                f"and {len(self._item_codes)}"
            )
        self._duplicates: Duplicates | None = check_duplicates(duplicates)
        self._time_unit: TimeUnit | None = check_choice("time_unit", time_unit, (None, *TIME_UNITS))
        self._values = None if values is None else check_values(values, len(self._user_codes))
        self._times: NDArray[np.int64] | None = None
        if times is not None:
            self._times, self._time_unit = check_times(times, self._time_unit, len(self._user_codes))
        self._item_info = None if item_info is None else check_item_info(item_info, len(self._items))
        self._columns: dict[str, str] | None = None
        self._merged: dict[str, Merged] = {}
        self._order: NDArray[np.int32] | None = None
        self._ties: Ties | None = None
        self._told: set[str] = set()
        self._is_part = False
        self._weighed = False
        if duplicates == "error":
            _ = self.matrix

    def _replace(self, **fields: Any) -> Self:
        """A copy with some fields (by slot, without the underscore) replaced; nothing is checked again."""
        new = type(self).__new__(type(self))
        for slot in self.__slots__:
            setattr(new, slot, getattr(self, slot))
        new._merged, new._order, new._ties = {}, None, None
        for name, value in fields.items():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
            setattr(new, f"_{name}", value)
        return new

    @classmethod
    def from_ids(
        cls,
        users: Any,
        items: Any,
        values: ArrayLike | None = None,
        times: ArrayLike | None = None,
        *,
        time_unit: TimeUnit | None = None,
        duplicates: Duplicates | None = None,
    ) -> Self:
        """Makes interactions from arrays of ids, as the caller's own tables hold them.

        Parameters
        ----------
        users, items : collections of integers or of strings, of length n_interactions
            The user and the item of each interaction, by id. The vocabularies are the distinct ids in ascending order.
        values, times, time_unit, duplicates
            As in the class.

        Raises
        ------
        TypeError
            If ids are neither integers nor strings.
        ValueError
            If an id is missing, or the class refuses the data.

        Examples
        --------
        >>> data = Interactions.from_ids([90210, 10001, 90210], ["tea", "tea", "rum"], [2, 1, 5])
        >>> data.shape, data.users.ids.tolist(), data.user_codes.tolist()
        ((2, 2), [10001, 90210], [1, 0, 1])
        """
        user_vocabulary, user_codes = read_ids(users, "users")
        item_vocabulary, item_codes = read_ids(items, "items")
        return cls(
            user_codes, item_codes, values, times, users=user_vocabulary, items=item_vocabulary, time_unit=time_unit,
            duplicates=duplicates,
        )  # fmt: skip

    @classmethod
    def from_matrix(
        cls,
        matrix: Any,
        *,
        users: Vocabulary | ArrayLike | None = None,
        items: Vocabulary | ArrayLike | None = None,
        item_info: Mapping[str, ArrayLike] | None = None,
    ) -> Self:
        """Makes interactions from a users × items matrix, sparse or dense: one for every cell that is not zero.

        Repeated entries of a sparse matrix are summed, as in SciPy.

        Examples
        --------
        >>> Interactions.from_matrix(np.array([[1.0, 0.0], [2.0, 3.0]])).n_interactions
        3
        """
        is_csr = getattr(matrix, "format", None) == "csr"  # whose two index arrays may be of two types
        cells = sparse.coo_array(check_structure(matrix) if is_csr else matrix)
        if len(cells.shape) != 2:
            raise ValueError(f"matrix must be two-dimensional, users × items, got the shape {cells.shape}")
        users = np.arange(cells.shape[0]) if users is None else users
        items = np.arange(cells.shape[1]) if items is None else items
        if not cells.has_canonical_format:
            cells = cells.copy()
            cells.sum_duplicates()
        kept = cells.data != 0
        rows, columns, values = cells.coords[0][kept], cells.coords[1][kept], cells.data[kept]
        return cls(rows, columns, values, users=users, items=items, item_info=item_info)

    @property
    def user_codes(self) -> NDArray[np.int32]:
        """The user of every interaction: int32, shape (n_interactions,), read-only."""
        return self._user_codes

    @property
    def item_codes(self) -> NDArray[np.int32]:
        """The item of every interaction: int32, shape (n_interactions,), read-only."""
        return self._item_codes

    @property
    def values(self) -> NDArray[np.float32] | None:
        """The value of every interaction: float32, shape (n_interactions,), read-only; None: every one counts 1."""
        return self._values

    @property
    def times(self) -> NDArray[np.int64] | None:
        """The time of every interaction, in `time_unit`: int64, shape (n_interactions,), read-only; or None."""
        return self._times

    @property
    def time_unit(self) -> TimeUnit | None:
        """The unit of `times` since 1970 in UTC; None if times are only an order."""
        return self._time_unit

    @property
    def users(self) -> Vocabulary:
        """The ids of the users, even of those without an interaction here."""
        return self._users

    @property
    def items(self) -> Vocabulary:
        """The ids of the items, even of those without an interaction here."""
        return self._items

    @property
    def item_info(self) -> dict[str, NDArray[Any]] | None:
        """Facts about the items, each array aligned with the item codes; None if there are none."""
        return None if self._item_info is None else dict(self._item_info)

    @property
    def duplicates(self) -> Duplicates | None:
        """The policy for several interactions of one user and item: "sum", "last", "max", "error"; None if it was
        not given.
        """
        return self._duplicates

    @property
    def weighed(self) -> bool:
        """Tells whether a step such as `BM25Weight` made the values: models then take them as they are."""
        return self._weighed

    @property
    def shape(self) -> tuple[int, int]:
        """The number of users and of items."""
        return len(self._users), len(self._items)

    @property
    def ndim(self) -> int:
        """2: users × items."""
        return 2

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """The type of the matrix, float32."""
        return np.dtype(np.float32)

    @property
    def n_interactions(self) -> int:
        """The number of interactions; repeated ones count each."""
        return len(self._user_codes)

    def __len__(self) -> int:
        return len(self._users)

    @property
    def matrix(self) -> CodeMatrix:
        """Users × items: csr_array float32, int32 sorted indices, int64 indptr, read-only; made once and kept.

        Several interactions of one user and item become one cell, by the policy of `duplicates`, or their sum without a
        policy. An interaction of value 0 is a stored zero. Other libraries may want to write to it: give them
        ``data.matrix.copy()``.
        """
        return self.matrix_by("sum")

    @property
    def n_repeated(self) -> int:
        """The number of pairs of a user and an item that have several interactions."""
        _ = self.matrix
        return next(iter(self._merged.values())).n_repeated

    def matrix_by(self, policy: Duplicates) -> CodeMatrix:
        """The matrix for a reader who merges by `policy`; the policy of `duplicates` comes first.

        Examples
        --------
        >>> data = Interactions([0, 0], [1, 1], [4, 5])
        >>> data.matrix_by("last").toarray(), data.matrix_by("sum").toarray()
        (array([[0., 5.]], dtype=float32), array([[0., 9.]], dtype=float32))
        """
        policy = self._duplicates or policy
        for known, merged in self._merged.items():
            if known == policy or not merged.n_repeated:
                return merged.matrix
        self._merged[policy] = self._merge(policy)
        return self._merged[policy].matrix

    def last_events(self) -> NDArray[np.int64]:
        """The place of the last event, by time and then by row, of each cell of the matrix, of shape (nnz,).

        >>> Interactions([0, 0, 0], [1, 0, 1], times=[10, 20, 30]).last_events()
        array([1, 2])
        """
        by_time, ranks = self._rank_last_events()
        return np.asarray(by_time[ranks])

    def _rank_last_events(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Sorts events by time and then by row, and marks the last one of each cell of the matrix."""
        by_time = np.arange(self.n_interactions) if self._times is None else np.argsort(self._times, kind="stable")
        order, begins = number_cells(self._user_codes[by_time], self._item_codes[by_time], self.shape)
        ends = np.append(begins[1:], True)[: len(order)]
        return by_time, order[ends]

    def order(self) -> NDArray[np.int32] | None:
        """The place of each entry of the matrix in its row by the time of its last event, the oldest first.

        Returns
        -------
        ndarray of shape (nnz,), or None
            int32, read-only: a permutation in each row. Events with equal times follow the order of their rows. None
            without times. It is made once and kept.

        Examples
        --------
        >>> Interactions([0, 0, 0], [1, 0, 1], times=[10, 20, 30]).order()
        array([0, 1], dtype=int32)
        """
        if self._times is None or self._order is not None:
            return self._order
        known = next(iter(self._merged.values()), None)  # every policy has the same entries
        matrix = self.matrix_by("last") if known is None else known.matrix
        by_time, ranks = self._rank_last_events()
        order = order_by_rank(matrix, ranks, self.n_interactions)
        self._ties = count_ties(matrix, order, self._times[by_time[ranks]])
        self._order = readonly(order)
        return self._order

    def tied_share(self) -> float:
        """The share of neighbours in users' histories with equal times, whose order is that of the rows alone.

        Of several events of a user and an item the last one counts. NaN if there are no times, or no neighbours.

        Examples
        --------
        >>> Interactions([0, 0, 0, 1], [0, 1, 2, 0], times=[10, 10, 20, 20]).tied_share()
        0.5
        """
        return float("nan") if self._times is None else self._find_ties().share

    def _find_ties(self) -> Ties:
        if self._ties is None:
            self.order()
        return self._ties or Ties(0, float("nan"))

    def tell_merged(self, who: str, policy: str) -> None:
        """Warns that a model merges interactions by its own policy; for parts of one data set, only once.

        There is no warning if `duplicates` gives a policy, or no pair is repeated.
        """
        if self._duplicates is not None or not self.n_repeated or (self._is_part and who in self._told):
            return
        self._told.add(who)
        many = self.n_repeated > 1
        several = (
            f"{self.n_repeated:,} pairs of a user and an item have" if many else "1 pair of a user and an item has"
        )
        what = {"last": "the value of the last one", "sum": "the sum of their values"}[policy]
        warn_caller(
            f"{several} several interactions; {who} takes {what}. Give duplicates={policy!r} if that is right, or "
            'another of "sum", "last", "max" and "error" (an option of read_interactions and Interactions)',
            MergedEventsWarning,
            kind=(MergedEventsWarning, policy),
        )

    def tell_ties(self, who: str) -> None:
        """Warns a model of order if much of the order is that of the rows; once for each data set."""
        ties = self._find_ties()
        if ties.neighbors < MANY_NEIGHBORS or not ties.share > MOST_TIED or "ties" in self._told:
            return
        self._told.add("ties")
        warn_caller(
            f"{ties.share:.0%} of the events that are neighbours in a user's history have equal "
            f"times, and {who} takes them in the order of their rows. If that is not their order, "
            "give finer times, or take a model without order",
            TiedTimesWarning,
        )

    def tell_far_times(self, who: str) -> None:
        """Warns the reader of the times if some are far from all others."""
        if self._times is None:
            return
        rows = find_far_times(self._times)
        if not len(rows):
            return
        middle = np.delete(self._times, rows)
        shown = as_datetimes(np.array([self._times[rows[0]], middle.min(), middle.max()]), self._time_unit)
        what = f"{len(rows):,} times are, the first" if len(rows) > 1 else "one time is,"
        warn_caller(
            f"{who} reads times, and some are far from all others: {what} in row {rows[0]} (counted from 0), "
            f"{shown[0]}, while the others lie from {shown[1]} to {shown[2]}. Leave these out, or correct their unit",
            FarTimesWarning,
        )

    def _merge(self, policy: str) -> "Merged":
        rows, columns, values = self._user_codes, self._item_codes, self._values
        if values is None and policy != "error" and len(rows) >= MANY:
            indptr, indices, merged, n_repeated = count_events(rows, columns, self.shape, policy)
            cells = assemble_csr(readonly(merged), readonly(indices), readonly(indptr), self.shape)
            return Merged(cells, n_repeated)
        if policy == "last" and self._times is not None:
            order = np.argsort(self._times, kind="stable")
            rows, columns = rows[order], columns[order]
            values = None if values is None else values[order]
        indptr, indices, merged = build_csr(rows, columns, values, self.shape)
        repeated = find_repeated(indptr, indices)
        n_repeated = int(np.count_nonzero(repeated & ~np.append(False, repeated[:-1])))
        if n_repeated:
            if policy == "error":
                self._refuse_repeated(indptr, indices, int(np.argmax(repeated)))
            indptr, indices, merged = merge_repeated(indptr, indices, merged, repeated, policy)
        return Merged(assemble_csr(readonly(merged), readonly(indices), readonly(indptr), self.shape), n_repeated)

    def _refuse_repeated(self, indptr: NDArray[np.int64], indices: NDArray[np.int32], place: int) -> None:
        user, item = int(np.searchsorted(indptr, place, side="right")) - 1, int(indices[place])
        rows = np.flatnonzero((self._user_codes == user) & (self._item_codes == item))
        raise ValueError(
            f"{self.describe_cell(user, item)} meet more than once, in "
            f'rows {rows[0]} and {rows[1]}: use duplicates="sum", "last" or "max"'
        )

    def describe_cell(self, user: int, item: int) -> str:
        """Describes the user and the item of a cell of the matrix by their ids, for messages.

        >>> Interactions([0], [0], users=["ann"], items=[7]).describe_cell(0, 0)
        "user 'ann' and item 7"
        """
        return f"user {self._users.decode([user]).item()!r} and item {self._items.decode([item]).item()!r}"

    def __getitem__(self, rows: Any) -> Self:
        """Returns the given users, in that order, with their interactions; the items stay.

        Parameters
        ----------
        rows : int, slice, array-like of integers, or boolean mask of shape (n_users,)
            Negative numbers count from the end, as in NumPy.

        Raises
        ------
        IndexError
            If a row is out of range.
        ValueError
            If a row is picked twice: a vocabulary holds an id once (use ``.matrix[rows]`` for that).
        """
        if isinstance(rows, tuple):
            if len(rows) != 2 or not (rows[1] is Ellipsis or (isinstance(rows[1], slice) and rows[1] == slice(None))):
                raise IndexError("Interactions pick users only: X[rows]; use .matrix for a choice of items")
            rows = rows[0]
        picked = np.atleast_1d(np.arange(len(self))[rows if isinstance(rows, slice) else _row_key(rows)])
        code_of = np.full(len(self), -1, np.int32)
        code_of[picked] = np.arange(len(picked), dtype=np.int32)
        if np.count_nonzero(code_of >= 0) < len(picked):
            raise ValueError("a user was picked twice: a vocabulary holds an id once; use .matrix[rows] to repeat rows")
        codes = code_of[self._user_codes] if self.n_interactions else self._user_codes
        events = np.flatnonzero(codes >= 0)
        return self._choose(events, users=self._users.picked(picked), user_codes=codes[events])

    def select(
        self,
        events: ArrayLike,
        *,
        user_codes: ArrayLike | None = None,
        users: Vocabulary | ArrayLike | None = None,
    ) -> Self:
        """Returns the chosen interactions with the same vocabularies: shape and codes stay.

        Parameters
        ----------
        events : boolean mask of shape (n_interactions,), or array-like of integers
            The interactions, in the wanted order.
        user_codes : array-like of integers, one for each chosen interaction, optional
            Other users for the chosen interactions, as codes of `users`, so that an interaction may be chosen for
            several users. None: the users stay.
        users : Vocabulary or array-like of ids, optional
            The ids behind `user_codes`. None: the codes themselves, from 0 to the greatest one.

        Examples
        --------
        >>> data = Interactions([0, 0, 1], [0, 1, 1], [5, 3, 4])
        >>> data.select(data.values >= 4).n_interactions
        2
        """
        key = np.asarray(events)
        if key.dtype == bool:
            if key.shape != (self.n_interactions,):
                raise IndexError(f"a mask of interactions must have shape ({self.n_interactions},), got {key.shape}")
            key = np.flatnonzero(key)
        key = _check_events(key, self.n_interactions)
        if user_codes is None:
            return self._choose(key)
        vocabulary, codes = _side("user", user_codes, users)
        if len(codes) != len(key):
            raise ValueError(f"user_codes must have one for each of {len(key)} interactions, got {len(codes)}")
        return self._choose(key, users=vocabulary, user_codes=codes)

    def _choose(self, events: NDArray[Any], **fields: Any) -> Self:
        fields.setdefault("user_codes", self._user_codes[events])
        return self._replace(
            item_codes=self._item_codes[events],
            values=None if self._values is None else self._values[events],
            times=None if self._times is None else self._times[events],
            is_part=True,
            **fields,
        )

    def compact(self) -> Self:
        """Returns the same interactions without the users and items that have none: smaller vocabularies, new codes.

        Examples
        --------
        >>> Interactions([0, 2], [1, 1], users=["a", "b", "c"], items=["x", "y"]).compact().shape
        (2, 1)
        """
        users, user_codes = _without_gaps(self._users, self._user_codes)
        items, item_codes, kept = *_without_gaps(self._items, self._item_codes), np.unique(self._item_codes)
        info = None if self._item_info is None else {name: frozen(a[kept]) for name, a in self._item_info.items()}
        return self._replace(users=users, user_codes=user_codes, items=items, item_codes=item_codes, item_info=info)

    def pseudonymised(self, key: bytes) -> Self:
        """Returns the interactions with pseudonyms for users: models fitted with them, and their files, hold no user's
        id.

        Parameters
        ----------
        key : bytes
            The key of `pseudonym`, 16 to 64 bytes. It is kept nowhere.

        Examples
        --------
        >>> data = Interactions([0, 1], [0, 0], users=["anna", "bert"], items=["Alien"])
        >>> "anna" in data.pseudonymised(b"sixteen or more!").users
        False
        """
        return self._replace(users=self._users.pseudonymised(key))

    def titles(self, codes: ArrayLike) -> list[str]:
        """Returns the text to show for each of the given items: its `title` in `item_info`, or its id if it has none.

        Examples
        --------
        >>> Interactions([0, 0], [0, 1], items=[7, 9], item_info={"title": ["Alien", ""]}).titles([0, 1])
        ['Alien', '9']
        """
        codes = check_codes("codes", np.atleast_1d(codes), len(self._items))
        ids = map(str, self._items.decode(codes).tolist())
        if self._item_info is None or "title" not in self._item_info:
            return list(ids)
        return [str(title or id) for title, id in zip(self._item_info["title"][codes].tolist(), ids, strict=True)]

    def to_frame(self, backend: Backend | None = None) -> Any:
        """A data frame with the columns user, item, and value and time if there are any.

        Parameters
        ----------
        backend : {"pandas", "polars", "pyarrow"}, optional
            None: the first one that is installed.

        Returns
        -------
        DataFrame or Table
            Ids as they were given; times as datetimes (UTC) if their unit is known.
        """
        columns: dict[str, NDArray[Any]] = {
            "user": self._users.decode(self._user_codes),
            "item": self._items.decode(self._item_codes),
        }
        if self._values is not None:
            columns["value"] = self._values
        if self._times is not None:
            columns["time"] = as_datetimes(self._times, self._time_unit)
        return make_frame(columns, backend)

    def __getstate__(self) -> dict[str, Any]:
        return {slot: getattr(self, slot) for slot in self.__slots__ if slot not in ("_merged", "_order", "_ties")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._merged, self._order, self._ties = {}, None, None
        info = state["_item_info"] or {}
        for array in (*(state[f"_{name}"] for name in ("user_codes", "item_codes", "values", "times")), *info.values()):
            if array is not None:
                array.flags.writeable = False
        for slot, value in state.items():
            setattr(self, slot, value)

    def __repr__(self) -> str:
        return "\n".join(["Interactions", *(f"  {name:<13}{text}" for name, text in self.describe().items())])

    def _repr_html_(self) -> str:
        return show_facts("Interactions", self.describe())

    def describe(self) -> dict[str, str]:
        """Describes the interactions in words, by the facts that a person asks for first; `print` shows this.

        Examples
        --------
        >>> Interactions([0, 0, 0], [0, 1, 2], times=[10, 10, 20]).describe()["ties"]
        "50.0% of neighbours in a user's history have one time"
        """
        users, items = self.shape
        cells = users * items
        facts = {
            "users": f"{users:,} ({'integers' if self._users.kind == 'int' else 'strings'})",
            "items": f"{items:,} ({'integers' if self._items.kind == 'int' else 'strings'})",
            "interactions": f"{self.n_interactions:,}",
            "density": f"{self.matrix.nnz / cells:.3%} of all pairs" if cells else "no pairs",
        }
        facts["repeated"] = self._repeated_in_words()
        if self._values is None:
            facts["values"] = "none, each counts 1"
        elif len(self._values):
            facts["values"] = (
                f"{self._values.min():g} to {self._values.max():g}, mean {self._values.mean(dtype=float):g}"
            )
        if self._times is None:
            facts["times"] = "none"
        elif len(self._times):
            ends = as_datetimes(np.array([self._times.min(), self._times.max()]), self._time_unit)
            unit = f" (UTC, kept in {self._time_unit})" if self._time_unit else ""
            facts["times"] = f"{ends[0]} to {ends[1]}{unit}"
            if self._find_ties().neighbors:
                facts["ties"] = f"{self.tied_share():.1%} of neighbours in a user's history have one time"
        if self._item_info:
            alone = items - len(np.unique(self.item_codes))
            facts["item info"] = ", ".join(self._item_info) + (f"; items without an event: {alone:,}" if alone else "")
        if self._columns:
            notes = {name: self._columns[name] for name in (UNREAD, DROPPED) if name in self._columns}
            read = {role: column for role, column in self._columns.items() if role not in notes}
            facts["columns"] = ", ".join(f"{role}={column}" for role, column in read.items())
            facts |= notes
        return facts

    def _repeated_in_words(self) -> str:
        if self._duplicates is not None:
            return f'{self.n_repeated:,}, duplicates="{self._duplicates}"'
        return f"{self.n_repeated:,}; models of ratings take the last of a pair, all others the sum"


def _check_events(events: NDArray[Any], length: int) -> NDArray[Any]:
    """Places of interactions, which may exceed int32; negative ones are errors, and do not count from the end."""
    if not events.size:
        return np.empty(0, np.int64)
    if events.ndim != 1 or events.dtype.kind not in "iu":
        raise TypeError(f"interactions are chosen by a mask or 1-D integers, got {events.ndim}-D {events.dtype}")
    if events.min() < 0 or events.max() >= length:
        wrong = events[np.argmax((events < 0) | (events >= length))]
        raise IndexError(f"interactions are numbered from 0 to {length - 1}, got {wrong}")
    return events


def _row_key(rows: Any) -> NDArray[Any]:
    key = np.asarray(rows)
    return key if key.size else key.astype(np.int64)


def _side(side: str, codes: ArrayLike, ids: Vocabulary | ArrayLike | None) -> tuple[Vocabulary, NDArray[np.int32]]:
    """Returns the vocabulary of users or items, and their codes as read-only int32."""
    array = np.asarray(codes)
    if array.ndim != 1:
        raise ValueError(f"{side}_codes must be one-dimensional, got shape {array.shape}")
    if ids is None:
        n = int(array.max()) + 1 if array.size and array.dtype.kind in "iu" else 0
        if n > 0:
            check_integer(f"the largest of {side}_codes", n - 1, maximum=LARGEST_CODE - 1)
            check_size(f"the largest of {side}_codes", n - 1, minimum=0, each=16)
            _tell_empty(side, array, n)
        vocabulary = Vocabulary(np.arange(n))
    else:
        vocabulary = ids if isinstance(ids, Vocabulary) else Vocabulary(ids)
    array = check_codes(f"{side}_codes", array, len(vocabulary))
    return vocabulary, frozen(array.astype(np.int32, copy=False))


def _tell_empty(side: str, codes: NDArray[Any], n: int) -> None:
    """Warns if most of n codes have no interaction, as with ids given in place of codes; refuses if nearly all have
    none.
    """
    if n < MANY_CODES:
        return
    met = len(factorize_integers(codes.astype(np.int64, copy=False))[0])
    if 2 * met >= n:
        return
    message = (
        f"{side}_codes has {met:,} different codes up to {n - 1:,}, so that {n - met:,} {side}s are "
        "empty. Ids are not codes: make data from ids with Interactions.from_ids(users, items, ...) "
        "or read_interactions(...). If "
        f"these are codes, give {side}s=numpy.arange({n})"
    )
    if n > MOST_EMPTY * met:
        raise ValueError(message)
    warn_caller(message, EmptyCodesWarning)


def _without_gaps(vocabulary: Vocabulary, codes: NDArray[np.int32]) -> tuple[Vocabulary, NDArray[np.int32]]:
    met = np.zeros(len(vocabulary), bool)
    met[codes] = True
    return vocabulary.picked(np.flatnonzero(met)), (np.cumsum(met, dtype=np.int32) - np.int32(1))[codes]
