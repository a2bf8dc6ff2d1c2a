"""TwoStage: candidates of several recommenders, ordered by a ranker that learns from features."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from fastrec.data import Interactions
from fastrec.fields import Array, Fields, Sizes, Value
from fastrec.kernels.trees import Splits, Trees
from fastrec.matrix.arrays import Codes, Floats
from fastrec.matrix.code_matrix import CodeMatrix, drop_zeros
from fastrec.matrix.rows import pick_rows, spread_evenly
from fastrec.matrix.sequences import HistoryRow, pick_order
from fastrec.models.base.asking import Rows
from fastrec.models.base.asking import Scores as SaidScores
from fastrec.models.base.audience import Audience, find_audience
from fastrec.models.base.derived import Key
from fastrec.models.base.fields import Arrays
from fastrec.models.base.hiding import Hidden, check_validation, hidden_parts
from fastrec.models.base.item_filter import ItemFilter
from fastrec.models.base.items import encode_items
from fastrec.models.base.recommender import Recommender
from fastrec.models.base.scores import SearchedScores
from fastrec.models.base.single import Single
from fastrec.models.base.tracing import Step
from fastrec.models.base.updating import Change
from fastrec.models.composed.ensemble import Ensemble, check_members
from fastrec.models.composed.views import best_of, trace_ranked
from fastrec.models.composed.weighing import find_weights
from fastrec.models.graph_filter import GraphFilter
from fastrec.models.implicit_als import ImplicitALS
from fastrec.models.neighbors import ItemKNN
from fastrec.models.ranking.automatic import choose_features
from fastrec.models.ranking.candidates import Asking, ask_members, scatter
from fastrec.models.ranking.facts import column_of
from fastrec.models.ranking.feature import Feature, rebuild_feature
from fastrec.models.ranking.forest import (
    Forest,
    UnreadableRankerError,
    check_trees,
    find_splits,
    read_forest,
    score_columns,
    trace_row,
)
from fastrec.models.ranking.leaks import check_aggregates, warn_of_split_last, warn_of_totals
from fastrec.models.ranking.pairs import Column, Known, Pairs
from fastrec.models.ranking.ranker import BOOSTING, ask_ranker, check_ranker, fit_ranker
from fastrec.models.ranking.reasons import Reasons
from fastrec.models.ranking.scores import name_members
from fastrec.models.ranking.windows import Lists, apart, choose_validation, join_lists, make_lists, warn_of_few_labels
from fastrec.options import Integer, Jobs, Options, Other, Seed, check_options
from fastrec.retrieval.filters import NO_CODES
from fastrec.retrieval.select import select_one

Numbers = NDArray[np.float64]

FEATURES = 40  # the expected number of features of a pair, before it is known
WEIGHED = 1000  # lists from which the weights of the blend are found
SPLITS: Key[Splits | None] = Key("splits")
PARTS = tuple(f"tree_{name}_" for name in Trees._fields)


def _check_features(name: str, features: Any) -> None:
    if isinstance(features, str) or not isinstance(features, Sequence) or not features:
        raise TypeError(f'{name} must be "auto" or a sequence of features, as [Scores(), ...], got {features!r}')
    for feature in features:
        if not isinstance(feature, Feature):
            raise TypeError(f"{name} must be features of fastrec.models.ranking or your own Feature, got {feature!r}")
        check_options(feature)


class TwoStage(Ensemble):
    """Ranks the candidates of several recommenders with a ranker that learns from features of user and item.

    Each member lists its `candidates` best items that the user has not seen. All listed items are ranked by the
    members' scores and by other facts: the popularity and age of items, the user's activity, and facts about items. The
    ranker learns from windows of labels. For each window, new members and features are fitted with the events before
    its cut, and the candidates that users took after it are the hits. Later events cannot leak: hits that no member
    lists are not added, and users without a history, who are answered by popularity, are left out.

    The last window (or every other user of a single one) compares a ranker that learned from the rest with each member
    and a `Blend` of them. If the ranker is not better, the best of them answers.

    Values have the meaning that each member gives them; negative ones are refused, zeros are no feedback. The model has
    `partial_fit` and `update_users` if all members have them. They update the members and the features that need no
    times, and leave the ranker unchanged.

    Parameters
    ----------
    models : sequence of recommenders or None
        The members, which are copied. None: ItemKNN, GraphFilter and ImplicitALS.
    ranker : estimator or "boosting" or None
        "boosting": trees of scikit-learn's HistGradientBoosting, with the softmax cross-entropy of lists. Or any
        estimator with `fit` and `predict`, such as LightGBM's LGBMRanker and XGBoost's XGBRanker, which get the lists.
        None is the ranker of a loaded model that is not built in: a file holds its trees alone.
    validation : float, function or splitter or None
        The part hidden for the labels, as in `Blend`: each split of a splitter is a window. None: with times three
        windows, each of a tenth of all events (``RollingTime(3, share=0.1)``); without times a fifth of each user's
        items.
    candidates : int
        The length of the members' lists.
    features : sequence of features or "auto"
        The features of pairs. "auto": `Scores`, `Counts`, `Activity`, with times `RecentScores`, and of
        `item_info` `Facts` of numbers, `Affinity` of up to 128 categories, and `CategoryCounts` of more.
    max_users : int
        The largest number of users whose lists the ranker learns from in each window.
    aggregates : sequence of str
        Columns of `item_info` to leave out: present totals, such as numbers of ratings, which leak to each window what
        came after it. A column that looks like one gets a warning.
    random_state : int, RandomState or None
        The seed of the ranker, and of members without their own.
    n_jobs : int or None
        If given, the threads of members without their own number.

    Attributes
    ----------
    members_ : tuple of recommenders
        The fitted members.
    ranker_scores_ : ndarray of shape (n_models + 2,)
        NDCG@20 on the part for comparison: of each member alone, of the blend, and last of the ranker. NaN if nothing
        could be hidden or learned.
    ranker_score_names_ : list of str
        Their names: the members by their classes, "Blend" and "ranker".
    uses_ranker_ : bool
        Whether the ranker answers; otherwise `weights_` do.
    weights_ : ndarray of shape (n_models,)
        float64: the weights of the members in the blend, or 1 for the one that answers.
    feature_names_ : list of str
        The names of the features.
    feature_importances_ : ndarray of shape (n_features,)
        The importance of each feature in the trees, with sum 1; zeros if the ranker does not answer, or its trees
        cannot be read.

    Raises
    ------
    ValueError, TypeError
        In `fit`, if an option or a value of X is invalid, or a named column is missing. In `save`, if the ranker has no
        trees that a file can hold.

    Warns
    -----
    LeakWarning
        If labels or facts leak the future.
    UserWarning
        If too few users have a label and a history before it, so that there is nothing to learn a ranker from.

    References
    ----------
    Covington, Adams, Sargin: Deep neural networks for YouTube recommendations. RecSys 2016. Cao et al.: Learning to
    rank: from pairwise approach to listwise approach. ICML 2007. Bruch: An alternative cross entropy loss for
    learning-to-rank. WWW 2021.

    Examples
    --------
    >>> X = np.kron(np.eye(2), np.ones((20, 6))) * (np.arange(40)[:, None] % 5 != np.arange(12) % 5)
    >>> model = TwoStage(random_state=0).fit(X)
    >>> int(model.recommend(0, k=1).codes[0, 0]) < 6
    True
    """

    reads_order: ClassVar[bool] = True
    _options: ClassVar[Options] = {
        "models": Other("sequence of recommenders", check_members, also=(None,)),
        "ranker": Other("estimator", check_ranker, also=(BOOSTING, None)),
        "validation": Other("float, function or splitter", check_validation, also=(None,)),
        "candidates": Integer(2, memory=True, log=True),
        "features": Other("sequence of features", _check_features, also=("auto",)),
        "max_users": Integer(1, memory=True),
        "aggregates": Other("sequence of str", check_aggregates),
        "random_state": Seed(),
        "n_jobs": Jobs(),
    }
    reads_others: ClassVar[bool] = True
    _learned: ClassVar[Fields] = {
        "weights_": Array(("members",), "float64", least=0),
        "ranker_scores_": Array(("members + 2",), "float64", finite=False),
        "uses_ranker_": Value(bool),
        "feature_names_": Value(list),
        "feature_importances_": Array(("n_ranked",), "float64", least=0, most=1),
        "feature_records_": Value(list),
        "feature_arrays_": Arrays(),
        "features_given_": Value(bool),
        "boosting_": Value(bool),
        "tree_starts_": Array(("trees",), "int64", least=0, below="nodes", optional=True),
        "tree_depths_": Array(("trees",), "int32", least=0, optional=True),
        "tree_features_": Array(("nodes",), "int32", least=0, below="n_ranked", optional=True),
        "tree_thresholds_": Array(("nodes",), "float64", finite=False, optional=True),
        "tree_missing_left_": Array(("nodes",), "uint8", most=1, optional=True),
        "tree_lefts_": Array(("nodes",), "int32", least=0, below="nodes", optional=True),
        "tree_values_": Array(("nodes",), "float64", optional=True),
    }
    _rebuilt_options: ClassVar[frozenset[str]] = frozenset({"models", "ranker", "features"})

    weights_: Numbers
    ranker_scores_: Numbers
    uses_ranker_: bool
    feature_names_: list[str]
    feature_importances_: Numbers
    feature_records_: list[Any]
    feature_arrays_: Mapping[str, NDArray[Any]]
    features_given_: bool
    boosting_: bool
    features_: tuple[Feature, ...]

    def __init__(
        self,
        models: Sequence[Any] | None = None,
        *,
        ranker: Any = BOOSTING,
        validation: Any = None,
        candidates: int = 100,
        features: Any = "auto",
        max_users: int = 2000,
        aggregates: Sequence[str] = (),
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.models = models
        self.ranker = ranker
        self.validation = validation
        self.candidates = candidates
        self.features = features
        self.max_users = max_users
        self.aggregates = aggregates
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _models(self) -> list[Any]:
        return [ItemKNN(), GraphFilter(), ImplicitALS()] if self.models is None else list(self.models)

    # -- learning

    def _fit(self, matrix: CodeMatrix, data: Interactions | None = None) -> None:
        if self.ranker is None:
            raise ValueError(
                "TwoStage was loaded from a file, which holds only the trees of its ranker: give ranker= to fit it"
            )
        X = self._data_of_members(matrix, data)
        for column in self.aggregates:
            column_of(self.item_info_ or {}, column, "TwoStage.aggregates")
        warn_of_split_last(self.validation)
        warn_of_totals(self._facts(), self.item_counts_)
        validation = choose_validation(data) if self.validation is None else self.validation
        chosen = self._choose_features(X)
        labelled = [list(self._label(part, chosen)) for part in hidden_parts(validation, X, matrix)]
        self._adopt_members(self._fit_members(X))
        known = self._known(X, self.members_)
        self._adopt_features(tuple(copy.copy(feature).fit(known) for feature in chosen))
        self._learn_to_rank([join_lists(batches) for batches in labelled if batches])

    def _facts(self) -> dict[str, NDArray[Any]]:
        """The facts about the items, without the named totals."""
        info = self.item_info_ or {}
        return {column: values for column, values in info.items() if column not in self.aggregates}

    def _choose_features(self, X: Any) -> list[Feature]:
        if not isinstance(self.features, str):
            return [copy.copy(feature) for feature in self.features]
        return choose_features(self._facts(), self._has_times(X))

    def _has_times(self, X: Any) -> bool:
        """Tells whether there are times, rather than places in the rows of a matrix."""
        return isinstance(X, Interactions) and X.times is not None and not self._values_are_places

    def _known(self, X: Any, members: Sequence[Recommender]) -> Known:
        matrix = drop_zeros(members[0].seen_)
        return Known(matrix, X if self._has_times(X) else None, self._facts(), members)

    def _adopt_features(self, features: tuple[Feature, ...]) -> None:
        self.features_ = features
        self.boosting_, self.features_given_ = isinstance(self.ranker, str), not isinstance(self.features, str)
        self.feature_records_ = [feature.describe() for feature in features]
        self.feature_arrays_ = {
            f"{number}/{name}": np.ascontiguousarray(array)
            for number, feature in enumerate(features)
            for name, array in feature.learned().items()
        }
        self.feature_names_ = [name for feature in features for name in feature.names_]

    def _label(self, part: Hidden, chosen: Sequence[Feature]) -> Iterator[Lists]:
        """Makes labelled lists of candidates from the visible part, a batch of users at a time."""
        members = self._fit_members(part.train)
        known = self._known(part.train, members)
        features = tuple(copy.copy(feature).fit(known) for feature in chosen)
        found = np.flatnonzero((np.diff(part.hidden.indptr) > 0) & (np.diff(part.histories.indptr) > 0))
        rows = spread_evenly(found, self.max_users)
        order = None if part.order is None else pick_order(part.histories, part.order, rows)
        everyone = Audience.of_histories(self, pick_rows(part.histories, rows), order=order)
        codes_of = rows.astype(np.int32) if part.of_training_users else None
        for batch in self._batches(len(rows)):
            users = None if codes_of is None else codes_of[batch]
            asking = self._ask(members, everyone.part(batch), users)
            codes = asking.propose(self.candidates, ItemFilter(asking.histories))
            pairs = asking.describe(codes)
            columns = describe_pairs(features, pairs)
            yield make_lists(codes, pairs, columns, pick_rows(part.hidden, rows[batch]))

    def _learn_to_rank(self, windows: Sequence[Lists]) -> None:
        """Sets the weights of the members and the ranker, and chooses which of them answers, by the hidden part."""
        n = len(self.members_)
        self.ranker_scores_, self.weights_, self.uses_ranker_ = np.full(n + 2, np.nan), np.full(n, 1 / n), False
        self._adopt_forest(None)
        if not windows:
            return warn_of_few_labels()
        whole = join_lists(windows)
        self.weights_, _ = find_weights(whole.pick(spread_evenly(np.arange(len(whole.there)), WEIGHED)).judged)
        taught, judged = apart(windows)
        if not len(judged.there):
            return warn_of_few_labels()
        said = judged.judged.said[:, judged.there]
        alone = [judged.quality(weights @ said) for weights in np.eye(n)]
        self.ranker_scores_[:-1] = [*alone, judged.quality(self.weights_ @ said)]
        if taught.can_teach():
            self._take_ranker(self._teach(taught))
            self.ranker_scores_[-1] = judged.quality(self._ask_ranker(judged.columns))
        best = int(np.argmax(np.nan_to_num(self.ranker_scores_[::-1], nan=-1)))  # the later one of equal ones
        self.uses_ranker_ = best == 0
        if self.uses_ranker_:
            self._take_ranker(self._teach(whole))
            return
        self._adopt_forest(None)
        if best > 1:
            self.weights_ = np.eye(n)[n + 1 - best]

    @property
    def ranker_score_names_(self) -> list[str]:
        """The names of `ranker_scores_`: the members by their classes, "Blend" and "ranker"."""
        return [*name_members(self.members_), "Blend", "ranker"]

    def choice_in_words(self) -> str:
        """See `Answering.choice_in_words`: the ranker, a member, or all of them together, and their scores."""
        names, scores = self.ranker_score_names_, self.ranker_scores_
        if np.isnan(scores[0]):
            return "the members together, since too few users have a label and a history before it"
        alone = np.flatnonzero(self.weights_)
        best = names[-1] if self.uses_ranker_ else names[-2] if len(alone) > 1 else names[alone[0]]
        said = ", ".join(f"{name} {score:.4f}" for name, score in zip(names, scores, strict=True))
        return f"{best}; NDCG@20 on the hidden part: {said}"

    def _teach(self, lists: Lists) -> Any:
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        if isinstance(self.ranker, str):  # its loss says nothing of the others
            lists = lists.with_hits()
        return fit_ranker(self.ranker, seed, lists.columns, lists.labels, lists.sizes)

    def _take_ranker(self, ranker: Any) -> None:
        """Sets the ranker that answers: its trees, or the ranker itself if they cannot be read."""
        try:
            self._adopt_forest(read_forest(ranker, len(self.feature_names_)))
        except UnreadableRankerError as error:
            self.ranker_, self.unreadable_ = ranker, str(error)

    def _adopt_forest(self, forest: Forest | None) -> None:
        for name in ("ranker_", "unreadable_"):
            self.__dict__.pop(name, None)
        for name, array in zip(PARTS, forest.trees if forest else [None] * len(PARTS), strict=True):
            setattr(self, name, array)
        self.clear_derived()
        self.feature_importances_ = forest.importances if forest else np.zeros(len(self.feature_names_))

    @property
    def _trees(self) -> Trees | None:
        parts = [getattr(self, name) for name in PARTS]
        return None if parts[0] is None else Trees(*parts)

    # -- answers

    @property
    def fades(self) -> bool:
        """See `Answering.fades`: true if a member fades, or a feature of the ranker reads the order of a history."""
        reads_order = vars(self).get("uses_ranker_", False) and any(feature.reads_order for feature in self.features_)
        return super().fades or reads_order

    def row_bytes(self) -> int:
        """See `Asked.row_bytes`: the members' bytes, and the features of all candidates."""
        members = vars(self).get("members_", ())
        made: int = sum(member.row_bytes() for member in members) or 4 * self.n_features_in_
        pairs = self.candidates * len(self._current_members())
        n_features = len(self.feature_names_) if "feature_names_" in vars(self) else FEATURES
        return made + 16 * pairs * (8 + n_features)

    def _ask(self, members: Sequence[Recommender], audience: Audience, users: Codes | None) -> Asking:
        return ask_members(members, audience, self._for_members(audience), users, self.candidates)

    def _search(self, audience: Audience, k: int, wanted: ItemFilter) -> tuple[Codes, NDArray[np.float32]]:
        codes = np.empty((len(audience), k), np.int32)
        scores = np.empty((len(audience), k), np.float32)
        for rows in self._batches(len(audience)):
            part = audience.part(rows)
            asking = self._ask(self.members_, part, part.codes)
            proposed = asking.propose(max(k, self.candidates), wanted.part(rows))
            ranked = scatter(proposed, self._rank(asking.describe(proposed)), -np.inf)
            codes[rows], scores[rows] = best_of(proposed, ranked, k)
        return codes, scores

    def _search_one(
        self, who: Single, row: HistoryRow, k: int, only: NDArray[np.bool_] | None
    ) -> tuple[Codes, Floats] | None:
        audience = who.audience(self)
        asking = self._ask(self.members_, audience, audience.codes)
        learned = asking.histories.indices
        closed = learned if len(learned) == len(row.codes) else row.codes  # if equal, the array that the views know
        wanted = ItemFilter(closed if self.excludes_seen else None, self.recommendable_items()).within(only)
        codes = asking.propose(max(k, self.candidates), wanted)
        if not codes.size:
            return None
        places, scores = select_one(self._rank(asking.describe(codes)).astype(np.float32), k, NO_CODES)
        return np.where(places >= 0, codes[0].take(places, mode="clip"), np.int32(-1)), scores

    def _rank(self, pairs: Pairs) -> Numbers:
        """The scores of pairs, of shape (p,): the ranker's, or the weighted sum of the members'."""
        if not self.uses_ranker_:
            return self.weights_ @ pairs.scores.astype(np.float64)
        return self._ask_ranker(describe_pairs(self.features_, pairs))

    def _ask_ranker(self, columns: NDArray[np.float32]) -> Numbers:
        """The ranker's scores of pairs, by its trees where these can be read."""
        trees = self._trees
        if trees is None:
            return ask_ranker(self.ranker_, columns)
        return score_columns(trees, columns, self._derived.get(SPLITS, lambda: find_splits(trees)))

    def _score_pairs(self, audience: Audience, rows: Rows, items: Codes) -> Floats:
        return self._rank(self._pairs(audience, rows, items)).astype(np.float32)

    def _pairs(self, audience: Audience, rows: Rows, items: Codes) -> Pairs:
        """The pairs of some users and items; `rows` ascend."""
        columns = np.arange(len(rows)) - np.searchsorted(rows, rows)  # each user's pairs lie side by side
        codes = np.full((len(audience), 1 + columns.max()), -1, np.int32)
        codes[rows, columns] = items
        return self._ask(self.members_, audience, audience.codes).describe(codes)

    def scores(self, audience: Audience) -> SaidScores:
        """See `Asked.scores`."""
        return SearchedScores(self._search, self.pair_scores, audience)

    def trace_item(self, audience: Audience, item: int, k: int, wanted: ItemFilter) -> list[Step]:
        """See `Asked.trace_item`: who of the members lists it, and its place by the ranker or their sum."""
        top = self.answer(audience, max(k, self.candidates), wanted)
        if top.fallback[0]:
            return super().trace_item(audience, item, k, wanted)
        views = self._ask(self.members_, audience, audience.codes).views
        stage = "ranker" if self.uses_ranker_ else "weighted sum"
        return trace_ranked(stage, zip(name_members(self.members_), views, strict=True), item, k, wanted, top)

    def explain_features(self, user: Any, item: Any, k: int | None = None) -> Reasons:
        """Explains the score of one item for a user by the contribution of each feature, along the paths of the trees.

        On its way down a tree a pair goes from the mean of all leaves to one of them; each step counts for the feature
        that it compares (Saabas 2014). If the ranker does not answer, the contributions are the members'.

        Parameters
        ----------
        user
            The id of a user of the training data, or a history, as Interactions or a matrix of one row.
        item
            The id of the item.
        k
            Only the largest `k` contributions; None is all.

        Returns
        -------
        Reasons
            `score`, and the `features` with their `values` and `contributions`, the largest first.

        Raises
        ------
        ValueError
            If an id is unknown, or not one user or one item is given.
        TypeError
            If the ranker has no trees that can be read.

        References
        ----------
        Saabas: Interpreting random forests. 2014.

        Examples
        --------
        >>> X = np.kron(np.eye(2), np.ones((20, 6))) * (np.arange(40)[:, None] % 5 != np.arange(12) % 5)
        >>> model = TwoStage(random_state=0).fit(X)
        >>> reasons = model.explain_features(0, 0)
        >>> bool(abs(reasons.base + reasons.contributions.sum() - reasons.score) < 1e-5)
        True
        """
        audience, _ = find_audience(self, user, "error")
        codes = encode_items(self, "item", item)
        if len(audience) != 1 or len(codes) != 1:
            raise ValueError(f"explain_features takes one user and one item, got {len(audience)} and {len(codes)}")
        pairs = self._pairs(audience, np.zeros(1, np.int64), codes)
        names, values, parts = self._parts_of(pairs)
        order = np.argsort(-parts[:-1], kind="stable")[:k]
        return Reasons(
            float(parts.sum()),
            float(parts[-1]),
            np.array(names, object)[order],
            values[order],
            parts[order].astype(np.float32),
        )

    def _parts_of(self, pairs: Pairs) -> tuple[list[str], NDArray[np.float32], Numbers]:
        """The names of the parts of one pair's score, their values and contributions; and the part common to all."""
        if not self.uses_ranker_:
            names = [f"{name}: score" for name in name_members(self.members_)]
            values = pairs.scores[:, 0]
            return names, values, np.append(self.weights_ * values, 0.0)
        trees = self._trees
        if trees is None:
            raise TypeError(f"TwoStage cannot explain its ranker: {self.unreadable_}")
        values = np.ascontiguousarray(describe_pairs(self.features_, pairs)[:, 0])
        return self.feature_names_, values, trace_row(trees, values)

    # -- updates and files

    @property
    def needs_times(self) -> bool:
        """Tells whether times were learned from: they cut labels and features, and `seen_` has none."""
        return self.order_ is not None or super().needs_times

    def _update(self, change: Change) -> None:
        """Updates the members, and the features as far as the new matrix tells; the ranker stays the same."""
        super()._update(change)
        known = self._known(None, self.members_)
        self._adopt_features(tuple(copy.copy(feature).update(known) for feature in self.features_))

    def _drop_users(self) -> None:
        """See `Learner._drop_users`."""
        super()._drop_users()
        self._adopt_features(tuple(copy.copy(feature).drop_users() for feature in self.features_))

    def _check_publishable(self) -> None:
        super()._check_publishable()
        if self.uses_ranker_ and self._trees is None:
            raise ValueError(f"TwoStage cannot be saved, since a file holds no code: {self.unreadable_}")

    def _check_relations(self, *, ranges: bool) -> None:
        super()._check_relations(ranges=ranges)
        missing = [name for name in PARTS if getattr(self, name) is None]
        if missing and (self.uses_ranker_ or len(missing) < len(PARTS)):
            raise ValueError(f"{', '.join(missing)} must be given, since the ranker answers")
        trees = self._trees
        if trees is not None and ranges:
            check_trees(trees, len(self.feature_names_))

    def _sizes(self) -> Sizes:
        return super()._sizes() | {"n_ranked": len(self.feature_names_)}

    def _restore(self, *, check: bool) -> None:
        super()._restore(check=check)
        features = []
        for number, record in enumerate(self.feature_records_):
            prefix = f"{number}/"
            arrays = {
                name[len(prefix) :]: array for name, array in self.feature_arrays_.items() if name.startswith(prefix)
            }
            features.append(rebuild_feature(record, arrays))
            features[-1].check(*self.seen_.shape)
        names = [name for feature in features for name in feature.names_]
        if names != self.feature_names_:
            raise ValueError(f"feature_names_ must be those of the features, {names}")
        self.features_ = tuple(features)
        self.features = list(map(copy.copy, features)) if self.features_given_ else "auto"
        self.ranker = BOOSTING if self.boosting_ else self.ranker


def describe_pairs(features: Sequence[Feature], pairs: Pairs) -> NDArray[np.float32]:
    """The values of all features of pairs, of shape (n_features, p)."""
    columns: list[Column] = []
    for feature in features:
        found = feature.transform(pairs)
        if len(found) != len(feature.names_):
            kind = type(feature).__name__
            raise ValueError(f"{kind} must give a number for each of {feature.names_}, got {len(found)} of them")
        columns += found
    described = np.empty((len(columns), len(pairs)), np.float32)
    for number, column in enumerate(columns):
        described[number] = column
    return described
