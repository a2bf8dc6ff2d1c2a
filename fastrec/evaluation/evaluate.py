"""`evaluate`: models, a test set and the names of metrics in, a `Report` out."""

import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fastrec.data import Interactions
from fastrec.data.recognition import refuse_table
from fastrec.evaluation.report import Report
from fastrec.matrix.arrays import readonly
from fastrec.matrix.cells import repeat_by_row
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr, check_matrix, keep_entries
from fastrec.matrix.pairs import build_csr
from fastrec.matrix.rows import pick_rows
from fastrec.metrics import (
    CATALOGUE,
    PAIRS,
    RANKING,
    WEIGHTED,
    Metric,
    calibration,
    check_truth,
    count_listed,
    diversity,
    mean_weights,
    measure_checked,
    parse_metric,
    serendipity,
)
from fastrec.models import Popularity
from fastrec.parallel import effective_jobs
from fastrec.preprocessing.filtering import draw_negatives
from fastrec.retrieval.diversity import label_matrix
from fastrec.validation import check_choice, check_flag, check_integer, check_number, check_size


class Task(NamedTuple):
    """What all models are asked: who is evaluated, what is to be found, and what was left out."""

    users: NDArray[np.int32]  # codes of the evaluated users (rows of the histories, where there are), ascending
    truth: CodeMatrix  # their relevant items, one row each
    history: NDArray[np.int64]  # how many items each of them has had
    counts: dict[str, int]
    seen: CodeMatrix | None = None  # what all users (or histories) have had; None: what each model was fitted on
    histories: Any = None  # of users who are folded in, as they were given
    pairs: CodeMatrix | None = None  # the values to predict: rows as `pair_users`
    pair_users: NDArray[np.int32] | None = None


def evaluate(
    models: Any,
    test: Any,
    metrics: Sequence[str] | str = ("ndcg@10", "recall@20"),
    *,
    exclude_seen: bool = True,
    seen: Any = None,
    cold_users: Literal["keep", "skip"] = "keep",
    histories: Any = None,
    item_features: Any = None,
    item_groups: Any = None,
    n_sampled: int = 100,
    interval: Literal["analytic", "bootstrap"] = "analytic",
    confidence: float = 0.95,
    random_state: int = 0,
    batch_size: int = 8192,
    n_jobs: int | None = None,
) -> Report:
    """How well fitted models find what users turned to later, with intervals, side by side.

    Every model recommends as many items as the largest k asks for, and all metrics at all k are taken from that one
    ranking. Users come in batches: nothing of the size users × items is made.

    Parameters
    ----------
    models
        A fitted recommender, a fitted `Pipeline` that ends in one, or a dictionary of them by the names that the report
        shall use.
    test
        What is to be found: `Interactions` (other vocabularies than the model's are matched by id), or a sparse or
        dense matrix of the training data's shape. Values above zero are relevant.
    metrics
        Names with a cut-off, as ``"ndcg@10"``. Per user: ``recall, recall_capped, precision, f1, hit_rate, ndcg,
        graded_ndcg, average_precision`` (``map``), ``average_precision_capped, reciprocal_rank`` (``mrr``),
        ``r_precision, auc, novelty, average_popularity, tail_share, serendipity`` (beside popularity), and by
        `item_features` ``diversity, calibration``. Over all lists: ``coverage, gini``. Over the test set's pairs,
        their values beside `predict_pairs`: ``rmse, mae``, without a cut-off. The equations are in `fastrec.metrics`.
        ``biased_sampled_`` before a metric that has a truth: see the notes.
    exclude_seen
        Recommend, and look for, only what the user has not had in training: test items that are in the user's
        training part are left out and counted.
    seen
        What the users have had in training, `Interactions` or a matrix of the training data's shape; None for what each
        model was fitted on. A `Pipeline` that drops or draws interactions needs it: its model knows only what the steps
        let through, so that a dropped item counts as new, and a drawn one as had.
    cold_users
        Users with test items but no training item: "keep" scores what the model gives them (popularity, as a rule),
        "skip" leaves them out. Either way they are counted.
    histories
        Users who were not trained on (strong generalization): their known items, `Interactions` or a matrix with the
        rows of `test` and the model's items, as `split_users` gives them. The model folds them in, a `Pipeline` after
        its steps.
    item_groups
        Ranking metrics by groups of the items to find, too, in `Report.segments("items")`: "popularity" for the items
        that hold the upper, middle and lower third of the training events; the name of a column of the model's
        `item_info`; or a label per item.
    n_sampled
        Candidates drawn for the ``biased_sampled_`` metrics, beside the items to find.
    item_features
        For diversity and calibration: a matrix (n_items × n_features), or the name of a column of the model's
        `item_info` with labels between "|", as in ``"genres"``.
    interval
        How the confidence intervals of means over users are made: "analytic" (Student's t) or "bootstrap" (2000
        resamples of users, percentile method).
    confidence
        Between 0 and 1.
    random_state
        Seed, at least 0, of the bootstrap, of the candidates drawn for ``biased_sampled_`` metrics, and of
        `Report.compare`.
    batch_size
        Users ranked at a time.
    n_jobs
        Threads of the metrics; the models use their own.

    Returns
    -------
    Report
        Means with intervals, values per user, counts of who was left out and why.

    Raises
    ------
    ValueError
        For an unknown metric, a test set of another shape, with no user that the model knows, or with nothing to find.

    Notes
    -----
    Relevant items without any training event cannot be found by most models; they count as missed and are counted in
    the report. Users without relevant items are left out of the means.

    ``biased_sampled_ndcg@10`` ranks each user's items to find among `n_sampled` other items drawn at random, not among
    all. Papers have reported such numbers; they are far higher than the true ones, and they can put models in another
    order (Krichene and Rendle, On sampled metrics for item recommendation, KDD 2020). They are here to compare with
    those papers, not to choose by. All models are asked about the same draws.

    Examples
    --------
    >>> import numpy as np, fastrec as fr
    >>> rng = np.random.default_rng(0)
    >>> data = fr.Interactions(rng.integers(0, 50, 900), rng.integers(0, 30, 900), duplicates="sum")
    >>> train, test = fr.split_random(data, 0.2, random_state=0)
    >>> report = fr.evaluate(fr.Popularity().fit(train), test, ["recall@10", "coverage@10"])
    >>> report.metrics
    ('recall@10', 'coverage@10')
    """
    given = _check_models(models)
    named = {name: recommender_of(model) for name, model in given.items()}
    wanted = [parse_metric(label) for label in _check_labels(metrics)]
    refuse_table(test, "test")
    check_flag("exclude_seen", exclude_seen)
    check_choice("cold_users", cold_users, ("keep", "skip"))
    check_choice("interval", interval, ("analytic", "bootstrap"))
    check_number("confidence", confidence, minimum=0, maximum=1, above=True)
    if confidence == 1:
        raise ValueError("confidence must be below 1: an interval that is surely right is the whole range")
    random_state = check_integer("random_state", random_state, minimum=0)
    batch_size = check_size("batch_size", batch_size)
    n_jobs = effective_jobs(n_jobs)
    n_sampled = check_size("n_sampled", n_sampled)
    first = next(iter(named.values()))
    features = _check_item_features(item_features, first, wanted)
    task = _set_task(named, test, exclude_seen, seen, cold_users, histories, needed=any(m.k for m in wanted))
    if any(metric.name in PAIRS for metric in wanted):
        task = _with_pairs(task, named, test, exclude_seen)
    if any(metric.sampled for metric in wanted):
        task.counts["sampled" if n_sampled < task.truth.shape[1] else "sampled_all"] = n_sampled
    trained = _trained(first, task)
    groups = None if item_groups is None else group_items(item_groups, trained, first.item_info_, task.truth.shape[1])
    plan = Plan(wanted, exclude_seen, batch_size, n_jobs, features, groups, n_sampled, random_state)
    results = {name: _score_model(model, _folded_by(given[name], task), plan) for name, model in named.items()}
    report = Report(
        models=tuple(named),
        metrics=tuple(metric.label for metric in wanted),
        users=_names_of(first, task, histories),
        history=task.history,
        values={name: result.values for name, result in results.items()},
        totals={name: result.totals for name, result in results.items()},
        counts=task.counts,
        seconds={name: result.seconds for name, result in results.items()},
        interval=interval,
        confidence=float(confidence),
        exclude_seen=exclude_seen,
        random_state=random_state,
    )
    return report if groups is None else replace(report, by_items=_by_items(report, results, plan))


def _names_of(model: Any, task: Task, histories: Any) -> NDArray[Any]:
    if task.histories is None:
        return _labels(model, task.users)
    if isinstance(histories, Interactions):
        return histories.users.decode(task.users)
    return task.users


def _by_items(report: Report, results: "Mapping[str, Result]", plan: "Plan") -> dict[str, Report]:
    """A report on the ranking metrics for each group of items to find."""
    assert plan.groups is not None
    labels = tuple(metric.label for metric in plan.of(RANKING))
    if not labels:
        raise ValueError("item_groups needs a ranking metric with a truth, such as 'recall@20'")
    return {
        group: replace(
            report,
            metrics=labels,
            values={name: result.by_items[group] for name, result in results.items()},
            totals={name: {} for name in results},
            counts={},
        )
        for group in plan.groups.names
    }


def recommender_of(model: Any) -> Any:
    """The model itself, or the last step of a Pipeline."""
    return model[-1] if hasattr(model, "steps") else model


def _check_models(models: Any) -> dict[str, Any]:
    named = dict(models) if isinstance(models, Mapping) else {type(models).__name__: models}
    if not named:
        raise ValueError("models is empty: there is nothing to evaluate")
    for name, model in named.items():
        if not isinstance(name, str):
            raise TypeError(f"models must be named by strings, got {name!r}")
        last = recommender_of(model)
        if isinstance(last, type) or not hasattr(last, "recommend"):
            got = f"the class {last.__name__}: fit one first" if isinstance(last, type) else type(last).__name__
            raise TypeError(f"models[{name!r}] must be a fitted recommender, got {got}")
        if not hasattr(last, "seen_"):
            from sklearn.exceptions import NotFittedError  # only on the way to an error

            raise NotFittedError(f"models[{name!r}] ({type(model).__name__}) is not fitted yet; call fit first")
    _check_alike({name: recommender_of(model) for name, model in named.items()})
    return named


def _check_alike(named: dict[str, Any]) -> None:
    (first, model), *others = named.items()
    for name, other in others:
        same = other.seen_.shape == model.seen_.shape
        if not (same and _same(other.users_, model.users_) and _same(other.items_, model.items_)):
            raise ValueError(
                f"models {first!r} and {name!r} know different users or items: only models fitted on data with the "
                "same vocabularies can be compared"
            )


def _same(one: Any, other: Any) -> bool:
    return one is other or (one is not None and other is not None and one == other)


def _check_labels(metrics: Sequence[str] | str) -> list[str]:
    labels = [metrics] if isinstance(metrics, str) else list(metrics)
    if not labels:
        raise ValueError("metrics is empty: name at least one, as in ['ndcg@10']")
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise ValueError(f"metrics names {twice[0]!r} more than once")
    return labels


# --- the task: who is asked, and what is to be found -----------------------------------------------------------------


def _set_task(
    named: dict[str, Any], test: Any, exclude_seen: bool, seen: Any, cold_users: str, histories: Any, needed: bool
) -> Task:
    """The task; where no list is asked for (not `needed`), there may be nothing to find."""
    models = list(named.values())
    had = _check_seen(seen, histories, models[0])
    if histories is None or had is None:
        whole, unknown = _align(models[0], test)
    else:
        whole, unknown = _truth_of(test, histories, had, models[0]), 0
    users = np.flatnonzero(np.diff(whole.indptr)).astype(np.int32)
    truth = pick_rows(whole, users)
    known = [model.seen_ for model in models] if had is None else [had]
    counts = {"unknown": unknown, "seen_pairs": 0}
    if exclude_seen:
        truth, counts["seen_pairs"] = _without_seen(truth, users, known)
    history = np.min([np.diff(matrix.indptr)[users] for matrix in known], axis=0).astype(np.int64)
    wanted, cold = np.diff(truth.indptr) > 0, history == 0
    counts["all_seen"] = int(np.count_nonzero(~wanted))
    counts["cold"] = int(np.count_nonzero(wanted & cold))
    rows = np.flatnonzero(wanted & ~cold if cold_users == "skip" else wanted)
    counts["skipped"] = int(np.count_nonzero(wanted)) - len(rows)
    if needed and len(rows) == 0:
        raise ValueError(_nothing_left(counts))
    truth = pick_rows(truth, rows)
    task = Task(users[rows], truth, history[rows], counts, had, histories)
    counts["pairs"] = truth.nnz
    counts["untrained_pairs"] = int(np.count_nonzero(_untrained(models, task)[truth.indices]))
    counts["without_test"] = whole.shape[0] - len(users)
    counts["folded_in"] = 0 if histories is None else len(rows)
    return task


def _check_seen(seen: Any, histories: Any, model: Any) -> CodeMatrix | None:
    """What the users have had, as far as it was given: in training, or as histories."""
    if histories is not None:
        if seen is not None:
            raise ValueError("seen and histories were both given: users with histories have had just these")
        return _check_histories(histories, model)
    if seen is None:
        return None
    named = isinstance(seen, Interactions) and model.items_ is not None
    if named and not (_same(seen.users, model.users_) and _same(seen.items, model.items_)):
        raise ValueError("seen has other users or items than the data that the model was fitted on")
    matrix = check_matrix(seen, name="seen", negative="accept", zeros="events")
    if matrix.shape != model.seen_.shape:
        raise ValueError(f"seen must have the shape of the training data, {model.seen_.shape}, got {matrix.shape}")
    return matrix


def _trained(model: Any, task: Task) -> CodeMatrix:
    """The interactions of all users in training."""
    trained: CodeMatrix = model.seen_ if task.seen is None or task.histories is not None else task.seen
    return trained


def _folded_by(model: Any, task: Task) -> Task:
    """The task with the histories as a model takes them: after the steps of a Pipeline."""
    if task.histories is None:
        return task
    folded = model[:-1].transform(task.histories) if hasattr(model, "steps") and len(model) > 1 else task.histories
    return task._replace(histories=check_matrix(folded, name="histories", negative="accept", zeros="events"))


def _check_histories(histories: Any, model: Any) -> CodeMatrix:
    matrix = check_matrix(histories, name="histories", negative="accept", zeros="events")
    if matrix.shape[1] != model.seen_.shape[1]:
        raise ValueError(f"histories must have the model's {model.seen_.shape[1]} items, got {matrix.shape[1]}")
    if isinstance(histories, Interactions) and not _same(histories.items, model.items_ or histories.items):
        raise ValueError("histories have other items than the model was fitted with")
    return matrix


def _truth_of(test: Any, histories: Any, known: CodeMatrix, model: Any) -> CodeMatrix:
    truth = check_truth(test, _merging([model]))
    if truth.shape != known.shape:
        raise ValueError(f"test and histories must have one shape, got {truth.shape} and {known.shape}")
    both = isinstance(test, Interactions) and isinstance(histories, Interactions)
    if both and (test.items != histories.items or test.users != histories.users):
        raise ValueError("test and histories have different users or items")
    return truth


def _with_pairs(task: Task, named: dict[str, Any], test: Any, exclude_seen: bool) -> Task:
    """The task with the values that the test set has for pairs, of users and items that the models know."""
    models = list(named.values())
    if isinstance(test, Interactions):
        test.tell_merged("evaluate", _merging(models))
    raw: CodeMatrix = check_matrix(test, name="test", negative="accept", duplicates=_merging(models))
    if task.histories is None:
        raw = _align(models[0], test, raw)[0]
    users = np.flatnonzero(np.diff(raw.indptr)).astype(np.int32)
    pairs = pick_rows(raw, users)
    seen = [model.seen_ for model in models] if task.seen is None else [task.seen]
    if exclude_seen:
        pairs = _without_seen(pairs, users, seen)[0]
    kept = pairs.indices < models[0].seen_.shape[1]
    pairs = keep_entries(pairs, kept)
    task.counts["predicted"] = pairs.nnz
    return task._replace(pairs=pairs, pair_users=users)


def _merging(models: list[Any]) -> Literal["sum", "last"]:
    """What several test events of one user and item come to, where the test set does not say: as in the models."""
    rules = [getattr(recommender_of(model), "keeps_zeros", False) for model in models]
    return "last" if any(rules) else "sum"


def _nothing_left(counts: dict[str, int]) -> str:
    if counts["skipped"]:
        return f"test has nothing to evaluate: all its {counts['skipped']} users are new, and cold_users is 'skip'"
    if counts["seen_pairs"]:
        return (
            f"test has nothing to find: all its {counts['seen_pairs']} relevant pairs are in the training data already "
            "(exclude_seen=False would look for them)"
        )
    return "test has nothing to find: it has no value above zero"


def _align(model: Any, test: Any, matrix: CodeMatrix | None = None) -> tuple[CodeMatrix, int]:
    """The relevant items (or `matrix`) as rows of the model's users; how many users of the test set it does not know.

    Items that the model does not know get columns behind those that it does: never recommended, so missed.
    """
    users, items = model.users_, model.items_
    truth = check_truth(test, _merging([model])) if matrix is None else matrix
    if not isinstance(test, Interactions) or users is None or items is None:
        if truth.shape != model.seen_.shape:
            raise ValueError(
                f"test has the shape {truth.shape}, the training data had {model.seen_.shape}"
                + (": it looks transposed" if truth.shape == model.seen_.shape[::-1] else "")
            )
        return truth, 0
    if test.users == users and test.items == items:
        return truth, 0
    return _match_ids(truth, test, users, items)


def _match_ids(truth: CodeMatrix, test: Interactions, users: Any, items: Any) -> tuple[CodeMatrix, int]:
    if (test.items == users and test.items != items) or (test.users.kind, test.items.kind) != (users.kind, items.kind):
        swapped = (test.items == users and test.items != items) or (test.items.kind, test.users.kind) == (
            users.kind,
            items.kind,
        )
        raise ValueError(
            "test looks transposed: its items are the model's users"
            if swapped
            else f"test has {test.users.kind} users and {test.items.kind} items, "
            f"the model was fitted with {users.kind} users and {items.kind} items: read it with "
            f"read_interactions(…, ids=({users.kind!r}, {items.kind!r}))"
        )
    rows = users.encode(test.users.ids, unknown="code")
    wider = items.extended(test.items.ids)
    lengths = np.diff(truth.indptr)
    row = np.repeat(rows, lengths)
    known = row >= 0
    if truth.nnz and not known.any():
        raise ValueError("test has no user that the model knows")
    column = wider.encode(test.items.ids)[truth.indices]
    indptr, indices, data = build_csr(row[known], column[known], truth.data[known], (len(users), len(wider)))
    matched = assemble_csr(readonly(data), readonly(indices), readonly(indptr), (len(users), len(wider)))
    return matched, int(np.count_nonzero(lengths[rows < 0]))


def _without_seen(truth: CodeMatrix, users: NDArray[np.int32], known: list[Any]) -> tuple[CodeMatrix, int]:
    """`truth` without what any of the known matrices have for these users, and the number of pairs taken out."""
    from fastrec.kernels.metrics import mark_common  # Numba is imported when it is first needed

    seen = np.zeros(truth.nnz, dtype=bool)
    for matrix in {id(matrix): matrix for matrix in known}.values():
        common = np.zeros(truth.nnz, dtype=bool)
        ours, theirs = (truth.indptr, truth.indices), (matrix.indptr, matrix.indices)
        mark_common(common, *map(readonly, (*ours, *theirs, users)))
        seen |= common
    return keep_entries(truth, ~seen), int(np.count_nonzero(seen))


def _untrained(models: list[Any], task: Task) -> NDArray[np.bool_]:
    """Items without an event in the training data of any of the models."""
    untrained = np.ones(task.truth.shape[1], dtype=bool)
    for model in models:
        untrained[_trained(model, task).indices] = False
    return untrained


def _labels(model: Any, codes: NDArray[np.int32]) -> NDArray[Any]:
    ids: NDArray[Any] = codes if model.users_ is None else model.users_.decode(codes)
    return ids


# --- groups of items -------------------------------------------------------------------------------------------------


class Groups(NamedTuple):
    """A number for each item, and the names that the numbers stand for."""

    of_item: NDArray[np.int64]
    names: list[str]


def group_items(by: Any, trained: CodeMatrix, item_info: Any, n_items: int) -> Groups:
    """The groups of `n_items` items (those beyond the training data's have no event there)."""
    if isinstance(by, str) and by == "popularity":
        return _by_popularity(np.bincount(trained.indices, minlength=n_items))
    labels: Any = by
    if isinstance(by, str):
        info = item_info or {}
        if by not in info:
            columns = ", ".join(map(repr, info)) or "none"
            raise ValueError(f"item_groups must be 'popularity', a column of item_info (there are {columns}) or labels")
        labels = info[by]
    labels = np.asarray(labels)
    known = trained.shape[1]
    if labels.shape != (known,):
        raise ValueError(f"item_groups must have one label for each of {known} items, got shape {labels.shape}")
    texts = [str(label) for label in labels.tolist()] + ["unknown to the model"] * (n_items - known)
    names, of_item = np.unique(np.array(texts, dtype=object), return_inverse=True)
    return Groups(of_item, names.tolist())


def _by_popularity(counts: NDArray[Any]) -> Groups:
    order = np.argsort(-counts, kind="stable")
    # An item belongs where the middle of its events lies, so that one item alone is in one group.
    before = np.cumsum(counts[order]) - counts[order] / 2
    third = np.minimum((3 * before / max(counts.sum(), 1)).astype(np.int64), 2)
    of_item = np.full(len(counts), 3)
    of_item[order] = np.where(counts[order] > 0, third, 3)
    texts = ("most popular", "middle", "long tail", "no training event")
    sizes = np.bincount(of_item, minlength=4)
    met = np.flatnonzero(sizes)
    names = [f"{texts[g]} ({sizes[g]:,} item{'' if sizes[g] == 1 else 's'})" for g in met]
    return Groups(np.searchsorted(met, of_item), names)


# --- one model -------------------------------------------------------------------------------------------------------


class Result(NamedTuple):
    """What one model reached: values per user, over all lists, the seconds it took, values per user by item group."""

    values: dict[str, NDArray[np.float64]]
    totals: dict[str, float]
    seconds: float
    by_items: dict[str, dict[str, NDArray[np.float64]]]


class Plan(NamedTuple):
    """What is measured, and how."""

    wanted: Sequence[Metric]
    exclude_seen: bool
    batch_size: int
    n_jobs: int | None
    features: Any  # (n_items, n_features) as given, or None
    groups: Groups | None
    n_sampled: int
    random_state: int

    def of(self, names: Container[str], sampled: bool = False) -> list[Metric]:
        """The wanted metrics among these, over all candidates or over sampled ones."""
        return [metric for metric in self.wanted if metric.name in names and metric.sampled == sampled]

    def width(self, n_items: int, sampled: bool = False) -> int:
        """How many items are to be ranked; 0 where no metric needs a ranking."""
        return min(max((m.k for m in self.wanted if m.sampled == sampled), default=0), n_items)


def _score_model(model: Any, task: Task, plan: Plan) -> Result:
    n_users, n_items = len(task.users), model.seen_.shape[1]
    single = [m.label for m in plan.wanted if m.name not in CATALOGUE and m.name not in PAIRS]
    values = {label: np.empty(n_users) for label in single}
    grouped = [metric.label for metric in plan.of(RANKING)]
    names = plan.groups.names if plan.groups is not None else []
    by_items = {name: {label: np.empty(n_users) for label in grouped} for name in names}
    listed = {metric.k: np.zeros(n_items, dtype=np.int64) for metric in plan.of(CATALOGUE)}
    trained = _trained(model, task)
    popularity = np.bincount(trained.indices, minlength=n_items).astype(np.float64)
    baseline = Popularity().fit(trained) if plan.of(("serendipity",)) else None
    seconds = 0.0
    for start in range(0, n_users, plan.batch_size):
        rows = slice(start, min(start + plan.batch_size, n_users))
        part = _part_of(task, rows)
        found: dict[str, NDArray[np.float64]] = {}
        if plan.width(n_items):
            began = time.perf_counter()
            codes = model.recommend(_asked(model, part), k=plan.width(n_items), **_left_out(part, plan)).codes
            seconds += time.perf_counter() - began
            found = measure_checked(codes, part.truth, plan.of(RANKING), _candidates(model, part, plan), plan.n_jobs)
            found |= _score_weights(codes, popularity, model.seen_.shape[0], plan)
            found |= _score_lists(codes, part, model, plan, baseline)
            for name, metrics in _score_groups(codes, part, model, plan).items():
                for label, batch in metrics.items():
                    by_items[name][label][rows] = batch
            for k, counts in listed.items():
                counts += count_listed(codes, n_items, k)
        found |= _score_sampled(model, part, plan)
        for label, batch in found.items():
            values[label][rows] = batch
    totals = {m.label: CATALOGUE[m.name](listed[m.k]) for m in plan.of(CATALOGUE)}
    return Result(values, totals | _score_pairs(model, task, plan), seconds, by_items)


def _asked(model: Any, part: Task) -> Any:
    """What to ask `recommend` for the users of a part: their ids, or their histories."""
    return _labels(model, part.users) if part.histories is None else pick_rows(part.histories, part.users)


def _seen_by(model: Any, part: Task) -> CodeMatrix:
    return pick_rows(model.seen_ if part.seen is None else part.seen, part.users)


def _left_out(part: Task, plan: Plan) -> dict[str, Any]:
    """The options of `recommend` that leave out what users have had: the model's own record, or what was given."""
    if part.seen is None or not plan.exclude_seen:
        return {"exclude_seen": plan.exclude_seen}
    return {"exclude_seen": False, "deny": _ones(pick_rows(part.seen, part.users))}


def _part_of(task: Task, rows: slice) -> Task:
    return task._replace(users=task.users[rows], truth=pick_rows(task.truth, rows), history=task.history[rows])


def _candidates(model: Any, part: Task, plan: Plan) -> NDArray[np.int64]:
    had = np.diff(_seen_by(model, part).indptr) if plan.exclude_seen else 0
    return np.full(len(part.users), part.truth.shape[1], np.int64) - had


def _score_groups(
    codes: NDArray[np.int32], part: Task, model: Any, plan: Plan
) -> dict[str, dict[str, NDArray[np.float64]]]:
    """The same rankings, beside the items to find of each group alone."""
    if plan.groups is None:
        return {}
    found = {}
    of_entry = plan.groups.of_item[part.truth.indices]
    for number, name in enumerate(plan.groups.names):
        truth = keep_entries(part.truth, of_entry == number)
        found[name] = measure_checked(codes, truth, plan.of(RANKING), _candidates(model, part, plan), plan.n_jobs)
    return found


def _score_sampled(model: Any, part: Task, plan: Plan) -> dict[str, NDArray[np.float64]]:
    """Metrics of the items to find among a few others, drawn for each user from those neither had nor to be found."""
    wanted = plan.of(RANKING, sampled=True)
    if not wanted:
        return {}
    n_items = model.seen_.shape[1]
    seen = _seen_by(model, part)
    truth = keep_entries(part.truth, part.truth.indices < n_items, n_items)
    taken = check_matrix(_ones(seen) + _ones(truth))
    rows, items = draw_negatives(taken, np.full(len(part.users), plan.n_sampled), plan.random_state)
    cells = truth.tocoo()
    places = (np.concatenate([cells.row, rows]), np.concatenate([cells.col, items]))
    candidates = sp.csr_array((np.ones(len(places[0]), np.float32), places), shape=truth.shape)
    width = plan.width(n_items, sampled=True)
    codes = model.recommend(_asked(model, part), k=width, exclude_seen=False, allow=candidates).codes
    # What is not in the catalogue is missed, and a candidate all the same.
    counts = np.diff(part.truth.indptr) + np.bincount(rows, minlength=len(part.users))
    plain = [metric._replace(sampled=False) for metric in wanted]
    return measure_checked(codes, part.truth, plain, counts, plan.n_jobs)


def _ones(matrix: CodeMatrix) -> sp.csr_array:
    return sp.csr_array((np.ones(matrix.nnz, np.float32), matrix.indices, matrix.indptr), shape=matrix.shape)


# Pairs that are predicted at a time.
_PAIRS_AT_ONCE = 1 << 20


def _score_pairs(model: Any, task: Task, plan: Plan) -> dict[str, float]:
    wanted = plan.of(PAIRS)
    if not wanted:
        return {}
    assert task.pairs is not None
    assert task.pair_users is not None
    if not task.pairs.nnz:
        raise ValueError(f"{wanted[0].label!r} needs a value of a user and an item that the model knows")
    users = repeat_by_row(task.pairs, task.pair_users)
    predicted = np.empty(task.pairs.nnz)
    for start in range(0, len(users), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        items = task.pairs.indices[part]
        asked = _asked(model, task._replace(users=users[part]))
        ids = items if model.items_ is None else model.items_.decode(items)
        predicted[part] = model.predict_pairs(asked, ids)
    return {metric.label: PAIRS[metric.name](task.pairs.data, predicted) for metric in wanted}


def _score_weights(
    codes: NDArray[np.int32], popularity: NDArray[np.float64], n_users: int, plan: Plan
) -> dict[str, NDArray[np.float64]]:
    values: dict[str, NDArray[np.float64]] = {}
    for name, weigh in WEIGHTED.items():
        asked = plan.of((name,))
        if asked:
            cutoffs = sorted({metric.k for metric in asked})
            means = mean_weights(codes, weigh(popularity, n_users), cutoffs, n_jobs=plan.n_jobs)
            values |= {metric.label: means[cutoffs.index(metric.k)] for metric in asked}
    return values


def _score_lists(
    codes: NDArray[np.int32], part: Task, model: Any, plan: Plan, baseline: Any
) -> dict[str, NDArray[np.float64]]:
    values = {}
    for metric in plan.of(("serendipity",)):
        asked = part.users if part.histories is None else pick_rows(part.histories, part.users)
        expected = baseline.recommend(asked, k=metric.k, **_left_out(part, plan)).codes
        values[metric.label] = serendipity(codes, part.truth, expected, metric.k)
    for metric in plan.of(("diversity",)):
        values[metric.label] = diversity(codes, plan.features, metric.k)
    history = _seen_by(model, part) if plan.of(("calibration",)) else None
    for metric in plan.of(("calibration",)):
        values[metric.label] = calibration(codes, history, plan.features, metric.k)
    return values


def _check_item_features(item_features: Any, model: Any, wanted: Sequence[Metric]) -> Any:
    needed = [metric.label for metric in wanted if metric.name in ("diversity", "calibration")]
    if not needed:
        return None
    if item_features is None:
        raise ValueError(f"metric {needed[0]!r} needs item_features: a matrix, or the name of a column of item_info")
    features = _labels_as_matrix(item_features, model) if isinstance(item_features, str) else item_features
    features = check_matrix(features, name="item_features", negative="accept")
    if features.shape[0] != model.seen_.shape[1]:
        raise ValueError(
            f"item_features must have a row for each of {model.seen_.shape[1]} items, got {features.shape}"
        )
    return features


def _labels_as_matrix(column: str, model: Any) -> sp.csr_array:
    info = model.item_info_ or {}
    if column not in info:
        known = ", ".join(map(repr, info)) or "none"
        raise ValueError(
            f"item_features names {column!r}, which is no column of the model's item_info; there are {known}"
        )
    return label_matrix(info[column])
