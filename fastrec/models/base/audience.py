"""The users of a question: users of the training data, or given histories."""

from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from fastrec.data import Interactions, Vocabulary
from fastrec.data.ids import as_ids, as_sequence
from fastrec.matrix.arrays import Codes, Floats
from fastrec.matrix.cells import common_entries
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr, keep_entries
from fastrec.matrix.rows import pick_rows, with_data
from fastrec.matrix.sequences import (
    HistoryRow,
    Order,
    Sequences,
    drop_from_order,
    drop_zeros_from_order,
    fade,
    fade_ones,
    pick_order,
    read_sequences,
)
from fastrec.models.base.hiding import is_in
from fastrec.models.base.items import is_matrix
from fastrec.validation import check_choice

GIVE_HISTORIES = "give their histories, as model.recommend(model.histories([[item, …], …]))"


class Learned(Protocol):
    """The parts of a model that an audience needs."""

    users_: Vocabulary | None
    items_: Vocabulary | None
    seen_: CodeMatrix
    order_: Order | None
    needs_order: bool
    keeps_zeros: bool
    n_features_in_: int
    reads_events: bool

    @property
    def has_users(self) -> bool:
        """Tells whether the model has any users."""

    def _check_has_users(self, wanted: str, instead: str) -> None:
        """Raises a ValueError if a request needs users, and the model has none."""

    @property
    def user_vocabulary(self) -> Vocabulary:
        """The ids of the model's users."""

    @property
    def item_vocabulary(self) -> Vocabulary:
        """The ids of the model's items."""

    def _check_fitted(self) -> None: ...

    def _read_histories(self, X: Any) -> tuple[CodeMatrix, Order | None]: ...

    @property
    def _training(self) -> CodeMatrix: ...

    def _select_learned(self, rows: CodeMatrix) -> CodeMatrix: ...

    def user_row(self, code: int) -> HistoryRow:
        """The history of one user."""


@dataclass(frozen=True, slots=True)
class Audience:
    """The users of a question: n users of the training data by their codes, or n given histories.

    Parameters
    ----------
    model
        The model that answers.
    labels
        The caller's names of the users, of shape (n,).
    codes
        int32, of shape (n,), -1 for a user unknown to the model; None if histories are given.
    given
        The given histories, of shape (n, n_items), or None.
    vectors
        Their factors, of shape (n, factors), if the caller has folded them in already; otherwise None.
    order
        The place of each entry of `given` in its row, the oldest first, int32, of shape (nnz,); None if it is unknown
        or the model reads no order.
    events
        The given Interactions, of shape (n, n_items), if the model reads them event by event.
    """

    model: Learned
    labels: NDArray[Any]
    codes: Codes | None
    given: CodeMatrix | None
    vectors: Floats | None = None
    order: Order | None = None
    events: Interactions | None = None

    @classmethod
    def of_users(cls, model: Learned, codes: Codes) -> Self:
        """Makes the audience of users of the training data by their codes, -1 for unknown ones; the codes are the
        labels, too.
        """
        return cls(model, codes, codes, None)

    @classmethod
    def of_histories(
        cls, model: Learned, given: CodeMatrix, vectors: Floats | None = None, order: Order | None = None
    ) -> Self:
        """Makes the audience of given histories, with their numbers as labels."""
        return cls(model, np.arange(given.shape[0]), None, given, vectors, order)

    def __len__(self) -> int:
        return len(self.labels)

    def asking(self, model: Learned) -> "Audience":
        """The same users of another model."""
        return Audience(model, self.labels, self.codes, self.given, self.vectors, self.order, self.events)

    def part(self, rows: NDArray[Any] | slice) -> "Audience":
        """The audience of some of its members."""
        codes = None if self.codes is None else self.codes[rows]
        given = None if self.given is None else pick_rows(self.given, rows)
        vectors = None if self.vectors is None else self.vectors[rows]
        order = None if self.given is None or self.order is None else pick_order(self.given, self.order, rows)
        events = None if self.events is None else self.events[rows]
        return Audience(self.model, self.labels[rows], codes, given, vectors, order, events)

    def seen(self) -> CodeMatrix:
        """The items that each member has seen, of shape (n, n_items): recommendations leave them out."""
        if self.given is not None:
            return self.given
        assert self.codes is not None
        row = self._row_of_one()
        return pick_rows(self.model.seen_, self.codes) if row is None else self._as_matrix(row)

    def _row_of_one(self) -> HistoryRow | None:
        """The history of the only member if it is a user of the training data, without arithmetic on arrays."""
        if self.codes is None or len(self.codes) != 1 or self.codes[0] < 0:
            return None
        return self.model.user_row(int(self.codes[0]))

    def _as_matrix(self, row: HistoryRow) -> CodeMatrix:
        return assemble_csr(row.values, row.codes, np.array([0, len(row.codes)]), (1, self.model.n_features_in_))

    def histories(self) -> CodeMatrix:
        """The part of the histories that the model learns from, of shape (n, n_items): recommendations are made
        from it.
        """
        return self.model._select_learned(self.seen())

    def without(self, hidden: CodeMatrix) -> "Audience":
        """The given histories without the entries of `hidden`, a matrix of their shape."""
        assert self.given is not None
        kept = ~common_entries(self.given, hidden)
        order = None if self.order is None else drop_from_order(self.given, self.order, kept)
        events = None if self.events is None else self.events.select(~is_in(hidden, self.events))
        return Audience(self.model, self.labels, None, keep_entries(self.given, kept), order=order, events=events)

    def sequences(self) -> Sequences:
        """The items of each history that the model learns from, the oldest first; by code if there is no order."""
        return read_sequences(*self.histories_in_order())

    def faded(self, memory: float, least: float = 0.0) -> CodeMatrix:
        """The `histories` with each value times `memory` to the power of the number of later events; unchanged without
        order.

        In a model that needs an order, values may be places. There every event has the value 1, or 0 if that power is
        below `least`.
        """
        histories, order = self.histories_in_order()
        if self.model.needs_order:
            return with_data(histories, fade_ones(histories, order, memory, least))
        return fade(histories, order, memory)

    def histories_in_order(self) -> tuple[CodeMatrix, Order | None]:
        """The `histories`, and the order of their entries if there is one."""
        row = self._row_of_one()
        if row is not None:
            seen, order = self._as_matrix(row), row.order
        else:
            seen, order = self.seen(), self.order
            if self.codes is not None and self.model.order_ is not None:
                order = pick_order(self.model.seen_, self.model.order_, self.codes)
        learned = self.model._select_learned(seen)
        return learned, drop_zeros_from_order(seen, order, learned)

    def lengths(self) -> NDArray[np.int64]:
        """The number of items in each history, of shape (n,); 0 for unknown users."""
        if self.given is not None:
            return np.diff(self.model._select_learned(self.given).indptr)
        assert self.codes is not None
        row = self._row_of_one()
        if row is not None:
            return np.array([len(row.values) if self.model.keeps_zeros else np.count_nonzero(row.values)])
        indptr = self.model._training.indptr
        return np.where(self.codes >= 0, indptr[self.codes + 1] - indptr[self.codes], 0)


def read_histories(model: Learned, X: Any) -> Audience:
    """Reads Interactions or a matrix as histories, with their order if the model reads it."""
    histories, order = model._read_histories(X)
    if not isinstance(X, Interactions):
        return Audience(model, np.arange(histories.shape[0]), None, histories, order=order)
    return Audience(model, X.users.ids, None, histories, order=order, events=X if model.reads_events else None)


def find_audience(model: Learned, users: Any, on_unknown: str) -> tuple[Audience, NDArray[np.bool_] | None]:
    """The audience of `users`, and the places of those kept if unknown users are left out."""
    check_choice("on_unknown", on_unknown, ("error", "skip", "popular"))
    if isinstance(users, Audience):
        return users, None
    if is_matrix(users):
        return read_histories(model, users), None
    model._check_fitted()
    vocabulary, ids = model.user_vocabulary, as_sequence(users)
    if len(ids) and not len(vocabulary) and (on_unknown == "error" or model.users_ is None):
        model._check_has_users(f"it knows no user {ids[0]!r}", GIVE_HISTORIES)
    codes = vocabulary.look_up("users", ids, unknown="error" if on_unknown == "error" else "code")
    if on_unknown == "error" or (codes >= 0).all():
        return Audience(model, vocabulary.decode(codes), codes, None), None
    return Audience(model, as_ids(ids, "users"), codes, None), None if on_unknown == "popular" else codes >= 0
