"""Updating: recommenders that take in new data without being fitted again."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import _check_feature_names

from fastrec.data import Interactions, Vocabulary
from fastrec.data.pairs import build_csr, find_repeated, merge_repeated
from fastrec.models.persistence import freeze
from fastrec.models.recommender import Codes, Derived, Recommender
from fastrec.models.rows import count_codes, pick_rows, row_numbers
from fastrec.validation import CodeMatrix, assemble_csr, check_choice, check_codes, keep_entries

How: TypeAlias = Literal["append", "replace"]

# A model without vocabularies is told its users and items by number. Such a number may make it at most twice as large
# and so many more: one typing error must not cost gigabytes.
LEEWAY = 1000


@dataclass(frozen=True, slots=True)
class Change:
    """What an update has changed in a model's `seen_`, which is the new matrix already.

    Parameters
    ----------
    before
        The matrix as it was, of the new one's shape.
    users
        int32, ascending: the rows that have changed, or are new.
    items
        int32, ascending: the columns whose model is to follow; none of them where only users are updated.
    events
        The new events, where there are times and the caller gave Interactions; coded as they came.
    """

    before: CodeMatrix
    users: Codes
    items: Codes
    events: Interactions | None = None


class Updating(Recommender):
    """A recommender that can follow its data; it defines `_update`.

    Whatever stops an update, the model is left as it was. Arrays are replaced, never written to: a copy of the model
    made before (``copy.copy``) answers as before.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"partial_fit"})

    @property
    def needs_times(self) -> bool:
        """Whether the times of events count, which `seen_` has not: who has only that updates instead of refitting."""
        return False

    @abstractmethod
    def _update(self, change: Change) -> None:
        """Bring what was learned in line with `seen_`, `item_counts_` and the vocabularies, which are the new ones."""

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Add interactions to those that the model was fitted with.

        Parameters
        ----------
        X
            Interactions, also with new users and items, whose ids join the model's; or a matrix of the shape of the
            training data, what each user did since. Values of a pair known already are added, or, with Interactions,
            merged by their `duplicates`. A model not yet fitted is fitted.
        y
            Not used; there because scikit-learn passes it.

        Returns
        -------
        The model itself.

        Raises
        ------
        ValueError, TypeError
            Where X is not what it must be, or a model without vocabularies is given absurdly large codes.

        Examples
        --------
        >>> from fastrec.models import Popularity
        >>> model = Popularity().fit([[1, 0, 0], [1, 1, 0]])
        >>> model.partial_fit([[0, 0, 1], [0, 0, 1]]).recommend(0, k=3, exclude_seen=False).codes
        array([[0, 2, 1]], dtype=int32)
        """
        if not self.__sklearn_is_fitted__():
            return self.fit(X, y)
        if isinstance(X, Interactions):
            return self._take_in(X)
        _check_feature_names(self, X, reset=False)
        matrix = self._histories(X)
        if matrix.shape[0] != self.seen_.shape[0]:
            raise ValueError(
                f"X must have a row for each of the {self.seen_.shape[0]} users of the training data, got "
                f"{matrix.shape[0]}; new users come with Interactions or by update_users"
            )
        users = np.flatnonzero(np.diff(matrix.indptr)).astype(np.int32)
        rows = merge_rows(pick_rows(self.seen_, users), pick_rows(matrix, users), "sum")
        return self._change(replace_rows(self.seen_, users, rows), users, np.unique(matrix.indices))

    def update_users(self, users: Any, histories: Any, how: How = "append") -> Self:
        """Give users a longer or another history; what the model knows about items stays as it is.

        Parameters
        ----------
        users
            One id or a sequence of n ids (codes, where the model was fitted with a matrix), new ones among them.
        histories
            Interactions or a matrix of shape (n, n_items), a row for each.
        how
            Whether the rows are added to what the users have done, or take its place.

        Returns
        -------
        The model itself.

        Raises
        ------
        ValueError, TypeError
            Where an id occurs twice, or the histories do not fit.

        Examples
        --------
        >>> from fastrec.models import ImplicitALS
        >>> model = ImplicitALS(factors=2, random_state=0).fit(np.kron(np.eye(2), np.ones((9, 3))))
        >>> model.update_users([0], [[0, 0, 0, 1, 1, 0]], how="replace").recommend(0, k=1).codes
        array([[5]], dtype=int32)
        """
        check_choice("how", how, ("append", "replace"))
        rows = self._histories(histories)
        vocabulary, n_users = self._grown("users", self.users_, self.seen_.shape[0], users)
        codes = self._distinct("users", users, vocabulary, n_users)
        if len(codes) != rows.shape[0]:
            raise ValueError(f"histories must have a row for each of {len(codes)} users, got {rows.shape[0]}")
        order = np.argsort(codes)
        codes, rows = codes[order], pick_rows(rows, order)
        grown = resize(self.seen_, (n_users, self.n_features_in_))
        if how == "append":
            policy = histories.duplicates if isinstance(histories, Interactions) else "sum"
            rows = merge_rows(pick_rows(grown, codes), rows, policy)
        return self._change(replace_rows(grown, codes, rows), codes, np.empty(0, np.int32), users=vocabulary)

    def update_items(self, items: Any, histories: Any, how: How = "append") -> Self:
        """Give items more or other users; what the model knows about these items follows, and about these users.

        Parameters
        ----------
        items
            One id or a sequence of n ids (codes, where the model was fitted with a matrix), new ones among them.
        histories
            A matrix of shape (n, n_users), a row for each item: who took it.
        how
            Whether the rows are added to what is known of the items, or take its place.

        Returns
        -------
        The model itself.

        Raises
        ------
        ValueError, TypeError
            Where an id occurs twice, or the histories do not fit.

        Examples
        --------
        >>> from fastrec.models import Popularity
        >>> model = Popularity().fit([[1, 0], [1, 1]])
        >>> model.update_items([1], [[0, 0]], how="replace").item_counts_
        array([2, 0])
        """
        check_choice("how", how, ("append", "replace"))
        self._check_fitted()
        n_users = self.seen_.shape[0]
        vocabulary, n_items = self._grown("items", self.items_, self.n_features_in_, items)
        codes = self._distinct("items", items, vocabulary, n_items)
        columns = self._checked(histories)
        if columns.shape != (len(codes), n_users):
            raise ValueError(f"histories must be of shape {(len(codes), n_users)}, items × users, got {columns.shape}")
        before = resize(self.seen_, (n_users, n_items))
        kept = before
        if how == "replace":
            mask = np.zeros(n_items, bool)
            mask[codes] = True
            kept = keep_entries(before, ~mask[before.indices])
        added = _matrix_of(columns.indices, codes[row_numbers(columns)], columns.data, before.shape)
        matrix = merge_rows(kept, added, "sum")
        users = np.flatnonzero((np.diff(before.indptr) != np.diff(kept.indptr)) | (np.diff(added.indptr) > 0))
        return self._change(matrix, users.astype(np.int32), np.sort(codes), items=vocabulary)

    # -- what they share

    def _take_in(self, X: Interactions) -> Self:
        """`partial_fit` with ids of its own."""
        self._check_catalogue(X)
        given = self._checked(X)
        users, n_users = self._grown("users", self.users_, self.seen_.shape[0], X.users.ids)
        items, n_items = self._grown("items", self.items_, self.n_features_in_, X.items.ids)
        user_codes = _encode(users, X.users.ids)
        item_codes = _encode(items, X.items.ids)
        added = _matrix_of(user_codes[row_numbers(given)], item_codes[given.indices], given.data, (n_users, n_items))
        changed = np.flatnonzero(np.diff(added.indptr)).astype(np.int32)
        grown = resize(self.seen_, (n_users, n_items))
        rows = merge_rows(pick_rows(grown, changed), pick_rows(added, changed), X.duplicates)
        info = _grown_info(self.item_info_, X, item_codes, self.n_features_in_, n_items)
        new_items = np.arange(self.n_features_in_, n_items, dtype=np.int32)
        touched = np.union1d(np.unique(added.indices), new_items)
        return self._change(
            replace_rows(grown, changed, rows), changed, touched, users=users, items=items, info=info, events=X
        )

    def _check_catalogue(self, X: Interactions) -> None:
        for name, known, given in (("users", self.users_, X.users), ("items", self.items_, X.items)):
            kind = "int" if known is None else known.kind
            if len(given) and given.kind != kind:
                words = {"int": "integers", "str": "strings"}
                raise ValueError(f"X has {words[given.kind]} as {name}, the model {words[kind]}")

    def _grown(self, name: str, known: Vocabulary | None, size: int, given: Any) -> tuple[Vocabulary | None, int]:
        """The vocabulary with the new ids among those given, and its length; without one, room for the codes given."""
        self._check_fitted()
        if known is not None:
            try:
                grown = known.extended(_listed(given))
            except (TypeError, ValueError) as error:
                raise type(error)(f"{name}: {error}") from None
            return grown, len(grown)
        codes = np.asarray(_listed(given))
        if not codes.size:
            return None, size
        largest = 2 * size + LEEWAY
        check_codes(name, codes, np.iinfo(np.int32).max)
        if codes.max() >= largest:
            raise ValueError(
                f"{name} has the code {codes.max()}, but the model has {size} {name}: an update may bring codes below "
                f"{largest}. Models fitted with Interactions take any id"
            )
        return None, max(size, int(codes.max()) + 1)

    @staticmethod
    def _distinct(name: str, given: Any, vocabulary: Vocabulary | None, size: int) -> Codes:
        listed = _listed(given)
        codes = check_codes(name, listed, size) if vocabulary is None else vocabulary.encode(listed)
        if len(np.unique(codes)) < len(codes):
            raise ValueError(f"{name} has an id twice")
        return codes

    def _change(
        self,
        matrix: CodeMatrix,
        changed: Codes,
        touched: Codes,
        *,
        users: Vocabulary | None = None,
        items: Vocabulary | None = None,
        info: Mapping[str, NDArray[Any]] | None = None,
        events: Interactions | None = None,
    ) -> Self:
        """Take over the new matrix and let the family follow. Whatever stops it, the model is left as it was."""
        state = dict(self.__dict__)
        change = Change(resize(self.seen_, matrix.shape), changed, touched.astype(np.int32), events)
        try:
            grown_by = matrix.shape[1] - self.n_features_in_
            if grown_by and info is None:
                info = _padded_info(self.item_info_, grown_by)
            self.users_ = self.users_ if users is None else users
            self.items_ = self.items_ if items is None else items
            self.item_info_ = self.item_info_ if info is None else info
            self.n_features_in_ = int(matrix.shape[1])
            self.seen_ = matrix
            self.item_counts_ = count_codes(matrix.indices, matrix.shape[1])
            if grown_by:
                self.__dict__.pop("feature_names_in_", None)
            self._derived = Derived()
            freeze(self)
            self._update(change)
            freeze(self)
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(state)
            raise
        return self


def coded_events(model: Recommender, events: Interactions) -> tuple[Codes, Codes]:
    """The users and items of an update's events, by the codes that the model has for them now."""
    users, items = _encode(model.users_, events.users.ids), _encode(model.items_, events.items.ids)
    return users[events.user_codes], items[events.item_codes]


def resize(matrix: CodeMatrix, shape: tuple[int, int]) -> CodeMatrix:
    """The matrix with more rows and columns, all of them empty; its entries are not copied.

    >>> from fastrec.validation import check_matrix
    >>> resize(check_matrix([[1, 2]]), (2, 3)).toarray()
    array([[1., 2., 0.],
           [0., 0., 0.]], dtype=float32)
    """
    more = shape[0] - matrix.shape[0]
    indptr = np.concatenate([matrix.indptr, np.full(more, matrix.indptr[-1])]) if more else matrix.indptr
    return assemble_csr(matrix.data, matrix.indices, indptr, shape)


def merge_rows(first: CodeMatrix, second: CodeMatrix, policy: str) -> CodeMatrix:
    """Two matrices of one shape in one; where both have an entry, their sum, the greater, or that of the second.

    Parameters
    ----------
    policy
        "sum", "max" or "last", as `Interactions.duplicates`; "error" refuses a pair that both have.

    Examples
    --------
    >>> from fastrec.validation import check_matrix
    >>> merge_rows(check_matrix([[1, 2, 0]]), check_matrix([[0, 5, 1]]), "sum").toarray()
    array([[1., 7., 1.]], dtype=float32)
    """
    rows = np.concatenate([row_numbers(first), row_numbers(second)]).astype(np.int32)
    columns = np.concatenate([first.indices, second.indices])
    values = np.concatenate([first.data, second.data])
    indptr, indices, merged = build_csr(rows, columns, values, first.shape)
    repeated = find_repeated(indptr, indices)
    if repeated.any():
        if policy == "error":
            raise ValueError('an interaction is known already: use duplicates="sum", "last" or "max"')
        indptr, indices, merged = merge_repeated(indptr, indices, merged, repeated, policy)
    return assemble_csr(merged.astype(np.float32, copy=False), indices, indptr, first.shape)


def replace_rows(matrix: CodeMatrix, rows: Codes, others: CodeMatrix) -> CodeMatrix:
    """A copy of the matrix in which the given rows, in ascending order, are those of `others`.

    >>> from fastrec.validation import check_matrix
    >>> replace_rows(check_matrix([[1, 0], [2, 3]]), np.array([0], "i4"), check_matrix([[0, 9]])).toarray()
    array([[0., 9.],
           [2., 3.]], dtype=float32)
    """
    lengths = np.diff(matrix.indptr)
    lengths[rows] = np.diff(others.indptr)
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
    # Runs of rows that stay are copied whole, so that a change of few rows costs no more than a copy.
    stops = matrix.indptr[rows].tolist()
    begins = [0, *matrix.indptr[rows.astype(np.int64) + 1].tolist()]
    cuts = others.indptr.tolist()
    old = [slice(begin, stop) for begin, stop in zip(begins, [*stops, None], strict=True)]
    new = [slice(begin, stop) for begin, stop in pairwise(cuts)]

    def spliced(kept: NDArray[Any], put: NDArray[Any]) -> NDArray[Any]:
        parts = [kept[old[0]]]
        for there, here in zip(new, old[1:], strict=True):
            parts += [put[there], kept[here]]
        return np.concatenate(parts)

    return assemble_csr(
        spliced(matrix.data, others.data), spliced(matrix.indices, others.indices), indptr, matrix.shape
    )


def _matrix_of(
    rows: NDArray[Any], columns: NDArray[Any], values: NDArray[np.float32], shape: tuple[int, int]
) -> CodeMatrix:
    indptr, indices, data = build_csr(rows.astype(np.int32), columns.astype(np.int32), values, shape)
    return assemble_csr(data, indices, indptr, shape)


def _encode(vocabulary: Vocabulary | None, ids: NDArray[Any]) -> Codes:
    return ids.astype(np.int32) if vocabulary is None else vocabulary.encode(ids)


def _listed(given: Any) -> Any:
    if isinstance(given, np.ndarray | list) and np.ndim(given) == 1:
        return given
    return [given] if isinstance(given, str | int | np.generic) else list(given)


def _grown_info(
    known: Mapping[str, NDArray[Any]] | None, X: Interactions, codes: Codes, size: int, grown: int
) -> Mapping[str, NDArray[Any]] | None:
    """Facts about the items, those of new ones from X where it has them."""
    if known is None or grown == size:
        return None
    info = dict(_padded_info(known, grown - size) or {})
    new = codes >= size
    for name, column in (X.item_info or {}).items():
        if name in info:
            filled = info[name].copy()
            filled[codes[new]] = column[new]
            info[name] = filled
    return info


def _padded_info(known: Mapping[str, NDArray[Any]] | None, more: int) -> Mapping[str, NDArray[Any]] | None:
    if known is None:
        return None
    padded = {}
    for name, column in known.items():
        nothing: Any = {"f": np.nan, "O": "", "U": "", "T": "", "M": "NaT", "m": "NaT"}.get(column.dtype.kind, 0)
        padded[name] = np.concatenate([column, np.full(more, nothing, column.dtype)])
    return padded
