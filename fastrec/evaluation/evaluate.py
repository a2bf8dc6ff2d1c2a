"""`evaluate`: models, a test set and the names of metrics in, a `Report` out."""

import time
from collections.abc import Container, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fastrec.data import Interactions
from fastrec.evaluation.report import Report
from fastrec.metrics import (
    CATALOGUE,
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
from fastrec.validation import (
    assemble_csr,
    check_choice,
    check_flag,
    check_integer,
    check_matrix,
    check_number,
    readonly,
)


class Task(NamedTuple):
    """What all models are asked: who is evaluated, what is to be found, and what was left out."""

    users: NDArray[np.int32]  # codes of the evaluated users, ascending
    truth: sp.csr_array  # their relevant items, one row each
    history: NDArray[np.int64]  # how many training items each of them has
    counts: dict[str, int]


def evaluate(
    models: Any,
    test: Any,
    metrics: Sequence[str] | str = ("ndcg@10", "recall@20"),
    *,
    exclude_seen: bool = True,
    cold_users: Literal["keep", "skip"] = "keep",
    item_features: Any = None,
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
        A fitted recommender, or a dictionary of them by the names that the report shall use.
    test
        What is to be found: `Interactions` (other vocabularies than the model's are matched by id), or a sparse or
        dense matrix of the training data's shape. Values above zero are relevant.
    metrics
        Names with a cut-off, as ``"ndcg@10"``. Per user: ``recall, recall_capped, precision, f1, hit_rate, ndcg,
        graded_ndcg, average_precision`` (``map``), ``average_precision_capped, reciprocal_rank`` (``mrr``),
        ``r_precision, auc, novelty, average_popularity, tail_share, serendipity`` (beside popularity), and by
        `item_features` ``diversity, calibration``. Over all lists: ``coverage, gini``. The equations are in
        `fastrec.metrics`.
    exclude_seen
        Recommend, and look for, only what the user has not had in training: test items that are in the user's
        training part are left out and counted.
    cold_users
        Users with test items but no training item: "keep" scores what the model gives them (popularity, as a rule),
        "skip" leaves them out. Either way they are counted.
    item_features
        For diversity and calibration: a matrix (n_items × n_features), or the name of a column of the model's
        `item_info` with labels between "|", as in ``"genres"``.
    interval
        How the confidence intervals of means over users are made: "analytic" (Student's t) or "bootstrap" (2000
        resamples of users, percentile method).
    confidence
        Between 0 and 1.
    random_state
        Seed of the bootstrap.
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

    Examples
    --------
    >>> import numpy as np, fastrec as fr
    >>> rng = np.random.default_rng(0)
    >>> data = fr.Interactions(rng.integers(0, 50, 900), rng.integers(0, 30, 900))
    >>> train, test = fr.split_random(data, 0.2, random_state=0)
    >>> report = fr.evaluate(fr.Popularity().fit(train), test, ["recall@10", "coverage@10"])
    >>> report.metrics
    ('recall@10', 'coverage@10')
    """
    named = _check_models(models)
    wanted = [parse_metric(label) for label in _check_labels(metrics)]
    check_flag("exclude_seen", exclude_seen)
    check_choice("cold_users", cold_users, ("keep", "skip"))
    check_choice("interval", interval, ("analytic", "bootstrap"))
    check_number("confidence", confidence, minimum=0, maximum=1, above=True)
    batch_size = check_integer("batch_size", batch_size, minimum=1)
    first = next(iter(named.values()))
    features = _check_item_features(item_features, first, wanted)
    task = _set_task(named, test, exclude_seen, cold_users)
    plan = Plan(wanted, exclude_seen, batch_size, n_jobs, features)
    results = {name: _score_model(model, task, plan) for name, model in named.items()}
    return Report(
        models=tuple(named),
        metrics=tuple(metric.label for metric in wanted),
        users=_labels(first, task.users),
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


def _check_models(models: Any) -> dict[str, Any]:
    named = dict(models) if isinstance(models, Mapping) else {type(models).__name__: models}
    if not named:
        raise ValueError("models is empty: there is nothing to evaluate")
    for name, model in named.items():
        if not isinstance(name, str):
            raise TypeError(f"models must be named by strings, got {name!r}")
        if not hasattr(model, "recommend"):
            raise TypeError(f"models[{name!r}] must be a fitted recommender, got {type(model).__name__}")
        if not hasattr(model, "seen_"):
            from sklearn.exceptions import NotFittedError  # only on the way to an error

            raise NotFittedError(f"models[{name!r}] ({type(model).__name__}) is not fitted yet; call fit first")
    _check_alike(named)
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


def _set_task(named: dict[str, Any], test: Any, exclude_seen: bool, cold_users: str) -> Task:
    models = list(named.values())
    whole, unknown = _align(models[0], test)
    users = np.flatnonzero(np.diff(whole.indptr)).astype(np.int32)
    truth = _take_rows(whole, users)
    counts = {"unknown": unknown, "seen_pairs": 0}
    if exclude_seen:
        truth, counts["seen_pairs"] = _without_seen(truth, users, models)
    history = np.min([np.diff(model.seen_.indptr)[users] for model in models], axis=0).astype(np.int64)
    wanted, cold = np.diff(truth.indptr) > 0, history == 0
    counts["all_seen"] = int(np.count_nonzero(~wanted))
    counts["cold"] = int(np.count_nonzero(wanted & cold))
    rows = np.flatnonzero(wanted & ~cold if cold_users == "skip" else wanted)
    counts["skipped"] = int(np.count_nonzero(wanted)) - len(rows)
    if len(rows) == 0:
        raise ValueError(_nothing_left(counts))
    truth = _take_rows(truth, rows)
    counts["pairs"] = truth.nnz
    counts["untrained_pairs"] = int(np.count_nonzero(_untrained(models, truth.shape[1])[truth.indices]))
    counts["without_test"] = whole.shape[0] - len(users)
    return Task(users[rows], truth, history[rows], counts)


def _nothing_left(counts: dict[str, int]) -> str:
    if counts["skipped"]:
        return f"test has nothing to evaluate: all its {counts['skipped']} users are new, and cold_users is 'skip'"
    if counts["seen_pairs"]:
        return (
            f"test has nothing to find: all its {counts['seen_pairs']} relevant pairs are in the training data already "
            "(exclude_seen=False would look for them)"
        )
    return "test has nothing to find: it has no value above zero"


def _align(model: Any, test: Any) -> tuple[sp.csr_array, int]:
    """The relevant items as rows of the model's users, and how many users of the test set it does not know.

    Items that the model does not know get columns behind those that it does: never recommended, so missed.
    """
    users, items = model.users_, model.items_
    truth = check_truth(test)
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


def _match_ids(truth: sp.csr_array, test: Interactions, users: Any, items: Any) -> tuple[sp.csr_array, int]:
    if test.items == users or (test.users.kind, test.items.kind) != (users.kind, items.kind):
        swapped = test.items == users or (test.items.kind, test.users.kind) == (users.kind, items.kind)
        raise ValueError(
            "test looks transposed: its items are the model's users"
            if swapped
            else f"test has {test.users.kind} users and {test.items.kind} items, "
            f"the model was fitted with {users.kind} users and {items.kind} items"
        )
    rows = users.encode(test.users.ids, unknown="code")
    wider = items.extended(test.items.ids)
    lengths = np.diff(truth.indptr)
    row = np.repeat(rows, lengths)
    known = row >= 0
    if truth.nnz and not known.any():
        raise ValueError("test has no user that the model knows")
    column = wider.encode(test.items.ids)[truth.indices]
    coo = (truth.data[known], (row[known], column[known]))
    return check_truth(sp.coo_array(coo, shape=(len(users), len(wider)))), int(np.count_nonzero(lengths[rows < 0]))


def _take_rows(matrix: sp.csr_array, rows: NDArray[Any]) -> sp.csr_array:
    lengths = np.diff(matrix.indptr)[rows]
    indptr = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    entries = np.repeat(matrix.indptr[rows] - indptr[:-1], lengths) + np.arange(indptr[-1])
    return assemble_csr(matrix.data[entries], matrix.indices[entries], indptr, (len(rows), matrix.shape[1]))


def _without_seen(truth: sp.csr_array, users: NDArray[np.int32], models: list[Any]) -> tuple[sp.csr_array, int]:
    """`truth` without what any of the models saw in training, and the number of pairs taken out."""
    from fastrec.kernels.metrics import mark_common  # Numba is imported when it is first needed

    seen = np.zeros(truth.nnz, dtype=bool)
    for model in {id(model.seen_): model for model in models}.values():
        common = np.zeros(truth.nnz, dtype=bool)
        ours, theirs = (truth.indptr, truth.indices), (model.seen_.indptr, model.seen_.indices)
        mark_common(common, *map(readonly, (*ours, *theirs, users)))
        seen |= common
    before = np.concatenate([[0], np.cumsum(~seen, dtype=np.int64)])
    left = assemble_csr(truth.data[~seen], truth.indices[~seen], before[truth.indptr], truth.shape)
    return left, int(np.count_nonzero(seen))


def _untrained(models: list[Any], n_items: int) -> NDArray[np.bool_]:
    """Items without an event in the training data of any of the models."""
    untrained = np.ones(n_items, dtype=bool)
    for model in models:
        untrained[model.seen_.indices] = False
    return untrained


def _labels(model: Any, codes: NDArray[np.int32]) -> NDArray[Any]:
    ids: NDArray[Any] = codes if model.users_ is None else model.users_.decode(codes)
    return ids


# --- one model -------------------------------------------------------------------------------------------------------


class Result(NamedTuple):
    """What one model reached: values per user, numbers over all lists, and the seconds it took to recommend."""

    values: dict[str, NDArray[np.float64]]
    totals: dict[str, float]
    seconds: float


class Plan(NamedTuple):
    """What is measured, and how."""

    wanted: Sequence[Metric]
    exclude_seen: bool
    batch_size: int
    n_jobs: int | None
    features: Any  # (n_items, n_features) as given, or None

    def of(self, names: Container[str]) -> list[Metric]:
        """The wanted metrics among these."""
        return [metric for metric in self.wanted if metric.name in names]


def _score_model(model: Any, task: Task, plan: Plan) -> Result:
    n_users, n_items = len(task.users), model.seen_.shape[1]
    width = min(max(metric.k for metric in plan.wanted), n_items)
    values = {metric.label: np.empty(n_users) for metric in plan.wanted if metric.name not in CATALOGUE}
    listed = {metric.k: np.zeros(n_items, dtype=np.int64) for metric in plan.of(CATALOGUE)}
    popularity = np.bincount(model.seen_.indices, minlength=n_items).astype(np.float64)
    baseline = Popularity().fit(model.seen_) if plan.of(("serendipity",)) else None
    seconds = 0.0
    for start in range(0, n_users, plan.batch_size):
        rows = slice(start, min(start + plan.batch_size, n_users))
        part = _part_of(task, rows)
        began = time.perf_counter()
        codes = model.recommend(_labels(model, part.users), k=width, exclude_seen=plan.exclude_seen).codes
        seconds += time.perf_counter() - began
        candidates = np.full(len(codes), part.truth.shape[1]) - (part.history if plan.exclude_seen else 0)
        found = measure_checked(codes, part.truth, plan.of(RANKING), candidates, plan.n_jobs)
        found |= _score_weights(codes, popularity, model.seen_.shape[0], plan)
        found |= _score_lists(codes, part, model, plan, baseline)
        for label, batch in found.items():
            values[label][rows] = batch
        for k, counts in listed.items():
            counts += count_listed(codes, n_items, k)
    totals = {m.label: CATALOGUE[m.name](listed[m.k]) for m in plan.of(CATALOGUE)}
    return Result(values, totals, seconds)


def _part_of(task: Task, rows: slice) -> Task:
    truth = _take_rows(task.truth, np.arange(rows.start, rows.stop))
    return Task(task.users[rows], truth, task.history[rows], task.counts)


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
        expected = baseline.recommend(part.users, k=metric.k, exclude_seen=plan.exclude_seen).codes
        values[metric.label] = serendipity(codes, part.truth, expected, metric.k)
    for metric in plan.of(("diversity",)):
        values[metric.label] = diversity(codes, plan.features, metric.k)
    history = _take_rows(model.seen_, part.users) if plan.of(("calibration",)) else None
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
    labels = [[label for label in str(text).split("|") if label] for text in info[column]]
    names = {name: place for place, name in enumerate(sorted({label for item in labels for label in item}))}
    rows = np.repeat(np.arange(len(labels)), [len(item) for item in labels])
    columns = np.array([names[label] for item in labels for label in item], dtype=np.int64)
    return sp.csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(labels), max(len(names), 1)))
