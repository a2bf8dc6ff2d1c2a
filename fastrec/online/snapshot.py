"""Snapshot: a model with the events since it was made, frozen, so that no question has to wait."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrec.data.ids import as_ids
from fastrec.matrix.arrays import readonly
from fastrec.matrix.code_matrix import assemble_csr
from fastrec.matrix.sequences import HistoryRow
from fastrec.models import Explanation, Recommender
from fastrec.models.base.audience import Audience, find_audience
from fastrec.models.base.single import Single, SingleAnswer
from fastrec.online.acceptance import SMALLEST_VALUE, largest_value, takes_value, unknown_ids
from fastrec.online.items import Items
from fastrec.online.journal import Deletion, Entry, Event, Id, ItemUpdate
from fastrec.online.user_state import History, UserState, UserStates, no_totals, order_of
from fastrec.retrieval import TopK
from fastrec.validation import check_choice, check_size


class Snapshot:
    """A model together with the events since it was made. It is immutable: updates make a new one.

    It answers like a model updated with those events by `update_users`: a user's recommendations follow from the whole
    history, the newest event included; the item side stays the same until a checkpoint. For `ImplicitALS`, for example,
    the answers agree to the bit. The changed users of a compressed model are not rounded to its codes before a
    checkpoint. Models whose data are counts or neighbours follow at the checkpoint.

    Parameters
    ----------
    model
        A fitted model; its arrays are used as they are.
    seq
        The last place in the journal that the model has taken in.
    version
        The name of the model.
    mark
        The function that marks a user in a `Deletion`: `Journal.mark`. None if no user is deleted.
    policy : {"sum", "last", "max"}, optional
        The policy to merge several events of one user and item, as `Interactions.duplicates`. None: the model's
        `duplicates_`.
    held
        Events up to `seq` that the model has not taken in, since their users or items wait to be admitted. Answers to
        their users still count them.
    updates
        The last update of each item up to `seq`: `Journal.items`.

    Attributes
    ----------
    model, version, held
        As given.
    items : Items
        The model's items with their updates: hidden or removed items are in no answer.
    held_users, held_items, held_events : int
        The numbers of users, items and events that wait to be admitted.
    model_seq : int
        The last place that the model has taken in.
    seq : int
        The last place that the snapshot has taken in.
    changed_users : int
        The number of users with events that the model has not taken in.
    unknown_items : int
        The number of events about items unknown to the model: they wait for the next model.

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
        "_mark",
        "_states",
        "held",
        "held_events",
        "held_items",
        "held_users",
        "items",
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
        updates: Sequence[ItemUpdate] = (),
    ) -> None:
        self.model = model
        self.version = version
        self.model_seq = self.seq = seq
        self.unknown_items = 0
        self._mark = mark
        self.policy: str = policy or model.duplicate_policy
        self._states = UserStates()
        self._deleted: frozenset[bytes] = frozenset()
        self.items = Items(model, updates)
        self.held = tuple(held)
        self.held_events = len(held)
        self.held_users, self.held_items = map(len, unknown_ids(model, held))
        self._take(held)

    @property
    def changed_users(self) -> int:
        """The number of users with events that the model has not taken in."""
        return len(self._states)

    # -- taking in

    def after(self, entries: Sequence[Entry]) -> "Snapshot":
        """Returns the snapshot with more entries of the journal taken in; they must follow `seq`."""
        if not entries:
            return self
        if entries[0].seq <= self.seq:
            raise ValueError(f"entries must follow {self.seq}, the last one taken in, got one of seq {entries[0].seq}")
        new = self._copy()
        new.seq = entries[-1].seq
        updates = [entry for entry in entries if isinstance(entry, ItemUpdate)]
        if updates:
            new.items = self.items.after(updates)
            entries = [entry for entry in entries if not isinstance(entry, ItemUpdate)]
        start = 0
        for place, entry in enumerate(entries):
            if isinstance(entry, Deletion):
                new._take(entries[start:place])  # type: ignore[arg-type]
                new._delete(entry)
                start = place + 1
        new._take(entries[start:])  # type: ignore[arg-type]
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
        known = {user: self._states.get(user) for user in added}
        bases = self._bases([user for user, state in known.items() if state is None])
        changed = {}
        for user, some in added.items():
            state = known[user] or UserState(bases[user], no_totals(self.model.order_ is not None))
            changed[user] = state.after(tuple(some), self.policy)
        self._states = self._states.replaced(changed)

    def codes_of(self, items: list[Id]) -> list[int]:
        """Returns the codes of items, -1 for those that the model does not know."""
        return self.model.item_vocabulary.match(items)

    def _bases(self, users: list[Id]) -> dict[Id, int]:
        """Returns the codes of users in the model; -1 for unknown users, and those deleted since."""
        codes = self.model.user_vocabulary.match(users)
        return {user: -1 if self.is_deleted(user) else code for user, code in zip(users, codes, strict=True)}

    def _base(self, user: Id) -> int:
        return -1 if self.is_deleted(user) else self.model.user_vocabulary.find(user)

    def _delete(self, entry: Deletion) -> None:
        mark = self._mark
        if mark is None:
            raise ValueError("a snapshot needs `mark` to know who was deleted")
        self._states = self._states.without(entry.mark, mark)
        self._deleted |= {entry.mark}

    def is_deleted(self, user: Id) -> bool:
        """Tells whether the model has learned from this user, but must no longer use it."""
        return bool(self._deleted) and self._mark is not None and self._mark(user) in self._deleted

    # -- asking

    def knows(self, user: Id) -> bool:
        """Tells whether the model or later events know the user."""
        if self._states.get(user) is not None:
            return True
        base = self._base(user)
        return base >= 0 and self.has_learned_of(base)

    def has_learned_of(self, code: int) -> bool:
        """Tells whether the model has a history or features of a user; of one deleted before, it has only the id."""
        parts = [self.model.seen_, getattr(self.model, "user_features_", None)]
        return any(part.indptr[code + 1] > part.indptr[code] for part in parts if part is not None)

    def history(self, user: Id) -> History:
        """Returns the events of a user, as item codes and values; none for an unknown user."""
        state = self._states.get(user)
        if state is not None:
            return state.history(self.model, self.policy)
        base, seen = self._base(user), self.model.seen_
        start, stop = (seen.indptr[base], seen.indptr[base + 1]) if base >= 0 else (0, 0)
        return History(seen.indices[start:stop], seen.data[start:stop], order_of(self.model, base))

    def recommend(
        self,
        users: Sequence[Id],
        k: int = 10,
        *,
        exclude_seen: bool | None = None,
        allow: Sequence[Id] | None = None,
        deny: Sequence[Id] | None = None,
        on_unknown: str = "error",
        within: NDArray[np.bool_] | None = None,
    ) -> TopK:
        """Recommends the `k` best items for each user, as `Recommender.recommend`, with their newest events.

        Hidden or removed items are not among them.

        Parameters
        ----------
        users
            n ids.
        k, exclude_seen
            As in `Recommender.recommend`.
        allow, deny
            Only these items, and none of these, for all users.
        on_unknown : {"error", "popular"}
            The treatment of an unknown user, or an unknown item in `allow` or `deny`.
        within
            Only the items of this mask, of shape (n_items,), for all users, such as that of `Items.select`.

        Returns
        -------
        TopK
            The answer, of shape (n, k).
        """
        if not isinstance(users, list):
            users = list(as_ids(users, "users").tolist())
        k = check_size("k", k, each=8 * max(1, len(users)))
        options = {"exclude_seen": exclude_seen, "allow": allow, "deny": deny, "on_unknown": on_unknown}
        only = self.shown_within(within)
        own = exclude_seen is None or exclude_seen == self.model.excludes_seen
        if len(users) == 1 and own and allow is None and deny is None and on_unknown == "popular":
            one = self.answer_one(users[0], k, within)
            return self._label(TopK(one.codes[None], one.scores[None], fallback=[one.fallback]), users)
        ids_are_known = self.model.users_ is not None and not self._deleted
        if ids_are_known and not (self._states and any(map(self._states.get, users))):
            return self.ask_model(users, k, within=within, **options)
        check_choice("on_unknown", on_unknown, ("error", "popular"))
        states, bases = [self._states.get(user) for user in users], self._bases(list(users))
        # by their later events: an empty history for unknown users, who are answered by popularity
        changed = np.array([state is not None or bases[user] < 0 for user, state in zip(users, states, strict=True)])
        if on_unknown == "error":
            for user, state in zip(users, states, strict=True):
                if state is None and bases[user] < 0:
                    raise ValueError(f"users: unknown id {user!r}")
        rows = [
            History(*_NOTHING, _NOTHING[0]) if state is None else state.history(self.model, self.policy)
            for state in states
        ]
        if not changed.any():
            return self.ask_model(users, k, within=within, **options)
        since = [place for place, new in enumerate(changed) if new]
        of_these = [bases[users[place]] for place in since]
        top = self._answer_rows([rows[place] for place in since], of_these, k, only, options)
        if changed.all():
            return self._label(top, users)
        codes, scores = np.empty((len(users), k), np.int32), np.empty((len(users), k), np.float32)
        fallback = np.empty(len(users), bool)
        others = [user for user, new in zip(users, changed, strict=True) if not new]
        for places, part in ((changed, top), (~changed, self.ask_model(others, k, within=within, **options))):
            codes[places], scores[places], fallback[places] = part.codes, part.scores, part.fallback
        return self._label(TopK(codes, scores, fallback=fallback), users)

    def shown_within(self, within: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
        """Returns the items of a mask that may be in answers; None if all may."""
        shown = self.items.shown
        return shown if within is None else within if shown is None else within & shown

    def ask_model(self, who: Any, k: int, *, within: NDArray[np.bool_] | None = None, **options: Any) -> TopK:
        """Returns the model's own answer to known users, or to histories: `Recommender.recommend` among the shown
        items.

        Parameters
        ----------
        who, k, **options
            As in `Recommender.recommend`.
        within
            As in `recommend`.
        """
        only = self.shown_within(within)
        if only is None:
            return self.model.recommend(who, k, **options)
        audience, _ = find_audience(self.model, who, options.get("on_unknown", "error"))
        return self.model.answer(audience, k, self.model.item_filter(audience, **options).within(only))

    def _answer_rows(
        self,
        rows: Sequence[History],
        bases: Sequence[int],
        k: int,
        only: NDArray[np.bool_] | None,
        options: dict[str, Any],
    ) -> TopK:
        """Returns the model's answer to histories of users, with what it knows of them by their features."""
        audience = self._audience_of(rows)
        audience = replace(audience, vectors=self.model.fold_in(audience, np.array(bases, np.int32)))
        return self.model.answer(audience, k, self.model.item_filter(audience, **options).within(only))

    def answer_one(self, user: Id, k: int, within: NDArray[np.bool_] | None = None) -> SingleAnswer:
        """Answers the usual question without checks: the `k` best items for one user, by popularity for an unknown
        user.

        The factors of an active user are kept for the next request.
        """
        model, state = self.model, self._states.get(user) if self._states else None
        if state is None:
            return model.answer_one(Single(self._base(user)), k, self.shown_within(within))
        row = HistoryRow(*state.history(model, self.policy))
        if state.vectors is None:
            audience = Single(history=row).audience(model)
            vectors = model.fold_in(audience, np.array([state.base], np.int32))
            state.vectors = None if vectors is None else readonly(vectors)
        return model.answer_one(Single(history=row, vectors=state.vectors), k, self.shown_within(within))

    def explain(self, user: Id, item: Id, k: int | None = None) -> Explanation:
        """Explains the score of one item by each item of the user's history, for models that can explain."""
        return self.model.explain(self._audience_of_user(user), item, k)  # type: ignore[no-any-return]

    def explain_features(self, who: Any, item: Id, k: int | None = None) -> Any:
        """Explains the score of one item by features of it and of a user, or of a history as an `Audience`; for models
        with a ranker: see `TwoStage.explain_features`.
        """
        known = isinstance(who, int | str)
        if known and self._states.get(who) is None and self._base(who) >= 0:
            audience = Audience.of_users(self.model, np.array([self._base(who)], np.int32))
        else:
            audience = self._audience_of_user(who) if known else who
        return self.model.explain_features(audience, item, k)

    def _audience_of_user(self, user: Id) -> Audience:
        """Returns the audience of a user: the history with all events, and the model's view of the user and of it."""
        if not self.knows(user):
            raise ValueError(f"user: unknown id {user!r}")
        audience = self._audience_of([self.history(user)])
        return replace(audience, vectors=self.model.fold_in(audience, np.array([self._base(user)], np.int32)))

    def _audience_of(self, rows: Sequence[History]) -> Audience:
        """Returns the audience to ask the model about: histories, with their order if all have one."""
        if not rows:
            nothing = assemble_csr(*_NOTHING[::-1], np.zeros(1, np.int64), (0, self.model.n_features_in_))
            return Audience.of_histories(self.model, nothing)
        indptr = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(row.codes) for row in rows], out=indptr[1:])
        values = np.concatenate([row.values for row in rows])
        codes = np.concatenate([row.codes for row in rows])
        orders = [row.order for row in rows if row.order is not None]
        order = np.concatenate(orders) if len(orders) == len(rows) else None
        histories = assemble_csr(values, codes, indptr, (len(rows), self.model.n_features_in_))
        return Audience.of_histories(self.model, histories, order=order)

    def _label(self, top: TopK, users: Sequence[Id]) -> TopK:
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
