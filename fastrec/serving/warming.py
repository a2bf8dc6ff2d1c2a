"""A new model is asked everything once, and timed, before its first request."""

import contextlib
import time
from collections.abc import Callable

import numpy as np

from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.rows import pick_rows, rows_of_lists
from fastrec.models import Recommender
from fastrec.online import Event, Snapshot
from fastrec.online.acceptance import largest_value
from fastrec.online.journal import Id
from fastrec.serving.parsing import decode

# A slower model answers on threads: other requests would wait for it.
SLOW_SECONDS = 0.002
# A fast one is judged by its best of so many tries, since other work delays most of them; after so many seconds and
# three tries it certainly is slow.
TRIES, LONG_ENOUGH = 20, 0.5


def warm_up(snapshot: Snapshot) -> None:
    """Asks a new model everything once, so that kernels and indexes are ready."""
    model = snapshot.model
    users, row = _some_users(model), _some_history(model)
    item = decode(model, np.zeros(1, int))
    unknown = "" if isinstance(users[0], str) else -1
    changed = snapshot.after([Event(users[0], item[0], seq=snapshot.seq + 1)])
    for options in ({}, {"exclude_seen": not model.excludes_seen}, {"allow": item, "deny": item}):
        for asked in ([users[0]], [unknown], users):
            changed.recommend(asked, 1, on_unknown="popular", **options)
        snapshot.recommend(users[:1], 1, on_unknown="popular", **options)
        model.recommend(row, 1, **options)
    if "explain" in model.capabilities:
        model.explain(row, item[0], 1)
    elif hasattr(model, "explain_features"):
        model.explain_features(row, item[0], 1)
    with contextlib.suppress(ValueError):  # the model needs users to compare items, and keeps none
        model.similar_items(item, 1)
    largest_value(model)


def _some_users(model: Recommender) -> list[Id]:
    """Returns the first and the last user; for a model without users, an unknown id of the right type."""
    if not model.has_users:
        return ["" if model.user_vocabulary.kind == "str" else 0]
    found: list[Id] = model.user_vocabulary.decode([0, model.seen_.shape[0] - 1]).tolist()
    return found


def _some_history(model: Recommender) -> CodeMatrix:
    """Returns the history of the first user; the first item if the model keeps no users."""
    if model.has_users:
        return pick_rows(model.seen_, slice(0, 1))
    return rows_of_lists(np.zeros(1, np.int32), [1], model.n_features_in_)


def measure_pace(snapshot: Snapshot, clock: Callable[[], float] = time.perf_counter) -> float:
    """Returns the seconds of the slowest kind of question; each kind counts with its best try, since other work delays
    some.

    Parameters
    ----------
    snapshot
        The snapshot of a warmed-up model.
    clock
        A function that returns the time in seconds.
    """
    model = snapshot.model
    user, row = _some_users(model)[0], _some_history(model)
    item = decode(model, np.zeros(1, int))
    event = Event(user, item[0], seq=snapshot.seq + 1)
    kinds: tuple[Callable[[], object], ...] = (
        lambda: snapshot.recommend([user], 10, on_unknown="popular"),
        lambda: snapshot.recommend([user], 10, exclude_seen=not model.excludes_seen, deny=item, on_unknown="popular"),
        lambda: snapshot.after([event]).recommend([user], 10, on_unknown="popular"),
        lambda: model.recommend(row, 10),
    )
    return max(_best_time(kind, clock) for kind in kinds)


def _best_time(work: Callable[[], object], clock: Callable[[], float]) -> float:
    """Returns the shortest time of some tries; it stops at the first fast one."""
    times: list[float] = []
    while len(times) < TRIES and (len(times) < 3 or sum(times) < LONG_ENOUGH):
        began = clock()
        work()
        times.append(clock() - began)
        if times[-1] <= SLOW_SECONDS:
            break
    return min(times)
