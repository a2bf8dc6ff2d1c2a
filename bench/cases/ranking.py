"""Two stages: TwoStage beside its members and a Blend of them, and what decides how good it is."""

import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from data import Folder, codes
from sklearn.ensemble import HistGradientBoostingClassifier

import fastrec as fr
from fastrec.models.ranking import LeakWarning, Scores

Record = dict[str, Any]
PAGE = "explanation/ranking.md"
METRICS = ("ndcg@10", "recall@20")
SEEDS = 3
WINDOWS = fr.RollingTime(3, share=0.1)  # the default of TwoStage, for the Blend too
FACTS = ("title", "genres", "year", "director")
SOME_USERS = 2000  # of Gowalla, who are asked for


def movielens(folder: Folder, parts: tuple[str, str] = ("train valid", "test")) -> tuple[fr.Interactions, ...]:
    """MovieLens 1M cut in time, with facts about the films; to find are events of users with a history."""
    users, items, times, split = folder.columns("ml-1m", "user", "item", "timestamp", "time_split")
    ids = np.unique(items)
    films, *columns = folder.item_columns("ml-1m", "item", *FACTS)
    places = {film: place for place, film in enumerate(films.tolist())}
    rows = [places.get(film, -1) for film in ids.tolist()]
    info = {
        name: np.array([column[row] if row >= 0 else None for row in rows], object)
        for name, column in zip(FACTS, columns, strict=True)
    }
    data = fr.Interactions(codes(users), codes(items), times=times.astype(np.int64), time_unit="s", item_info=info)
    train, test = (data.select(np.isin(split.astype(str), part.split())) for part in parts)
    return train, test.select(np.isin(test.user_codes, train.user_codes))


def members(seed: int) -> list[Any]:
    """Four models at their defaults."""
    return [fr.EASE(), fr.ItemKNN(), fr.ImplicitALS(random_state=seed), fr.GraphFilter(random_state=seed)]


def fitted(model: Any, train: Any) -> tuple[Any, float]:
    """A fitted model, and the seconds of all processors."""
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
    if name != "TwoStage":
        return ""
    ours, theirs = (report.values[model][metric] for model in (name, other))
    less = ours - theirs
    return f"{less.mean():+.4f} ± {1.96 * less.std(ddof=1) / np.sqrt(len(less)):.4f}"


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


PARTS = (cut_in_time, labels, without_times)
