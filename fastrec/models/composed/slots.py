"""Slots: lists of one recommender with places for others, and backfill where it has too few items."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastrec.data import Interactions
from fastrec.matrix.arrays import Codes, Floats
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.models.base.asking import Rows
from fastrec.models.base.audience import Audience
from fastrec.models.base.explanation import Explaining
from fastrec.models.base.item_filter import ItemFilter
from fastrec.models.base.recommender import Recommender
from fastrec.models.base.single import Single, SingleAnswer
from fastrec.models.base.tracing import Step, find_place
from fastrec.models.composed.ensemble import Ensemble, OfMembers, check_members
from fastrec.models.implicit_als import ImplicitALS
from fastrec.models.popularity import Popularity
from fastrec.options import Integer, Jobs, Options, Other, Seed
from fastrec.retrieval import TopK

List: TypeAlias = tuple[Codes, Floats]  # codes and scores, of shape (n, k)


def _check_reserved(name: str, reserved: Any) -> None:
    if isinstance(reserved, str) or not isinstance(reserved, Sequence):
        raise TypeError(f"{name} must be pairs of a position and the number of a model, as [(3, 1)], got {reserved!r}")
    for pair in reserved:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise TypeError(f"{name} must be pairs of a position and the number of a model, got {pair!r}")
        Integer(1).check(f"{name}, a position", pair[0])
        Integer(0).check(f"{name}, the number of a model", pair[1])
    positions = [pair[0] for pair in reserved]
    if len(set(positions)) < len(positions):
        raise ValueError(f"{name} must name each position once, got {positions}")


class Slots(Ensemble, Explaining):
    """Lists of the first of several recommenders, with slots reserved for others, and backfill from the next ones.

    A list is filled from the first place to the last. A slot takes the best item of the model that it is reserved for,
    any other place that of the first model, of the items that are not in the list yet. If that model has none left, the
    first model that has one gives its best: backfill. So a shorter list is always the head of a longer one. (A mixed
    hybrid, Burke 2002.) All models learn from the same data.

    The scores beside recommended items are those of the models that they come from. `predict_pairs` and `explain` give
    the answers of the first model.

    Parameters
    ----------
    models : sequence of recommenders or None
        The members, which are copied: the first, and the others in the order in which they backfill. None: ImplicitALS
        and Popularity.
    reserved : sequence of pairs of int
        Positions, from 1 on, each with the number of its model, from 0 on: ``[(3, 1), (8, 1), (10, 2)]``.
    random_state : int, RandomState or None
        The seed of members without one of their own; None sets none.
    n_jobs : int or None
        The number of threads of members without one of their own; None sets none.

    Attributes
    ----------
    members_ : tuple of recommenders
        The fitted members.

    Raises
    ------
    ValueError, TypeError
        In `fit`, if an option or a value of X is invalid.

    References
    ----------
    Burke: Hybrid recommender systems: survey and experiments. User Modeling and User-Adapted Interaction 12, 2002.

    Examples
    --------
    >>> from fastrec.models import EASE, Popularity
    >>> X = np.kron(np.eye(2), np.ones((6, 4)))
    >>> X[0, 2:4], X[6, 7] = 0, 0
    >>> model = Slots([EASE(regularization=1.0), Popularity()], reserved=[(2, 1)]).fit(X)
    >>> model.recommend(0, k=3).codes  # Popularity's best in the second place
    array([[2, 4, 3]], dtype=int32)
    """

    _own_capabilities: ClassVar[frozenset[str]] = frozenset({"explain"})
    capabilities: ClassVar[Any] = OfMembers(
        frozenset({"explain", "partial_fit"}), lambda self: self._find_capabilities()
    )
    _options: ClassVar[Options] = {
        "models": Other("sequence of recommenders", check_members, also=(None,)),
        "reserved": Other("sequence of pairs of int", _check_reserved),
        "random_state": Seed(),
        "n_jobs": Jobs(),
    }

    def __init__(
        self,
        models: Sequence[Any] | None = None,
        reserved: Sequence[tuple[int, int]] = (),
        *,
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.models = models
        self.reserved = reserved
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _check_options(self) -> None:
        super()._check_options()
        for position, number in self.reserved:
            Integer(0, len(self._models()) - 1).check(f"Slots.reserved, the model of position {position}", number)

    def _models(self) -> list[Any]:
        return [ImplicitALS(), Popularity()] if self.models is None else list(self.models)

    def _fit(self, matrix: CodeMatrix, data: Interactions | None = None) -> None:
        self._adopt_members(self._fit_members(self._data_of_members(matrix, data)))

    def _explains(self) -> bool:
        return "explain" in self._current_members()[0].capabilities

    # -- lists

    def answer(self, audience: Audience, k: int, wanted: ItemFilter | None = None, on_empty: str = "popular") -> TopK:
        """See `Asked.answer`."""
        wanted = self.item_filter(audience) if wanted is None else wanted
        fallback = np.zeros(len(audience), bool)
        lists: list[List] = []
        for number, short in self._asked(lists, k, len(audience)):
            codes, scores = nothing(len(audience), k)
            if short.any():
                top = self._ask(number, audience.part(short), k, wanted.part(short), on_empty)
                codes[short], scores[short] = top.codes, top.scores
                if number == 0:
                    fallback[short] = top.fallback
            lists.append((codes, scores))
        codes, scores, _ = fill_slots(lists, self._models_of_places(k))
        return self._top(codes, scores, audience.labels, fallback)

    def _asked(self, lists: list[List], k: int, n: int) -> Iterator[tuple[int, NDArray[np.bool_]]]:
        """Yields the numbers of the members in their order, and a mask of the `n` users who need the list of each.

        If a slot is the member's, all users need its list. Otherwise users need it if the lists of the members before
        it have fewer items than there are places.
        """
        first = {0, *self._models_of_places(k)}
        for number in range(len(self.members_)):
            if number in first:
                yield number, np.ones(n, bool)
            else:
                listed = np.concatenate([codes for codes, _ in lists], axis=1)
                yield number, count_distinct(listed) < k

    def _ask(self, number: int, audience: Audience, k: int, wanted: ItemFilter, on_empty: str) -> TopK:
        member, own = self.members_[number], self._own(audience, number)
        top: TopK = member.answer(own, k, wanted.within(member.recommendable_items()), on_empty)
        return top

    def _own(self, audience: Audience, number: int) -> Audience:
        """An audience as a member takes it; vectors are the first one's."""
        vectors = audience.vectors if number == 0 else None
        return replace(self._for_members(audience), model=self.members_[number], vectors=vectors)

    def _models_of_places(self, k: int) -> list[int]:
        """The number of the member that gives each place its item, of length k."""
        reserved: dict[int, int] = dict(self.reserved)
        return [reserved.get(place, 0) for place in range(1, k + 1)]

    def answer_one(self, who: Single, k: int, only: NDArray[np.bool_] | None = None) -> SingleAnswer:
        """See `Asked.answer_one`: of the members' own."""
        if not self._is_of_members(who):
            return super().answer_one(who, k, only)
        lists: list[List] = []
        fallback = False
        for number, short in self._asked(lists, k, 1):
            codes, scores = nothing(1, k)
            if short[0]:
                own = who if number == 0 else who._replace(vectors=None)
                codes[0], scores[0], popular = self.members_[number].answer_one(own, k, only)
                fallback |= popular and number == 0
            lists.append((codes, scores))
        codes, scores, _ = fill_slots(lists, self._models_of_places(k))
        return SingleAnswer(codes[0], scores[0], fallback)

    def _search(self, audience: Audience, k: int, wanted: ItemFilter) -> List:
        top = self.answer(audience, k, wanted)
        return top.codes, top.scores

    # -- what is said about pairs

    @property
    def _first(self) -> Recommender:
        member: Recommender = self.members_[0]
        return member

    def fold_in(self, audience: Audience, users: Codes | None = None) -> Floats | None:
        """See `Asked.fold_in`: the first member's vectors."""
        return self._first.fold_in(self._own(audience, 0), users)

    def pair_scores(self, audience: Audience, rows: Rows, items: Codes) -> Floats:
        """See `Asked.pair_scores`."""
        return self._first.pair_scores(self._own(audience, 0), rows, items)

    def contributions(self, audience: Audience, item: int) -> NDArray[np.float64]:
        """See `Explaining.contributions`: of the first member's score."""
        if not isinstance(self._first, Explaining):
            raise TypeError(f"{type(self._first).__name__}, the first model of the Slots, cannot explain its scores")
        return self._first.contributions(self._own(audience, 0), item)

    def trace_item(self, audience: Audience, item: int, k: int, wanted: ItemFilter) -> list[Step]:
        """See `Asked.trace_item`: whose lists have the item, and which place of the whole one."""
        tops = [self._ask(number, audience, k, wanted, "popular") for number in range(len(self.members_))]
        of_places = self._models_of_places(k)
        codes, _, sources = fill_slots([(top.codes, top.scores) for top in tops], of_places)
        steps = []
        for number, top in enumerate(tops):
            place = find_place(top.codes[0], item)
            listed = f"place {place}" if place else f"below the k of its {k}"
            steps.append(Step(f"list of {type(self.members_[number]).__name__}", bool(place), listed))
        place = find_place(codes[0], item)
        if place:
            source = int(sources[0, place - 1])
            kind = "its slot" if source == of_places[place - 1] else "backfill"
            return [*steps, Step("slots", True, f"place {place}, {kind} of {type(self.members_[source]).__name__}")]
        listed_at_all = any(step.passes for step in steps)
        return [*steps, Step("slots", False, "slots taken by other items" if listed_at_all else "below the k")]

    def exact_model(self) -> Self:
        """See `Asked.exact_model`."""
        return self._with_members([member.exact_model() for member in self.members_])

    def row_bytes(self) -> int:
        """See `Asked.row_bytes`: those of the member that makes most."""
        members = vars(self).get("members_", ())
        return max((member.row_bytes() for member in members), default=4 * self.n_features_in_)


def nothing(n: int, k: int) -> List:
    """Lists without an item, of shape (n, k)."""
    return np.full((n, k), -1, np.int32), np.full((n, k), -np.inf, np.float32)


def count_distinct(codes: Codes) -> NDArray[np.int64]:
    """The number of different codes of at least 0 in each row.

    >>> count_distinct(np.array([[3, 1, 3, -1], [-1, -1, -1, -1]], np.int32))
    array([2, 0])
    """
    ascending = np.sort(codes, axis=1)
    new = np.ones(codes.shape, bool)
    new[:, 1:] = ascending[:, 1:] != ascending[:, :-1]
    counts: NDArray[np.int64] = (new & (ascending >= 0)).sum(axis=1)
    return counts


def fill_slots(lists: Sequence[List], of_places: Sequence[int]) -> tuple[Codes, Floats, NDArray[np.int64]]:
    """Fills lists place by place: with the best item that is left of the list of each place, else of the first that has
    one.

    Parameters
    ----------
    lists
        Codes and scores of m lists, each of shape (n, k); -1 and -inf for empty places.
    of_places
        The number of the list of each place, of length k.

    Returns
    -------
    codes, scores
        Of shape (n, k).
    sources
        The number of the list that each item comes from, of the same shape; -1 for empty places.

    Examples
    --------
    >>> first, second = (np.array([codes], np.int32) for codes in ([7, 8, -1], [8, 9, 6]))
    >>> scores = np.zeros((1, 3), np.float32)
    >>> fill_slots([(first, scores), (second, scores)], [0, 1, 0])[0]
    array([[7, 8, 9]], dtype=int32)
    """
    n, k = len(lists[0][0]), len(of_places)
    codes, scores = nothing(n, k)
    sources = np.full((n, k), -1)
    free = [listed >= 0 for listed, _ in lists]
    for place, own in enumerate(of_places):
        for number in (own, *range(len(lists))):
            best = free[number].argmax(axis=1)
            rows = np.flatnonzero((codes[:, place] < 0) & free[number].any(axis=1))
            codes[rows, place], scores[rows, place] = (array[rows, best[rows]] for array in lists[number])
            sources[rows, place] = number
            if (codes[:, place] >= 0).all():
                break
        for mask, (listed, _) in zip(free, lists, strict=True):
            mask &= listed != codes[:, place, None]
    return codes, scores, sources
