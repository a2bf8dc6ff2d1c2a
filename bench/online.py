"""A model kept up to date against one refitted each night and one left alone: ML-1M in the order of time.

    python bench/online.py FILE [--days 8] [--slices 10]

Test, then train (prequential): the last 30 % of the events are cut into days of equal size, and these into slices.
Each slice is first predicted (NDCG@10 of what is new to the user, over users with a history by then), then taken in.
FILE has ratings as `read_interactions` reads them. Figures go to bench/results/ and docs/img/prequential.svg;
`python bench/report.py` makes the tables of docs/online.md of them. What a fold-in costs is measured beside it.
"""

import argparse
import copy
import json
import time
from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from run import HERE, machine

import fastrec as fr
from fastrec.data import Interactions
from fastrec.metrics import ndcg
from fastrec.models.rows import pick_rows

# What is compared, and what each does with a slice when it has been predicted.
NEVER, NIGHTLY, MORNING, ONLINE, BOTH = (
    "never updated",
    "refitted each night",
    "online until last night",
    "online",
    "online, and refitted each night",
)
STYLES = {NEVER: ("#adb5bd", "--"), NIGHTLY: ("#e8590c", "-"), ONLINE: ("#0b7285", "-"), BOTH: ("#5f3dc4", ":")}


def parts_of(data, days, slices):
    """The first 70 % of the events, and for each day its slices."""
    order = np.argsort(data.times, kind="stable")
    cuts = np.linspace(0.7 * len(order), len(order), days * slices + 1).astype(int)
    parts = [data.select(order[start:stop]) for start, stop in pairwise(cuts)]
    return data.select(order[: cuts[0]]), [parts[day * slices : (day + 1) * slices] for day in range(days)]


def joined(parts, data):
    """Several parts in one."""
    users, items = (np.concatenate([getattr(part, name) for part in parts]) for name in ("user_codes", "item_codes"))
    return Interactions(users, items, users=data.users, items=data.items, duplicates="max")


def asked(model, seen, part):
    """NDCG@10 of the pairs of a part that are new, for each user with a history; `seen` is what all have seen."""
    rows, columns = part.user_codes, part.item_codes
    keys = np.repeat(np.arange(seen.shape[0], dtype=np.int64), np.diff(seen.indptr)) * seen.shape[1] + seen.indices
    new = ~np.isin(rows.astype(np.int64) * seen.shape[1] + columns, keys)
    truth = part.select(new).matrix
    users = np.flatnonzero((np.diff(truth.indptr) > 0) & (np.diff(seen.indptr) > 0)).astype(np.int32)
    if not len(users):
        return np.empty(0)
    # All leave out the same: what the user has seen by now. Who has no history in a model gets what is popular there.
    top = model.recommend(model.users_.decode(users), 10, exclude_seen=False, deny=pick_rows(seen, users))
    return ndcg(top.codes, pick_rows(truth, users), 10)


def follow(data, fit, first, days):
    """Curves by slice, and the seconds that each way of learning took."""
    never = fit([first])
    models = dict.fromkeys((NEVER, NIGHTLY, MORNING, ONLINE, BOTH), never)
    models |= {name: copy.copy(never) for name in (ONLINE, BOTH)}
    curves = {name: [] for name in models}
    seconds = {NIGHTLY: 0.0, ONLINE: 0.0}
    past, now = [first], copy.copy(never)
    for number, slices in enumerate(days):
        models[MORNING] = copy.copy(models[ONLINE])
        for part in slices:
            for name, model in models.items():
                curves[name].append(asked(model, now.seen_, part))
            some = joined([part], data)
            began = time.perf_counter()
            models[ONLINE].partial_fit(some)
            seconds[ONLINE] += time.perf_counter() - began
            models[BOTH].partial_fit(some)
            past.append(part)
            now = models[ONLINE]
        if number < len(days) - 1:
            began = time.perf_counter()
            models[NIGHTLY] = fit(past)
            seconds[NIGHTLY] += time.perf_counter() - began
            models[BOTH] = copy.copy(models[NIGHTLY])
        print(f"day {number + 1}", {name: round(mean_of(curve[-len(slices) :]), 4) for name, curve in curves.items()})
    return curves, seconds


def mean_of(slices):
    """The mean over all users of some slices."""
    return float(np.mean(np.concatenate(slices)))


def draw(curves, n_slices, path):
    """The curves by day; every one of them is the mean over the users of that day."""
    figure, axes = plt.subplots(figsize=(7, 3.4), layout="constrained")
    for name, (colour, line) in STYLES.items():
        curve = curves[name]
        days = [mean_of(curve[start : start + n_slices]) for start in range(0, len(curve), n_slices)]
        axes.plot(range(1, len(days) + 1), days, line, color=colour, label=name, marker="o", markersize=3)
    axes.set_xlabel("day")
    axes.set_ylabel("NDCG@10, predicted before taken in")
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path)
    plt.close(figure)


def fold_ins(repeats=7):
    """What it costs to fold users of 50 events in at 64 factors: one alone, and 20 000 at once, on all cores."""
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


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("source", type=Path)
    options.add_argument("--days", type=int, default=8)
    options.add_argument("--slices", type=int, default=10)
    options.add_argument("--factors", type=int, default=64)
    given = options.parse_args()
    data = fr.read_interactions(given.source, value=False)
    first, days = parts_of(data, given.days, given.slices)

    def fit(parts):
        return fr.ImplicitALS(factors=given.factors, random_state=0).fit(joined(parts, data))

    curves, seconds = follow(data, fit, first, days)
    later = {name: mean_of(curve[given.slices :]) for name, curve in curves.items()}
    second = {name: mean_of(curve[given.slices : 2 * given.slices]) for name, curve in curves.items()}
    cost = {NIGHTLY: seconds[NIGHTLY], ONLINE: seconds[ONLINE]}
    records = [
        {
            "what": name,
            "day after the first": f"{second[name]:.4f}",
            "mean of all days after the first": f"{later[name]:.4f}",
            "beside a refit each night": "; ".join(
                f"{mean[name] / mean[NIGHTLY] - 1:+.1%}" for mean in (second, later)
            ),
            "seconds for all its learning": f"{cost[name]:.1f}" if name in cost else "",
        }
        for name in curves
    ]
    folded = fold_ins()
    costs = [
        {"what": "one user alone, processor time", "measured": f"{folded['one_us']:.0f} µs"},
        {"what": "20 000 users at once", "measured": f"{folded['users_per_s']:,.0f} users/s"},
        {"what": "the same in a second of one core", "measured": f"{folded['users_per_cpu_s']:,.0f} users"},
    ]
    (HERE / "results").mkdir(exist_ok=True)
    title = (
        f"The last 30 % of ML-1M's events in the order of time as {given.days} days of {given.slices} slices, "
        f"ImplicitALS at {given.factors} factors, NDCG@10"
    )
    write("online", {"title": title, "records": records, "results": {"by day": second, "later": later}})
    write("online-fold_in", {"title": "Users of 50 events folded in, 64 factors, 50 000 items", "records": costs})
    draw(curves, given.slices, HERE.parent / "docs" / "img" / "prequential.svg")
    for record in (*records, *costs):
        print(record)


def write(name, content):
    """A file of results for a table of docs/online.md."""
    text = json.dumps({"page": "online.md", "machine": machine(), **content}, indent=1, ensure_ascii=False)
    (HERE / "results" / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
