"""Ensemble: the base of models that combine several recommenders, which learn from the same data."""

import copy
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if

from fastrec.data import Interactions
from fastrec.fields import Fields, Value
from fastrec.matrix.arrays import readonly
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.rows import with_data
from fastrec.models.base.audience import Audience
from fastrec.models.base.fields import Members
from fastrec.models.base.hiding import is_in
from fastrec.models.base.persistence import Team, restore_member
from fastrec.models.base.recommender import Recommender
from fastrec.models.base.single import Single
from fastrec.models.base.updating import Change, How, Updating
from fastrec.models.composed.reranked import Reranked


def check_members(name: str, models: Any) -> None:
    """Raises a TypeError or ValueError that names the option, unless the models can form an ensemble."""
    if not isinstance(models, Sequence) or isinstance(models, str):
        raise TypeError(f"{name} must be a sequence of recommenders, as [EASE(), ...], got {models!r}")
    if not models:
        raise ValueError(f"{name} must have at least one recommender")
    for member in models:
        if not isinstance(member, Recommender):
            raise TypeError(f"{name} must be recommenders of fastrec, got {member!r}")
        if isinstance(member, Reranked):
            raise TypeError(
                f"{name} must not be re-ranked, since the ensemble uses their scores: re-rank the "
                f"{name.split('.')[0]} instead"
            )


def any_recommendable(members: Sequence[Recommender]) -> NDArray[np.bool_] | None:
    """The items that any of the members can recommend, of shape (n_items,); None if these are all."""
    found = [member.recommendable_items() for member in members]
    masks = [mask for mask in found if mask is not None]
    if len(masks) < len(found):
        return None
    warm: NDArray[np.bool_] = np.any(masks, axis=0)
    return None if warm.all() else warm


class OfMembers:
    """An attribute of a class whose value for an object follows from the object's members."""

    def __init__(self, of_class: Any, find: Callable[[Any], Any]) -> None:
        self._of_class = of_class
        self._find = find

    def __get__(self, asked: Any, kind: type) -> Any:
        return self._of_class if asked is None else self._find(asked)


class Ensemble(Updating):
    """The base of models that combine several recommenders.

    Members with and without an order of events can be mixed: the ensemble keeps the order for those that read it. It
    has `partial_fit` and `update_users` if all members have them.

    Attributes
    ----------
    members_ : tuple of recommenders
        The fitted members.
    """

    _own_capabilities: ClassVar[frozenset[str]] = frozenset()
    """The capabilities that do not depend on the members."""

    capabilities: ClassVar[Any] = OfMembers(frozenset(), lambda self: self._find_capabilities())
    reads_order: ClassVar[Any] = OfMembers(False, lambda self: self._any_member("reads_order"))
    needs_order: ClassVar[Any] = OfMembers(False, lambda self: self._any_member("needs_order"))
    reads_baskets: ClassVar[Any] = OfMembers(False, lambda self: self._all_members("reads_baskets"))
    reads_events: ClassVar[Any] = OfMembers(False, lambda self: self._any_member("reads_events"))
    excludes_seen: ClassVar[Any] = OfMembers(True, lambda self: self._any_member("excludes_seen"))
    takes_new_items: ClassVar[Any] = OfMembers(True, lambda self: self._all_members("takes_new_items"))
    min_support: Any = OfMembers(1, lambda self: self._least_support())
    _learned: ClassVar[Fields] = {"members_": Members("members"), "models_given_": Value(bool)}
    _rebuilt_options: ClassVar[frozenset[str]] = frozenset({"models"})

    models: Sequence[Any] | None
    random_state: Any
    n_jobs: int | None
    members_: Team
    models_given_: bool

    @abstractmethod
    def _models(self) -> list[Any]:
        """The models to fit copies of."""

    def _current_members(self) -> Sequence[Recommender]:
        """The fitted members, or before a fit the models to fit copies of."""
        return vars(self).get("members_") or self._models()

    def _any_member(self, name: str) -> bool:
        return any(getattr(member, name, False) for member in self._current_members())

    @property
    def fades(self) -> bool:
        """See `Answering.fades`: true if a member fades."""
        return self._any_member("fades")

    def _all_members(self, name: str) -> bool:
        return all(getattr(member, name, True) for member in self._current_members())

    def _least_support(self) -> int:
        """The largest support that a member requires of its recommended items."""
        return min(member.min_support for member in self._current_members())

    def _find_capabilities(self) -> frozenset[str]:
        updating = all("partial_fit" in member.capabilities for member in self._current_members())
        own = self._own_capabilities if self._explains() else self._own_capabilities - {"explain"}
        return own | (Updating.capabilities if updating else frozenset())

    def _explains(self) -> bool:
        """Tells whether all members that are asked for reasons can give them."""
        return all("explain" in member.capabilities for member in self._current_members())

    def _find_recommendable(self) -> NDArray[np.bool_] | None:
        return any_recommendable(self.members_)

    def _adopt(self, X: Any) -> None:
        self.__dict__.pop("members_", None)  # of another fit: the models of this fit determine what is read
        super()._adopt(X)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fits the members, and finds their weights.

        Parameters
        ----------
        X
            Interactions, any SciPy sparse matrix or array, or a dense array, of shape (n_users, n_items). Members and
            the validation get Interactions with their times and facts about the items.
        y
            Not used; accepted because scikit-learn passes it.

        Returns
        -------
        The fitted model itself.
        """
        return self._learn(X, data=X if isinstance(X, Interactions) else None)

    def _data_of_members(self, matrix: CodeMatrix, data: Interactions | None) -> Any:
        """The data that the members learn from: Interactions if given, or if a member needs an order; otherwise the
        matrix.
        """
        if data is None and self.needs_order:
            data = self._as_events()
        if data is not None and matrix is not self.seen_:  # zeros are no feedback for any member
            data = data.select(is_in(matrix, data))
        if data is not None and data.duplicates is None and data.n_repeated:
            data = data._replace(duplicates=self.duplicates_)  # the members' policy is that of the ensemble
        return matrix if data is None else data

    def _adopt_members(self, members: list[Recommender]) -> None:
        """Takes over members fitted with the ensemble's data, which they share from now on."""
        self.members_ = Team(members)
        for member in self.members_:
            vars(member).update(self._shared())
            member.clear_derived()
        self.models_given_ = self.models is not None

    def _with_members(self, members: list[Recommender]) -> Self:
        """A copy that asks other members, which have learned the same data."""
        twin = copy.copy(self)
        twin.members_ = Team(members)
        return twin

    def _as_events(self) -> Interactions:
        """The matrix that the members learn from as Interactions, its order as their times."""
        order = self._training_order()
        assert order is not None
        return Interactions.from_matrix(self._matrix_of_members())._replace(times=order.astype(np.int64))

    def _matrix_of_members(self) -> CodeMatrix:
        """The matrix that the members learn from: without zeros, and with ones in place of places."""
        return self._as_strengths(self._training)

    def _as_strengths(self, matrix: CodeMatrix) -> CodeMatrix:
        """Rows of the training data, or histories; ones in place of places."""
        return with_data(matrix, readonly(np.ones(matrix.nnz, np.float32))) if self._values_are_places else matrix

    def _shared(self) -> dict[str, Any]:
        """The learned values of the ensemble that the members share."""
        shared = {name: getattr(self, name) for name in Team.SHARED}
        return {**shared, "seen_": self._matrix_of_members(), "order_": self._training_order()}

    def _fit_members(self, X: Any) -> list[Recommender]:
        rng = check_random_state(self.random_state)
        members = [clone(model) for model in self._models()]
        for member in members:
            options = member.get_params(deep=False)
            if self.random_state is not None and "random_state" in options and options["random_state"] is None:
                member.set_params(random_state=int(rng.randint(np.iinfo(np.int32).max)))
            if self.n_jobs is not None and "n_jobs" in options and options["n_jobs"] is None:
                member.set_params(n_jobs=self.n_jobs)
            member.fit(X)
        return members

    def _restore(self, *, check: bool) -> None:
        super()._restore(check=check)
        shared = self._shared()
        for member in self.members_:
            restore_member(member, shared, check=check)  # as in the fit
        self.models = [clone(member) for member in self.members_] if self.models_given_ else None

    def _is_of_members(self, who: Single) -> bool:
        """Tells whether members can be asked about a single user as they are: they leave out what the ensemble does,
        and know the history with strengths as values, none of them 0.
        """
        if any(member.excludes_seen != self.excludes_seen for member in self.members_):
            return False
        if self._values_are_places and who.history is not None:
            return False
        row = who.row(self)
        return row is None or np.count_nonzero(row.values) == len(row.values)

    def _for_members(self, audience: Audience) -> Audience:
        """An audience in the members' form: histories without zeros, and with ones in place of places."""
        if audience.given is None:
            return audience
        histories, order = audience.histories_in_order()
        return replace(audience, given=self._as_strengths(histories), order=order)

    # -- updates

    def _members_update(self) -> bool:
        """Tells whether all members can be updated; otherwise raises an AttributeError, as for a missing method."""
        for member in self._current_members():
            if not hasattr(member, "partial_fit"):
                names = type(member).__name__, type(self).__name__
                raise AttributeError("{}, a member of the {}, has no partial_fit".format(*names))
        return True

    @available_if(lambda self: self._members_update())  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Adds interactions to those of the members' fit, as `Updating.partial_fit`."""
        return super().partial_fit(X, y)

    @available_if(lambda self: self._members_update())  # type: ignore[untyped-decorator]
    def update_users(self, users: Any, histories: Any, how: How = "append") -> Self:
        """Gives users a longer or another history, as `Updating.update_users`."""
        return super().update_users(users, histories, how)

    @available_if(lambda self: self._members_update())  # type: ignore[untyped-decorator]
    def update_items(self, items: Any, histories: Any, how: How = "append") -> Self:
        """Gives items other users, as `Updating.update_items`."""
        return super().update_items(items, histories, how)

    @property
    def needs_times(self) -> bool:
        """Tells whether a member needs times."""
        return self._any_member("needs_times")

    def _update(self, change: Change) -> None:
        matrix, order = self._matrix_of_members(), self._training_order()
        members = [copy.copy(member) for member in self.members_]
        for member in members:
            member.follow(self, matrix, order, change)
        self.members_ = Team(members)
