"""Compares models that read the order of events with others, on the next item; measures the cost of rules."""

import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import torch_steps
from data import Folder, codes, tell_parts

import fastrec as fr
from fastrec.kernels.next_items import Steps
from fastrec.matrix.arrays import readonly, starts_of
from fastrec.matrix.sequences import read_sequences
from fastrec.metrics import ndcg, recall
from fastrec.preprocessing import NextEvents
from fastrec.solvers.attention_layout import AttentionLayout
from fastrec.solvers.attention_training import AttentionTrainer, ItemDraws

Record = dict[str, Any]
PAGE = "explanation/sequence.md"
PAGES = {"leak": "how-to/evaluation.md"}  # parts whose tables stand on another page
METRICS = ("recall@10", "ndcg@10", "mrr@10")
LIMIT = 20
SINGLE = 2000  # events that are taken in one at a time
Models = dict[str, Callable[[], Any]]


def blend(*models: Any, **options: Any) -> Callable[[], Any]:
    """Makes a Blend of equal weights."""
    return lambda: fr.Blend(models, weights=[1.0] * len(models), **options)


# The settings of models with order, and how far others fade a history, were found on the event before the last one; all
# other options have their defaults.
MODELS: Models = {
    "Popularity": fr.Popularity,
    "ItemKNN": fr.ItemKNN,
    "EASE": fr.EASE,
    "ImplicitALS": lambda: fr.ImplicitALS(64, random_state=0),
    "ItemKNN, fading": lambda: fr.ItemKNN(recency=0.6),
    "EASE, fading": lambda: fr.EASE(recency=0.8),
    "ImplicitALS, fading": lambda: fr.ImplicitALS(64, recency=0.9, random_state=0),
    "LinearSequence": fr.LinearSequence,
    "SequenceKNN": fr.SequenceKNN,
    "SequenceRules": fr.SequenceRules,
    "Blend of SequenceKNN and SequenceRules": blend(fr.SequenceKNN(), fr.SequenceRules()),
    "Blend of SequenceKNN and LinearSequence": blend(fr.SequenceKNN(), fr.LinearSequence()),
}
# On short histories: the settings of the closed form are those with the best NDCG@10 in `sparse`.
SPARSE_LINEAR = fr.LinearSequence(100, before=0.35, source_exponent=0.5, target_exponent=0.1)
SPARSE_MODELS: Models = {
    "ItemKNN, fading": lambda: fr.ItemKNN(recency=0.6),
    "EASE, fading": lambda: fr.EASE(recency=0.8),
    "LinearSequence": lambda: SPARSE_LINEAR,
    "SequenceKNN": fr.SequenceKNN,
    "SequenceRules": fr.SequenceRules,
    "Blend of SequenceKNN and SequenceRules": blend(fr.SequenceKNN(), fr.SequenceRules()),
    "Blend of SequenceKNN and LinearSequence": blend(fr.SequenceKNN(), SPARSE_LINEAR),
}
# Sets of short histories: the data, the fewest and the most events of a user, and the fewest users of an item.
THIN = {"ml-1m, 5 to 15": ("ml-1m", 5, 15), "ml-1m, 3 to 8": ("ml-1m", 3, 8), "ml-100k, 5 to 15": ("ml-100k", 5, 15)}
# Models that are fitted with events later than the question, and without them.
LEAKING: Models = {name: MODELS[name] for name in ("ItemKNN", "EASE", "SequenceRules")}
# The options that were tried for each model, one at a time.
FADING = {"recency": (0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)}
GRIDS: dict[Callable[..., Any], dict[str, tuple[float, ...]]] = {
    fr.ItemKNN: FADING,
    fr.EASE: FADING,
    fr.ImplicitALS: FADING,
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

OURS: dict[str, Callable[[], Any]] = {"SequenceRules": fr.SequenceRules, "LinearSequence": fr.LinearSequence}
# Settings with the best NDCG@10 on the event before the last one.
RIVALS: dict[str, tuple[str, dict[str, Any]]] = {
    "rusket FPMC": ("FPMC", {"iterations": 20}),
    "rusket SASRec": ("SASRec", {"iterations": 5, "learning_rate": 0.02}),
}


def events_of(folder: Folder) -> tuple[fr.Interactions, int]:
    """Reads all events of ml-1m by time, ties in the order of the file, and the moment from which the test part
    begins.
    """
    data, (split,) = timed_events(folder, "ml-1m"), folder.columns("ml-1m", "time_split")
    return data, int(data.times[split.astype(str) == "test"].min())


def timed_events(folder: Folder, name: str) -> fr.Interactions:
    """Reads the events of a data set by their times, ties in the order of the file."""
    user, item, times = folder.columns(name, "user", "item", "timestamp")
    return fr.Interactions(codes(user), codes(item), times=times, time_unit="s", duplicates="last")


def measure(train: fr.Interactions, test: Any, models: Models = MODELS) -> Iterator[Record]:
    """Fits and evaluates each model: means, half the width of their intervals, CPU seconds of the fit."""
    for name, make in models.items():
        make().fit(train[np.arange(50)])  # kernels are compiled before the clock runs
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


def _after_the_cut(folder: Folder) -> tuple[fr.Interactions, NextEvents]:
    """The events of ml-1m before its cut in time, and the questions for the first events of each user after it."""
    data, cut = events_of(folder)
    train, _ = fr.split_time(data, at=cut)
    events = fr.next_events(data, after=cut, limit=LIMIT)
    tell_parts("ml-1m", train=train, test=events.truth)
    return train, events


def next_events(folder: Folder, repeats: int) -> Iterator[Record]:
    """The first 20 events of each user of ml-1m after a cut in time, each found from all before; intervals by user."""
    train, events = _after_the_cut(folder)
    yield from measure(train, events)


def leak(folder: Folder, repeats: int) -> Iterator[Record]:
    """The last event of users of ml-1m who are there in the last tenth of time, by what models are fitted with."""
    data, cut = events_of(folder)
    train, test = fr.split_last(data)
    last = _last_times(data)
    later = float(np.mean([np.mean(train.times > moment) for moment in last]))
    print(f"  of the training events {later:.1%} are later than what is to be found, in the mean of users", flush=True)
    rows = np.flatnonzero(last >= cut)
    before, _ = fr.split_time(data, at=cut)
    tell_parts("ml-1m, users of the last tenth", histories=train[rows], test=test[rows])
    for name, make in LEAKING.items():
        record: Record = {"model": name}
        for fitted_with, part in {"all but the last events": train, "what came before": before}.items():
            report = fr.evaluate(make().fit(part), test[rows], "recall@10", histories=train[rows])
            found = report.estimate("recall@10")
            record |= {f"recall@10, by {fitted_with}": found.mean, f"± by {fitted_with}": (found.high - found.low) / 2}
        yield {**record, "users": len(rows), "share of later training events": later}


def _last_times(data: fr.Interactions) -> np.ndarray:
    """Returns the time of the last event of each user."""
    last = np.full(len(data), np.iinfo(np.int64).min)
    np.maximum.at(last, data.user_codes, data.times)
    return last


def forms(folder: Folder, repeats: int) -> Iterator[Record]:
    """The forms of LinearSequence on the last event of each user of ml-1m."""
    data, _ = events_of(folder)
    train, test = fr.split_last(data)
    tell_parts("ml-1m", train=train, test=test)
    models: Models = {"dense": lambda: fr.LinearSequence(method="dense")}
    for number in (64, 128, 256, 512):
        models[f"sparse, {number} neighbors"] = lambda number=number: fr.LinearSequence(
            method="sparse", neighbors=number
        )
    yield from measure(train, test, models)


def gowalla_in_order(folder: Folder) -> fr.Interactions:
    """Returns the training part of Gowalla, each user's check-ins in the order of the file, which has no times."""
    user, item, split = folder.columns("gowalla", "user", "item", "split")
    kept = split.astype(str) == "train"
    return fr.Interactions(codes(user[kept]), codes(item[kept]), times=np.arange(kept.sum()), time_unit="s")


def large(folder: Folder, repeats: int) -> Iterator[Record]:
    """Gowalla, in the order of its file: the last check-in of each user; settings by the one before it."""
    train, test = fr.split_last(gowalla_in_order(folder))
    earlier, hidden = fr.split_last(train)
    tell_parts("gowalla", train=train, test=test)
    tries = {}
    for number in (30, 100):
        for exponents in ((0.0, 0.0), (0.5, 0.2)):
            options = {"regularization": number, "source_exponent": exponents[0], "target_exponent": exponents[1]}
            found = next(measure(earlier, hidden, {f"before the last: {options}": lambda o=options: _sparse(**o)}))
            tries[found["ndcg@10"]] = options
            yield found
    best = tries[max(tries)]
    models: Models = {f"LinearSequence, {n} neighbors": lambda n=n: _sparse(**best, neighbors=n) for n in (64, 256)}
    others = {kind.__name__: kind for kind in (fr.ItemKNN, fr.EASE, fr.SequenceRules, fr.SequenceKNN)}
    yield from measure(train, test, models | others)


def _sparse(**options: float) -> fr.LinearSequence:
    return fr.LinearSequence(method="sparse", **options)


def closed_forms(folder: Folder, repeats: int) -> Iterator[Record]:
    """LinearSequence beside EASE, dense, fitted in turns: medians of CPU seconds."""
    films, _ = events_of(folder)
    places = gowalla_in_order(folder)
    popular = np.argsort(-np.bincount(places.item_codes), kind="stable")[:8000]
    kept = np.isin(places.item_codes, popular)
    places = fr.Interactions(
        places.user_codes[kept], codes(places.item_codes[kept]), times=places.times[kept], time_unit="s"
    )
    for name, data in (("ml-1m", films), ("the 8000 most popular places of gowalla", places)):
        kinds = {"EASE": fr.EASE, "LinearSequence": fr.LinearSequence}
        took: dict[str, list[float]] = {kind: [] for kind in kinds}
        for _ in range(repeats):
            for kind, make in kinds.items():
                make(method="dense").fit(data[np.arange(50)])  # kernels are compiled before the clock runs
                fresh = data.select(np.arange(data.n_interactions))
                _, seconds = _clocked(lambda make=make, fresh=fresh: make(method="dense", n_jobs=1).fit(fresh))
                took[kind].append(seconds)
        middle = {f"{kind}, CPU s": float(np.median(seconds)) for kind, seconds in took.items()}
        yield {
            "data": name,
            "items": data.shape[1],
            **middle,
            "ratio": middle["LinearSequence, CPU s"] / middle["EASE, CPU s"],
        }


def costs(folder: Folder, repeats: int) -> Iterator[Record]:
    """Measures models that count on one thread: a fit, events taken in, a question by a history of some 50."""
    data, cut = events_of(folder)
    train, late = fr.split_time(data, at=cut)
    day, numbers = late.select(np.arange(5000)), range(5000, 5000 + SINGLE)
    events = [late.select(np.array([number])) for number in numbers]
    for make in (fr.SequenceRules, fr.SequenceKNN):
        make(n_jobs=1).fit(train[np.arange(500)]).partial_fit(events[0]).recommend([0])
        for repeat in range(repeats):
            fresh = train.select(np.arange(train.n_interactions))  # nothing of its matrix is known yet
            model, fit = _clocked(lambda fresh=fresh, make=make: make(n_jobs=1).fit(fresh))
            near = np.argsort(np.abs(np.diff(model.seen_.indptr) - 50), kind="stable")[:200].tolist()
            ask = lambda model=model, near=near: [model.recommend([user]) for user in near]
            _, first = _clocked(ask)
            asked = [_clocked(ask)[1] for _ in range(5)]
            _, update = _clocked(lambda model=model: model.partial_fit(day))
            some = events if make is fr.SequenceRules else events[:20]  # an event of other models takes milliseconds
            _, alone = _clocked(lambda model=model, some=some: [model.partial_fit(event) for event in some])
            again = [_clocked(ask)[1] for _ in range(5)]
            yield {
                "model": make.__name__,
                "repeat": repeat,
                "events per CPU s of fit": train.n_interactions / fit,
                "CPU µs per event, 5000 at once": 1e6 * update / 5000,
                "CPU µs per event, one at a time": 1e6 * alone / len(some),
                "CPU µs per question, the first 200": 1e6 * first / len(near),
                "CPU µs per question": 1e6 * float(np.mean(asked)) / len(near),
                "CPU µs per question after events": 1e6 * float(np.mean(again)) / len(near),
            }


def attention(folder: Folder, repeats: int) -> Iterator[Record]:
    """SequenceAttention by default on the last event of each user of ml-1m, one thread, a seed for each repeat."""
    data, _ = events_of(folder)
    train, test = fr.split_last(data)
    tell_parts("ml-1m", train=train, test=test)
    for seed in range(repeats):
        yield _one_seed(train, test, seed)


def attention_next_events(folder: Folder, repeats: int) -> Iterator[Record]:
    """The same on the first 20 events of each user of ml-1m after a cut in time, each found from all before."""
    train, events = _after_the_cut(folder)
    for seed in range(repeats):
        yield _one_seed(train, events, seed)


def attention_blend(folder: Folder, repeats: int) -> Iterator[Record]:
    """The same events by a Blend of SequenceAttention and .4 of SequenceKNN, a weight from an earlier cut in time."""
    train, events = _after_the_cut(folder)
    for seed in range(repeats):
        members = [fr.SequenceAttention(random_state=seed, n_jobs=1), fr.SequenceKNN()]
        models = {f"Blend, seed {seed}": lambda members=members: fr.Blend(members, weights=[1.0, 0.4])}
        yield from measure(train, events, models)


def _one_seed(train: fr.Interactions, test: Any, seed: int) -> Record:
    fitted: list[fr.SequenceAttention] = []

    def make() -> fr.SequenceAttention:
        fitted.append(fr.SequenceAttention(random_state=seed, n_jobs=1))
        return fitted[-1]

    record = next(measure(train, test, {f"SequenceAttention, seed {seed}": make}))
    return {**record, "epochs": fitted[-1].n_iter_}


def attention_steps(folder: Folder, repeats: int) -> Iterator[Record]:
    """Steps of SequenceAttention beside the same in PyTorch, one thread each: positions a CPU second, the best step."""
    rng, n_items = np.random.default_rng(0), 3706
    shapes = {
        "windows of 50": np.full(128, 50),
        "windows of 200": np.full(32, 200),
        "2 to 19": rng.integers(2, 20, 512),
    }
    for name, lengths in shapes.items():
        for factors in (64, 128):
            options = {"factors": factors, "blocks": 2, "heads": 2, "negatives": 512, "dropout": 0.2}
            steps = {
                "fastrec": _steps(lengths, n_items, **options),
                "torch": torch_steps.measure(lengths, n_items, **options),
            }
            took = dict.fromkeys(steps, np.inf)
            for _ in range(4 * repeats):
                took = {library: min(took[library], step()) for library, step in steps.items()}
            rates = {library: int(lengths.sum()) / seconds for library, seconds in took.items()}
            yield {"histories": name, "factors": factors, **rates, "ratio": rates["fastrec"] / rates["torch"]}


def _steps(lengths: Any, n_items: int, *, factors: int, blocks: int, heads: int, negatives: int, dropout: float) -> Any:
    """Returns a function that makes one step and returns its CPU seconds."""
    layout = AttentionLayout(factors, blocks, heads, 4 * factors, int(lengths.max()))
    rng, starts = np.random.default_rng(0), starts_of(lengths)
    items, targets = (readonly(rng.integers(0, n_items, starts[-1]).astype(np.int32)) for _ in range(2))
    steps = Steps(readonly(starts), items, targets)
    trainer = AttentionTrainer(
        layout, n_items, ItemDraws(np.ones(n_items, np.int64), negatives, 0.0), learning_rate=0.001, decay=0.0,
        dropout=dropout, most=int(starts[-1]), rng=rng, run=lambda functions: [function() for function in functions],
    )  # fmt: skip
    return lambda: _clocked(lambda: trainer.step(steps))[1]


def thinned(data: fr.Interactions, longest: int = 15, fewest: int = 5, seed: int = 0) -> fr.Interactions:
    """Returns a sparse set: `fewest` to `longest` consecutive events of each user, of items with as many users."""
    rng = np.random.default_rng(seed)
    order = np.lexsort((np.arange(len(data.times)), data.times, data.user_codes))
    counts = np.bincount(data.user_codes)
    lengths = rng.integers(fewest, longest + 1, len(counts))
    first = (rng.random(len(counts)) * np.maximum(counts - lengths + 1, 1)).astype(int)
    places = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    users = data.user_codes[order]
    kept = np.zeros(len(order), bool)
    kept[order] = (places >= first[users]) & (places < (first + lengths)[users])
    thin = data.select(np.flatnonzero(kept))
    return fr.KCore(fewest).fit_transform(thin)


def sparse(folder: Folder, repeats: int) -> Iterator[Record]:
    """Short histories of ml-1m, 5 to 15 events of each user in a row; the event before the last one is to be found."""
    thin = thinned(events_of(folder)[0])
    train, hidden = fr.split_last(fr.split_last(thin)[0])
    tell_parts("ml-1m, thinned", train=train, test=hidden)
    models: list[Any] = [fr.SequenceRules(), fr.SequenceRules(target_exponent=0.2), fr.SequenceKNN()]
    models += [fr.LinearSequence(number) for number in (30, 100, 300)]
    models += [SPARSE_LINEAR]
    models += [
        fr.LinearSequence(number, source_exponent=0.5, target_exponent=target)
        for number in (30, 100, 300)
        for target in (0.1, 0.2)
    ]
    for model in models:
        report = fr.evaluate(model.fit(train), hidden, METRICS)
        found = report.estimate("recall@10")
        means = {metric: report.mean(metric) for metric in METRICS}
        yield {"model": " ".join(repr(model).split()), **means, "± recall@10": (found.high - found.low) / 2}


def sparse_out(folder: Folder, repeats: int) -> Iterator[Record]:
    """The last event of each user where histories are short: so many events of each user in a row."""
    for name, (source, fewest, longest) in THIN.items():
        thin = thinned(timed_events(folder, source), longest, fewest)
        train, test = fr.split_last(thin)
        tell_parts(name, train=train, test=test)
        for record in measure(train, test, SPARSE_MODELS):
            yield {"data": name, **record}


def both_ways(folder: Folder, repeats: int) -> Iterator[Record]:
    """Pairs that count against their order, too: the event before the last one of each user, where data is sparse."""
    places = gowalla_in_order(folder)
    some = np.isin(places.user_codes, np.random.default_rng(0).permutation(len(places))[:20_000])
    sets = {name: thinned(timed_events(folder, source), most, fewest) for name, (source, fewest, most) in THIN.items()}
    sets["gowalla, 5 to 15"] = thinned(places.select(np.flatnonzero(some)))
    for name, thin in sets.items():
        train, hidden = fr.split_last(fr.split_last(thin)[0])
        tell_parts(name, train=train, test=hidden)
        models: list[Any] = [fr.SequenceRules(before=0, target_exponent=target) for target in (0.3, 0.2)]
        models += [fr.SequenceRules(before=before) for before in (0.2, 0.35, 0.5, 1.0)]
        models += [fr.SequenceKNN(before=before) for before in (0.2, 0.35, 0.5, 1.0)]
        for model in models:
            report = fr.evaluate(model.fit(train), hidden, METRICS)
            found = report.estimate("recall@10")
            means = {metric: report.mean(metric) for metric in METRICS}
            yield {"data": name, "model": repr(model), **means, "± recall@10": (found.high - found.low) / 2}


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


def peers(folder: Folder, repeats: int) -> Iterator[Record]:
    """Models of order of rusket beside ours, fitted in turns on ml-1m; the last event of each user is to be found."""
    data, _ = events_of(folder)
    train, test = fr.split_last(data)
    tell_parts("ml-1m", train=train, test=test)
    starts, items = read_sequences(train.matrix, train.order())
    sequences = [(items[start:stop] + 1).tolist() for start, stop in pairwise(starts)]  # 0 is no item to rusket
    for make in OURS.values():
        make().fit(train[np.arange(50)])  # kernels are compiled before the clock runs
    found: dict[str, list[Record]] = {name: [] for name in (*OURS, *RIVALS)}
    for _ in range(repeats):
        for name, make in OURS.items():
            fresh = train.select(np.arange(train.n_interactions))
            model, took = _clocked(lambda make=make, fresh=fresh: make().fit(fresh))
            found[name].append(_judge(model.recommend(np.arange(len(test)), 10).codes, test.matrix, took))
        for name, (kind, options) in RIVALS.items():
            model, took = _clocked(lambda kind=kind, options=options: _fit_rival(kind, options, sequences))
            found[name].append(_judge(_lists_of(model, test.shape), test.matrix, took))
    for name, records in found.items():
        yield {"model": name, **{key: float(np.median([record[key] for record in records])) for key in records[0]}}


def _fit_rival(kind: str, options: dict[str, Any], sequences: list[list[int]]) -> Any:
    import rusket

    return getattr(rusket, kind)(seed=0, **options).fit(sequences)


def _lists_of(model: Any, shape: tuple[int, int]) -> np.ndarray:
    """Returns the ten best items of each user; codes outside the catalogue, such as the padding, are left out."""
    codes = np.full((shape[0], 10), -1, np.int32)
    for user in range(shape[0]):
        listed = model.recommend_items(user, n=12)[0] - 1
        listed = listed[(listed >= 0) & (listed < shape[1])][:10]
        codes[user, : len(listed)] = listed
    return codes


def _judge(codes: np.ndarray, truth: Any, took: float) -> Record:
    means = {"recall@10": recall(codes, truth, 10), "ndcg@10": ndcg(codes, truth, 10)}
    return {**{name: float(np.nanmean(values)) for name, values in means.items()}, "fit, CPU s": took}


def _clocked(run: Callable[[], Any]) -> tuple[Any, float]:
    began = time.process_time()
    result = run()
    return result, time.process_time() - began


PARTS = (
    last_out, next_events, leak, sparse, sparse_out, both_ways, forms, large, closed_forms, costs, peers, attention,
    attention_next_events, attention_steps,
)  # fmt: skip
