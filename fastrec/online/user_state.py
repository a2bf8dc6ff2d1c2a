"""`UserState`: a user's events since the model was made; and the states of all users, frozen but cheap to change."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.matrix.arrays import readonly
from fastrec.matrix.pairs import reduce_runs
from fastrec.matrix.sequences import Order
from fastrec.models import Recommender
from fastrec.online.journal import Id

SHARDS = 256
# The number of a user's events that wait before they are merged into the history, which costs a copy.
WAITING = 64


class History(NamedTuple):
    """A history: item codes in ascending order, int32, their values, float32, and their order, if a model reads it.

    The order is the place of each item by its last event, the oldest first: int32.
    """

    codes: NDArray[np.int32]
    values: NDArray[np.float32]
    order: Order | None = None


class Totals(NamedTuple):
    """The sums of a user's events: item codes in ascending order, int32, and their values so far, float64.

    `latest` is the number of each item's last event, if the order of events counts; `events` is their total number.
    """

    codes: NDArray[np.int32]
    values: NDArray[np.float64]
    latest: NDArray[np.int64] | None = None
    events: int = 0


class UserState:
    """The events of one user since the model was made; the whole history is built on demand.

    Events wait in a tuple until there are several, or until a request; then they are merged once for all later states.
    So the cost of another event does not grow with their number.
    """

    __slots__ = ("_history", "_state", "base", "mark", "vectors")

    def __init__(self, base: int, totals: Totals, waiting: tuple[tuple[int, float], ...] = ()) -> None:
        self.base = base  # the user's code in the model; -1 if the model does not know the user, or must not
        self._state = totals, waiting  # replaced together, since threads share frozen values
        self.mark: bytes | None = None  # the user's mark in deletions, once there has been one
        self._history: History | None = None
        self.vectors: NDArray[np.float32] | None = None  # the user's factors, once they have been needed

    def after(self, events: tuple[tuple[int, float], ...], policy: str) -> "UserState":
        """Returns the state with more events: item codes and values."""
        totals, waiting = self._state
        new = UserState(self.base, totals, waiting + events)
        new.mark = self.mark
        if len(waiting) + len(events) > WAITING:
            new._merge(policy)
        return new

    def _merge(self, policy: str) -> Totals:
        totals, waiting = self._state
        if waiting:
            codes, values = zip(*waiting, strict=True)
            added = np.array(values, np.float32).astype(np.float64)
            new, latest, events = np.array(codes, np.int32), None, totals.events + len(added)
            if totals.latest is not None:
                numbers = np.arange(totals.events, events)
                _, latest = merge_into(totals.codes, totals.latest, new, numbers, "last")
            totals = Totals(*merge_into(totals.codes, totals.values, new, added, policy), latest, events)
            self._state = totals, ()
        return totals

    def history(self, model: Recommender, policy: str) -> History:
        """Returns the complete history; to the bit the model's own after an update."""
        if self._history is None:
            seen = model.seen_
            start, stop = (seen.indptr[self.base], seen.indptr[self.base + 1]) if self.base >= 0 else (0, 0)
            new = self._merge(policy)
            values = new.values.astype(np.float32)
            codes, had = seen.indices[start:stop], seen.data[start:stop]
            merged, merged_values = map(readonly, merge_into(codes, had, new.codes, values, policy))
            order = None if new.latest is None else self._order(model, codes, merged, new.codes, new.latest)
            self._history = History(merged, merged_values, order)
        return self._history

    def _order(
        self,
        model: Recommender,
        codes: NDArray[np.int32],
        merged: NDArray[np.int32],
        new: NDArray[np.int32],
        latest: NDArray[np.int64],
    ) -> Order:
        """Returns the order of the merged items: those of the model's history first, then later ones."""
        age = np.zeros(len(merged), np.int64)
        known = order_of(model, self.base)
        age[np.searchsorted(merged, codes)] = np.arange(len(codes)) if known is None else known
        age[np.searchsorted(merged, new)] = len(merged) + latest
        order = np.empty(len(merged), np.int32)
        order[np.argsort(age, kind="stable")] = np.arange(len(merged))
        return order


def no_totals(ordered: bool) -> Totals:
    """Returns the totals of a user without events; `ordered` tells whether the order of events counts."""
    latest = np.empty(0, np.int64) if ordered else None
    return Totals(np.empty(0, np.int32), np.empty(0), latest)


def order_of(model: Recommender, base: int) -> Order | None:
    """Returns the order of a user's history in the model, if it has one."""
    if model.order_ is None or base < 0:
        return None
    return model.order_[model.seen_.indptr[base] : model.seen_.indptr[base + 1]]


class UserStates:
    """An immutable mapping of users to their states, cheap to copy with some of them changed."""

    __slots__ = ("_length", "_shards")

    def __init__(self, shards: list[dict[Id, UserState]] | None = None, length: int = 0) -> None:
        self._shards: list[dict[Id, UserState]] = [{}] * SHARDS if shards is None else shards
        self._length = length

    def get(self, user: Id) -> UserState | None:
        """The state of a user, or None."""
        return self._shards[shard_of(user)].get(user)

    def replaced(self, changed: Mapping[Id, UserState]) -> "UserStates":
        """Returns a copy with the given users replaced."""
        shards, length = self._shards.copy(), self._length
        for user, state in changed.items():
            place = shard_of(user)
            if shards[place] is self._shards[place]:
                shards[place] = shards[place].copy()
            length += user not in shards[place]
            shards[place][user] = state
        return UserStates(shards, length)

    def without(self, gone: bytes, mark: Callable[[Id], bytes]) -> "UserStates":
        """Returns a copy without the user of that mark."""
        shards, length = self._shards, self._length
        for place, shard in enumerate(shards):
            for user, state in shard.items():
                if state.mark is None:
                    state.mark = mark(user)
                if state.mark == gone:
                    shards = shards.copy()
                    shards[place] = {other: state for other, state in shard.items() if other != user}
                    return UserStates(shards, length - 1)
        return self

    def __len__(self) -> int:
        return self._length


def shard_of(user: Id) -> int:
    """Returns the shard of a user; ids at equal distances are spread over all shards.

    >>> len({shard_of(256 * n) for n in range(10_000)})
    256
    """
    return (hash(user) * 0x9E3779B97F4A7C15 >> 40) % SHARDS


def merge_values(codes: NDArray[np.int32], values: NDArray[np.float32], policy: str) -> History:
    """Merges values into one entry for each code, in ascending order: their sum (in float64), the last, or the largest.

    >>> merge_values(np.array([7, 2, 7], "i4"), np.array([1, 5, 3], "f4"), "sum")
    History(codes=array([2, 7], dtype=int32), values=array([5., 4.], dtype=float32), order=None)
    """
    order = np.argsort(codes, kind="stable")
    codes, values = codes[order], values[order]
    begins = np.ones(len(codes), bool)
    np.not_equal(codes[1:], codes[:-1], out=begins[1:])
    if begins.all():
        return History(codes, values)
    first = np.flatnonzero(begins)
    return History(codes[first], reduce_runs(values, first, policy))


def merge_into(
    codes: NDArray[np.int32], values: NDArray[Any], new: NDArray[np.int32], added: NDArray[Any], policy: str
) -> tuple[NDArray[np.int32], NDArray[Any]]:
    """Merges entries in ascending order of their codes with others, in any order, one after the other.

    Only copies take time in proportion to the existing entries.

    >>> merge_into(np.array([2, 7]), np.array([1.0, 1.0]), np.array([7, 3, 7]), np.array([2.0, 4.0, 1.0]), "sum")
    (array([2, 3, 7]), array([1., 4., 4.]))
    """
    distinct = np.unique(new)
    places = np.searchsorted(codes, distinct)
    missing = np.ones(len(distinct), bool)
    within = places < len(codes)
    missing[within] = codes[places[within]] != distinct[within]
    nothing = -np.inf if policy == "max" else 0
    merged = np.insert(codes, places[missing], distinct[missing])
    totals = np.insert(values, places[missing], nothing)
    at = np.searchsorted(merged, new)
    if policy == "sum":
        np.add.at(totals, at, added)
    elif policy == "max":
        np.maximum.at(totals, at, added)
    else:
        totals[at] = added
    return merged, totals
