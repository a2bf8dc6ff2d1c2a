"""Blend: several recommenders in one, with weights found on a part of the training data."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fastrec.data import Interactions
from fastrec.fields import Array, Fields
from fastrec.matrix.arrays import Codes, Floats
from fastrec.matrix.cells import cell_keys, cell_numbers
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.rows import pick_rows, spread_evenly
from fastrec.matrix.sequences import pick_order
from fastrec.models.base.asking import Rows
from fastrec.models.base.audience import Audience
from fastrec.models.base.explanation import Explaining
from fastrec.models.base.hiding import Hidden, check_validation, hidden_parts
from fastrec.models.base.item_filter import ItemFilter
from fastrec.models.base.recommender import Recommender
from fastrec.models.base.scores import DenseScores
from fastrec.models.base.tracing import Step
from fastrec.models.composed.ensemble import Ensemble, OfMembers, any_recommendable, check_members
from fastrec.models.composed.views import View, best_of, each_once, trace_ranked
from fastrec.models.composed.weighing import CUT, NOTHING, Judgement, find_weights
from fastrec.models.graph_filter import GraphFilter
from fastrec.models.implicit_als import ImplicitALS
from fastrec.options import Choice, Integer, Jobs, Options, Other, Seed
from fastrec.validation import check_number

Scores = NDArray[np.float64]

RANK_OFFSET = 60  # the offset of reciprocal ranks, as in the paper
VALIDATION_ROWS = 4000  # the number of users whose hidden items determine the weights


class Blend(Ensemble, Explaining):
    """Ranks the candidates of several recommenders together, by weights found on a part of the training data.

    Values have the meaning that each member gives them; negative ones are refused, zeros are no feedback. With s_m(u,
    i) the score of member m, and L_m(u) its list of the `candidates` best items that u has not seen, the blended score
    is

        "score":  Σ_m w_m s_m(u, i) / (max L_m(u) - min L_m(u))
        "rank":   Σ_m w_m / (60 + rank of i in L_m(u))

    The first is a weighted CombSUM of scores scaled to one range for each user (Fox, Shaw 1994); a member whose list is
    all ties does not count for that user. The second is weighted reciprocal-rank fusion (Cormack, Clarke, Büttcher
    2009); items of one score share the best of their ranks. The blend ranks the items in the list of any member with a
    weight; or, with `candidates_from`, those in that member's list, so that the others re-rank it. It also ranks items
    without users that a member knows by their features.

    Members with and without an order of events can be mixed: the blend keeps the order for those that read it. If a
    member needs an order, Interactions need times, and the values of a plain matrix are places, which the other members
    get as ones. The blend has `partial_fit` and `update_users` if all members have them; the weights do not change.

    Parameters
    ----------
    models : sequence of recommenders or None
        The members, which are copied. None: GraphFilter and ImplicitALS.
    weights : sequence of float or "auto"
        A weight of at least 0 for each member. "auto": the weights with the best NDCG@20 on a part of the training data
        that is hidden from the members, which are fitted once more for each such part.
    validation : float, function or splitter
        The part hidden for "auto". A share of at most 0.5 hides that share of each user's items, drawn at random, the
        same in each run. A function takes X and returns (train, hidden), such as `split_last`, or
        ``functools.partial(split_last, n=0.2)``: hide the last events if tastes change. A splitter works over
        interactions (`RollingTime`) or over users (`UserKFold`); all its splits count together.
    fusion : {"score", "rank"}
        The quantity to add up.
    candidates : int
        The length of the members' lists.
    candidates_from : int or None
        The number of the member that alone proposes candidates.
    random_state : int, RandomState or None
        If given, the seed of members without their own.
    n_jobs : int or None
        If given, the threads of members without their own number.

    Attributes
    ----------
    members_ : tuple of recommenders
        The fitted members.
    weights_ : ndarray of shape (n_models,)
        float64; their sum is 1.
    validation_scores_ : ndarray of shape (n_models + 1,) or None
        NDCG@20 on the hidden part: of each member alone and, last, of the blend. NaN if nothing could be hidden; then
        the weights are equal.

    Raises
    ------
    ValueError, TypeError
        In `fit`, if an option or a value of X is invalid.

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

    _own_capabilities: ClassVar[frozenset[str]] = frozenset({"explain"})
    capabilities: ClassVar[Any] = OfMembers(frozenset({"explain"}), lambda self: self._find_capabilities())
    _options: ClassVar[Options] = {
        "models": Other("sequence of recommenders", check_members, also=(None,)),
        "weights": Other("sequence of float", also=("auto",)),
        "validation": Other("float, function or splitter", check_validation),
        "fusion": Choice(("score", "rank")),
        "candidates": Integer(2, memory=True, log=True),
        "candidates_from": Integer(0, also=(None,)),
        "random_state": Seed(),
        "n_jobs": Jobs(),
    }
    _learned: ClassVar[Fields] = {
        "weights_": Array(("members",), "float64", least=0),
        "validation_scores_": Array(("members + 1",), "float64", finite=False, optional=True),
    }

    weights_: Scores
    validation_scores_: Scores | None

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

    def _fit(self, matrix: CodeMatrix, data: Interactions | None = None) -> None:
        X = self._data_of_members(matrix, data)
        if isinstance(self.weights, str):
            self.weights_, self.validation_scores_ = self._find_weights(hidden_parts(self.validation, X, matrix))
        else:
            weights = np.array(self.weights, np.float64)
            self.weights_, self.validation_scores_ = weights / weights.sum(), None
        self._adopt_members(self._fit_members(X))

    def _restore(self, *, check: bool) -> None:
        super()._restore(check=check)
        if not self.weights_.sum() > 0:
            raise ValueError("weights_ must have one above 0 among them")

    # -- scores

    def _find_recommendable(self) -> NDArray[np.bool_] | None:
        return any_recommendable([self.members_[number] for number in self._members_asked()])

    def _explains(self) -> bool:
        members = self._current_members()
        asked = self._members_asked() if "weights_" in vars(self) else range(len(members))
        return all("explain" in members[number].capabilities for number in asked)

    def _members_asked(self) -> list[int]:
        """The numbers of the members that count: those with a weight, and the one that proposes candidates."""
        alone = self.candidates_from
        return [number for number, weight in enumerate(self.weights_) if weight > 0 or number == alone]

    def _views(self, audience: Audience) -> dict[int, View]:
        audience = self._for_members(audience)
        return {number: self._view(self.members_[number], audience) for number in self._members_asked()}

    def _view(self, member: Recommender, audience: Audience) -> View:
        return View(member, replace(audience, model=member), self.candidates)

    def row_bytes(self) -> int:
        """The bytes of a row: those of all members at the same time, and those of all candidates."""
        members = [self.members_[number] for number in self._members_asked()] if hasattr(self, "members_") else []
        made: int = sum(member.row_bytes() for member in members) + 64 * self.candidates * (len(members) or 8)
        return made

    def _search(self, audience: Audience, k: int, wanted: ItemFilter) -> tuple[Codes, NDArray[np.float32]]:
        codes = np.empty((len(audience), k), np.int32)
        scores = np.empty((len(audience), k), np.float32)
        for rows in self._batches(len(audience)):
            views = self._views(audience.part(rows))
            proposed = self._propose(views, max(k, self.candidates), wanted.part(rows))
            codes[rows], scores[rows] = best_of(proposed, self._fuse(views, proposed), k)
        return codes, scores

    def _propose(self, views: Mapping[int, View], n: int, wanted: ItemFilter) -> Codes:
        """The codes of the candidates in each row, sorted, each once, -1 in between."""
        chosen = views.values() if self.candidates_from is None else [views[self.candidates_from]]
        return each_once(np.concatenate([view.best(n, wanted) for view in chosen], axis=1))

    def _fuse(self, views: Mapping[int, View], codes: Codes) -> Scores:
        """The blended scores of the codes of each row; a score of -1 has no meaning."""
        fused = np.zeros(codes.shape)
        for number, view in views.items():
            if self.weights_[number] > 0:
                fused += self.weights_[number] * self._compare(view, codes)
        return fused

    def _compare(self, view: View, codes: Codes) -> Scores:
        """The values of a member's scores of codes, of shape (n, c): in units of its list's range, or from their
        ranks.
        """
        scores = view.at(codes)
        return view.in_spans(scores) if self.fusion == "score" else 1 / (RANK_OFFSET + 1.0 + view.count_above(scores))

    def _score_pairs(self, audience: Audience, rows: Rows, items: Codes) -> Floats:
        columns = np.arange(len(rows)) - np.searchsorted(rows, rows)  # each user's pairs lie side by side
        codes = np.zeros((len(audience), 1 + columns.max()), np.int32)
        codes[rows, columns] = items
        scores: Floats = self._fuse(self._views(audience), codes)[rows, columns].astype(np.float32)
        return scores

    def scores(self, audience: Audience) -> DenseScores:
        """See `Asked.scores`: the scores of all items, for a blend that is itself a member."""
        return DenseScores(self._dense(audience))

    def _dense(self, audience: Audience) -> NDArray[np.float32]:
        every = np.broadcast_to(np.arange(self.n_features_in_, dtype=np.int32), (len(audience), self.n_features_in_))
        return self._fuse(self._views(audience), every).astype(np.float32)

    def trace_item(self, audience: Audience, item: int, k: int, wanted: ItemFilter) -> list[Step]:
        """See `Asked.trace_item`: who of the members lists it, and its place by the blended score."""
        top = self.answer(audience, max(k, self.candidates), wanted)
        if top.fallback[0]:
            return super().trace_item(audience, item, k, wanted)
        views = [(type(self.members_[number]).__name__, view) for number, view in self._views(audience).items()]
        return trace_ranked("Blend", views, item, k, wanted, top)

    def contributions(self, audience: Audience, item: int) -> Scores:
        """See `Explaining.contributions`: each member shares its part of the score as it shares its own score."""
        history, order = audience.histories_in_order()
        total = np.zeros(history.nnz)
        audience = Audience.of_histories(self, self._as_strengths(history), order=order)
        for member, weight in zip(self.members_, self.weights_, strict=True):
            if weight == 0:
                continue
            if not isinstance(member, Explaining):
                raise TypeError(f"{type(member).__name__}, a member of the Blend, cannot explain its scores")
            view = self._view(member, audience)
            part = weight * float(self._compare(view, np.array([[item]], np.int32))[0, 0])
            own = member.contributions(replace(audience, model=member), item)
            whole = own.sum()
            told = abs(whole) > 1e-6 * np.abs(own).sum()
            total += own * (part / whole) if told else part / max(len(own), 1)
        return total

    # -- weights

    def _find_weights(self, parts: Iterable[Hidden]) -> tuple[Scores, Scores]:
        """Finds the weights with the best NDCG on the hidden part, and the NDCG of each member and of the blend."""
        hiding = list(parts)
        judged = [self._judge(part, max(1, VALIDATION_ROWS // len(hiding))) for part in hiding]
        said = np.concatenate([one.said for one in judged], axis=1)
        hits, ideal = (np.concatenate(arrays) for arrays in zip(*(one[1:] for one in judged), strict=True))
        return find_weights(Judgement(said, hits, ideal))

    def _judge(self, part: Hidden, most: int) -> Judgement:
        """Fits the members without the hidden part, and returns their scores for a sample of users."""
        members = self._fit_members(part.train)
        found = np.flatnonzero((np.diff(part.hidden.indptr) > 0) & (np.diff(part.histories.indptr) > 0))
        rows = spread_evenly(found, most)
        histories, hidden = pick_rows(part.histories, rows), pick_rows(part.hidden, rows)
        order = None if part.order is None else pick_order(part.histories, part.order, rows)
        everyone = Audience.of_histories(self, histories, order=order)
        chosen = 1 if self.candidates_from is not None else len(members)
        said = np.full((len(members), len(rows), chosen * self.candidates), NOTHING, np.float32)
        hits = np.zeros(said.shape[1:], bool)
        for batch in self._batches(len(rows)):
            audience, truth = everyone.part(batch), pick_rows(hidden, batch)
            views = {number: self._view(member, audience) for number, member in enumerate(members)}
            codes = self._propose(views, self.candidates, ItemFilter(audience.seen()))
            width = codes.shape[1]  # a batch of one user has no places to spare
            for number, view in views.items():
                said[number, batch, :width] = np.where(codes >= 0, self._compare(view, codes), NOTHING)
            cells = cell_keys(np.arange(len(codes))[:, None], codes, truth.shape[1])
            hits[batch, :width] = np.isin(cells, cell_numbers(truth)) & (codes >= 0)
        return Judgement(said, hits, np.minimum(np.diff(hidden.indptr), CUT))
