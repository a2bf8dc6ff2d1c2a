"""`Task`: the users to ask for, the items to find, and the events left out."""

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.data import Interactions
from fastrec.evaluation.models import are_same, is_plain_pipeline, recommender_of
from fastrec.matrix.arrays import readonly, starts_of
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr, check_matrix, keep_entries
from fastrec.matrix.pairs import build_csr
from fastrec.matrix.rows import pick_rows
from fastrec.metrics.inputs import check_truth


class Task(NamedTuple):
    """The task of all models: the users evaluated, the items to be found, and the events left out."""

    users: NDArray[np.int32]  # codes of the evaluated users, ascending; rows of the histories if there are any
    truth: CodeMatrix  # their relevant items, one row each
    history: NDArray[np.int64]  # the number of items that each of them has had
    counts: dict[str, int]
    seen: CodeMatrix | None = None  # the items of all users (or histories); None: those that each model was fitted on
    histories: Any = None  # histories of users who are folded in, as they were given
    pairs: CodeMatrix | None = None  # the values to predict: rows as `pair_users`
    pair_users: NDArray[np.int32] | None = None


def set_task(
    named: dict[str, Any], test: Any, exclude_seen: bool, seen: Any, cold_users: str, histories: Any, needed: bool
) -> Task:
    """Makes the task; if no list is asked for (not `needed`), there may be nothing to find."""
    models = list(named.values())
    if histories is None and not all(model.seen_.shape[0] for model in models):
        raise ValueError("a model here keeps no users, so test cannot name them: give their items as histories=")
    had = _check_seen(seen, histories, models[0])
    if histories is None or had is None:
        whole, unknown = _align(models[0], test)
    else:
        whole, unknown = _match_histories(test, histories, had, models[0]), 0
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
        raise ValueError(_say_nothing_left(counts))
    truth = pick_rows(truth, rows)
    task = Task(users[rows], truth, history[rows], counts, had, histories)
    counts["pairs"] = truth.nnz
    counts["untrained_pairs"] = int(np.count_nonzero(_find_untrained(models, task)[truth.indices]))
    counts["without_test"] = whole.shape[0] - len(users)
    counts["folded_in"] = 0 if histories is None else len(rows)
    return task


def _check_seen(seen: Any, histories: Any, model: Any) -> CodeMatrix | None:
    """Checks the given items of the users: in training, or as histories."""
    if histories is not None:
        if seen is not None:
            raise ValueError(
                "seen and histories were both given: give histories alone, which hold all items of their users"
            )
        return _check_histories(histories, model)
    if seen is None:
        return None
    named = isinstance(seen, Interactions) and model.items_ is not None
    if named and not (are_same(seen.users, model.users_) and are_same(seen.items, model.items_)):
        raise ValueError("seen has other users or items than the training data: give it with the same vocabularies")
    matrix = check_matrix(seen, name="seen", negative="accept", zeros="events")
    if matrix.shape != model.seen_.shape:
        raise ValueError(f"seen must have the shape of the training data, {model.seen_.shape}, got {matrix.shape}")
    return matrix


def training_of(model: Any, task: Task) -> CodeMatrix:
    """Returns the interactions of all users in training."""
    trained: CodeMatrix = model.seen_ if task.seen is None or task.histories is not None else task.seen
    return trained


def prepare_histories(model: Any, task: Task) -> Task:
    """Returns the task with the histories as a model takes them: after the steps of a Pipeline."""
    if task.histories is None:
        return task
    steps = is_plain_pipeline(model) and len(model) > 1
    folded = model[:-1].transform(task.histories) if steps else task.histories
    if not isinstance(folded, Interactions):
        folded = check_matrix(folded, name="histories", negative="accept", zeros="events")
    return task._replace(histories=folded)


def pick_histories(histories: Interactions | CodeMatrix, rows: NDArray[np.int32]) -> Interactions | CodeMatrix:
    """Returns the histories of some rows in that order, a row as often as it is named; Interactions keep their
    times.
    """
    if not isinstance(histories, Interactions):
        return pick_rows(histories, rows)
    lengths = np.bincount(histories.user_codes, minlength=len(histories))
    starts, lengths = starts_of(lengths)[rows], lengths[rows]
    places = np.arange(lengths.sum()) + np.repeat(starts - starts_of(lengths)[:-1], lengths)
    events = np.argsort(histories.user_codes, kind="stable")[places]
    numbers = np.arange(len(rows))
    return histories.select(events, user_codes=np.repeat(numbers, lengths), users=numbers)


def _check_histories(histories: Any, model: Any) -> CodeMatrix:
    matrix = check_matrix(histories, name="histories", negative="accept", zeros="events")
    if matrix.shape[1] != model.seen_.shape[1]:
        raise ValueError(f"histories must have the model's {model.seen_.shape[1]} items, got {matrix.shape[1]}")
    if isinstance(histories, Interactions) and not are_same(histories.items, model.items_ or histories.items):
        raise ValueError("histories have other items than the model was fitted with")
    return matrix


def _match_histories(test: Any, histories: Any, known: CodeMatrix, model: Any) -> CodeMatrix:
    truth = check_truth(test, _choose_merging([model]))
    if truth.shape != known.shape:
        raise ValueError(f"test and histories must have one shape, got {truth.shape} and {known.shape}")
    both = isinstance(test, Interactions) and isinstance(histories, Interactions)
    if both and (test.items != histories.items or test.users != histories.users):
        raise ValueError("test and histories have different users or items")
    return truth


def add_pairs(task: Task, named: dict[str, Any], test: Any, exclude_seen: bool) -> Task:
    """Adds the test set's values of pairs of users and items that the models know."""
    models = list(named.values())
    if isinstance(test, Interactions):
        test.tell_merged("evaluate", _choose_merging(models))
    raw: CodeMatrix = check_matrix(test, name="test", negative="accept", duplicates=_choose_merging(models))
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


def _choose_merging(models: list[Any]) -> Literal["sum", "last"]:
    """Returns the policy to merge several test events of one user and item: the test set's, or else the models'."""
    rules = [getattr(recommender_of(model), "keeps_zeros", False) for model in models]
    return "last" if any(rules) else "sum"


def _say_nothing_left(counts: dict[str, int]) -> str:
    if counts["skipped"]:
        return f"test has nothing to evaluate: all its {counts['skipped']} users are new, and cold_users is 'skip'"
    if counts["seen_pairs"]:
        return (
            f"test has nothing to find: all its {counts['seen_pairs']} relevant pairs are in the training data already "
            "(exclude_seen=False would look for them)"
        )
    return "test has nothing to find: it has no value above zero"


def _align(model: Any, test: Any, matrix: CodeMatrix | None = None) -> tuple[CodeMatrix, int]:
    """Returns the relevant items (or `matrix`) as rows of the model's users, and the number of unknown users in the
    test set.

    Items unknown to the model get columns behind its own: they are never recommended, so they count as missed.
    """
    users, items = model.users_, model.items_
    truth = check_truth(test, _choose_merging([model])) if matrix is None else matrix
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
    """Returns `truth` without the users' items in any of the known matrices, and the number of pairs taken out."""
    from fastrec.kernels.metrics import mark_common  # Numba is imported when it is first needed

    seen = np.zeros(truth.nnz, dtype=bool)
    for matrix in {id(matrix): matrix for matrix in known}.values():
        common = np.zeros(truth.nnz, dtype=bool)
        ours, theirs = (truth.indptr, truth.indices), (matrix.indptr, matrix.indices)
        mark_common(common, *map(readonly, (*ours, *theirs, users)))
        seen |= common
    return keep_entries(truth, ~seen), int(np.count_nonzero(seen))


def _find_untrained(models: list[Any], task: Task) -> NDArray[np.bool_]:
    """Returns the items without an event in the training data of any model."""
    untrained = np.ones(task.truth.shape[1], dtype=bool)
    for model in models:
        untrained[training_of(model, task).indices] = False
    return untrained


def label_users(model: Any, codes: NDArray[np.int32]) -> NDArray[Any]:
    """Returns the model's ids of users with some codes."""
    ids: NDArray[Any] = model.user_vocabulary.decode(codes)
    return ids
