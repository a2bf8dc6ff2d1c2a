"""Blend: several recommenders together, their weights found on a part of the training data."""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if

from fastrec.data import Interactions
from fastrec.fields import Array, Fields, Value
from fastrec.matrix.arrays import Codes, readonly
from fastrec.matrix.cells import cell_keys, cell_numbers
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.rows import pick_rows, spread_evenly, with_data
from fastrec.matrix.sequences import pick_order
from fastrec.models.base.answering import check_scores
from fastrec.models.base.asking import Asked, Rows
from fastrec.models.base.audience import Audience
from fastrec.models.base.explanation import Explaining
from fastrec.models.base.fields import Members
from fastrec.models.base.hiding import Hidden, check_validation, hidden_parts, is_in
from fastrec.models.base.item_filter import ItemFilter
from fastrec.models.base.persistence import Team, restore_member
from fastrec.models.base.recommender import Recommender
from fastrec.models.base.scores import DenseScores
from fastrec.models.base.updating import Change, How, Updating
from fastrec.models.composed.reranked import Reranked
from fastrec.models.graph_filter import GraphFilter
from fastrec.models.implicit_als import ImplicitALS
from fastrec.options import Choice, Integer, Jobs, Options, Other, Seed
from fastrec.validation import check_number

Scores = NDArray[np.float64]

RANK_OFFSET = 60  # of reciprocal ranks, as in the paper
VALIDATION_ROWS = 4000  # whose hidden items the weights are found by
CUT = 20  # of the NDCG that the weights are found by
FACTORS = (0.0, 0.25, 0.5, 0.7, 0.85, 1.2, 1.5, 2.0, 4.0)  # by which one weight is changed while the others stay
ROUNDS = 8  # over all weights, at most


def _check_members(name: str, models: Any) -> None:
    if not isinstance(models, Sequence) or isinstance(models, str):
        raise TypeError(f"{name} must be a sequence of recommenders, as [EASE(), ...], got {models!r}")
    if not models:
        raise ValueError(f"{name} must have at least one recommender")
    for member in models:
        if not isinstance(member, Recommender):
            raise TypeError(f"{name} must be recommenders of fastrec, got {member!r}")
        if isinstance(member, Reranked):
            raise TypeError(f"{name} must not be re-ranked, since it adds up scores: re-rank the Blend instead")


class _OfMembers:
    """An attribute of a class that, asked of an object, follows from the members of that."""

    def __init__(self, of_class: Any, find: Callable[[Any], Any]) -> None:
        self._of_class = of_class
        self._find = find

    def __get__(self, asked: Any, kind: type) -> Any:
        return self._of_class if asked is None else self._find(asked)


class Blend(Explaining, Updating):
    """Candidates of several recommenders in one ranking, by weights found on a part of the training data.

    Values are what the members take them for; negative ones are refused, zeros are no feedback. With s_m(u, i) the
    score of member m, and L_m(u) its list of the `candidates` best items that u has not seen, the blended score is

        "score":  Σ_m w_m s_m(u, i) / (max L_m(u) - min L_m(u))
        "rank":   Σ_m w_m / (60 + rank of i in L_m(u))

    the first a weighted CombSUM of scores brought to one range for each user (Fox, Shaw 1994; a member whose list is
    all ties says nothing about that user), the second weighted
    reciprocal-rank fusion (Cormack, Clarke, Büttcher 2009; items of one score share the best of their ranks). Ranked is
    what is in the list of any member that has a weight; or, with `candidates_from`, what is in that one's, so that the
    others re-rank it. Items that nobody has had are ranked where a member knows them by their features.

    Members that read the order of events and members that do not go together: the blend keeps the order, and hands it
    on to those that read it. Where a member needs an order, Interactions need times, and the values of a plain matrix
    are places, which the other members are given as ones. `partial_fit` and `update_users` are there where all members
    have them; the weights stay as they are.

    Parameters
    ----------
    models : sequence of recommenders or None
        The members, which are copied. None: GraphFilter and ImplicitALS.
    weights : sequence of float or "auto"
        A weight of at least 0 for each member. "auto": those with the best NDCG@20 on a part of the training data that
        is hidden from the members; these are fitted once more for each such part.
    validation : float, function or splitter
        What is hidden for "auto". A share of at most 0.5: of each user's items, drawn at random, the same in each run.
        A function that is given X and returns (train, hidden), such as `split_last`, or
        ``functools.partial(split_last, n=0.2)``: where what comes is unlike what was, hide what came last. Or a
        splitter, over interactions (`RollingTime`) or over users (`UserKFold`): its splits are weighed together.
    fusion : {"score", "rank"}
        What is added up.
    candidates : int
        The length of the members' lists.
    candidates_from : int or None
        The number of the member that alone proposes candidates.
    random_state : int, RandomState or None
        Where given, the seed of members that have none of their own.
    n_jobs : int or None
        Where given, the threads of members that do not say how many.

    Attributes
    ----------
    members_ : tuple of recommenders
        The fitted members.
    weights_ : ndarray of shape (n_models,)
        float64; their sum is 1.
    validation_scores_ : ndarray of shape (n_models + 1,) or None
        NDCG@20 on what was hidden: of each member alone and, last, of the blend. NaN where nothing could be hidden;
        weights are equal then.

    Raises
    ------
    ValueError, TypeError
        In `fit`, where an option or a value of X is not what it must be.

    References
    ----------
    Fox, Shaw: Combination of multiple searches. TREC-2, 1994. Cormack, Clarke, Büttcher: Reciprocal rank fusion
    outperforms Condorcet and individual rank learning methods. SIGIR 2009.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrec.models import PureSVD, Popularity
    >>> X = np.kron(np.eye(2), np.ones((6, 3)))
    >>> X[0, 0] = 0
    >>> model = Blend([PureSVD(factors=2, random_state=0), Popularity()], weights=[0.9, 0.1]).fit(X)
    >>> int(model.recommend(0, k=1).codes[0, 0])
    0
    """

    capabilities: ClassVar[Any] = _OfMembers(frozenset({"explain"}), lambda self: self._find_capabilities())
    reads_order: ClassVar[Any] = _OfMembers(False, lambda self: self._any_member("reads_order"))
    needs_order: ClassVar[Any] = _OfMembers(False, lambda self: self._any_member("needs_order"))
    takes_new_items: ClassVar[Any] = _OfMembers(True, lambda self: self._all_members("takes_new_items"))
    _options: ClassVar[Options] = {
        "models": Other("sequence of recommenders", _check_members, also=(None,)),
        "weights": Other("sequence of float", also=("auto",)),
        "validation": Other("float, function or splitter", check_validation),
        "fusion": Choice(("score", "rank")),
        "candidates": Integer(2, memory=True, log=True),
        "candidates_from": Integer(0, also=(None,)),
        "random_state": Seed(),
        "n_jobs": Jobs(),
    }
    _learned: ClassVar[Fields] = {
        "members_": Members("members"),
        "weights_": Array(("members",), "float64", least=0),
        "validation_scores_": Array(("members + 1",), "float64", finite=False, optional=True),
        "models_given_": Value(bool),
    }
    _rebuilt_options: ClassVar[frozenset[str]] = frozenset({"models"})

    members_: Team
    weights_: Scores
    validation_scores_: Scores | None
    models_given_: bool

    def __init__(
        self,
        models: Sequence[Any] | None = None,
        *,
        weights: str | Sequence[float] = "auto",
        validation: Any = 0.2,
        fusion: str = "score",
        candidates: int = 200,
        candidates_from: int | None = None,
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.models = models
        self.weights = weights
        self.validation = validation
        self.fusion = fusion
        self.candidates = candidates
        self.candidates_from = candidates_from
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _check_options(self) -> None:
        super()._check_options()
        name, n = type(self).__name__, len(self._models())
        Integer(0, n - 1, also=(None,)).check(f"{name}.candidates_from", self.candidates_from)
        if isinstance(self.weights, str) and self.weights == "auto":
            return
        if isinstance(self.weights, str) or not np.iterable(self.weights):
            raise TypeError(f'{name}.weights must be "auto" or {n} numbers, got {self.weights!r}')
        weights = [check_number(f"{name}.weights", weight, minimum=0) for weight in self.weights]
        if len(weights) != n or not sum(weights) > 0:
            raise ValueError(f"{name}.weights must be {n} numbers, one above 0 among them, got {weights}")

    def _models(self) -> list[Any]:
        return [GraphFilter(), ImplicitALS()] if self.models is None else list(self.models)

    def _current_members(self) -> Sequence[Recommender]:
        """The members where the blend is fitted, else the models that it will fit copies of."""
        return vars(self).get("members_") or self._models()

    def _any_member(self, name: str) -> bool:
        return any(getattr(member, name, False) for member in self._current_members())

    @property
    def fades(self) -> bool:
        """See `Answering.fades`: as one of the members does."""
        return self._any_member("fades")

    def _all_members(self, name: str) -> bool:
        return all(getattr(member, name, True) for member in self._current_members())

    def _find_capabilities(self) -> frozenset[str]:
        updating = all("partial_fit" in member.capabilities for member in self._current_members())
        return frozenset({"explain"}) | (Updating.capabilities if updating else frozenset())

    def _adopt(self, X: Any) -> None:
        self.__dict__.pop("members_", None)  # of another fit: the models that are fitted now say what is read
        super()._adopt(X)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit the members, and find their weights.

        Parameters
        ----------
        X
            Interactions, any SciPy sparse matrix or array, or a dense array, of shape (n_users, n_items). Members, and
            what hides a part of it, get Interactions as they are, with times and facts about the items.
        y
            Not used; there because scikit-learn passes it.

        Returns
        -------
        The fitted model itself.
        """
        return self._learn(X, data=X if isinstance(X, Interactions) else None)

    def _fit(self, matrix: CodeMatrix, data: Interactions | None = None) -> None:
        if data is None and self.needs_order:
            data = self._as_events()
        if data is not None and matrix is not self.seen_:  # zeros are no feedback, for no member
            data = data.select(is_in(matrix, data))
        if data is not None and data.duplicates is None and data.n_repeated:
            data = data._replace(duplicates=self.duplicates_)  # as the blend's own, which says it
        X = matrix if data is None else data
        if isinstance(self.weights, str):
            self.weights_, self.validation_scores_ = self._find_weights(hidden_parts(self.validation, X, matrix))
        else:
            weights = np.array(self.weights, np.float64)
            self.weights_, self.validation_scores_ = weights / weights.sum(), None
        self.members_ = Team(self._fit_members(X))
        for member in self.members_:
            vars(member).update(self._shared())
            member.clear_derived()
        self.models_given_ = self.models is not None

    def _as_events(self) -> Interactions:
        """The matrix that the members learn from as Interactions, its order as their times."""
        order = self._training_order()
        assert order is not None
        return Interactions.from_matrix(self._matrix_of_members())._replace(times=order.astype(np.int64))

    def _matrix_of_members(self) -> CodeMatrix:
        """What the members learn from: without zeros, and ones where values are places."""
        return self._as_strengths(self._training)

    def _as_strengths(self, matrix: CodeMatrix) -> CodeMatrix:
        """Rows of the training data, or histories; ones where their values are places."""
        return with_data(matrix, readonly(np.ones(matrix.nnz, np.float32))) if self._values_are_places else matrix

    def _shared(self) -> dict[str, Any]:
        """What the members have of the whole."""
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
        if not self.weights_.sum() > 0:
            raise ValueError("weights_ must have one above 0 among them")
        shared = self._shared()
        for member in self.members_:
            restore_member(member, shared, check=check)  # as in the fit
        self.models = [clone(member) for member in self.members_] if self.models_given_ else None

    # -- scores

    def _find_recommendable(self) -> NDArray[np.bool_] | None:
        masks = [self.members_[number].recommendable_items() for number in self._members_asked()]
        if any(mask is None for mask in masks):
            return None
        warm: NDArray[np.bool_] = np.any(masks, axis=0)
        return None if warm.all() else warm

    def _members_asked(self) -> list[int]:
        """The numbers of the members that say anything: those with a weight, and the one that proposes."""
        alone = self.candidates_from
        return [number for number, weight in enumerate(self.weights_) if weight > 0 or number == alone]

    def _views(self, audience: Audience) -> dict[int, "View"]:
        if audience.given is not None:
            histories, order = audience.histories_in_order()
            audience = replace(audience, given=self._as_strengths(histories), order=order)
        return {number: self._view(self.members_[number], audience) for number in self._members_asked()}

    def _view(self, member: Recommender, audience: Audience) -> "View":
        return View(member, replace(audience, model=member), self.candidates)

    def row_bytes(self) -> int:
        """What the members make, which is there at once, and what is said about the candidates of all of them."""
        members = [self.members_[number] for number in self._members_asked()] if hasattr(self, "members_") else []
        made: int = sum(member.row_bytes() for member in members) + 64 * self.candidates * (len(members) or 8)
        return made

    def _search(self, audience: Audience, k: int, wanted: ItemFilter) -> tuple[Codes, NDArray[np.float32]]:
        codes = np.empty((len(audience), k), np.int32)
        scores = np.empty((len(audience), k), np.float32)
        for rows in self._batches(len(audience)):
            views = self._views(audience.part(rows))
            proposed = self._propose(views, max(k, self.candidates), wanted.part(rows))
            codes[rows], scores[rows] = _best(proposed, self._fuse(views, proposed), k)
        return codes, scores

    def _propose(self, views: Mapping[int, "View"], n: int, wanted: ItemFilter) -> Codes:
        """The codes of the candidates in each row, sorted, each once, -1 in between."""
        chosen = views.values() if self.candidates_from is None else [views[self.candidates_from]]
        return _each_once(np.concatenate([view.best(n, wanted) for view in chosen], axis=1))

    def _fuse(self, views: Mapping[int, "View"], codes: Codes) -> Scores:
        """The blended scores of the codes of each row; what is said about -1 has no meaning."""
        fused = np.zeros(codes.shape)
        for number, view in views.items():
            if self.weights_[number] > 0:
                fused += self.weights_[number] * view.compare(codes, self.fusion)
        return fused

    def pair_scores(self, audience: Audience, rows: Rows, items: Codes) -> NDArray[np.float32]:
        """See `Asked.pair_scores`."""
        scores = np.empty(len(items), np.float32)
        for part, places, own in self._batches_of_pairs(audience, rows):
            columns = np.arange(len(own)) - np.searchsorted(own, own)  # each user's pairs side by side
            codes = np.zeros((len(part), 1 + columns.max()), np.int32)
            codes[own, columns] = items[places]
            scores[places] = self._fuse(self._views(part), codes)[own, columns]
        return scores

    def scores(self, audience: Audience) -> DenseScores:
        """See `Asked.scores`: of all items, which is what a blend asks of a member that is one itself."""
        return DenseScores(self._dense(audience))

    def _dense(self, audience: Audience) -> NDArray[np.float32]:
        every = np.broadcast_to(np.arange(self.n_features_in_, dtype=np.int32), (len(audience), self.n_features_in_))
        return self._fuse(self._views(audience), every).astype(np.float32)

    def contributions(self, audience: Audience, item: int) -> Scores:
        """See `Explaining.contributions`: each member's part of the score, shared as the member shares its own."""
        history, order = audience.histories_in_order()
        total = np.zeros(history.nnz)
        audience = Audience.of_histories(self, self._as_strengths(history), order=order)
        for member, weight in zip(self.members_, self.weights_, strict=True):
            if weight == 0:
                continue
            if not isinstance(member, Explaining):
                raise TypeError(f"{type(member).__name__}, a member of the Blend, cannot explain its scores")
            view = self._view(member, audience)
            part = weight * float(view.compare(np.array([[item]], np.int32), self.fusion)[0, 0])
            own = member.contributions(replace(audience, model=member), item)
            whole = own.sum()
            told = abs(whole) > 1e-6 * np.abs(own).sum()
            total += own * (part / whole) if told else part / max(len(own), 1)
        return total

    # -- updates

    def _members_update(self) -> bool:
        """Whether all members can be updated; else an AttributeError, as for a method that is not there."""
        for member in self._current_members():
            if "partial_fit" not in member.capabilities:
                raise AttributeError(f"{type(member).__name__}, a member of the Blend, has no partial_fit")
        return True

    @available_if(lambda self: self._members_update())  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Add interactions to those that the members were fitted with, as `Updating.partial_fit`."""
        return super().partial_fit(X, y)

    @available_if(lambda self: self._members_update())  # type: ignore[untyped-decorator]
    def update_users(self, users: Any, histories: Any, how: How = "append") -> Self:
        """Give users a longer or another history, as `Updating.update_users`."""
        return super().update_users(users, histories, how)

    @available_if(lambda self: self._members_update())  # type: ignore[untyped-decorator]
    def update_items(self, items: Any, histories: Any, how: How = "append") -> Self:
        """Give items other users, as `Updating.update_items`."""
        return super().update_items(items, histories, how)

    @property
    def needs_times(self) -> bool:
        """As one of the members does."""
        return self._any_member("needs_times")

    def _update(self, change: Change) -> None:
        matrix, order = self._matrix_of_members(), self._training_order()
        members = [copy.copy(member) for member in self.members_]
        for member in members:
            member.follow(self, matrix, order, change)
        self.members_ = Team(members)

    # -- weights

    def _find_weights(self, parts: Iterable[Hidden]) -> tuple[Scores, Scores]:
        """The weights with the best NDCG on what is hidden, and the NDCG of each member and of the blend."""
        hiding = list(parts)
        judged = [self._judge(part, max(1, VALIDATION_ROWS // len(hiding))) for part in hiding]
        said = np.concatenate([one.said for one in judged], axis=1)
        hits, ideal = (np.concatenate(arrays) for arrays in zip(*(one[1:] for one in judged), strict=True))
        n = len(said)
        if not len(ideal):
            return np.full(n, 1 / n), np.full(n + 1, np.nan)

        def quality(weights: Scores) -> float:
            return _ndcg(np.einsum("m,mij->ij", weights.astype(np.float32), said), hits, ideal)

        alone = [quality(weights) for weights in np.eye(n)]
        starts = [np.full(n, 1 / n), 0.02 + 0.98 * np.eye(n)[int(np.argmax(alone))]]
        best, weights = max(((quality(start), start) for start in starts), key=lambda found: found[0])
        for _ in range(ROUNDS):
            before = best
            for number in range(n):
                for factor in FACTORS:
                    tried = weights.copy()
                    tried[number] *= factor
                    if tried.sum() > 0 and (found := quality(tried)) > best:
                        best, weights = found, tried / tried.sum()
            if best <= before:
                break
        if max(alone) > best:
            weights = np.eye(n)[int(np.argmax(alone))]
        weights = weights / weights.sum()
        return weights, np.array([*alone, quality(weights)])

    def _judge(self, part: Hidden, most: int) -> "Judgement":
        """The members fitted without what is hidden, and what they say about it to at most so many users."""
        members = self._fit_members(part.train)
        found = np.flatnonzero((np.diff(part.hidden.indptr) > 0) & (np.diff(part.histories.indptr) > 0))
        rows = spread_evenly(found, most)
        histories, hidden = pick_rows(part.histories, rows), pick_rows(part.hidden, rows)
        order = None if part.order is None else pick_order(part.histories, part.order, rows)
        everyone = Audience.of_histories(self, histories, order=order)
        chosen = 1 if self.candidates_from is not None else len(members)
        said = np.full((len(members), len(rows), chosen * self.candidates), -1e30, np.float32)
        hits = np.zeros(said.shape[1:], bool)
        for batch in self._batches(len(rows)):
            audience, truth = everyone.part(batch), pick_rows(hidden, batch)
            views = {number: self._view(member, audience) for number, member in enumerate(members)}
            codes = self._propose(views, self.candidates, ItemFilter(audience.seen()))
            for number, view in views.items():
                said[number, batch] = np.where(codes >= 0, view.compare(codes, self.fusion), -1e30)
            cells = cell_keys(np.arange(len(codes))[:, None], codes, truth.shape[1])
            hits[batch] = np.isin(cells, cell_numbers(truth)) & (codes >= 0)
        return Judgement(said, hits, np.minimum(np.diff(hidden.indptr), CUT))


class Judgement(NamedTuple):
    """What m members say to n users about c candidates each.

    Parameters
    ----------
    said
        Comparable scores, float32, of shape (m, n, c).
    hits
        Which candidates are hidden items, of shape (n, c).
    ideal
        How many hits the best list of each user has, of shape (n,).
    """

    said: NDArray[np.float32]
    hits: NDArray[np.bool_]
    ideal: NDArray[np.int64]


class View:
    """What one member says about some users: its best items, and how any items compare with these.

    Parameters
    ----------
    member
        A fitted recommender.
    audience
        The users, each with a history.
    length
        The length of the member's list, which scores are compare with.
    """

    def __init__(self, member: Asked, audience: Audience, length: int) -> None:
        self.scores = member.scores(audience)
        self.open = ItemFilter(allow=member.recommendable_items())
        best = self.scores.best(length, self.open._replace(exclude=audience.histories()))[1]
        self.list = np.sort(best, axis=1)
        check_scores(self.list)

    def best(self, n: int, wanted: ItemFilter) -> Codes:
        """The codes of the member's `n` best items in each row, of those that it can recommend at all."""
        return self.scores.best(n, wanted.within(self.open.allow))[0]

    def compare(self, codes: Codes, fusion: str) -> Scores:
        """The scores of codes, of shape (n, c), in units of the list's range; or one over their rank in the list."""
        scores = self.scores.at(np.maximum(codes, 0)).astype(np.float64)
        valid = np.isfinite(self.list)
        if fusion == "rank":
            above = np.stack(
                [len(row) - np.searchsorted(row, some, "right") for row, some in zip(self.list, scores, strict=True)]
            )
            return 1 / (RANK_OFFSET + 1.0 + above)
        last = np.where(valid, self.list, np.inf).min(axis=1, initial=np.inf)
        span = np.where(valid.any(axis=1), self.list[:, -1].astype(np.float64) - last, 0)
        return scores / np.where(span > 0, span, np.inf)[:, None]


def _each_once(codes: Codes) -> Codes:
    """The codes of each row, sorted, with -1 in place of the second and later of the same."""
    codes = np.sort(codes, axis=1)
    codes[:, 1:][codes[:, 1:] == codes[:, :-1]] = -1
    return codes


def _best(codes: Codes, scores: Scores, k: int) -> tuple[Codes, NDArray[np.float32]]:
    """The `k` best of each row, ties by code; codes below 0 are nothing."""
    rounded = np.where(codes >= 0, scores, -np.inf).astype(np.float32)
    order = np.lexsort((codes, -rounded), axis=1)[:, :k]
    best, values = np.take_along_axis(codes, order, axis=1), np.take_along_axis(rounded, order, axis=1)
    short = k - best.shape[1]
    if short > 0:
        best = np.pad(best, ((0, 0), (0, short)), constant_values=-1)
        values = np.pad(values, ((0, 0), (0, short)), constant_values=-np.inf)
    return np.where(np.isfinite(values), best, -1).astype(np.int32), values


def _ndcg(scores: NDArray[np.float32], hits: NDArray[np.bool_], ideal: NDArray[np.int64]) -> float:
    """The mean NDCG of the `CUT` best of each row, `ideal` hits being possible."""
    cut = min(CUT, scores.shape[1])
    top = np.argpartition(-scores, cut - 1, axis=1)[:, :cut]
    order = np.argsort(-np.take_along_axis(scores, top, axis=1), axis=1, kind="stable")
    found = np.take_along_axis(hits, np.take_along_axis(top, order, axis=1), axis=1)
    discounts = 1 / np.log2(np.arange(CUT) + 2)
    return float(np.mean(found @ discounts[:cut] / np.cumsum(discounts)[ideal - 1]))
