"""Order: the next item by models that read it, beside those that do not; and what rules cost."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from data import Folder, codes, tell_parts

import fastrec as fr

Record = dict[str, Any]
PAGE = "sequence.md"
METRICS = ("recall@10", "ndcg@10", "mrr@10")
LIMIT = 20
# Settings of models with order were found on the event before the last one; the others have their defaults.
MODELS: dict[str, Callable[[], Any]] = {
    "Popularity": fr.Popularity,
    "ItemKNN": fr.ItemKNN,
    "EASE": fr.EASE,
    "ImplicitALS": lambda: fr.ImplicitALS(64, random_state=0),
    "LinearSequence": fr.LinearSequence,
    "SequenceKNN": fr.SequenceKNN,
    "SequenceRules": fr.SequenceRules,
}
# What was tried of each model, one option at a time.
GRIDS: dict[Callable[..., Any], dict[str, tuple[float, ...]]] = {
    fr.SequenceRules: {
        "window": (5, 10, 20, 50),
        "decay": (0.5, 0.7, 0.9),
        "recency": (0.5, 0.6, 0.8),
        "source_exponent": (0.3, 0.7),
        "target_exponent": (0.2, 0.4),
    },
    fr.SequenceKNN: {
        "neighbors": (200, 1000),
        "candidates": (1000, 4000),
        "recency": (0.7, 0.8, 0.9),
        "decay": (0.7, 0.8),
        "before": (0.1, 0.35),
        "source_exponent": (0.3, 0.7),
        "target_exponent": (0.1, 0.3),
        "length_exponent": (0.3, 0.7),
    },
}


def events_of(folder: Folder) -> tuple[fr.Interactions, int]:
    """All of ml-1m by its times, ties in the order of the file, and the moment from which its test part begins."""
    user, item, times, split = folder.columns("ml-1m", "user", "item", "timestamp", "time_split")
    data = fr.Interactions(codes(user), codes(item), times=times, time_unit="s", duplicates="last")
    return data, int(times[split.astype(str) == "test"].min())


def measure(train: fr.Interactions, test: Any) -> Iterator[Record]:
    """Each model fitted and evaluated: means, half the width of their intervals, CPU seconds of the fit."""
    for name, make in MODELS.items():
        make().fit(train[np.arange(50)])  # compiled before the clock runs
        began = time.process_time()
        model = make().fit(train)
        took = time.process_time() - began
        report = fr.evaluate(model, test, METRICS)
        found = {metric: report.estimate(metric) for metric in METRICS}
        widths = {f"± {metric}": (found[metric].high - found[metric].low) / 2 for metric in METRICS[:1]}
        yield {"model": name, **{metric: found[metric].mean for metric in METRICS}, **widths, "fit, CPU s": took}


def last_out(folder: Folder, repeats: int) -> Iterator[Record]:
    """The last event of each user of ml-1m, found from all before: leaks the future, and is what papers print."""
    data, _ = events_of(folder)
    train, test = fr.split_last(data)
    tell_parts("ml-1m", train=train, test=test)
    yield from measure(train, test)


def next_events(folder: Folder, repeats: int) -> Iterator[Record]:
    """The first 20 events of each user of ml-1m after a cut in time, each found from all before; intervals by user."""
    data, cut = events_of(folder)
    train, _ = fr.split_time(data, at=cut)
    events = fr.next_events(data, after=cut, limit=LIMIT)
    tell_parts("ml-1m", train=train, test=events.truth)
    yield from measure(train, events)


def costs(folder: Folder, repeats: int) -> Iterator[Record]:
    """What models that count cost on one thread: a fit, events taken in, a question by a history of some 50."""
    data, cut = events_of(folder)
    train, late = fr.split_time(data, at=cut)
    day, event = late.select(np.arange(5000)), late.select(np.arange(5000, 5001))
    for make in (fr.SequenceRules, fr.SequenceKNN):
        make(n_jobs=1).fit(train[np.arange(500)]).partial_fit(event).recommend([0])
        for repeat in range(repeats):
            fresh = train.select(np.arange(train.n_interactions))  # nothing of its matrix is known yet
            model, fit = _clocked(lambda fresh=fresh, make=make: make(n_jobs=1).fit(fresh))
            near = np.argsort(np.abs(np.diff(model.seen_.indptr) - 50), kind="stable")[:200].tolist()
            _, first = _clocked(lambda model=model, near=near: model.recommend([near[0]]))
            _, ask = _clocked(lambda model=model, near=near: [model.recommend([user]) for user in near])
            _, update = _clocked(lambda model=model: model.partial_fit(day))
            _, alone = _clocked(lambda model=model: model.partial_fit(event))
            yield {
                "model": make.__name__,
                "repeat": repeat,
                "events per CPU s of fit": train.n_interactions / fit,
                "CPU µs per event, 5000 at once": 1e6 * update / 5000,
                "CPU µs of an event alone": 1e6 * alone,
                "CPU µs of the first question": 1e6 * first,
                "CPU µs per question": 1e6 * ask / len(near),
            }


def tune(folder: Folder, repeats: int) -> Iterator[Record]:
    """Settings by the event before the last one of each user, one option at a time, the others as they are."""
    data, _ = events_of(folder)
    train, hidden = fr.split_last(fr.split_last(data)[0])
    tell_parts("ml-1m, without each user's last", train=train, test=hidden)
    for make, grid in GRIDS.items():
        for option, values in grid.items():
            for value in values:
                report = fr.evaluate(make(**{option: value}).fit(train), hidden, METRICS)
                means = {metric: report.mean(metric) for metric in METRICS}
                yield {"model": make.__name__, "option": option, "value": value, **means}


def _clocked(run: Callable[[], Any]) -> tuple[Any, float]:
    began = time.process_time()
    result = run()
    return result, time.process_time() - began


PARTS = (last_out, next_events, costs)
