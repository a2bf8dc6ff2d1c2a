"""TopK: the result of everything that finds the best k."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastrec.notebook import show
from fastrec.tables import Table

# The numbers of rows and of places that are shown if all would be too many.
SHOWN = 5


class About(NamedTuple):
    """The parameters of `TopK` beside codes and scores."""

    users: NDArray[Any] | None = None
    item_vocabulary: Any = None
    fallback: NDArray[np.bool_] | None = None
    item_info: Mapping[str, NDArray[Any]] | None = None
    names: tuple[str, str] = ("user", "item")


NOTHING_ELSE = About()


class TopK:
    """The best k items of each user or query, best first; its arrays cannot be replaced.

    Parameters
    ----------
    codes : int32 array of shape (n, k)
        Item codes, -1 if nothing is left.
    scores : float32 array of shape (n, k)
        Their scores, -inf if nothing is left.
    users : array of shape (n,), optional
        Ids (or codes) of the users; without them the rows' own numbers.
    item_vocabulary : Vocabulary, optional
        The vocabulary from codes to the caller's ids.
    fallback : bool array of shape (n,), optional
        Rows that were answered by popularity.
    item_info : mapping of str to arrays, optional
        Facts about items, by code; `to_frame` and the printed form show "title".
    names : pair of str, optional
        The names of rows and items in tables: ("item", "similar") for similar items.

    Examples
    --------
    >>> top = TopK([[2, 0], [1, -1]], [[0.9, 0.5], [0.7, -np.inf]], users=["ann", "bob"])
    >>> items, scores = top
    >>> items
    array([[ 2,  0],
           [ 1, -1]], dtype=int32)
    >>> top.valid
    array([[ True,  True],
           [ True, False]])
    """

    __slots__ = ("_about", "_items", "codes", "scores")

    codes: NDArray[np.int32]
    scores: NDArray[np.float32]
    _about: About
    _items: NDArray[Any] | None

    def __init__(
        self,
        codes: ArrayLike,
        scores: ArrayLike,
        *,
        users: ArrayLike | None = None,
        item_vocabulary: Any = None,
        fallback: ArrayLike | None = None,
        item_info: Mapping[str, NDArray[Any]] | None = None,
        names: tuple[str, str] = ("user", "item"),
    ) -> None:
        put = object.__setattr__
        put(self, "codes", _checked_codes(codes))
        put(self, "scores", np.asarray(scores, np.float32))
        if self.codes.ndim != 2 or self.codes.shape != self.scores.shape:
            raise ValueError(
                f"TopK needs codes and scores of one shape (n, k), got {self.codes.shape} and {self.scores.shape}"
            )
        own_users = None if users is None else _checked_rows("users", users, len(self.codes))
        own_fallback = None if fallback is None else _checked_rows("fallback", fallback, len(self.codes))
        put(self, "_about", About(own_users, item_vocabulary, own_fallback, item_info, names))
        put(self, "_items", None)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"TopK cannot be changed: no {name} can be set")

    def __reduce__(self) -> Any:
        return _rebuild, (self.codes, self.scores, *self._about)

    @property
    def valid(self) -> NDArray[np.bool_]:
        """The places that hold an item: bool, of shape (n, k)."""
        return self.codes >= 0

    @property
    def users(self) -> NDArray[Any]:
        """The ids or codes of the rows' users, of shape (n,)."""
        return np.arange(len(self.codes)) if self._about.users is None else self._about.users

    @property
    def fallback(self) -> NDArray[np.bool_]:
        """The rows that were answered by popularity: bool, of shape (n,)."""
        return np.zeros(len(self.codes), bool) if self._about.fallback is None else self._about.fallback

    @property
    def items(self) -> NDArray[Any]:
        """The items in the caller's own ids, of shape (n, k); -1, or "" among strings, if nothing is left."""
        if self._items is None:
            object.__setattr__(self, "_items", self._decode_items())
        return cast("NDArray[Any]", self._items)

    def _decode_items(self) -> NDArray[Any]:
        if self._about.item_vocabulary is None:
            return self.codes
        valid = self.valid
        ids = self._about.item_vocabulary.decode(self.codes[valid])
        items = np.full(self.codes.shape, -1 if ids.dtype.kind in "iu" else "", ids.dtype)
        items[valid] = ids
        return items

    def __len__(self) -> int:
        return len(self.codes)

    def __iter__(self) -> Iterator[NDArray[Any]]:
        yield self.items
        yield self.scores

    def __getitem__(self, rows: Any) -> "TopK":
        """The chosen rows; a single number gives a TopK of one row."""
        rows = np.arange(len(self))[rows]
        rows = rows[None] if np.ndim(rows) == 0 else rows
        return TopK(
            self.codes[rows],
            self.scores[rows],
            users=self.users[rows],
            item_vocabulary=self._about.item_vocabulary,
            fallback=None if self._about.fallback is None else self._about.fallback[rows],
            item_info=self._about.item_info,
            names=self._about.names,
        )

    def titles(self) -> NDArray[Any] | None:
        """The titles of the items, of shape (n, k), "" if nothing is left; None if no titles are known."""
        if self._about.item_info is None or "title" not in self._about.item_info:
            return None
        titles = np.full(self.codes.shape, "", object)
        titles[self.valid] = np.asarray(self._about.item_info["title"], object)[self.codes[self.valid]]
        return titles

    def replaced(self, codes: ArrayLike, scores: ArrayLike) -> "TopK":
        """Returns other items for the same users: codes and scores of shape (n, k)."""
        return TopK(codes, scores, **self._about._asdict())

    def __repr__(self) -> str:
        n, k = self.codes.shape
        lines = [f"TopK of {n} row{'' if n == 1 else 's'}, k={k}"]
        for row in range(min(n, SHOWN)):
            shown = [f"{name} ({score:.3g})" for name, score in self._row(row)]
            more = " …" if self.valid[row].sum() > SHOWN else ""
            lines.append(f"  {self.users[row]}: {', '.join(shown) or 'nothing'}{more}")
        return "\n".join(lines + (["  …"] if n > SHOWN else []))

    def _row(self, row: int) -> list[tuple[str, float]]:
        """The first places of a row for display: titles, or ids, and scores."""
        valid = np.flatnonzero(self.valid[row])[:SHOWN]
        ids, scores = self.items[row][valid].tolist(), self.scores[row][valid].tolist()
        titles = self[row].titles()
        named = ids if titles is None else [title or id for title, id in zip(titles[0, valid], ids, strict=True)]
        return list(zip(map(str, named), scores, strict=True))

    def _repr_html_(self) -> str:
        """A table of the first rows and places."""
        n, k = self.codes.shape
        width = min(k, SHOWN)
        rows = []
        for row in range(min(n, SHOWN)):
            cells = [f"{name}\n{score:.3g}" for name, score in self._row(row)]
            rows.append([str(self.users[row]), *cells, *[""] * (width - len(cells))])
        more = " (the first are shown)" if n > SHOWN or k > SHOWN else ""
        caption = f"The {k} best of {n:,} row{'' if n == 1 else 's'}{more}"
        return show(Table([self._about.names[0], *map(str, range(1, width + 1))], rows, caption, range(width + 1)))

    def to_frame(self) -> Any:
        """A table of the valid places: user, item, score, rank (from 1), and title if titles are known.

        For similar items the first two are item and similar, for similar users user and similar.

        Returns
        -------
        pandas.DataFrame, else polars.DataFrame, else pyarrow.Table
            The first of them that is installed.

        Raises
        ------
        ImportError
            If none of them is installed.

        Examples
        --------
        >>> TopK([[2, 0]], [[0.5, 0.25]], users=["ann"]).to_frame()
          user  item  score  rank
        0  ann     2   0.50     1
        1  ann     0   0.25     2
        """
        valid = self.valid
        rows, places = np.nonzero(valid)
        columns: dict[str, NDArray[Any]] = {
            self._about.names[0]: self.users[rows],
            self._about.names[1]: self.items[valid],
            "score": self.scores[valid],
            "rank": places + 1,
        }
        if self._about.item_info is not None and "title" in self._about.item_info:
            columns["title"] = np.asarray(self._about.item_info["title"])[self.codes[valid]]
        return _frame(columns)


_SET_CODES, _SET_SCORES, _SET_ABOUT, _SET_ITEMS = (
    vars(TopK)[name].__set__ for name in ("codes", "scores", "_about", "_items")
)


def plain_top(codes: NDArray[np.int32], scores: NDArray[np.float32]) -> TopK:
    """The TopK of an answer that needs no checks, made in a tenth of the time.

    >>> plain_top(np.array([[2]], np.int32), np.array([[0.5]], np.float32)).items
    array([[2]], dtype=int32)
    """
    top = object.__new__(TopK)
    _SET_CODES(top, codes)
    _SET_SCORES(top, scores)
    _SET_ABOUT(top, NOTHING_ELSE)
    _SET_ITEMS(top, None)
    return top


def widen(
    codes: NDArray[np.int32], scores: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The same answers with k places in each row: the additional ones are empty.

    >>> widen(np.array([[3]], np.int32), np.array([[0.5]], np.float32), 2)
    (array([[ 3, -1]], dtype=int32), array([[ 0.5, -inf]], dtype=float32))
    """
    if codes.shape[1] == k:
        return codes, scores
    more = ((0, 0), (0, k - codes.shape[1]))
    return np.pad(codes, more, constant_values=-1), np.pad(scores, more, constant_values=-np.inf)


def _checked_codes(codes: ArrayLike) -> NDArray[np.int32]:
    array = np.asarray(codes)
    if array.dtype == np.int32:
        return array
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(f"TopK.codes must be integers, got an array of {array.dtype}")
    if array.size and (array.min() < -1 or array.max() >= 2**31):
        raise ValueError(f"TopK.codes must be from -1 to {2**31 - 1}, got {array.min()} to {array.max()}")
    return array.astype(np.int32)


def _checked_rows(name: str, values: ArrayLike, n: int) -> NDArray[Any]:
    array = np.asarray(values)
    if array.shape != (n,):
        raise ValueError(f"TopK.{name} must have one entry for each of {n} rows, got shape {array.shape}")
    return array


def _rebuild(
    codes: Any, scores: Any, users: Any, vocabulary: Any, fallback: Any, item_info: Any, names: Any = ("user", "item")
) -> TopK:
    facts = {"item_info": item_info, "names": names}
    return TopK(codes, scores, users=users, item_vocabulary=vocabulary, fallback=fallback, **facts)


def _frame(columns: dict[str, NDArray[Any]]) -> Any:
    try:
        import pandas

        return pandas.DataFrame(columns)
    except ImportError:
        pass
    lists = {name: column.tolist() if column.dtype.kind in "OUT" else column for name, column in columns.items()}
    try:
        import polars

        return polars.DataFrame(lists)
    except ImportError:
        pass
    try:
        import pyarrow

        return pyarrow.table(lists)
    except ImportError:
        raise ImportError("to_frame needs pandas, polars or pyarrow: pip install 'fastrec[frames]'") from None
