"""Compares a model kept up to date, one refitted each night and one left alone, on ML-1M in the order of time.

    python bench/online.py FILE [--days 8] [--slices 10]
    python bench/online.py FILE --tune      # how the regularization was chosen, on the first 70 % alone

Test, then train (prequential): the last 30 % of the events are cut into days of equal size, and these into slices.
Each slice is first predicted (NDCG@10 of items new to the user, over users with a history by then), then taken in.
FILE has ratings as `read_interactions` reads them. Figures go to bench/results/ and docs/img/prequential.svg;
`python bench/report.py` makes the tables of docs/explanation/online.md of them. The cost of a fold-in is measured too.
"""

import argparse
import copy
import json
import time
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray
from run import HERE, machine

import fastrec as fr
from fastrec.data import Interactions
from fastrec.matrix.rows import pick_rows
from fastrec.metrics import ndcg

# The models that are compared, and what each does with a slice after it has been predicted.
NEVER, NIGHTLY, MORNING, ONLINE, BOTH = (
    "never updated",
    "refitted each night",
    "online until last night",
    "online",
    "online, and refitted each night",
)
STYLES = {NEVER: ("#adb5bd", "--"), NIGHTLY: ("#e8590c", "-"), ONLINE: ("#0b7285", "-"), BOTH: ("#5f3dc4", ":")}


# The best value that `--tune` found on the first 70 % of the events; its four days were the last 15 % (of all) of them.
REGULARIZATION = 0.05
# A mean over fewer users says nothing.
FEWEST = 30
GRID = (0.003, 0.01, 0.03, 0.05, 0.1, 0.2, 0.4)


def parts_of(data, days, slices, begin=0.7, end=1.0):
    """Returns the events up to `begin`, and the slices of each day up to `end`."""
    order = np.argsort(data.times, kind="stable")
    cuts = np.linspace(begin * len(order), end * len(order), days * slices + 1).astype(int)
    parts = [data.select(order[start:stop]) for start, stop in pairwise(cuts)]
    return data.select(order[: cuts[0]]), [parts[day * slices : (day + 1) * slices] for day in range(days)]


def joined(parts, data):
    """Joins several parts to one."""
    users, items = (np.concatenate([getattr(part, name) for part in parts]) for name in ("user_codes", "item_codes"))
    return Interactions(users, items, users=data.users, items=data.items, duplicates="max")


class Asked(NamedTuple):
    """One slice: the users every model was asked about, those new to the nightly model, and each model's NDCG."""

    users: NDArray[np.int32]
    newcomers: NDArray[np.bool_]
    ndcg: dict[str, NDArray[np.float32]]


def ask(models, seen, part):
    """Returns NDCG@10 of a part's new pairs for each user with a history; `seen` holds the pairs that all have seen."""
    rows, columns = part.user_codes, part.item_codes
    keys = np.repeat(np.arange(seen.shape[0], dtype=np.int64), np.diff(seen.indptr)) * seen.shape[1] + seen.indices
    new = ~np.isin(rows.astype(np.int64) * seen.shape[1] + columns, keys)
    truth = part.select(new).matrix
    users = np.flatnonzero((np.diff(truth.indptr) > 0) & (np.diff(seen.indptr) > 0)).astype(np.int32)
    newcomers = np.diff(models[NIGHTLY].seen_.indptr)[users] == 0
    if not len(users):
        return Asked(users, newcomers, dict.fromkeys(models, np.empty(0)))
    truth, denied, found = pick_rows(truth, users), pick_rows(seen, users), {}
    for name, model in models.items():
        # All models leave out the items that the user has seen by now. A user without a history in a model gets popular
        # items.
        top = model.recommend(model.users_.decode(users), 10, exclude_seen=False, deny=denied)
        found[name] = ndcg(top.codes, truth, 10)
    return Asked(users, newcomers, found)


def follow(data, fit, first, days):
    """Replays the questions by day and slice, and times each way of learning."""
    never = fit([first])
    models = dict.fromkeys((NEVER, NIGHTLY, MORNING, ONLINE, BOTH), never)
    models |= {name: copy.copy(never) for name in (ONLINE, BOTH)}
    seconds = {NIGHTLY: 0.0, ONLINE: 0.0}
    past, found = [first], []
    for number, slices in enumerate(days):
        models[MORNING] = copy.copy(models[ONLINE])
        found.append([])
        for part in slices:
            found[-1].append(ask(models, models[ONLINE].seen_, part))
            some = joined([part], data)
            began = time.perf_counter()
            models[ONLINE].partial_fit(some)
            seconds[ONLINE] += time.perf_counter() - began
            models[BOTH].partial_fit(some)
            past.append(part)
        if number < len(days) - 1:
            began = time.perf_counter()
            models[NIGHTLY] = fit(past)
            seconds[NIGHTLY] += time.perf_counter() - began
            models[BOTH] = copy.copy(models[NIGHTLY])
        print(f"day {number + 1}", {name: round(mean_of(found[-1], name), 4) for name in models}, flush=True)
    return found, seconds


def mean_of(slices, name, among=None):
    """Returns the mean over all users asked in some slices; `among` chooses the newcomers alone, or the others."""
    parts = [one.ndcg[name] if among is None else one.ndcg[name][one.newcomers == among] for one in slices]
    return float(np.mean(np.concatenate(parts)))


def interval(slices, name, other, among=None, times=2000):
    """Returns the share by which one mean is above another, and its 95 % interval: a paired bootstrap that draws users.

    Returns None if there are too few users.
    """
    users = np.concatenate([one.users for one in slices])
    pairs = np.stack([np.concatenate([one.ndcg[which] for one in slices]) for which in (name, other)], 1)
    if among is not None:
        chosen = np.concatenate([one.newcomers for one in slices]) == among
        users, pairs = users[chosen], pairs[chosen]
    known, codes = np.unique(users, return_inverse=True)
    if len(known) < FEWEST:
        return None
    sums = np.stack([np.bincount(codes, column) for column in pairs.T], 1)  # a user may be asked more than once
    drawn = np.random.default_rng(0).multinomial(len(sums), np.full(len(sums), 1 / len(sums)), times) @ sums
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1] - 1, (0.025, 0.975))
    total = sums.sum(axis=0)
    return total[0] / total[1] - 1, low, high


def told(difference):
    """Returns the text of a difference and its interval."""
    if difference is None:
        return "too few"
    return "{:+.1%} ({:+.1%} to {:+.1%})".format(*difference)


def draw(days, path):
    """Draws the curves by day; each point is the mean over the users of that day."""
    figure, axes = plt.subplots(figsize=(7, 3.4), layout="constrained")
    for name, (colour, line) in STYLES.items():
        means = [mean_of(slices, name) for slices in days]
        axes.plot(range(1, len(days) + 1), means, line, color=colour, label=name, marker="o", markersize=3)
    axes.set_xlabel("day")
    axes.set_ylabel("NDCG@10, predicted before taken in")
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path)
    plt.close(figure)


def fold_ins(repeats=7):
    """Measures the fold-in of users with 50 events at 64 factors: one alone, and 20 000 at once, on all cores."""
    rng = np.random.default_rng(0)
    n_users, n_items = 20_000, 50_000
    rows, columns = np.repeat(np.arange(n_users), 50), (rng.pareto(1.0, n_users * 50) * 500).astype(int) % n_items
    data = Interactions(rows, columns, users=np.arange(n_users), items=np.arange(n_items), duplicates="max")
    model = fr.ImplicitALS(factors=64, iterations=2, random_state=0).fit(data)
    one = [pick_rows(model.seen_, slice(user, user + 1)) for user in range(500)]
    model.transform(one[0])
    alone, batches = [], []
    for _ in range(repeats):
        began = time.process_time()
        for row in one:
            model._fold_in(row)
        alone.append((time.process_time() - began) / len(one))
        began, computed = time.perf_counter(), time.process_time()
        model.transform(model.seen_)
        batches.append((time.perf_counter() - began, time.process_time() - computed))
    wall, computed = (min(times) for times in zip(*batches, strict=True))
    return {"one_us": min(alone) * 1e6, "users_per_s": n_users / wall, "users_per_cpu_s": n_users / computed}


def day_record(number, slices):
    """Returns a row of the table by day."""
    return {
        "what": f"day {number}",
        "users": len(np.unique(np.concatenate([one.users for one in slices]))),
        "newcomers among the asked": f"{np.mean(np.concatenate([one.newcomers for one in slices])):.0%}",
        MORNING: told(interval(slices, MORNING, NIGHTLY)),
        ONLINE: told(interval(slices, ONLINE, NIGHTLY)),
        f"{ONLINE}, newcomers": told(interval(slices, ONLINE, NIGHTLY, True)),
        f"{ONLINE}, the others": told(interval(slices, ONLINE, NIGHTLY, False)),
    }


def tune(data, given):
    """Prints NDCG@10 by the strength of the penalty, on days within the first 70 %."""
    first, days = parts_of(data, 4, given.slices, 0.55, 0.7)
    for strength in GRID:
        found, _ = follow(data, fitting(data, given.factors, strength), first, days)
        later = [one for slices in found[1:] for one in slices]
        means = {
            f"{name}{who}": round(mean_of(later, name, among), 4)
            for name in (NIGHTLY, MORNING, ONLINE)
            for who, among in (("", None), (", newcomers", True), (", the others", False))
        }
        print("regularization", strength, means, flush=True)


def fitting(data, factors, regularization):
    """Returns a function that fits to parts of the data."""

    def fit(parts):
        return fr.ImplicitALS(factors=factors, regularization=regularization, random_state=0).fit(joined(parts, data))

    return fit


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("source", type=Path)
    options.add_argument("--days", type=int, default=8)
    options.add_argument("--slices", type=int, default=10)
    options.add_argument("--factors", type=int, default=64)
    options.add_argument("--regularization", type=float, default=REGULARIZATION)
    options.add_argument("--tune", action="store_true")
    given = options.parse_args()
    data = fr.read_interactions(given.source, value=False, duplicates="last")
    print(data, flush=True)
    if given.tune:
        return tune(data, given)
    first, days = parts_of(data, given.days, given.slices)
    found, seconds = follow(data, fitting(data, given.factors, given.regularization), first, days)
    later = [one for slices in found[1:] for one in slices]
    cost = {NIGHTLY: seconds[NIGHTLY], ONLINE: seconds[ONLINE]}
    records = [
        {
            "what": name,
            "mean of all days after the first": f"{mean_of(later, name):.4f}",
            "beside a refit each night": "" if name == NIGHTLY else told(interval(later, name, NIGHTLY)),
            "seconds for all its learning": f"{cost[name]:.1f}" if name in cost else "",
        }
        for name in (NEVER, NIGHTLY, MORNING, ONLINE, BOTH)
    ]
    by_day = [day_record(number, slices) for number, slices in enumerate([*found[1:], later], 2)]
    by_day[-1]["what"] = "all of them"
    goal = interval(found[1], MORNING, NIGHTLY)
    print(f"NDCG@10 of the day after one day of events taken in, beside a full refit: {told(goal)}")
    folded = fold_ins()
    costs = [
        {"what": "one user alone, processor time", "measured": f"{folded['one_us']:.0f} µs"},
        {"what": "20 000 users at once", "measured": f"{folded['users_per_s']:,.0f} users/s"},
        {"what": "the same in a second of one core", "measured": f"{folded['users_per_cpu_s']:,.0f} users"},
    ]
    (HERE / "results").mkdir(exist_ok=True)
    title = (
        f"The last 30 % of ML-1M's events in the order of time as {given.days} days of {given.slices} slices, "
        f"ImplicitALS at {given.factors} factors and regularization {given.regularization}, NDCG@10"
    )
    write("online", {"title": title, "records": records, "results": {"after one day of events": goal}})
    title = "NDCG@10 beside a refit each night, by day: the share that it is above, and its 95 % interval"
    write("online-days", {"title": title, "records": by_day})
    write("online-fold_in", {"title": "Users of 50 events folded in, 64 factors, 50 000 items", "records": costs})
    draw(found, HERE.parent / "docs" / "img" / "prequential.svg")
    for record in (*records, *by_day, *costs):
        print(record)


def write(name, content):
    """Writes a file of results for a table of docs/explanation/online.md."""
    text = json.dumps({"page": "explanation/online.md", "machine": machine(), **content}, indent=1, ensure_ascii=False)
    (HERE / "results" / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
