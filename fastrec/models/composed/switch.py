"""Switch: the first of several recommenders whose condition a user meets answers."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

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
from fastrec.models.base.tracing import Step
from fastrec.models.composed.ensemble import Ensemble, OfMembers, check_members
from fastrec.models.implicit_als import ImplicitALS
from fastrec.models.neighbors import ItemKNN
from fastrec.options import Integer, Jobs, Options, Other, Seed
from fastrec.retrieval import TopK

KNOWN = "known"


def _check_conditions(name: str, conditions: Any) -> None:
    if isinstance(conditions, str) or not isinstance(conditions, Sequence):
        raise TypeError(f'{name} must be a sequence of conditions, as [20, "known"], got {conditions!r}')
    for condition in conditions:
        if isinstance(condition, str) and condition != KNOWN:
            raise ValueError(
                f'{name} must be numbers of events, "{KNOWN}", lists of ids or functions, got {condition!r}'
            )
        if not callable(condition) and not isinstance(condition, str | list | tuple):
            Integer(0).check(name, condition)


class Switch(Ensemble, Explaining):
    """Several recommenders, of which one answers each user: the first whose condition the user meets.

    A user with a long history is served by another model than a new user: a switching hybrid (Burke 2002). All models
    learn from the same data. A user that a model cannot answer gets that model's fallback, which is the popular items
    for most models.

    Parameters
    ----------
    models : sequence of recommenders or None
        The members, which are copied; the last one answers users who meet no condition. None: ImplicitALS and ItemKNN.
    conditions : sequence of int, str, list of ids or function
        One for each model except the last. A number: users with at least so many events. "known": users of the training
        data, with or without an event. A list of ids: these users. A function of (ids, lengths) that returns a mask of
        shape (n,). Ids are an object array, None for a history without an id; lengths are the numbers of events. A
        model with a function cannot be saved, since a file holds no code.
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
        In `fit`, if an option or a value of X is invalid. In `save`, if a condition is a function.

    References
    ----------
    Burke: Hybrid recommender systems: survey and experiments. User Modeling and User-Adapted Interaction 12, 2002.

    Examples
    --------
    >>> from fastrec.models import EASE, Popularity
    >>> X = np.kron(np.eye(2), np.ones((6, 4)))
    >>> X[0, 3], X[6, 5:] = 0, 0
    >>> model = Switch([EASE(regularization=1.0), Popularity()], conditions=[2]).fit(X)
    >>> model.recommend([0, 6], k=2).codes  # of user 6 one event is known
    array([[3, 4],
           [0, 1]], dtype=int32)
    """

    _own_capabilities: ClassVar[frozenset[str]] = frozenset({"explain"})
    capabilities: ClassVar[Any] = OfMembers(
        frozenset({"explain", "partial_fit"}), lambda self: self._find_capabilities()
    )
    _options: ClassVar[Options] = {
        "models": Other("sequence of recommenders", check_members, also=(None,)),
        "conditions": Other("sequence of int, str, list of ids or function", _check_conditions),
        "random_state": Seed(),
        "n_jobs": Jobs(),
    }

    def __init__(
        self,
        models: Sequence[Any] | None = None,
        conditions: Sequence[Any] = (5,),
        *,
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.models = models
        self.conditions = conditions
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _check_options(self) -> None:
        super()._check_options()
        n = len(self._models())
        if len(self.conditions) != n - 1:
            raise ValueError(
                f"Switch.conditions must be one for each of {n} models but the last, got {len(self.conditions)}"
            )

    def _models(self) -> list[Any]:
        return [ImplicitALS(), ItemKNN()] if self.models is None else list(self.models)

    def _fit(self, matrix: CodeMatrix, data: Interactions | None = None) -> None:
        self._adopt_members(self._fit_members(self._data_of_members(matrix, data)))

    # -- who answers

    def _choose_members(self, audience: Audience, users: Codes | None) -> NDArray[np.int64]:
        """Returns the number of the member that answers each user; `users` has their codes, or -1 for unknown ones."""
        users = np.full(len(audience), -1, np.int32) if users is None else users
        numbers = np.full(len(audience), len(self.conditions))
        for number in reversed(range(len(self.conditions))):
            numbers[self._meets(self.conditions[number], audience, users)] = number
        return numbers

    def _meets(self, condition: Any, audience: Audience, users: Codes) -> NDArray[np.bool_]:
        """A mask of those who meet a condition."""
        if callable(condition):
            met = np.asarray(condition(self._ids_of(users), audience.lengths()))
            if met.shape != users.shape or met.dtype != bool:
                raise ValueError(
                    f"{condition!r}, a condition of the Switch, must return a mask of shape {users.shape}, got "
                    f"{met.dtype} of shape {met.shape}"
                )
            return met
        if isinstance(condition, list | tuple):
            return np.isin(users, [code for code in self.user_vocabulary.match(list(condition)) if code >= 0])
        return users >= 0 if condition == KNOWN else audience.lengths() >= condition

    def _ids_of(self, users: Codes) -> NDArray[Any]:
        ids = np.full(len(users), None, object)
        ids[users >= 0] = self.user_vocabulary.decode(users[users >= 0])
        return ids

    def _numbers(self, audience: Audience) -> NDArray[np.int64]:
        """The numbers of the members that answer each; a history that was folded in carries its own."""
        if audience.vectors is not None:
            return audience.vectors[:, 0].astype(np.int64)
        return self._choose_members(audience, audience.codes)

    def fold_in(self, audience: Audience, users: Codes | None = None) -> Floats | None:
        """See `Asked.fold_in`: who answers, since a history alone does not tell whose it is."""
        return self._choose_members(audience, users).astype(np.float32)[:, None]

    def _parts(self, audience: Audience) -> Iterator[tuple[Recommender, NDArray[np.bool_], Audience]]:
        """The members, whom of the audience each answers, and these as it takes them."""
        numbers, own = self._numbers(audience), replace(self._for_members(audience), vectors=None)
        for number in np.unique(numbers).tolist():
            rows, member = numbers == number, self.members_[number]
            yield member, rows, replace(own if rows.all() else own.part(rows), model=member)

    # -- answers

    def answer(self, audience: Audience, k: int, wanted: ItemFilter | None = None, on_empty: str = "popular") -> TopK:
        """See `Asked.answer`."""
        codes, scores = np.full((len(audience), k), -1, np.int32), np.full((len(audience), k), -np.inf, np.float32)
        fallback = np.zeros(len(audience), bool)
        wanted = self.item_filter(audience) if wanted is None else wanted
        for member, rows, part in self._parts(audience):
            own = wanted.part(rows).within(member.recommendable_items())
            top = member.answer(part, k, own, on_empty)
            codes[rows], scores[rows], fallback[rows] = top.codes, top.scores, top.fallback
        return self._top(codes, scores, audience.labels, fallback)

    def answer_one(self, who: Single, k: int, only: NDArray[np.bool_] | None = None) -> SingleAnswer:
        """See `Asked.answer_one`: the member's own."""
        if not self._is_of_members(who):
            return super().answer_one(who, k, only)
        number = int(self._numbers(who.audience(self))[0])
        answer: SingleAnswer = self.members_[number].answer_one(who._replace(vectors=None), k, only)
        return answer

    def _search(self, audience: Audience, k: int, wanted: ItemFilter) -> tuple[Codes, Floats]:
        top = self.answer(audience, k, wanted)
        return top.codes, top.scores

    def pair_scores(self, audience: Audience, rows: Rows, items: Codes) -> Floats:
        """See `Asked.pair_scores`."""
        scores = np.empty(len(items), np.float32)
        for member, mask, part in self._parts(audience):
            asked = mask[rows]
            scores[asked] = member.pair_scores(part, (np.cumsum(mask) - 1)[rows[asked]], items[asked])
        return scores

    def contributions(self, audience: Audience, item: int) -> NDArray[np.float64]:
        """See `Explaining.contributions`: those of the member that answers."""
        member, _, part = next(self._parts(audience))
        if not isinstance(member, Explaining):
            raise TypeError(f"{type(member).__name__}, a member of the Switch, cannot explain its scores")
        return member.contributions(part, item)

    def trace_item(self, audience: Audience, item: int, k: int, wanted: ItemFilter) -> list[Step]:
        """See `Asked.trace_item`: which member answers, and its own stages."""
        member, _, part = next(self._parts(audience))
        number = int(self._numbers(audience)[0])
        last = number == len(self.conditions)
        why = "no condition is met" if last else f"condition {number}: {_describe(self.conditions[number])}"
        asked = Step("Switch", True, f"{type(member).__name__} answers, {why}")
        warm = member.recommendable_items()
        if warm is not None and not warm[item]:
            return [asked, Step(type(member).__name__, False, "an item that it does not recommend")]
        return [asked, *member.trace_item(part, item, k, wanted.within(warm))]

    def exact_model(self) -> Self:
        """See `Asked.exact_model`."""
        return self._with_members([member.exact_model() for member in self.members_])

    def row_bytes(self) -> int:
        """See `Asked.row_bytes`: those of the member that makes most."""
        members = vars(self).get("members_", ())
        return max((member.row_bytes() for member in members), default=4 * self.n_features_in_)


def _describe(condition: Any) -> str:
    if condition == KNOWN:
        return "a user of the training data"
    if isinstance(condition, list | tuple):
        return "one of the ids"
    return f"a function, {condition!r}" if callable(condition) else f"at least {condition} events"
