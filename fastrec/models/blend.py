"""Blend: several recommenders together, their weights found on a part of the training data."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils import check_random_state

from fastrec.data import Interactions
from fastrec.models.factors import FactorRecommender
from fastrec.models.graph_filter import GraphFilter
from fastrec.models.implicit_als import ImplicitALS
from fastrec.models.persistence import Team
from fastrec.models.recommender import Allowed, Audience, Codes, Excluded, Explaining, Recommender
from fastrec.models.rows import hide_part, pick_rows, row_numbers, spread_evenly
from fastrec.parallel import effective_jobs
from fastrec.retrieval.select import select_topk
from fastrec.validation import CodeMatrix, check_choice, check_integer, check_number

Scores = NDArray[np.float64]

RANK_OFFSET = 60  # of reciprocal ranks, as in the paper
VALIDATION_ROWS = 4000  # whose hidden items the weights are found by
CUT = 20  # of the NDCG that the weights are found by
FACTORS = (0.0, 0.25, 0.5, 0.7, 0.85, 1.2, 1.5, 2.0, 4.0)  # by which one weight is changed while the others stay


class Blend(Explaining):
    """Candidates of several recommenders in one ranking, by weights found on a part of the training data.

    Values are what the members take them for; negative ones are refused, zeros are no feedback. With s_m(u, i) the
    score of member m, and L_m(u) its list of the `candidates` best items that u has not seen, the blended score is

        "score":  Σ_m w_m s_m(u, i) / (max L_m(u) - min L_m(u))
        "rank":   Σ_m w_m / (60 + rank of i in L_m(u))

    the first a weighted CombSUM of scores brought to one range for each user (Fox, Shaw 1994), the second weighted
    reciprocal-rank fusion (Cormack, Clarke, Büttcher 2009). Ranked is what is in any member's list; or, with
    `candidates_from`, what is in that one's, so that the others re-rank it.

    Parameters
    ----------
    models : sequence of recommenders or None
        The members, which are copied. None: GraphFilter and ImplicitALS.
    weights : "auto" or sequence of float
        A weight of at least 0 for each member. "auto": those with the best NDCG@20 when a fifth of each user's items
        is hidden; the members are then fitted twice, the second time with all.
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
        NDCG@20 on what was hidden: of each member alone and, last, of the blend.

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

    capabilities: ClassVar[frozenset[str]] = frozenset({"explain"})
    _learned: ClassVar[tuple[str, ...]] = ("members_", "weights_", "validation_scores_", "models_given_")
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
        fusion: str = "score",
        candidates: int = 200,
        candidates_from: int | None = None,
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.models = models
        self.weights = weights
        self.fusion = fusion
        self.candidates = candidates
        self.candidates_from = candidates_from
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _check_options(self) -> None:
        members = self._models()
        if not members:
            raise ValueError("Blend.models must have at least one recommender")
        for member in members:
            if not isinstance(member, Recommender):
                raise TypeError(f"Blend.models must be recommenders of fastrec, got {member!r}")
        if isinstance(self.weights, str):
            check_choice("Blend.weights", self.weights, ("auto",))
        else:
            weights = [check_number("Blend.weights", weight, minimum=0) for weight in self.weights]
            if len(weights) != len(members) or not sum(weights) > 0:
                raise ValueError(f"Blend.weights must be {len(members)} numbers, one above 0 among them, got {weights}")
        check_choice("Blend.fusion", self.fusion, ("score", "rank"))
        check_integer("Blend.candidates", self.candidates, minimum=2)
        if self.candidates_from is not None:
            check_integer("Blend.candidates_from", self.candidates_from, minimum=0, maximum=len(members) - 1)
        effective_jobs(self.n_jobs)

    def _models(self) -> list[Any]:
        return [GraphFilter(), ImplicitALS()] if self.models is None else list(self.models)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit the members, and find their weights.

        Parameters
        ----------
        X
            Interactions, any SciPy sparse matrix or array, or a dense array, of shape (n_users, n_items). Members get
            Interactions as they are, with times and facts about the items.
        y
            Not used; there because scikit-learn passes it.

        Returns
        -------
        The fitted model itself.
        """
        return self._learn(X, data=X if isinstance(X, Interactions) else None)

    def _fit(self, matrix: CodeMatrix, data: Interactions | None = None) -> None:
        if isinstance(self.weights, str):
            trained, hidden = hide_part(matrix)
            part: Any = trained if data is None else data.select(~_is_in(hidden, data))
            self.weights_, self.validation_scores_ = self._found(self._fitted(part), trained, hidden)
        else:
            weights = np.array(self.weights, np.float64)
            self.weights_, self.validation_scores_ = weights / weights.sum(), None
        self.members_ = Team(self._fitted(matrix if data is None else data))
        self.models_given_ = self.models is not None

    def _fitted(self, X: Any) -> list[Recommender]:
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

    def _restored(self, *, check: bool) -> None:
        super()._restored(check=check)
        if len(self.members_) != len(self.weights_):
            raise ValueError("its weights are not those of its members")
        for member in self.members_:
            for name in Team.SHARED:
                setattr(member, name, getattr(self, name))
            member._restored(check=check)
        self.models = [clone(member) for member in self.members_] if self.models_given_ else None

    # -- scores

    def _search(
        self, audience: Audience, k: int, exclude: Excluded, allowed: Allowed
    ) -> tuple[Codes, NDArray[np.float32]]:
        codes = np.empty((len(audience), k), np.int32)
        scores = np.empty((len(audience), k), np.float32)
        for rows in self._batches(len(audience)):
            excluded = pick_rows(exclude, rows) if isinstance(exclude, CodeMatrix) else exclude
            allow = pick_rows(allowed, rows) if isinstance(allowed, CodeMatrix) else allowed
            views = [View(member, audience.part(rows), self.candidates) for member in self.members_]
            proposed = self._proposed(views, max(k, self.candidates), excluded, allow)
            codes[rows], scores[rows] = _best(proposed, self._fused(views, proposed), k)
        return codes, scores

    def _proposed(self, views: Sequence["View"], n: int, exclude: Excluded, allow: Allowed) -> Codes:
        """The codes of the candidates in each row, sorted, each once, -1 in between."""
        chosen = views if self.candidates_from is None else [views[self.candidates_from]]
        return _each_once(np.concatenate([view.best(n, exclude, allow) for view in chosen], axis=1))

    def _fused(self, views: Sequence["View"], codes: Codes) -> Scores:
        """The blended scores of the codes of each row; what is said about -1 has no meaning."""
        fused = np.zeros(codes.shape)
        for view, weight in zip(views, self.weights_, strict=True):
            if weight > 0:
                fused += weight * view.compared(codes, self.fusion)
        return fused

    def _pair_scores(self, audience: Audience, items: Codes) -> NDArray[np.float32]:
        scores = np.empty(len(audience), np.float32)
        for rows in self._batches(len(audience)):
            views = [View(member, audience.part(rows), self.candidates) for member in self.members_]
            scores[rows] = self._fused(views, items[rows, None])[:, 0]
        return scores

    def _contributions(self, history: CodeMatrix, item: int) -> Scores:
        """Each member's part of the score, shared among the entries as the member's own score is."""
        total = np.zeros(history.nnz)
        audience = Audience(self, np.zeros(1, np.int64), None, history)
        for member, weight in zip(self.members_, self.weights_, strict=True):
            if weight == 0:
                continue
            if not isinstance(member, Explaining):
                raise TypeError(f"{type(member).__name__}, a member of the Blend, cannot explain its scores")
            view = View(member, audience, self.candidates)
            part = weight * float(view.compared(np.array([[item]], np.int32), self.fusion)[0, 0])
            own = np.asarray(member._contributions(history, item), np.float64)
            whole = own.sum()
            total += own * (part / whole) if abs(whole) > 1e-12 else part / max(len(own), 1)
        return total

    # -- weights

    def _found(self, members: Sequence[Recommender], trained: CodeMatrix, hidden: CodeMatrix) -> tuple[Scores, Scores]:
        """The weights with the best NDCG on what is hidden, and the NDCG of each member and of the blend."""
        found = np.flatnonzero((np.diff(hidden.indptr) > 0) & (np.diff(trained.indptr) > 0))
        rows = spread_evenly(found, VALIDATION_ROWS)
        equal = np.full(len(members), 1 / len(members))
        if not len(rows):
            return equal, np.zeros(len(members) + 1)
        parts, hits = self._validation(members, pick_rows(trained, rows), pick_rows(hidden, rows))
        ideal = np.minimum(np.diff(hidden.indptr)[rows], CUT)

        def quality(weights: Scores) -> float:
            return _ndcg(np.einsum("m,mij->ij", weights, parts), hits, ideal)

        alone = [quality(np.eye(len(members))[number]) for number in range(len(members))]
        best, weights = quality(equal), equal
        for number in range(len(members)):
            if alone[number] > best:
                best, weights = alone[number], 0.02 + 0.98 * np.eye(len(members))[number]
        for _ in range(4):
            before = best
            for number in range(len(members)):
                for factor in FACTORS:
                    tried = weights.copy()
                    tried[number] *= factor
                    if tried.sum() > 0 and quality(tried) > best:
                        best, weights = quality(tried), tried / tried.sum()
            if best <= before:
                break
        return weights / weights.sum(), np.array([*alone, quality(weights)])

    def _validation(
        self, members: Sequence[Recommender], trained: CodeMatrix, hidden: CodeMatrix
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """What each member says about the candidates of each row, of shape (m, n, c), and which of them are hidden."""
        n, chosen = trained.shape[0], 1 if self.candidates_from is not None else len(members)
        parts = np.full((len(members), n, chosen * self.candidates), -np.inf, np.float32)
        hits = np.zeros(parts.shape[1:], bool)
        warm = members[0].item_counts_ > 0
        for rows in self._batches(n):
            seen = pick_rows(trained, rows)
            audience = Audience(self, np.arange(seen.shape[0]), None, seen)
            views = [View(member, audience, self.candidates) for member in members]
            codes = self._proposed(views, self.candidates, seen, warm)
            for number, view in enumerate(views):
                parts[number, rows] = np.where(codes >= 0, view.compared(codes, self.fusion), -np.inf)
            truth = pick_rows(hidden, rows)
            width = truth.shape[1] + 1
            keys = row_numbers(truth) * width + truth.indices
            hits[rows] = np.isin(np.arange(len(codes))[:, None] * width + codes, keys) & (codes >= 0)
        return np.where(np.isfinite(parts), parts, np.float32(-1e30)), hits


class View:
    """What one member says about some users: its best items, and its scores of any.

    Parameters
    ----------
    member
        A fitted recommender.
    audience
        The users, each with a history.
    length
        The length of the member's list, which scores are compared with.
    """

    def __init__(self, member: Recommender, audience: Audience, length: int) -> None:
        self.member = member
        self.audience = Audience(member, audience.labels, audience.codes, audience.given)
        kind = type(member)
        self.vectors = self.dense = None
        if isinstance(member, FactorRecommender) and kind._search is FactorRecommender._search:
            self.vectors = member._vectors(self.audience)
        elif kind._score_batch is not Recommender._score_batch:
            self.dense = member._dense(self.audience)
        self.list = np.sort(self._best(length, self.audience.histories(), member._warm())[1], axis=1)

    def best(self, n: int, exclude: Excluded, allow: Allowed) -> Codes:
        """The codes of the member's `n` best items in each row."""
        return self._best(n, exclude, allow)[0]

    def _best(self, n: int, exclude: Excluded, allow: Allowed) -> tuple[Codes, NDArray[np.float32]]:
        if self.dense is not None:
            return select_topk(self.dense, n, exclude=exclude, allow=allow)
        if isinstance(self.member, FactorRecommender) and self.vectors is not None:
            top = self.member._index("item_factors_", "ip").search(self.vectors, n, exclude, allow=allow)
            return top.codes, top.scores
        return self.member._search(self.audience, n, exclude, allow)

    def compared(self, codes: Codes, fusion: str) -> Scores:
        """The scores of codes, of shape (n, c), in units of the list's range; or one over their rank in the list."""
        scores = self._at(np.maximum(codes, 0)).astype(np.float64)
        valid = np.isfinite(self.list)
        if fusion == "rank":
            above = np.stack(
                [len(row) - np.searchsorted(row, some, "right") for row, some in zip(self.list, scores, strict=True)]
            )
            return 1 / (RANK_OFFSET + 1.0 + above)
        last = np.where(valid, self.list, np.inf).min(axis=1, initial=np.inf)
        span = np.where(valid.any(axis=1), self.list[:, -1].astype(np.float64) - last, 0)
        return scores / np.where(span > 0, span, 1)[:, None]

    def _at(self, codes: Codes) -> NDArray[np.float32]:
        """The member's scores of codes, of shape (n, c)."""
        if self.dense is not None:
            return np.take_along_axis(self.dense, codes.astype(np.int64), axis=1)
        if self.vectors is None:
            each = self.audience.part(np.repeat(np.arange(len(codes)), codes.shape[1]))
            return self.member._pair_scores(each, codes.reshape(-1)).reshape(codes.shape)
        scores = np.empty(codes.shape, np.float32)
        factors = getattr(self.member, "item_factors_")  # noqa: B009  (a FactorRecommender's)
        for row, some in enumerate(codes):  # in float64, rounded once, as the index does
            wide = factors[some].astype(np.float64)
            scores[row] = np.einsum("ij,j->i", wide, self.vectors[row].astype(np.float64))
        return scores


def _is_in(matrix: CodeMatrix, data: Interactions) -> NDArray[np.bool_]:
    """Which events are of a pair that the matrix has."""
    keys = row_numbers(matrix) * matrix.shape[1] + matrix.indices
    return np.isin(data.user_codes.astype(np.int64) * matrix.shape[1] + data.item_codes, keys)


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
