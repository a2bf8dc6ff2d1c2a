"""How good the models are: each with settings found on a validation part of the training data, then tested once.

    python bench/accuracy.py --data FOLDER                       # everything; hours
    python bench/accuracy.py ml-100k --data FOLDER --trials 10 --models ImplicitALS,EASE

A tenth of the training interactions is hidden at random and `fastrec.search` looks for the options that find it again;
the test part is not looked at. The best options are then fitted on all of the training part and evaluated on the test
part, once. Results, the trials of each search among them, go to bench/results/accuracy-*.json as they come (a run that
was stopped goes on), and docs/accuracy.md is written from these files.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from data import Folder, MissingDataError
from run import machine
from scipy.stats import loguniform, uniform

import fastrec as fr
from fastrec.models import estimators

HERE = Path(__file__).resolve().parent
RESULTS, PAGE = HERE / "results", HERE.parent / "docs" / "accuracy.md"

# What is searched for each model. Options that are not here have their defaults.
SPACES: dict[str, dict[str, Any]] = {
    "Popularity": {},
    "ItemKNN": {
        "neighbors": [20, 50, 100, 200, 400],
        "similarity": ["cosine", "rp3beta"],
        "alpha": uniform(0.3, 1.2),
        "beta": uniform(0.0, 1.0),
        "shrinkage": [0.0, 10.0, 50.0],
    },
    "EASE": {"regularization": loguniform(10, 5000)},
    "PureSVD": {"factors": [16, 32, 64, 128, 256], "item_exponent": uniform(0.0, 1.0)},
    "GraphFilter": {"factors": [64, 128, 256, 512], "ideal_weight": uniform(0.0, 0.6)},
    "ImplicitALS": {
        "factors": [64, 128, 256],
        "alpha": loguniform(0.3, 100),
        "regularization": loguniform(5e-4, 0.1),
        "regularization_exponent": [0.0, 0.5, 1.0],
    },
    "SGDFactorization": {
        "factors": [32, 64, 128],
        "loss": ["bpr", "warp"],
        "learning_rate": loguniform(0.01, 0.3),
        "regularization": loguniform(1e-4, 0.1),
    },
}
RATING_SPACES: dict[str, dict[str, Any]] = {
    "ExplicitALS": {
        "factors": [10, 20, 50, 100],
        "regularization": loguniform(0.5, 30),
        "bias_regularization": loguniform(0.3, 20),
        "regularization_exponent": uniform(0.0, 0.8),
    },
}


@dataclass(frozen=True)
class Task:
    """A data set with its training and test part, what is measured, and what others have published for this split."""

    name: str
    text: str
    parts: Callable[[Folder], tuple[fr.Interactions, fr.Interactions]]
    metrics: tuple[str, ...]
    spaces: dict[str, dict[str, Any]] = field(default_factory=lambda: SPACES)
    published: tuple[tuple[str, tuple[str, ...]], ...] = ()
    decides: str = "ndcg@10"


def gowalla(folder: Folder) -> tuple[fr.Interactions, fr.Interactions]:
    train, test = (fr.Interactions.from_matrix(part) for part in folder.gowalla())
    return train, test


def random_fifth(name: str) -> Callable[[Folder], tuple[fr.Interactions, fr.Interactions]]:
    def parts(folder: Folder) -> tuple[fr.Interactions, fr.Interactions]:
        return fr.split_random(fr.Interactions.from_matrix(folder.matrix(name)), 0.2, random_state=0)

    return parts


def first_fold(folder: Folder) -> tuple[fr.Interactions, fr.Interactions]:
    user, item, rating, test = folder.columns("ml-100k", "user", "item", "rating", "u1_test")
    users, user_codes = np.unique(user, return_inverse=True)
    items, item_codes = np.unique(item, return_inverse=True)
    data, tested = fr.Interactions(user_codes, item_codes, rating, users=users, items=items), test.astype(bool)
    return data.select(~tested), data.select(tested)


TASKS = [
    Task(
        "gowalla",
        "Gowalla check-ins, the split of NGCF and LightGCN.",
        gowalla,
        ("recall@20", "ndcg@20"),
        published=(
            ("NGCF (Wang et al., SIGIR 2019)", ("0.1570", "0.1327")),
            ("LightGCN (He et al., SIGIR 2020)", ("0.1830", "0.1554")),
            ("UltraGCN (Mao et al., CIKM 2021)", ("0.1862", "0.1580")),
        ),
        decides="ndcg@20",
    ),
    Task(
        "ml-1m",
        "MovieLens 1M, every rating an interaction; a random fifth is to be found. No published figures are of this "
        "split.",
        random_fifth("ml-1m"),
        ("recall@20", "ndcg@10"),
    ),
    Task(
        "ml-100k",
        "MovieLens 100K, every rating an interaction; a random fifth is to be found. No published figures are of this "
        "split.",
        random_fifth("ml-100k"),
        ("recall@20", "ndcg@10"),
    ),
    Task(
        "ml-100k-ratings",
        "MovieLens 100K, ratings to be predicted: the published fold u1.",
        first_fold,
        ("rmse", "mae"),
        spaces=RATING_SPACES,
        decides="rmse",
    ),
]


def run(task: Task, folder: Folder, models: list[str], trials: int, batch: int) -> None:
    """Search, fit and evaluate each model of a task; what is in its results file already is not run again."""
    path = RESULTS / f"accuracy-{task.name}.json"
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"models": {}}
    train, test = task.parts(folder)
    for name in models:
        known = results["models"].get(name)
        if known is not None and known["trials"] >= min(trials, 1 if not task.spaces[name] else trials):
            continue
        print(f"{task.name}: {name}", flush=True)
        results["models"][name] = measure(task, name, train, test, trials, batch)
        results["machine"] = machine()
        path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        print(f"  {results['models'][name]['options']}: {results['models'][name]['metrics']}", flush=True)


def measure(
    task: Task, name: str, train: fr.Interactions, test: fr.Interactions, trials: int, batch: int
) -> dict[str, Any]:
    """One model: its search on a tenth of the training part, and its one test."""
    model = estimators()[name]()
    if "random_state" in model.get_params():
        model.set_params(random_state=0)
    found, options = None, {}
    if task.spaces[name]:
        store = RESULTS / f".accuracy-{task.name}-{name}.jsonl"
        found = fr.search(
            model, task.spaces[name], train, metric=task.decides, n_trials=trials, cv=0.1, store=store, refit=False,
            verbose=True, batch_size=batch,
        )  # fmt: skip
        options = found.best_options
    began = time.perf_counter()
    model.set_params(**options).fit(train)
    seconds = time.perf_counter() - began
    report = fr.evaluate(model, test, task.metrics, batch_size=batch)
    return {
        "options": options,
        "trials": 0 if found is None else len(found.trials),
        "validation": None if found is None else found.best_score,
        "searched": [] if found is None else [[t.options, t.score] for t in found.ranked()],
        "metrics": {e.metric: [e.mean, e.low, e.high] for e in report.estimates},
        "fit_seconds": round(seconds, 2),
        "notes": report.notes,
    }


# --- the page --------------------------------------------------------------------------------------------------------


def write_page() -> None:
    """docs/accuracy.md from the results."""
    lines = [
        "# How good the models are",
        "",
        "Written by `bench/accuracy.py`. Settings were found by `fastrec.search` on a random tenth of the training",
        "part; the test part was looked at once, at the end. Intervals are 95 % over users. All items that a user has",
        "not had in training are ranked, none are sampled.",
        "",
    ]
    for task in TASKS:
        path = RESULTS / f"accuracy-{task.name}.json"
        if path.exists():
            lines += _section(task, json.loads(path.read_text(encoding="utf-8")))
    PAGE.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def _section(task: Task, results: dict[str, Any]) -> list[str]:
    lower = task.metrics[0] == "rmse"
    ordered = sorted(
        results["models"].items(), key=lambda pair: pair[1]["metrics"][task.metrics[0]][0] * (1 if lower else -1)
    )
    lines = [f"## {task.name}", "", task.text, ""]
    lines += [f"| model | {' | '.join(task.metrics)} | fit, s | trials |", f"|---|{'---:|' * (len(task.metrics) + 2)}"]
    for name, found in ordered:
        cells = [_cell(found["metrics"][metric]) for metric in task.metrics]
        lines.append(f"| {name} | {' | '.join(cells)} | {found['fit_seconds']:.1f} | {found['trials']} |")
    for name, cells in task.published:
        lines.append(f"| *{name}, published* | {' | '.join(cells)} | | |")
    lines += ["", "Settings:", ""]
    for name, found in ordered:
        options = ", ".join(f"{o}={_short(v)}" for o, v in found["options"].items()) or "the defaults"
        lines.append(f"- {name}: {options}")
    machine_ = results["machine"]
    lines += [
        "",
        f"{machine_['cores']} cores, {machine_['cpu']}, Python {machine_['python']}, {machine_['date'][:10]}.",
        "",
    ]
    return lines


def _cell(values: list[float]) -> str:
    mean, low, high = values
    return f"{mean:.4f}" if low != low else f"{mean:.4f} ± {(high - low) / 2:.4f}"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def main() -> None:
    """Run the named tasks and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", help=f"which: {', '.join(task.name for task in TASKS)} (all)")
    parser.add_argument("--data", type=Path, default=os.environ.get("FASTREC_BENCH_DATA"), help="the data folder")
    parser.add_argument("--models", help="only these, between commas")
    parser.add_argument("--trials", type=int, default=30, help="draws of each search")
    parser.add_argument("--batch-size", type=int, default=2048, help="users ranked at a time")
    options = parser.parse_args()
    if options.data is None:
        parser.error("--data (or FASTREC_BENCH_DATA) must name the folder with ml-100k, ml-1m and gowalla")
    names = options.tasks or [task.name for task in TASKS]
    RESULTS.mkdir(exist_ok=True)
    for task in TASKS:
        if task.name not in names:
            continue
        wanted = [
            m for m in task.spaces if m in estimators() and (not options.models or m in options.models.split(","))
        ]
        try:
            run(task, Folder(Path(options.data)), wanted, options.trials, options.batch_size)
        except MissingDataError as error:
            print(f"{task.name}: {error}")
    write_page()


if __name__ == "__main__":
    main()
