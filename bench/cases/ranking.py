"""Compares TwoStage with its members and a Blend of them, and measures the parts that decide its accuracy."""

import os
import re
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from data import Folder, codes
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

import fastrec as fr
from fastrec.metrics import measure
from fastrec.models.base.single import Single
from fastrec.models.ranking import Affinity, CategoryCounts, LeakWarning, Scores

Record = dict[str, Any]
PAGE = "explanation/ranking.md"
METRICS = ("ndcg@10", "recall@20")
SEEDS = 3
WINDOWS = fr.RollingTime(3, share=0.1)  # the default of TwoStage, for the Blend too
FACTS = ("title", "genres", "year", "director")
SOME_USERS = 2000  # the users of Gowalla who are asked for
MOST_CPU = 240  # the seconds of all processors after which a peer is stopped


def movielens(folder: Folder, parts: tuple[str, str] = ("train valid", "test")) -> tuple[fr.Interactions, ...]:
    """Returns MovieLens 1M cut in time, with facts about the films; events of users with a history are to be found."""
    (split,) = folder.columns("ml-1m", "time_split")
    data = rated_films(folder, "ml-1m")
    train, test = (data.select(np.isin(split.astype(str), part.split())) for part in parts)
    return train, test.select(np.isin(test.user_codes, train.user_codes))


def members(seed: int) -> list[Any]:
    """Returns four models at their defaults."""
    return [fr.EASE(), fr.ItemKNN(), fr.ImplicitALS(random_state=seed), fr.GraphFilter(random_state=seed)]


def fitted(model: Any, train: Any) -> tuple[Any, float]:
    """Returns a fitted model, and the seconds of all processors."""
    began = time.process_time()
    model.fit(train)
    return model, time.process_time() - began


def cut_in_time(folder: Folder, repeats: int) -> Iterator[Record]:
    """ML-1M cut in time: means over the users, and TwoStage less the Blend, paired, with 95 % intervals."""
    train, test = movielens(folder)
    for seed in range(SEEDS):
        blend = fitted(fr.Blend(members(seed), validation=WINDOWS, random_state=seed), train)
        two = fitted(fr.TwoStage(members(seed), random_state=seed), train)
        took = {"TwoStage": two[1], "Blend": blend[1]}
        models = {"TwoStage": two[0], "Blend": blend[0]}
        models |= {type(member).__name__: member for member in two[0].members_}
        report = fr.evaluate(models, test, list(METRICS))
        for name in models:
            found = {metric: report.mean(metric, name) for metric in METRICS}
            less = {f"less Blend, {metric}": _difference(report, metric, name) for metric in METRICS}
            yield {"seed": seed, "model": name, **found, **less, "fit, CPU s": took.get(name, "")}


def _difference(report: Any, metric: str, name: str, other: str = "Blend") -> str:
    return less(report, metric, name, other) if name == "TwoStage" else ""


def less(report: Any, metric: str, name: str, other: str) -> str:
    """Returns one model's mean less another's, paired, with its 95 % interval."""
    ours, theirs = (report.values[model][metric] for model in (name, other))
    found = ours - theirs
    return f"{found.mean():+.4f} ± {1.96 * found.std(ddof=1) / np.sqrt(len(found)):.4f}"


def served(folder: Folder, repeats: int) -> Iterator[Record]:
    """One request on one core, as a server asks: three members, lists of 100, ML-1M cut in time, medians."""
    train, _ = movielens(folder)
    with threadpool_limits(1):
        factor = np.random.default_rng(0).random((1024, 1024), np.float32)
        product = min(_milliseconds(lambda: factor @ factor) for _ in range(8))
    kinds = {
        "EASE, ItemKNN, ImplicitALS": [fr.EASE(), fr.ItemKNN(), fr.ImplicitALS(random_state=0)],
        "ItemKNN, GraphFilter, ImplicitALS (default)": None,
    }
    for what, models in kinds.items():
        model = fr.TwoStage(models, random_state=0).fit(train)
        users = np.random.default_rng(1).choice(np.flatnonzero(np.diff(model.seen_.indptr)), 300, replace=False)
        known = [Single(int(user)) for user in users]
        given = [Single(history=model.user_row(int(user))) for user in users]
        took = {}
        for name, asked in {"known user": known, "history": given}.items():
            times = [[_milliseconds(lambda: model.answer_one(who, 10)) for who in asked] for _ in range(repeats + 1)]
            took[f"{name}, CPU ms"] = float(np.median(times[1:]))  # without the first, which warms up
        speed = 2 * 1024**3 / product / 1e6
        yield {"model": f"TwoStage of {what}", **took, "ranker": model.uses_ranker_, "GFLOP/s": speed}


def _milliseconds(call: Callable[[], Any]) -> float:
    """Returns the processor time of a call, in milliseconds."""
    began = time.process_time_ns()
    call()
    return (time.process_time_ns() - began) / 1e6


def labels(folder: Folder, repeats: int) -> Iterator[Record]:
    """Measures the parts that decide, on ML-1M cut in time, one seed: labels, features and the loss of the
    ranker.
    """
    train, test = movielens(folder)
    pointwise = HistGradientBoostingClassifier(
        learning_rate=0.06, max_iter=150, max_depth=4, min_samples_leaf=100, early_stopping=False, random_state=0
    )
    kinds: dict[str, dict[str, Any]] = {
        "three windows": {},
        "labels: a random fifth of each user's items": {"validation": 0.2},
        "labels: each user's last item, whenever it was": {"validation": fr.split_last},
        "scores and ranks of the members alone": {"features": [Scores()]},
        "a loss of single pairs": {"ranker": pointwise},
    }
    for what, options in kinds.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LeakWarning)
            model, took = fitted(fr.TwoStage(members(0), random_state=0, **options), train)
        report = fr.evaluate(model, test, list(METRICS))
        found = {metric: report.mean(metric) for metric in METRICS}
        yield {"what": what, **found, "foreseen": float(model.ranker_scores_[-1]), "fit, CPU s": took}


def without_times(folder: Folder, repeats: int) -> Iterator[Record]:
    """Gowalla, no times and no facts: a random fifth of each user's training items hidden, three draws."""
    matrix = folder.matrix("gowalla")
    for seed in range(SEEDS):
        train, test = fr.split_random(fr.Interactions.from_matrix(matrix), 0.2, random_state=seed)
        some = np.random.default_rng(seed).choice(matrix.shape[0], SOME_USERS, replace=False)
        test = test.select(np.isin(test.user_codes, some))
        models = [fr.ItemKNN(), fr.ImplicitALS(random_state=seed), fr.GraphFilter(random_state=seed)]
        two, took = fitted(fr.TwoStage(models, random_state=seed), train)
        named = {"TwoStage": two, **{type(member).__name__: member for member in two.members_}}
        report = fr.evaluate(named, test, list(METRICS))
        best = max(list(named)[1:], key=lambda name: report.mean("ndcg@10", name))
        for name in named:
            found = {metric: report.mean(metric, name) for metric in METRICS}
            less = _difference(report, "ndcg@10", name, best)
            own = (two.uses_ranker_, took) if name == "TwoStage" else ("", "")
            yield {
                "seed": seed, "model": name, **found, "less the best member, ndcg@10": less,
                "ranker": own[0], "fit, CPU s": own[1],
            }  # fmt: skip


def with_facts(folder: Folder, repeats: int) -> Iterator[Record]:
    """MovieLens with facts: TwoStage, and less the best of its members, paired, with 95 % intervals; three seeds."""
    for name in ("ml-100k", "ml-1m"):
        whole = rated_films(folder, name)
        for split in ("random fifth, no times", "last fifth in time"):
            for seed in range(SEEDS):
                if split.startswith("random"):
                    train, test = fr.split_random(whole._replace(times=None), 0.2, random_state=seed)
                else:
                    train, test = fr.split_time(whole, fraction=0.2)
                    test = test.select(np.isin(test.user_codes, train.user_codes))
                two, took = fitted(fr.TwoStage(members(seed), random_state=seed), train)
                named = {"TwoStage": two, **{type(member).__name__: member for member in two.members_}}
                report = fr.evaluate(named, test, list(METRICS))
                best = max(list(named)[1:], key=lambda one: report.mean("ndcg@10", one))
                found = {metric: report.mean(metric, "TwoStage") for metric in METRICS}
                less = {f"less it, {metric}": _difference(report, metric, "TwoStage", best) for metric in METRICS}
                yield {
                    "data": name, "what": f"{split}, seed {seed}", **found, "best member": best, **less,
                    "ranker": two.uses_ranker_, "fit, CPU s": took,
                }  # fmt: skip


def with_authors(folder: Folder, repeats: int) -> Iterator[Record]:
    """No times, short histories: TwoStage with CategoryCounts or Affinity, less its best member; 95 % intervals."""
    for name, make in {"books, made up": made_books, "ml-1m, a tenth": lambda seed: thinned(folder, seed)}.items():
        for seed in range(SEEDS):
            train, test = fr.split_random(make(seed), 0.2, random_state=seed)
            usual, took = fitted(fr.TwoStage(members(seed), random_state=seed), train)
            before = [Affinity(one.column) if isinstance(one, CategoryCounts) else one for one in usual.features_]
            fewer, _ = fitted(fr.TwoStage(members(seed), features=before, random_state=seed), train)
            named = {"TwoStage": usual, "with Affinity": fewer}
            named |= {type(member).__name__: member for member in usual.members_}
            report = fr.evaluate(named, test, list(METRICS))
            best = max(list(named)[2:], key=lambda one: report.mean("ndcg@10", one))
            for what in ("TwoStage", "with Affinity"):
                yield {
                    "data": name, "seed": seed, "what": what, "best member": best,
                    **{metric: report.mean(metric, what) for metric in METRICS},
                    **{f"less it, {metric}": less(report, metric, what, best) for metric in METRICS},
                    "ranker": named[what].uses_ranker_, "fit, CPU s": took if what == "TwoStage" else "",
                }  # fmt: skip


def thinned(folder: Folder, seed: int) -> fr.Interactions:
    """Returns a tenth of ML-1M: users with at least 5 films, and films with at least 3 users."""
    whole = rated_films(folder, "ml-1m")._replace(times=None)
    kept = whole.select(np.random.default_rng(seed).random(whole.n_interactions) < 0.1)
    return fr.KCore(5, 3).fit_transform(kept).compact()


def made_books(seed: int, n_users: int = 5000, n_books: int = 7400, n_authors: int = 2600) -> fr.Interactions:
    """Returns readers who stay with an author for a third of their books, and else follow genre, fame and an unseen
    taste.
    """
    rng = np.random.default_rng(seed)
    author = rng.choice(n_authors, n_books, p=rng.dirichlet(np.full(n_authors, 0.5)))
    genre, taste = rng.integers(18, size=n_authors)[author], rng.normal(0, 0.6, (n_authors, 8))[author]
    fame = np.exp(rng.normal(0, 1.1, n_authors)[author] + rng.normal(0, 1, n_books))
    of_author = [np.flatnonzero(author == one) for one in range(n_authors)]
    users, books = [], []
    for user in range(n_users):
        liked = np.isin(genre, rng.choice(18, rng.integers(1, 4), replace=False))
        chances = np.cumsum(fame * np.where(liked, 1, 0.08) * np.exp(taste @ rng.normal(0, 0.55, 8)))
        had: list[int] = []
        for _ in range(int(np.clip(rng.lognormal(2.6, 0.9), 5, 300))):
            if had and rng.random() < 1 / 3:
                others = of_author[author[had[rng.integers(len(had))]]]
                had.append(int(rng.choice(others, p=fame[others] / fame[others].sum())))
            else:
                had.append(int(np.searchsorted(chances, rng.random() * chances[-1])))
        users += [user] * len(had)
        books += had
    facts = {
        "author": np.array([f"author {one}" for one in author], object),
        "publisher": np.array([f"publisher {one * 7 % 120}" for one in author], object),
        "year": 1950.0 + rng.integers(0, 60, n_books),
    }
    data = fr.Interactions(users, books, items=np.arange(n_books), item_info=facts, duplicates="max")
    return fr.KCore(5, 3).fit_transform(data).compact()


def rated_films(folder: Folder, name: str) -> fr.Interactions:
    """Returns all ratings of MovieLens as events, with facts about the known films."""
    users, items, times = folder.columns(name, "user", "item", "timestamp")
    ids, facts = np.unique(items), FACTS if name == "ml-1m" else ("title", "genres", "release_date")
    films, *columns = folder.item_columns(name, "item", *facts)
    places = {film: place for place, film in enumerate(films.tolist())}
    rows = [places.get(film, -1) for film in ids.tolist()]
    info = {
        fact: np.array([column[row] if row >= 0 else None for row in rows], object)
        for fact, column in zip(facts, columns, strict=True)
    }
    if "release_date" in info:
        info["year"] = np.array([_year(date) for date in info.pop("release_date")], object)
    return fr.Interactions(codes(users), codes(items), times=times.astype(np.int64), time_unit="s", item_info=info)


def _year(date: Any) -> int | None:
    """Returns the year of a date, which MovieLens 100K writes as 01-Jan-1995."""
    found = re.search(r"\b(?:19|20)\d\d\b", str(date))
    return int(found[0]) if found else None


def peers(folder: Folder, repeats: int) -> Iterator[Record]:
    """ML-1M cut in time beside the two stages of RecTools and skrecsys."""
    # Three seeds of ours and one run of each of theirs, in the Pythons that RECTOOLS_PYTHON and SKRECSYS_PYTHON name:
    # `pip install rectools catboost implicit`, `pip install skrecsys catboost`.
    train, test = movielens(folder)
    asked = np.unique(test.user_codes)
    for seed in range(SEEDS):
        began = time.process_time()
        model = fr.TwoStage(members(seed), random_state=seed).fit(train)
        lists = model.recommend(asked, k=20).codes
        yield _judged(f"fastrec, seed {seed}", lists, test, asked, time.process_time() - began)
    for name in ("rectools", "skrecsys"):
        found = _run_peer(name, train, asked)
        if found is None:
            yield {"library": name, "fit and lists, CPU s": f"stopped at {MOST_CPU}"}
        else:
            yield _judged(name, found[0], test, asked, found[1])


def _run_peer(name: str, train: fr.Interactions, asked: Any) -> tuple[Any, float] | None:
    """Returns the lists of a peer and its seconds; None if it did not end within the limit."""
    python = os.environ.get(f"{name.upper()}_PYTHON")
    if python is None:
        raise ImportError(f"{name.upper()}_PYTHON must name a Python that has {name} and CatBoost")
    with tempfile.TemporaryDirectory() as place:
        given, found = Path(place) / "events.npz", Path(place) / "lists.npz"
        np.savez(given, users=train.user_codes, items=train.item_codes, times=train.times, asked=asked)
        script = Path(__file__).resolve().parents[1] / "two_stage_peers.py"
        # CatBoost writes its logs into the folder where it is started.
        done = subprocess.run([python, script, name, given, found, str(MOST_CPU)], cwd=place)
        if done.returncode == -signal.SIGXCPU:
            return None
        done.check_returncode()
        with np.load(found) as said:
            return said["lists"], float(said["seconds"])


def _judged(name: str, lists: Any, test: fr.Interactions, asked: Any, seconds: float) -> Record:
    values = measure(lists, test.matrix[asked], list(METRICS))
    return {"library": name, **{m: float(np.mean(values[m])) for m in METRICS}, "fit and lists, CPU s": seconds}


PARTS = (cut_in_time, served, labels, without_times, with_facts, with_authors, peers)
