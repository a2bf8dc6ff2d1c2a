"""Updating: recommenders that take in new data without another fit."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import _check_feature_names

from fastrec.data import Interactions, Vocabulary
from fastrec.data.ids import as_ids
from fastrec.data.vocabulary import CodeVocabulary
from fastrec.kernels.sparse import Entries
from fastrec.kernels.splice import LAST, MAX, REPLACE, SUM, count_merged, splice_rows
from fastrec.matrix.arrays import Codes, readonly, starts_of
from fastrec.matrix.cells import common_entries, row_numbers
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr, keep_entries
from fastrec.matrix.pairs import build_csr
from fastrec.matrix.rows import pick_rows
from fastrec.matrix.sequences import Order, drop_from_order, order_entries, pick_order, splice_order
from fastrec.models.base.derived import Derived, Key
from fastrec.models.base.persistence import freeze
from fastrec.models.base.recommender import Recommender
from fastrec.parallel import balanced_cuts, effective_jobs, run_pieces
from fastrec.validation import check_choice

How: TypeAlias = Literal["append", "replace"]
Picks: TypeAlias = NDArray[np.int64] | slice

# The fate of an interaction that is known already, by `Interactions.duplicates`; and of a whole history, by `how`.
POLICIES = {"sum": SUM, "last": LAST, "max": MAX, "error": LAST, "replace": REPLACE}
# The least number of entries that pays for a thread.
PIECE = 200_000


@dataclass(frozen=True, slots=True)
class Change:
    """The change of a model's `seen_` by an update; `seen_` is the new matrix already.

    Parameters
    ----------
    before
        The data that the model had learned from, of the new matrix's shape.
    users
        int32, ascending: the rows that have changed, or are new.
    items
        int32, ascending: the columns whose items are to follow; none if only users are updated.
    events
        The new events, if there are times and the caller gave Interactions; coded as they came.
    order
        The order of the entries of `before`, if the model keeps one.
    derived
        The values derived from the earlier learned values.
    """

    before: CodeMatrix
    users: Codes
    items: Codes
    events: Interactions | None = None
    order: Order | None = None
    derived: Derived = field(default_factory=Derived)


class Updating(Recommender):
    """A recommender that can follow its data; it defines `_update`.

    After an error or interrupt in an update, the model is unchanged. Arrays are replaced, never written to: an earlier
    copy of the model (``copy.copy``) answers as before.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"partial_fit"})

    _of_items: ClassVar[tuple[Key[Any], ...]] = ()
    """Values derived from items alone and from which of them have events: kept as long as both stay the same."""

    takes_new_items: ClassVar[bool] = True
    """Whether updates may bring items that are new to the model."""

    @property
    def needs_times(self) -> bool:
        """Tells whether updates need the times of events, which `seen_` lacks; without times, callers refit."""
        return False

    @abstractmethod
    def _update(self, change: Change) -> None:
        """Brings the learned values in line with `seen_`, `item_counts_` and the vocabularies, which are new
        already.
        """

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Adds interactions to those that the model was fitted with.

        Parameters
        ----------
        X
            Interactions, also with new users and items, whose ids join the model's; or a matrix of the shape of the
            training data with the new events. Values of a known pair are merged by the `duplicates` of Interactions, or
            else by the model's `duplicates_`; those of a matrix are added. An unfitted model is fitted.
        y
            Not used; accepted because scikit-learn passes it.

        Returns
        -------
        The model itself.

        Raises
        ------
        ValueError, TypeError
            If X is invalid, or a model without vocabularies is given absurdly large codes.

        Examples
        --------
        >>> from fastrec.models import Popularity
        >>> model = Popularity().fit([[1, 0, 0], [1, 1, 0]])
        >>> model.partial_fit([[0, 0, 1], [0, 0, 1]]).recommend(0, k=3, exclude_seen=False).codes
        array([[0, 2, 1]], dtype=int32)
        """
        if not self.__sklearn_is_fitted__():
            return self.fit(X, y)
        self._check_updatable()
        if isinstance(X, Interactions):
            return self._take_in(X)
        _check_feature_names(self, X, reset=False)
        matrix, given = self._read_histories(X)
        if matrix.shape[0] != self.seen_.shape[0]:
            raise ValueError(
                f"X must have a row for each of the {self.seen_.shape[0]} users of the training data, got "
                f"{matrix.shape[0]}; new users come with Interactions or by update_users"
            )
        users = np.flatnonzero(np.diff(matrix.indptr)).astype(np.int32)
        added = pick_rows(matrix, users)
        merged = self._splice(self.seen_, users, added, "sum", events=False)
        order = self._splice_order(self.seen_, users, added, given, merged)
        return self._change(merged, users, np.unique(matrix.indices), order=order)

    def update_users(self, users: Any, histories: Any, how: How = "append") -> Self:
        """Gives users a longer or another history; the item side of the model stays unchanged.

        Parameters
        ----------
        users
            One id or a sequence of n ids (codes, if the model was fitted with a matrix), new ones among them.
        histories
            Interactions or a matrix of shape (n, n_items), a row for each, in their order. Interactions that name
            their users must name these.
        how
            Whether the rows are added to the users' histories, or replace them.

        Returns
        -------
        The model itself.

        Raises
        ------
        ValueError, TypeError
            If an id occurs twice, or the histories do not fit.

        Examples
        --------
        >>> from fastrec.models import ImplicitALS
        >>> model = ImplicitALS(factors=2, random_state=0).fit(np.kron(np.eye(2), np.ones((9, 3))))
        >>> model.update_users([0], [[0, 0, 0, 1, 1, 0]], how="replace").recommend(0, k=1).codes
        array([[5]], dtype=int32)
        """
        check_choice("how", how, ("append", "replace"))
        self._check_updatable()
        rows, given = self._read_histories(histories)
        listed = as_ids(users, "users")
        vocabulary, codes = self.user_vocabulary.grow("users", listed)
        codes, ascending = _ascending("users", listed, codes)
        if len(codes) != rows.shape[0]:
            raise ValueError(f"histories must have a row for each of {len(codes)} users, got {rows.shape[0]}")
        _check_same_users(histories, listed)
        events = isinstance(histories, Interactions)
        policy = how if how == "replace" else self._joining(histories) if events else "sum"
        grown = resize(self.seen_, (len(vocabulary), self.n_features_in_))
        added = pick_rows(rows, ascending)
        spliced = self._splice(grown, codes, added, policy, events)
        given = None if given is None else pick_order(rows, given, ascending)
        order = self._splice_order(grown, codes, added, given, spliced)
        return self._change(spliced, codes, np.empty(0, np.int32), users=vocabulary, order=order)

    def update_items(self, items: Any, histories: Any, how: How = "append") -> Self:
        """Gives items more or other users; the model of these items and of these users follows.

        Parameters
        ----------
        items
            One id or a sequence of n ids (codes, if the model was fitted with a matrix), new ones among them.
        histories
            A matrix of shape (n, n_users), with the users of each item in its row.
        how
            Whether the rows are added to the items' users, or replace them.

        Returns
        -------
        The model itself.

        Raises
        ------
        ValueError, TypeError
            If an id occurs twice, or the histories do not fit.

        Examples
        --------
        >>> from fastrec.models import Popularity
        >>> model = Popularity().fit([[1, 0], [1, 1]])
        >>> model.update_items([1], [[0, 0]], how="replace").item_counts_
        array([2, 0])
        """
        check_choice("how", how, ("append", "replace"))
        self._check_updatable()
        n_users = self.seen_.shape[0]
        listed = as_ids(items, "items")
        vocabulary, codes = self.item_vocabulary.grow("items", listed)
        n_items = len(vocabulary)
        codes, ascending = _ascending("items", listed, codes)
        columns = self._check_matrix(histories)
        if columns.shape != (len(codes), n_users):
            raise ValueError(f"histories must be of shape {(len(codes), n_users)}, items × users, got {columns.shape}")
        before = resize(self.seen_, (n_users, n_items))
        kept, order = before, self.order_
        if how == "replace":
            mask = np.zeros(n_items, bool)
            mask[codes] = True
            stays = ~mask[before.indices]
            kept, order = keep_entries(before, stays), None if order is None else drop_from_order(before, order, stays)
        columns = pick_rows(columns, ascending)
        added = _matrix_of(columns.indices, codes[row_numbers(columns)], columns.data, before.shape)
        gaining = np.flatnonzero(np.diff(added.indptr)).astype(np.int32)
        losing = np.flatnonzero(np.diff(before.indptr) != np.diff(kept.indptr))
        added = pick_rows(added, gaining)
        matrix = self._splice(kept, gaining, added, "sum", events=False)
        order = None if order is None else self._splice_order(kept, gaining, added, None, matrix, order)
        return self._change(matrix, np.union1d(gaining, losing).astype(np.int32), codes, items=vocabulary, order=order)

    # -- what they share

    def _check_updatable(self) -> None:
        self._check_fitted()
        self._check_has_users("it cannot be updated", "update the original model, and strip it again")

    def follow(self, whole: Recommender, matrix: CodeMatrix, order: Order | None, change: Change) -> None:
        """Follows the whole model that this one is a member of and shares data, ids and facts about items with.

        Parameters
        ----------
        whole
            The model that has changed.
        matrix, order
            The data to learn from now, possibly only a part of the users' items, and its order.
        change
            The change of that data.
        """
        users, items, info = whole.users_, whole.items_, whole.item_info_
        self._change(
            matrix, change.users, change.items, users=users, items=items, info=info, events=change.events, order=order
        )

    def _take_in(self, X: Interactions) -> Self:
        """Runs `partial_fit` for data with ids."""
        self._check_catalogue(X)
        if not (len(X.users) and len(X.items)):
            return self  # an empty update: a day without events
        given = self._check_matrix(X)
        users, user_codes = self.user_vocabulary.grow("users", X.users.ids)
        items, item_codes = self.item_vocabulary.grow("items", X.items.ids)
        n_items = len(items)
        places = user_codes[row_numbers(given)], item_codes[given.indices]
        added = _matrix_of(*places, given.data, (len(users), n_items))
        given_order = self._order_of(X, given)
        if given_order is not None:
            given_order = _matrix_of(*places, given_order, added.shape).data
        changed = np.flatnonzero(np.diff(added.indptr)).astype(np.int32)
        grown, added = resize(self.seen_, added.shape), pick_rows(added, changed)
        merged = self._splice(grown, changed, added, self._joining(X), events=True)
        order = self._splice_order(grown, changed, added, given_order, merged)
        info = _extend_info(self.item_info_, X, item_codes, self.n_features_in_, n_items)
        new_items = np.arange(self.n_features_in_, n_items, dtype=np.int32)
        touched = np.union1d(np.unique(added.indices), new_items)
        return self._change(merged, changed, touched, users=users, items=items, info=info, events=X, order=order)

    def _check_catalogue(self, X: Interactions) -> None:
        for name, known, given in (
            ("users", self.user_vocabulary, X.users),
            ("items", self.item_vocabulary, X.items),
        ):
            if len(given) and given.kind != known.kind:
                words = {"int": "integers", "str": "strings"}
                raise ValueError(f"X has {words[given.kind]} as {name}, the model {words[known.kind]}")

    def _joining(self, X: Interactions) -> str:
        """The policy that joins events of known pairs in X with the known values."""
        self._tell_merged(X)
        return X.duplicates or str(self.duplicate_policy)

    def _splice(self, matrix: CodeMatrix, rows: Codes, others: CodeMatrix, policy: str, events: bool) -> CodeMatrix:
        """Runs `splice`. An event whose values add up to 0 stays an entry; in a matrix, a sum of 0 is no entry."""
        spliced = splice(matrix, rows, others, policy, effective_jobs(getattr(self, "n_jobs", None)))
        if events or policy != "sum" or self.keeps_zeros or not self.takes_negatives or spliced.data.all():
            return spliced
        had = keep_entries(matrix, matrix.data == 0)
        return keep_entries(spliced, (spliced.data != 0) | common_entries(spliced, had))

    def _splice_order(
        self,
        before: CodeMatrix,
        rows: Codes,
        added: CodeMatrix,
        given: Order | None,
        after: CodeMatrix,
        order: Order | None = None,
    ) -> Order | None:
        """The order of `after`, if the model keeps one: added entries are the newest, in their own order or by code.

        `order` is that of `before`, if it is not the model's own.
        """
        order = self.order_ if order is None else order
        if order is None:
            return None
        given = order_entries(added) if given is None else given
        return splice_order(before, order, rows, added, given, after)

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
        order: Order | None = None,
    ) -> Self:
        """Takes over the new matrix and lets the family follow. After an error or interrupt the model is unchanged."""
        state = dict(self.__dict__)
        before, order_before = resize(self._training, matrix.shape), self._training_order()
        change = Change(before, changed, touched.astype(np.int32), events, order_before, self._derived)
        try:
            grown_by = matrix.shape[1] - self.n_features_in_
            if grown_by and info is None:
                info = _pad_info(self.item_info_, grown_by)
            self.users_ = None if self.users_ is None else users or self.users_
            self.items_ = None if self.items_ is None else items or self.items_
            self.item_info_ = self.item_info_ if info is None else info
            if order is not None:
                self.order_ = order
            had_events = self.item_counts_ > 0
            self._take_matrix(matrix)
            stays = not len(touched) and np.array_equal(had_events, self.item_counts_ > 0)
            self._derived = self._derived.kept(self._of_items if stays else ())
            if grown_by:
                self.__dict__.pop("feature_names_in_", None)
            freeze(self)
            self._update(change)
            freeze(self)
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(state)
            raise
        return self


def _check_same_users(histories: Any, given: Any) -> None:
    """Refuses Interactions whose rows have other users than the given ones, or another order of them."""
    if not isinstance(histories, Interactions) or isinstance(histories.users, CodeVocabulary):
        return
    named, wanted = histories.users.ids.tolist(), np.asarray(given).tolist()
    if named == wanted or (named and wanted and type(named[0]) is not type(wanted[0])):
        return  # numbers of another type, if the caller gave no names
    place = next(place for place, pair in enumerate(zip(named, wanted, strict=True)) if pair[0] != pair[1])
    raise ValueError(
        f"histories has the user {named[place]!r} in row {place}, users has {wanted[place]!r} there: give both in one "
        "order"
    )


def coded_events(model: Recommender, events: Interactions) -> tuple[Codes, Codes]:
    """The users and items of an update's events, as the model's present codes."""
    users = model.user_vocabulary.encode(events.users.ids)
    items = model.item_vocabulary.encode(events.items.ids)
    return users[events.user_codes], items[events.item_codes]


def resize(matrix: CodeMatrix, shape: tuple[int, int]) -> CodeMatrix:
    """The matrix with more rows and columns, all of them empty; entries are not copied.

    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> resize(check_matrix([[1, 2]]), (2, 3)).toarray()
    array([[1., 2., 0.],
           [0., 0., 0.]], dtype=float32)
    """
    more = shape[0] - matrix.shape[0]
    indptr = np.concatenate([matrix.indptr, np.full(more, matrix.indptr[-1])]) if more else matrix.indptr
    return assemble_csr(matrix.data, matrix.indices, indptr, shape)


def _ascending(name: str, given: Any, codes: Codes) -> tuple[Codes, Picks]:
    """The codes in ascending order, and the permutation that sorts them; raises an error if a code occurs twice."""
    if bool((codes[1:] > codes[:-1]).all()):
        return codes, slice(None)
    order = np.argsort(codes, kind="stable")
    ascending = codes[order]
    repeated = np.flatnonzero(ascending[1:] == ascending[:-1])
    if len(repeated):
        first, second = order[repeated[0] : repeated[0] + 2].tolist()
        shown = np.asarray(given[second]).tolist()
        raise ValueError(f"{name} has an id twice: {shown!r} at positions {first} and {second}")
    return ascending, order


def splice(matrix: CodeMatrix, rows: Codes, others: CodeMatrix, policy: str, n_jobs: int = 1) -> CodeMatrix:
    """A copy of the matrix in which `others` are merged with the given rows, or take their place.

    Parameters
    ----------
    matrix
        Of shape (n, n_items).
    rows
        The numbers of the rows, ascending, of shape (m,).
    others
        Of shape (m, n_items).
    policy
        The value of an entry that both have: "sum", "max" or "last" (that of `others`), as in
        `Interactions.duplicates`; "error" refuses it. "replace" leaves nothing of the old rows.
    n_jobs
        Threads.

    Raises
    ------
    ValueError
        If an entry is refused, or a sum is beyond float32.

    Examples
    --------
    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> old, new, rows = check_matrix([[1, 2, 0], [3, 0, 0]]), check_matrix([[0, 5, 1]]), np.array([0], "i4")
    >>> splice(old, rows, new, "sum").toarray()
    array([[1., 7., 1.],
           [3., 0., 0.]], dtype=float32)
    >>> splice(old, rows, new, "replace").toarray()
    array([[0., 5., 1.],
           [3., 0., 0.]], dtype=float32)
    """
    if not len(rows):
        return matrix
    old, new = (Entries(*map(readonly, (part.indptr, part.indices, part.data))) for part in (matrix, others))
    rows, kind = readonly(rows), POLICIES[policy]
    lengths, grown = np.diff(new.indptr), np.diff(old.indptr)
    if kind != REPLACE:
        most = lengths.sum() + grown[rows].sum()
        count_merged(old, rows, new, lengths)
        if policy == "error" and lengths.sum() < most:
            raise ValueError('an interaction is known already: use duplicates="sum", "last" or "max"')
    grown[rows] = lengths
    indptr = starts_of(grown)
    out = Entries(readonly(indptr), np.empty(indptr[-1], np.int32), np.empty(indptr[-1], np.float32))
    # A piece is some of the given rows, each with the rows that follow it up to the next given one.
    ends = np.append(indptr[rows[1:]], indptr[-1])
    cuts = balanced_cuts(np.diff(ends, prepend=0), min(n_jobs, 1 + len(out.indices) // PIECE))

    def splice_piece(piece: tuple[int, int]) -> bool:
        return splice_rows(old, rows, new, kind, piece[0], piece[1], out)

    if not all(run_pieces(splice_piece, pairwise(np.unique(cuts).tolist()), n_jobs)):
        raise ValueError('the values of a repeated pair add up to more than float32 holds: use duplicates="max"')
    return assemble_csr(out.values, out.indices, indptr, matrix.shape)


def _matrix_of(rows: NDArray[Any], columns: NDArray[Any], values: NDArray[Any], shape: tuple[int, int]) -> CodeMatrix:
    indptr, indices, data = build_csr(rows.astype(np.int32), columns.astype(np.int32), values, shape)
    return assemble_csr(data, indices, indptr, shape)


def _extend_info(
    known: Mapping[str, NDArray[Any]] | None, X: Interactions, codes: Codes, size: int, grown: int
) -> Mapping[str, NDArray[Any]] | None:
    """The facts about the items, with those of new items from X if it has them."""
    if known is None or grown == size:
        return None
    info = dict(_pad_info(known, grown - size) or {})
    new = codes >= size
    for name, column in (X.item_info or {}).items():
        if name in info:
            filled, own = info[name].copy(), known[name].dtype
            filled[codes[new]] = column[new]
            if own.kind in "biu" and not np.isnan(filled).any():
                filled = filled.astype(own)  # no value is missing
            info[name] = filled
    return info


def _pad_info(known: Mapping[str, NDArray[Any]] | None, more: int) -> Mapping[str, NDArray[Any]] | None:
    if known is None:
        return None
    return {name: pad_facts(column, more) for name, column in known.items()}


def pad_facts(column: NDArray[Any], more: int) -> NDArray[Any]:
    """A column of facts about items, extended by items without known facts.

    >>> pad_facts(np.array([1979, 1985]), 1)
    array([1979., 1985.,   nan])
    """
    if column.dtype.kind in "biu" and more:
        column = column.astype(np.float64)  # these types have no value for a missing fact
    nothing: Any = {"f": np.nan, "M": "NaT", "m": "NaT"}.get(column.dtype.kind, "")
    return np.concatenate([column, np.full(more, nothing, column.dtype)])
