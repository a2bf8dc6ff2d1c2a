"""Snapshot: a model and what users have done since it was made, frozen, so that whoever asks need not wait."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.data import Vocabulary
from fastrec.data.ids import as_ids
from fastrec.matrix.cells import row_numbers
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr, keep_entries
from fastrec.matrix.pairs import reduce_runs
from fastrec.matrix.rows import pick_rows
from fastrec.models import Explanation, FactorRecommender, Recommender
from fastrec.models.base.audience import Audience
from fastrec.models.base.features import FeaturedFactors
from fastrec.online.journal import Deletion, Event, Id
from fastrec.retrieval import TopK
from fastrec.validation import check_choice, check_size

SHARDS = 256
# A value may be so many times the largest that the model was made of: a price or a time in the wrong place would drown
# what all others have done, and the squares of a still larger one be beyond float32.
VALUE_LEEWAY = 1000.0
SMALLEST_VALUE = 1e-37  # what is nearer to 0 is 0 in float32
# So many events of a user wait before they are merged into the history: to merge costs a copy of it.
WAITING = 64


class Row(NamedTuple):
    """A history: item codes in ascending order, int32, and their values, float32."""

    codes: NDArray[np.int32]
    values: NDArray[np.float32]


class Totals(NamedTuple):
    """What a user's events add up to: item codes in ascending order, int32, and their values so far, float64."""

    codes: NDArray[np.int32]
    values: NDArray[np.float64]


class Taste:
    """What one user has done since the model was made; the whole history is put together when it is asked for.

    Events wait in a tuple until there are some, or until somebody asks; then they are merged once, for all that come
    after. So an event more costs no more, however many there were.
    """

    __slots__ = ("_row", "_state", "base", "mark", "vectors")

    def __init__(self, base: int, totals: Totals, waiting: tuple[tuple[int, float], ...] = ()) -> None:
        self.base = base  # the user's code in the model; -1 where the model does not know the user, or must not
        self._state = totals, waiting  # exchanged together, since threads share what is frozen
        self.mark: bytes | None = None  # by which deletions name the user, once there has been one
        self._row: Row | None = None
        self.vectors: NDArray[np.float32] | None = None  # the user's factors, once they have been asked for

    def after(self, events: tuple[tuple[int, float], ...], policy: str) -> "Taste":
        """With more events: item codes and values."""
        totals, waiting = self._state
        new = Taste(self.base, totals, waiting + events)
        new.mark = self.mark
        if len(waiting) + len(events) > WAITING:
            new._merge(policy)
        return new

    def _merge(self, policy: str) -> Totals:
        totals, waiting = self._state
        if waiting:
            codes, values = zip(*waiting, strict=True)
            added = np.array(values, np.float32).astype(np.float64)
            totals = Totals(*merge_into(totals.codes, totals.values, np.array(codes, np.int32), added, policy))
            self._state = totals, ()
        return totals

    def row(self, model: Recommender, policy: str) -> Row:
        """The history with everything in it; the same, to the bit, as the model's own after an update."""
        if self._row is None:
            seen = model.seen_
            start, stop = (seen.indptr[self.base], seen.indptr[self.base + 1]) if self.base >= 0 else (0, 0)
            new = self._merge(policy)
            values = new.values.astype(np.float32)
            self._row = Row(*merge_into(seen.indices[start:stop], seen.data[start:stop], new.codes, values, policy))
        return self._row


class Histories:
    """An immutable mapping of users to what they have done, cheap to make anew with some of them changed."""

    __slots__ = ("_length", "_shards")

    def __init__(self, shards: list[dict[Id, Taste]] | None = None, length: int = 0) -> None:
        self._shards: list[dict[Id, Taste]] = [{}] * SHARDS if shards is None else shards
        self._length = length

    def get(self, user: Id) -> Taste | None:
        """What the user has done, or None."""
        return self._shards[shard_of(user)].get(user)

    def replaced(self, changed: Mapping[Id, Taste]) -> "Histories":
        """As before, but for the users given."""
        shards, length = self._shards.copy(), self._length
        for user, taste in changed.items():
            place = shard_of(user)
            if shards[place] is self._shards[place]:
                shards[place] = shards[place].copy()
            length += user not in shards[place]
            shards[place][user] = taste
        return Histories(shards, length)

    def without(self, gone: bytes, mark: Callable[[Id], bytes]) -> "Histories":
        """As before, but without the user of that mark."""
        shards, length = self._shards, self._length
        for place, shard in enumerate(shards):
            for user, taste in shard.items():
                if taste.mark is None:
                    taste.mark = mark(user)
                if taste.mark == gone:
                    shards = shards.copy()
                    shards[place] = {other: taste for other, taste in shard.items() if other != user}
                    return Histories(shards, length - 1)
        return self

    def __len__(self) -> int:
        return self._length


def shard_of(user: Id) -> int:
    """Which of the shards a user is in; ids at equal distances are spread over all of them.

    >>> len({shard_of(256 * n) for n in range(10_000)})
    256
    """
    return (hash(user) * 0x9E3779B97F4A7C15 >> 40) % SHARDS


def largest_value(model: Recommender) -> float:
    """The largest value, by size, that an event may have for a model."""
    values = model.seen_.data

    def find() -> float:
        return VALUE_LEEWAY * max(1.0, float(values.max()), -float(values.min())) if len(values) else VALUE_LEEWAY

    largest: float = model._derived.get("largest value", find)
    return largest


def takes_value(model: Recommender, value: float) -> bool:
    """Whether a model can learn from an event of that value.

    >>> from fastrec.models import Popularity
    >>> model = Popularity().fit([[1, 2]])
    >>> takes_value(model, 5), takes_value(model, 0), takes_value(model, -1), takes_value(model, 1e9)
    (True, True, False, False)
    """
    if abs(value) < SMALLEST_VALUE:  # a 0 is had by all, and learned from by models of ratings
        return model.keeps_zeros or value == 0
    return (value > 0 or model.takes_negatives) and abs(value) <= largest_value(model)


class Snapshot:
    """A model together with the events since it was made. Immutable: updates make a new one.

    It answers as a model would that was updated by `update_users` with those events: a user's recommendations follow
    from the whole history, the newest event included; what the model knows of items stays until a checkpoint. (To the
    bit for `ImplicitALS`, say; a compressed model's changed users are not rounded to its codes before a checkpoint, and
    counts and neighbours that are the data itself follow there.)

    Parameters
    ----------
    model
        A fitted model; its arrays are used as they are.
    seq
        The last place in the journal that the model has taken in.
    version
        What to call the model.
    mark
        What names a user in a `Deletion`: `Journal.mark`. None where nobody is deleted.
    policy : {"sum", "last", "max"}, optional
        What several events of one user and item add up to, as `Interactions.duplicates`. None: the model's
        `duplicates_`.
    held
        Events up to `seq` that the model has not taken in, since their users or items wait to be admitted. Their users
        are answered by them all the same.

    Attributes
    ----------
    model, version, held
        As given.
    held_users, held_items, held_events : int
        How many users, items and events wait to be admitted.
    model_seq : int
        The last place that the model has taken in.
    seq : int
        The last place that the snapshot has taken in.
    changed_users : int
        How many users have events that the model has not taken in.
    unknown_items : int
        How many events were about items that the model does not know: they wait for the next model.

    Examples
    --------
    >>> from fastrec.data import Interactions
    >>> from fastrec.models import Popularity
    >>> data = Interactions([0, 0, 1], [0, 1, 2], users=["ann", "bob"], items=["Alien", "Brazil", "Clue"])
    >>> before = Snapshot(Popularity().fit(data))
    >>> after = before.after([Event("ann", "Clue", seq=1)])
    >>> before.recommend(["ann"], k=1).items, after.recommend(["ann"], k=1).items
    (array([['Clue']], dtype=object), array([['']], dtype=object))
    """

    __slots__ = (
        "_deleted",
        "_histories",
        "_mark",
        "held",
        "held_events",
        "held_items",
        "held_users",
        "model",
        "model_seq",
        "policy",
        "seq",
        "unknown_items",
        "version",
    )

    def __init__(
        self,
        model: Recommender,
        *,
        seq: int = 0,
        version: str = "1",
        mark: Callable[[Id], bytes] | None = None,
        policy: str | None = None,
        held: Sequence[Event] = (),
    ) -> None:
        self.model = model
        self.version = version
        self.model_seq = self.seq = seq
        self.unknown_items = 0
        self._mark = mark
        self.policy: str = policy or model._policy
        self._histories = Histories()
        self._deleted: frozenset[bytes] = frozenset()
        self.held = tuple(held)
        self.held_events = len(held)
        self.held_users, self.held_items = map(len, unknown_ids(model, held))
        self._take(held)

    @property
    def changed_users(self) -> int:
        """How many users have events that the model has not taken in."""
        return len(self._histories)

    # -- taking in

    def after(self, entries: Sequence[Event | Deletion]) -> "Snapshot":
        """The snapshot with more entries of the journal taken in; they must follow `seq`."""
        if not entries:
            return self
        if entries[0].seq <= self.seq:
            raise ValueError(f"entries must follow {self.seq}, the last one taken in, got one of seq {entries[0].seq}")
        new = self._copy()
        start = 0
        for place, entry in enumerate(entries):
            if isinstance(entry, Deletion):
                new._take(entries[start:place])  # type: ignore[arg-type]
                new._delete(entry)
                start = place + 1
        new._take(entries[start:])  # type: ignore[arg-type]
        new.seq = entries[-1].seq
        return new

    def _copy(self) -> "Snapshot":
        new = Snapshot.__new__(Snapshot)
        for name in self.__slots__:
            setattr(new, name, getattr(self, name))
        return new

    def _take(self, events: Sequence[Event]) -> None:
        if not events:
            return
        codes, largest = self.codes_of([event.item for event in events]), largest_value(self.model)
        added: dict[Id, list[tuple[int, float]]] = {}
        for event, code in zip(events, codes, strict=True):
            if code < 0:
                self.unknown_items += 1
            elif SMALLEST_VALUE <= event.value <= largest or takes_value(self.model, event.value):
                added.setdefault(event.user, []).append((code, event.value))
        known = {user: self._histories.get(user) for user in added}
        bases = self._bases([user for user, taste in known.items() if taste is None])
        changed = {}
        for user, some in added.items():
            taste = known[user] or Taste(bases[user], _NO_TOTALS)
            changed[user] = taste.after(tuple(some), self.policy)
        self._histories = self._histories.replaced(changed)

    def codes_of(self, items: list[Id]) -> list[int]:
        """The codes of items, -1 for those that the model does not know."""
        return codes_in(self.model.items_, self.model.n_features_in_, items)

    def _bases(self, users: list[Id]) -> dict[Id, int]:
        """The codes of users in the model; -1 for those that it does not know, or who were deleted since."""
        codes = codes_in(self.model.users_, self.model.seen_.shape[0], users)
        return {user: -1 if self.is_deleted(user) else code for user, code in zip(users, codes, strict=True)}

    def _base(self, user: Id) -> int:
        return -1 if self.is_deleted(user) else codes_in(self.model.users_, self.model.seen_.shape[0], [user])[0]

    def _delete(self, entry: Deletion) -> None:
        mark = self._mark
        if mark is None:
            raise ValueError("a snapshot needs `mark` to know who was deleted")
        self._histories = self._histories.without(entry.mark, mark)
        self._deleted |= {entry.mark}

    def is_deleted(self, user: Id) -> bool:
        """Whether the model has learned from this user, but must not use it any more."""
        return bool(self._deleted) and self._mark is not None and self._mark(user) in self._deleted

    # -- asking

    def knows(self, user: Id) -> bool:
        """Whether anything is known about the user: by the model, or from events since."""
        if self._histories.get(user) is not None:
            return True
        base = self._base(user)
        return base >= 0 and self.has_learned_of(base)

    def has_learned_of(self, code: int) -> bool:
        """Whether the model has a history or features of a user; of one deleted before it was made it has the id."""
        parts = [self.model.seen_, getattr(self.model, "user_features_", None)]
        return any(part.indptr[code + 1] > part.indptr[code] for part in parts if part is not None)

    def history(self, user: Id) -> Row:
        """All that the user has done, as item codes and values; nothing for a user who is unknown."""
        taste = self._histories.get(user)
        if taste is not None:
            return taste.row(self.model, self.policy)
        base, seen = self._base(user), self.model.seen_
        start, stop = (seen.indptr[base], seen.indptr[base + 1]) if base >= 0 else (0, 0)
        return Row(seen.indices[start:stop], seen.data[start:stop])

    def recommend(
        self,
        users: Sequence[Id],
        k: int = 10,
        *,
        exclude_seen: bool = True,
        allow: Sequence[Id] | None = None,
        deny: Sequence[Id] | None = None,
        on_unknown: str = "error",
    ) -> TopK:
        """The `k` best items for each user, as `Recommender.recommend`, their newest events taken in.

        Parameters
        ----------
        users
            n ids.
        k, exclude_seen
            As there.
        allow, deny
            Only these items, and none of these, for all users.
        on_unknown : {"error", "popular"}
            What to do about a user of whom nothing is known, or an item that is unknown in `allow` or `deny`.

        Returns
        -------
        TopK
            Of shape (n, k).
        """
        if not isinstance(users, list):
            users = list(as_ids(users, "users").tolist())
        options = {"exclude_seen": exclude_seen, "allow": allow, "deny": deny, "on_unknown": on_unknown}
        if len(users) == 1 and exclude_seen and allow is None and deny is None and on_unknown == "popular":
            return self._answer_one(users[0], check_size("k", k))
        ids_are_known = self.model.users_ is not None and not self._deleted
        if ids_are_known and not (self._histories and any(map(self._histories.get, users))):
            return self.model.recommend(users, k, **options)  # type: ignore[arg-type]
        check_choice("on_unknown", on_unknown, ("error", "popular"))
        tastes, bases = [self._histories.get(user) for user in users], self._bases(list(users))
        # By what they did since: nothing, for those who are unknown and answered by what is popular.
        changed = np.array([taste is not None or bases[user] < 0 for user, taste in zip(users, tastes, strict=True)])
        if on_unknown == "error":
            for user, taste in zip(users, tastes, strict=True):
                if taste is None and bases[user] < 0:
                    raise ValueError(f"users: unknown id {user!r}")
        rows = [Row(*_NOTHING) if taste is None else taste.row(self.model, self.policy) for taste in tastes]
        if not changed.any():
            return self.model.recommend(users, k, **options)  # type: ignore[arg-type]
        since = [place for place, new in enumerate(changed) if new]
        of_these = [bases[users[place]] for place in since]
        top = self._answer_rows(self._stack([rows[place] for place in since]), of_these, k, options)
        if changed.all():
            return self._labelled(top, users)
        codes, scores = np.empty((len(users), k), np.int32), np.empty((len(users), k), np.float32)
        fallback = np.empty(len(users), bool)
        others = [user for user, new in zip(users, changed, strict=True) if not new]
        for places, part in ((changed, top), (~changed, self.model.recommend(others, k, **options))):  # type: ignore[arg-type]
            codes[places], scores[places], fallback[places] = part.codes, part.scores, part.fallback
        return self._labelled(TopK(codes, scores, fallback=fallback), users)

    def _answer_rows(self, histories: CodeMatrix, bases: Sequence[int], k: int, options: dict[str, Any]) -> TopK:
        """The model's answer to histories of users, what it knows of them by their features included."""
        model, vectors = self.model, self._vectors(histories, bases)
        if vectors is None:
            return model.recommend(histories, k, **options)
        audience = Audience(model, np.arange(len(bases)), None, histories, vectors)
        exclude, allowed = model._filters(audience, **options)
        return model._answer(audience, k, exclude, allowed, "popular")

    def _vectors(self, histories: CodeMatrix, bases: Sequence[int]) -> NDArray[np.float32] | None:
        """The factors of histories as an update would have them, users' features included; None without any."""
        model = self.model
        if not isinstance(model, FeaturedFactors) or model.user_features_ is None:
            return None
        codes = np.array(bases, np.int64)
        features = pick_rows(model.user_features_, np.maximum(codes, 0))
        features = keep_entries(features, (codes >= 0)[row_numbers(features)])
        return model._fold_in_from(model._trained(histories), model._mapped("user", features, model._map_of("user")))

    def _answer_one(self, user: Id, k: int) -> TopK:
        """The usual question, past checks of what is right here.

        The factors of a user who has done something are kept: who has will soon ask again.
        """
        model, taste = self.model, self._histories.get(user)
        if taste is None:
            base = self._base(user)
            return self._labelled(model._recommend_known(np.array([base], np.int32), k), [user])
        histories = self._stack([taste.row(model, self.policy)])
        if taste.vectors is None and isinstance(model, FactorRecommender):
            vectors = self._vectors(histories, [taste.base])
            taste.vectors = model._fold_in(model._trained(histories)) if vectors is None else vectors
        return self._labelled(model._recommend_rows(histories, k, taste.vectors), [user])

    def explain(self, user: Id, item: Id, k: int | None = None) -> Explanation:
        """What each item of the user's history adds to the score of one item; for models that can explain."""
        if not self.knows(user):
            raise ValueError(f"user: unknown id {user!r}")
        return self.model.explain(self._stack([self.history(user)]), item, k)  # type: ignore[no-any-return]

    def _stack(self, rows: Iterable[Row]) -> CodeMatrix:
        rows = list(rows)
        if not rows:
            return assemble_csr(*_NOTHING[::-1], np.zeros(1, np.int64), (0, self.model.n_features_in_))
        indptr = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(row.codes) for row in rows], out=indptr[1:])
        values = np.concatenate([row.values for row in rows])
        return assemble_csr(
            values, np.concatenate([row.codes for row in rows]), indptr, (len(rows), self.model.n_features_in_)
        )

    def _labelled(self, top: TopK, users: Sequence[Id]) -> TopK:
        labels = np.array(users, np.int64 if all(type(user) is int for user in users) else object)
        return TopK(
            top.codes,
            top.scores,
            users=labels,
            item_vocabulary=self.model.items_,
            fallback=top.fallback,
            item_info=self.model.item_info_,
        )

    def __repr__(self) -> str:
        return (
            f"Snapshot({type(self.model).__name__} {self.version!r} up to {self.model_seq}, "
            f"{self.changed_users} users changed up to {self.seq})"
        )


_NOTHING = np.empty(0, np.int32), np.empty(0, np.float32)
_NO_TOTALS = Totals(np.empty(0, np.int32), np.empty(0))


def codes_in(vocabulary: Vocabulary | None, size: int, ids: list[Id]) -> list[int]:
    """The codes of ids, -1 for unknown ones and for those of another type; without a vocabulary ids are codes."""
    if vocabulary is None:
        return [given if isinstance(given, int) and 0 <= given < size else -1 for given in ids]
    wanted = int if vocabulary.kind == "int" else str
    right = [given for given in ids if type(given) is wanted]
    found: list[int] = vocabulary.encode(right, unknown="code").tolist() if right else []
    if len(right) == len(ids):
        return found
    rest = iter(found)
    return [next(rest) if type(given) is wanted else -1 for given in ids]


def unknown_ids(model: Recommender, events: Sequence[Event]) -> tuple[set[Id], set[Id]]:
    """The users and the items of events that the model does not know."""
    users, items = list({event.user for event in events}), list({event.item for event in events})
    user_codes = codes_in(model.users_, model.seen_.shape[0], users)
    item_codes = codes_in(model.items_, model.n_features_in_, items)
    return (
        {user for user, code in zip(users, user_codes, strict=True) if code < 0},
        {item for item, code in zip(items, item_codes, strict=True) if code < 0},
    )


def merge_values(codes: NDArray[np.int32], values: NDArray[np.float32], policy: str) -> Row:
    """One entry for each code, in ascending order: the sum of its values (made in float64), the last, or the greatest.

    >>> merge_values(np.array([7, 2, 7], "i4"), np.array([1, 5, 3], "f4"), "sum")
    Row(codes=array([2, 7], dtype=int32), values=array([5., 4.], dtype=float32))
    """
    order = np.argsort(codes, kind="stable")
    codes, values = codes[order], values[order]
    begins = np.ones(len(codes), bool)
    np.not_equal(codes[1:], codes[:-1], out=begins[1:])
    if begins.all():
        return Row(codes, values)
    first = np.flatnonzero(begins)
    return Row(codes[first], reduce_runs(values, first, policy))


def merge_into(
    codes: NDArray[np.int32], values: NDArray[Any], new: NDArray[np.int32], added: NDArray[Any], policy: str
) -> tuple[NDArray[np.int32], NDArray[Any]]:
    """Entries in ascending order of their codes, and others, in any order, merged with them one after the other.

    Of the size of what there is only copies are made.

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


def training_events(model: Recommender) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """What a model was made of: user codes, item codes and values of all entries."""
    seen = model.seen_
    return row_numbers(seen).astype(np.int32), seen.indices, seen.data
