"""The scores of one model: its lists, and all metrics of them."""

import time
from collections.abc import Container, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fastrec.evaluation.item_groups import ItemGroups
from fastrec.evaluation.task import Task, label_users, pick_histories, training_of
from fastrec.matrix.cells import repeat_by_row
from fastrec.matrix.code_matrix import CodeMatrix, check_matrix, keep_entries
from fastrec.matrix.rows import pick_rows
from fastrec.metrics import calibration, diversity, serendipity
from fastrec.metrics.catalogue import CATALOGUE, count_listed
from fastrec.metrics.formulas import RANKING
from fastrec.metrics.measuring import measure_checked
from fastrec.metrics.naming import Metric
from fastrec.metrics.pairs import PAIRS
from fastrec.metrics.weights import WEIGHTED, mean_weights
from fastrec.models import Popularity
from fastrec.preprocessing.filtering import draw_negatives


class ModelScores(NamedTuple):
    """The scores of one model: values per user, values over all lists, seconds, and values per user by item group."""

    values: dict[str, NDArray[np.float64]]
    totals: dict[str, float]
    seconds: float
    by_items: dict[str, dict[str, NDArray[np.float64]]]


class Measurement(NamedTuple):
    """The metrics of an evaluation, and their options."""

    wanted: Sequence[Metric]
    exclude_seen: bool
    batch_size: int
    n_jobs: int | None
    features: Any  # (n_items, n_features) as given, or None
    groups: ItemGroups | None
    n_sampled: int
    random_state: int

    def of(self, names: Container[str], sampled: bool = False) -> list[Metric]:
        """Returns the wanted metrics among these, over all candidates or over sampled ones."""
        return [metric for metric in self.wanted if metric.name in names and metric.sampled == sampled]

    def width(self, n_items: int, sampled: bool = False) -> int:
        """Returns the number of items to rank; 0 if no metric needs a ranking."""
        return min(max((m.k for m in self.wanted if m.sampled == sampled), default=0), n_items)


def score_model(model: Any, task: Task, plan: Measurement) -> ModelScores:
    """Asks a model for the lists of all users of a task, a batch at a time, and measures them."""
    n_users, n_items = len(task.users), model.seen_.shape[1]
    single = [m.label for m in plan.wanted if m.name not in CATALOGUE and m.name not in PAIRS]
    values = {label: np.empty(n_users) for label in single}
    grouped = [metric.label for metric in plan.of(RANKING)]
    names = plan.groups.names if plan.groups is not None else []
    by_items = {name: {label: np.empty(n_users) for label in grouped} for name in names}
    listed = {metric.k: np.zeros(n_items, dtype=np.int64) for metric in plan.of(CATALOGUE)}
    trained = training_of(model, task)
    popularity = np.bincount(trained.indices, minlength=n_items).astype(np.float64)
    baseline = Popularity().fit(trained) if plan.of(("serendipity",)) else None
    seconds = 0.0
    for start in range(0, n_users, plan.batch_size):
        rows = slice(start, min(start + plan.batch_size, n_users))
        part = _part_of(task, rows)
        found: dict[str, NDArray[np.float64]] = {}
        if plan.width(n_items):
            began = time.perf_counter()
            codes = model.recommend(_ask_for(model, part), k=plan.width(n_items), **_leave_out(part, plan)).codes
            seconds += time.perf_counter() - began
            found = measure_checked(
                codes, part.truth, plan.of(RANKING), _count_candidates(model, part, plan), plan.n_jobs
            )
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
    return ModelScores(values, totals | _score_pairs(model, task, plan), seconds, by_items)


def _ask_for(model: Any, part: Task) -> Any:
    """Returns the argument of `recommend` for the users of a part: their ids, or their histories."""
    return label_users(model, part.users) if part.histories is None else pick_histories(part.histories, part.users)


def _seen_by(model: Any, part: Task) -> CodeMatrix:
    return pick_rows(model.seen_ if part.seen is None else part.seen, part.users)


def _leave_out(part: Task, plan: Measurement) -> dict[str, Any]:
    """Returns the options of `recommend` that leave out the users' items: the model's own record, or the given one."""
    if part.seen is None or not plan.exclude_seen:
        return {"exclude_seen": plan.exclude_seen}
    return {"exclude_seen": False, "deny": _ones(pick_rows(part.seen, part.users))}


def _part_of(task: Task, rows: slice) -> Task:
    return task._replace(users=task.users[rows], truth=pick_rows(task.truth, rows), history=task.history[rows])


def _count_candidates(model: Any, part: Task, plan: Measurement) -> NDArray[np.int64]:
    had = np.diff(_seen_by(model, part).indptr) if plan.exclude_seen else 0
    return np.full(len(part.users), part.truth.shape[1], np.int64) - had


def _score_groups(
    codes: NDArray[np.int32], part: Task, model: Any, plan: Measurement
) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Scores the same rankings by the items to find of each group alone."""
    if plan.groups is None:
        return {}
    found = {}
    of_entry = plan.groups.of_item[part.truth.indices]
    for number, name in enumerate(plan.groups.names):
        truth = keep_entries(part.truth, of_entry == number)
        found[name] = measure_checked(codes, truth, plan.of(RANKING), _count_candidates(model, part, plan), plan.n_jobs)
    return found


def _score_sampled(model: Any, part: Task, plan: Measurement) -> dict[str, NDArray[np.float64]]:
    """Scores the items to find among a few other items, drawn for each user from those neither in the history nor
    to find.
    """
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
    codes = model.recommend(_ask_for(model, part), k=width, exclude_seen=False, allow=candidates).codes
    # An item outside the catalogue counts as missed, and is a candidate all the same.
    counts = np.diff(part.truth.indptr) + np.bincount(rows, minlength=len(part.users))
    plain = [metric._replace(sampled=False) for metric in wanted]
    return measure_checked(codes, part.truth, plain, counts, plan.n_jobs)


def _ones(matrix: CodeMatrix) -> sp.csr_array:
    return sp.csr_array((np.ones(matrix.nnz, np.float32), matrix.indices, matrix.indptr), shape=matrix.shape)


# Pairs that are predicted at a time.
_PAIRS_AT_ONCE = 1 << 20


def _score_pairs(model: Any, task: Task, plan: Measurement) -> dict[str, float]:
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
        asked = _ask_for(model, task._replace(users=users[part]))
        ids = model.item_vocabulary.decode(items)
        predicted[part] = model.predict_pairs(asked, ids)
    return {metric.label: PAIRS[metric.name](task.pairs.data, predicted) for metric in wanted}


def _score_weights(
    codes: NDArray[np.int32], popularity: NDArray[np.float64], n_users: int, plan: Measurement
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
    codes: NDArray[np.int32], part: Task, model: Any, plan: Measurement, baseline: Any
) -> dict[str, NDArray[np.float64]]:
    values = {}
    for metric in plan.of(("serendipity",)):
        asked = part.users if part.histories is None else _seen_by(model, part)
        expected = baseline.recommend(asked, k=metric.k, **_leave_out(part, plan)).codes
        values[metric.label] = serendipity(codes, part.truth, expected, metric.k)
    for metric in plan.of(("diversity",)):
        values[metric.label] = diversity(codes, plan.features, metric.k)
    history = _seen_by(model, part) if plan.of(("calibration",)) else None
    for metric in plan.of(("calibration",)):
        values[metric.label] = calibration(codes, history, plan.features, metric.k)
    return values
