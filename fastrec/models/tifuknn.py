"""`TIFUKNN`: the next basket, from what a user buys again and what alike users buy."""

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from fastrec.data import Interactions
from fastrec.data.durations import UNITS_PER_SECOND, check_duration, convert_times
from fastrec.fields import Array, Fields, Value
from fastrec.matrix.arrays import Codes, Floats, starts_of
from fastrec.matrix.cells import cell_keys, cell_numbers, find_cells, repeat_by_row, row_numbers
from fastrec.matrix.code_matrix import CodeMatrix, keep_entries
from fastrec.matrix.rows import pick_rows, with_data
from fastrec.matrix.sequences import Order, pick_order
from fastrec.models.base.audience import Audience
from fastrec.models.base.derived import Key
from fastrec.models.base.explanation import Explaining
from fastrec.models.base.unreached import faint_popularity
from fastrec.models.base.updating import Change, Updating, coded_events
from fastrec.options import Integer, Jobs, Number, Options, Other
from fastrec.parallel import effective_jobs
from fastrec.preprocessing.baskets import parse_gap
from fastrec.solvers.personal_frequencies import (
    Decays,
    Events,
    Frequencies,
    index_frequencies,
    join_events,
    mix_frequencies,
    nearest_users,
    pick_events,
    sum_frequencies,
)

# The score of the most popular item that neither the user nor a neighbour had: below any frequency.
POPULAR = 1e-20


class TIFUKNN(Explaining, Updating):
    """Recommends the next basket: what a user buys again, and what the users with the most alike baskets buy.

    The baskets of a user, the newest first, are put into groups of `group_size`. Basket b of group g, both counted from
    0, weighs

        w = group_decay^g · within_decay^b / the number of the user's baskets,

    and the user's frequency p_u of an item is the sum of w over the baskets that hold the item. With N the `neighbors`
    users whose frequencies are at the least Euclidean distance, the scores are

        alpha · p_u + (1 - alpha) · mean of p_v over v in N.

    Since users buy again, `recommend` leaves nothing out: `exclude_seen` is False unless you say otherwise. Nothing is
    learned beforehand: the events are the model, and a change of an option on a fitted model acts at once. With
    ``alpha=1, group_decay=1, within_decay=1`` the score is the user's own frequency, the baseline to beat.

    Learns from Interactions with times; values are not read, and zeros are no feedback. A plain matrix has no times, so
    its values count as places: larger values are later, and equal ones share a basket.

    Parameters
    ----------
    neighbors : int
        The number of similar users, at least 1. Ties go to the lower code.
    alpha : float
        The weight of the user's own frequencies, from 0 to 1; the neighbours have the rest.
    group_size : int
        The number of baskets in a group, at least 1. The oldest group may be a shorter one.
    within_decay, group_decay : float
        The fading for each later basket of the same group, and for each later group, above 0 and at most 1.
    basket_gap : float, str, or None
        The longest time between two events of one basket: a number in the unit of the times, or a string such as "1d"
        (s, min, h, d, w, y). None: the events of one basket have one time.
    n_jobs : int or None
        Threads; None is all cores. The answer does not depend on it.

    Attributes
    ----------
    event_starts_ : ndarray of shape (n_users + 1,)
        The start of each user's events, int64.
    event_items_ : ndarray of shape (n_events,)
        Their items, the oldest first, int32.
    event_times_ : ndarray of shape (n_events,)
        Their times, int64; of a plain matrix, numbers in the order of its values.
    time_unit_ : {"s", "ms", "us", "ns"} or None
        The unit of the times.

    Raises
    ------
    ValueError, TypeError
        In `fit`, if an option or a value of X is invalid, or X has no times.

    Notes
    -----
    A user of the training data is among the own neighbours, so that `alpha` is in effect larger by (1 - alpha) divided
    by `neighbors`. Items that neither the user nor a neighbour had come last, by popularity, with scores of at most
    1e-20, which `explain` leaves out. Events that come without times, by `update_users` or to a server, are one basket
    until times are known: see docs/explanation/next_basket.md, which has the accuracy, too.

    The model is that of Hu, He, Gao, Zhang, *Modeling personalized item frequency information for next-basket
    recommendation*, SIGIR 2020.

    Examples
    --------
    >>> users, items, days = [0, 0, 0, 0, 1, 1, 1, 1], [0, 1, 0, 2, 0, 3, 0, 3], [1, 1, 2, 2, 1, 1, 2, 2]
    >>> model = TIFUKNN(neighbors=2).fit(Interactions(users, items, times=days))
    >>> model.recommend(0, k=4).codes
    array([[0, 2, 1, 3]], dtype=int32)
    >>> model.recommend(0, k=4, exclude_seen=True).codes
    array([[ 3, -1, -1, -1]], dtype=int32)
    """

    reads_order: ClassVar[bool] = True
    needs_order: ClassVar[bool] = True
    reads_events: ClassVar[bool] = True
    reads_others: ClassVar[bool] = True
    reads_baskets: ClassVar[bool] = True
    excludes_seen: ClassVar[bool] = False
    capabilities: ClassVar[frozenset[str]] = frozenset({"explain", "partial_fit"})
    _options: ClassVar[Options] = {
        "neighbors": Integer(1, memory=True, log=True, answers=True),
        "alpha": Number(0, 1, answers=True),
        "group_size": Integer(1, log=True, answers=True),
        "within_decay": Number(0, 1, above=True, answers=True),
        "group_decay": Number(0, 1, above=True, answers=True),
        "basket_gap": Other("float, str,", check_duration, also=(None,), answers=True),
        "n_jobs": Jobs(),
    }
    _learned: ClassVar[Fields] = {
        "event_items_": Array(("events",), "int32", least=0, below="n_items"),
        "event_times_": Array(("events",), "int64"),
        "event_starts_": Array(("n_users + 1",), "int64", order="ends", below="events"),
        "time_unit_": Value(str, choices=tuple(UNITS_PER_SECOND), optional=True),
    }

    event_starts_: NDArray[np.int64]
    event_items_: Codes
    event_times_: NDArray[np.int64]
    time_unit_: str | None

    def __init__(
        self,
        neighbors: int = 300,
        *,
        alpha: float = 0.7,
        group_size: int = 7,
        within_decay: float = 0.9,
        group_decay: float = 0.7,
        basket_gap: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.neighbors = neighbors
        self.alpha = alpha
        self.group_size = group_size
        self.within_decay = within_decay
        self.group_decay = group_decay
        self.basket_gap = basket_gap
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None) -> Self:
        """Keeps the events by user and time.

        Parameters
        ----------
        X
            Interactions with times; or any SciPy sparse matrix or array, or a dense array, of shape (n_users, n_items),
            whose values are places.
        y
            Not used; accepted because scikit-learn passes it.

        Returns
        -------
        The fitted model itself.
        """
        return self._learn(X, events=X if isinstance(X, Interactions) else None)

    def _fit(self, matrix: CodeMatrix, events: Interactions | None = None) -> None:
        self.time_unit_ = None if events is None else events.time_unit
        self._gap()  # an error now rather than in the first answer
        if events is None:
            self._take_events(_places(matrix, self._training_order(), self._values_are_places))
            return
        events.tell_far_times(type(self).__name__)
        assert events.times is not None
        self._take_events(_within(matrix, Events(events.user_codes, events.item_codes, events.times), events.values))

    def _take_events(self, events: Events) -> None:
        users, self.event_items_, self.event_times_ = events.sorted()
        self.event_starts_ = starts_of(np.bincount(users, minlength=self.seen_.shape[0]))

    def _gap(self) -> float:
        """The longest pause within a basket, in the unit of the events; places have no pauses."""
        return 0.0 if self._values_are_places else parse_gap("TIFUKNN.basket_gap", self.basket_gap, self.time_unit_)

    # -- updates

    @property
    def needs_times(self) -> bool:
        """Tells that updates need times, and a refit those of all events."""
        return True

    def _update(self, change: Change) -> None:
        """Adds new events, and drops those of pairs that are gone; without times, what is new is one basket."""
        n_users, n_old = self.seen_.shape[0], len(self.event_starts_) - 1
        starts = np.append(self.event_starts_, np.full(n_users - n_old, self.event_starts_[-1]))
        every = pick_events(starts, self.event_items_, self.event_times_, np.arange(n_users, dtype=np.int32))
        touched = np.zeros(n_users, bool)
        touched[change.users] = True
        others, own = every.kept(~touched[every.users]), every.kept(touched[every.users])
        if change.events is None or change.events.times is None:
            renumbered = own._replace(users=np.searchsorted(change.users, own.users).astype(np.int32))
            now, order = pick_rows(self._training, change.users), self._training_order()
            order = None if order is None else pick_order(self._training, order, change.users)
            own = self._follow(renumbered, pick_rows(change.before, change.users), now, order)
            own = own._replace(users=change.users[own.users])
        else:
            new = Events(*coded_events(self, change.events), self._convert_times(change.events))
            own = join_events(own, _within(self._training, new, change.events.values))
            own = _within(self._training, own)
        self._take_events(join_events(others, own))

    def _convert_times(self, events: Interactions) -> NDArray[np.int64]:
        assert events.times is not None
        times = convert_times(type(self).__name__, events.times, events.time_unit, self.time_unit_)
        return np.floor(times).astype(np.int64) if times.dtype != np.int64 else times

    def _follow(self, old: Events, before: CodeMatrix, now: CodeMatrix, order: Order | None) -> Events:
        """The events of rows that have changed without times: what is new is one basket after those from before.

        In a row without events before, it is a basket for each place.
        """
        began, rows, pause = np.diff(before.indptr) > 0, row_numbers(now), int(self._gap()) + 1
        places = _places(now, order, self._values_are_places)
        last = np.zeros(len(began), np.int64)
        np.maximum.at(last, old.users, old.times)
        fresh = Events(places.users, places.items, np.where(began[rows], last[rows] + pause, places.times * pause))
        cells = find_cells(now, before)
        same = cells >= 0
        same[same] = before.data[cells[same]] == now.data[same]
        return join_events(_within(now, old), fresh.kept(~same))

    # -- answers

    def fold_in(self, audience: Audience, users: Codes | None = None) -> Floats | None:
        """See `Asked.fold_in`: the frequencies of each row's items, of shape (n, longest row), zeros after the last.

        What a user of the training data has had since is the newest basket.
        """
        if audience.events is not None or audience.given is None:
            return None
        known = np.full(len(audience), -1, np.int32) if users is None else users
        now, order = audience.histories_in_order()
        before = pick_rows(self._training, np.maximum(known, 0))
        before = keep_entries(before, repeat_by_row(before, known >= 0))  # an unknown user has had nothing
        old = pick_events(self.event_starts_, self.event_items_, self.event_times_, known)
        frequencies = self._sum(self._follow(old, before, now, order), now, self._gap())
        lengths = np.diff(frequencies.indptr)
        vectors = np.zeros((len(lengths), int(lengths.max(initial=0))), np.float32)
        vectors[np.arange(vectors.shape[1]) < lengths[:, None]] = frequencies.data
        return vectors

    def _weigh(self, audience: Audience) -> CodeMatrix:
        """The personal frequencies of the items of each history."""
        if audience.codes is not None:
            return pick_rows(self._frequencies(), audience.codes)
        if audience.events is not None:
            return self._weigh_events(audience.events, audience.histories())
        histories, order = audience.histories_in_order()
        if audience.vectors is None:
            return self._sum(_places(histories, order, self._values_are_places), histories, 0.0)
        lengths = np.diff(histories.indptr)
        return with_data(histories, audience.vectors[np.arange(audience.vectors.shape[1]) < lengths[:, None]])

    def _weigh_events(self, given: Interactions, histories: CodeMatrix) -> CodeMatrix:
        """The frequencies of given Interactions; times without a unit are an order alone."""
        assert given.times is not None
        ordered = given.time_unit is None and self.time_unit_ is not None
        times, gap = (given.times, 0.0) if ordered else (self._convert_times(given), self._gap())
        events = _within(histories, Events(given.user_codes, given.item_codes, times), given.values)
        return self._sum(events, histories, gap)

    def _sum(self, events: Events, rows: CodeMatrix, gap: float) -> CodeMatrix:
        return sum_frequencies(events, rows.shape, self._decays(gap))

    def _decays(self, gap: float) -> Decays:
        return Decays(gap, self.group_size, self.within_decay, self.group_decay)

    def _frequencies(self) -> CodeMatrix:
        """The personal frequencies of the users of the training data, for the present options."""
        key: Key[CodeMatrix] = Key(f"frequencies {self._decays(self._gap())}")
        return self._derived.get(key, self._sum_frequencies)

    def _sum_frequencies(self) -> CodeMatrix:
        users = np.arange(self.seen_.shape[0], dtype=np.int32)
        events = pick_events(self.event_starts_, self.event_items_, self.event_times_, users)
        return self._sum(events, self.seen_, self._gap())

    def _index(self) -> Frequencies:
        """The frequencies of all users in the form for kernels."""
        key: Key[Frequencies] = Key(f"indexed frequencies {self._decays(self._gap())}")
        return self._derived.get(key, lambda: index_frequencies(self._frequencies(), effective_jobs(self.n_jobs)))

    def _nearest(self, histories: CodeMatrix) -> Codes:
        """The codes of the neighbours of each row, of shape (n, k)."""
        return nearest_users(histories, self._index(), min(self.neighbors, self.seen_.shape[0]), self._jobs())

    def _jobs(self) -> int:
        return effective_jobs(self.n_jobs)

    def row_bytes(self) -> int:
        """The bytes of the scores, of the distances from all users, and of the neighbours on their way."""
        n_users = self.seen_.shape[0]
        return 4 * (self.n_features_in_ + n_users) + 16 * min(self.neighbors, n_users)

    def _score_batch(self, histories: CodeMatrix, codes: Codes | None) -> Floats:
        none = np.empty((histories.shape[0], 0), np.int32)
        near = none if self.alpha == 1 else self._nearest(histories)
        scores = mix_frequencies(histories, self._index(), near, self.alpha, self.n_features_in_, self._jobs())
        return scores + faint_popularity(self, POPULAR)

    def _contributions(self, history: CodeMatrix, item: int) -> NDArray[Any]:
        """The contributions of the entries: the item's own frequency, and each neighbour's.

        A neighbour's is shared among the common items as they made up the product of the two; without a common item,
        among all as often as they were bought.
        """
        own = history.data.astype(np.float64)
        parts = np.where(history.indices == item, self.alpha * own, 0)
        near = self._nearest(history)[0]
        near = near[near >= 0]
        if self.alpha == 1 or not len(near):
            return parts
        frequencies = pick_rows(self._frequencies(), near)
        products = frequencies[:, history.indices].toarray() * own
        products[products.sum(axis=1) == 0] = own
        shares = products / products.sum(axis=1, keepdims=True)
        of_item = frequencies[:, [item]].toarray()[:, 0].astype(np.float64)
        contributions: NDArray[Any] = parts + (1 - self.alpha) / len(near) * (of_item @ shares)
        return contributions

    def _check_data(self) -> None:
        super()._check_data()
        trained, bought = self._training, self._frequencies()
        parts = ((trained.indptr, bought.indptr), (trained.indices, bought.indices))
        if not all(np.array_equal(*pair) for pair in parts):
            raise ValueError(
                "the events must be those of seen_: of each of its pairs at least one, and of no other pair"
            )


def _places(rows: CodeMatrix, order: Order | None, of_values: bool) -> Events:
    """The entries of rows as events whose times are their places: the values of a plain matrix, or else the order."""
    # bits of floats above 0 have the order of these
    places = np.ascontiguousarray(rows.data).view(np.int32) if of_values or order is None else order
    return Events(row_numbers(rows).astype(np.int32), rows.indices, places.astype(np.int64))


def _within(rows: CodeMatrix, events: Events, values: NDArray[Any] | None = None) -> Events:
    """The events of pairs that the rows have; those of value 0 are no feedback."""
    kept = np.isin(cell_keys(events.users, events.items, rows.shape[1]), cell_numbers(rows))
    return events.kept(kept if values is None else kept & (values != 0))
