"""Measures the accuracy of the models: settings are found on a part of the training data, then tested once.

    python bench/accuracy.py --data FOLDER                       # everything; hours
    python bench/accuracy.py ml-100k --data FOLDER --trials 10 --models ImplicitALS,EASE

A part of the training interactions is hidden and `fastrec.search` looks for the options that find it again; the test
part is not looked at. The best options are then fitted on all of the training part and evaluated on the test part,
once. Each of several folds is searched on its own training part. Other libraries' models are treated alike (what is
not installed is named and left out). Results, the trials of each search among them, go to bench/results/accuracy-*.json
as they come (a run that was stopped goes on). docs/explanation/accuracy.md and the table of
docs/explanation/models.md are written from these files.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from data import Folder, MissingDataError, codes, tell_parts
from peers import ImplicitPeer, LightFMPeer, SurprisePeer
from run import machine
from scipy.stats import loguniform, uniform

import fastrec as fr
from fastrec.models import (
    EASE,
    Blend,
    ExplicitALS,
    GraphFilter,
    ImplicitALS,
    Item2Vec,
    ItemKNN,
    MLPRecommender,
    Popularity,
    PureSVD,
    SGDFactorization,
    UserKNN,
)

HERE = Path(__file__).resolve().parent
RESULTS, DOCS = HERE / "results", HERE.parent / "docs"
PAGE, GUIDE = DOCS / "explanation/accuracy.md", DOCS / "explanation/models.md"

Fold = tuple[fr.Interactions, fr.Interactions]
Space = dict[str, Any]


@dataclass(frozen=True)
class Contender:
    """A model, the options searched for it (others have their defaults), and the number of draws that suffices."""

    name: str
    model: Any
    space: Space = field(default_factory=dict)
    most_trials: int = 1000
    peer: bool = False


# Spaces of options that several contenders share, some with small changes.
BPR: Space = {
    "factors": [32, 64, 128],
    "n_negatives": [4, 8, 16],
    "learning_rate": loguniform(0.02, 0.2),
    "regularization": loguniform(2e-3, 0.1),
    "iterations": [20, 40],
}
WARP: Space = {
    "factors": [32, 64, 128],
    "learning_rate": loguniform(0.01, 0.2),
    "regularization": loguniform(1e-3, 0.1),
    "iterations": [20, 40],
}
MANY_NEGATIVES: Space = {"factors": [64, 128], "n_negatives": [128, 512]}
SQUARED: Space = {
    "factors": [16, 32, 64, 128],
    "learning_rate": loguniform(0.005, 0.05),
    "regularization": loguniform(0.02, 0.2),
    "iterations": [20, 30, 40],
}

RANKERS = [
    Contender("Popularity", Popularity()),
    Contender(
        "ItemKNN",
        ItemKNN(),
        {
            "neighbors": [20, 50, 100, 200, 400],
            "similarity": ["cosine", "rp3beta"],
            "alpha": uniform(0.3, 1.2),
            "beta": uniform(0.0, 1.0),
            "shrinkage": [0.0, 10.0, 50.0],
        },
    ),
    Contender(
        "ItemKNN, SPPMI",
        ItemKNN(similarity="sppmi"),
        {"neighbors": [200, 400, 1000], "smoothing": uniform(0.1, 0.5), "shift": [0.0, 1.0, 2.0]},
        most_trials=8,
    ),
    Contender(
        "UserKNN",
        UserKNN(),
        {"neighbors": [20, 50, 100, 200, 400], "similarity": ["cosine", "bm25", "tfidf"], "shrinkage": [0.0, 10.0]},
    ),
    Contender("EASE", EASE(), {"regularization": loguniform(10, 5000), "dropout": [0.0, 0.2, 0.4]}),
    Contender("PureSVD", PureSVD(random_state=0), {"factors": [16, 32, 64, 128], "item_exponent": uniform(0.0, 1.0)}),
    Contender(
        "GraphFilter",
        GraphFilter(random_state=0),
        {
            "factors": [32, 64, 128, 256, 512],
            "ideal_weight": uniform(0.0, 0.7),
            "user_exponent": [0.3, 0.4, 0.5],
            "degree_exponent": uniform(0.1, 0.4),
        },
    ),
    Contender(
        "ImplicitALS",
        ImplicitALS(random_state=0),
        {
            "factors": [32, 64, 128, 256],
            "alpha": loguniform(0.5, 150),
            "regularization": loguniform(1e-3, 0.1),
        },
    ),
    Contender(
        "SGDFactorization, BPR",
        SGDFactorization(loss="bpr", random_state=0),
        BPR,
        most_trials=8,
    ),
    Contender(
        "SGDFactorization, WARP",
        SGDFactorization(loss="warp", random_state=0),
        WARP,
        most_trials=8,
    ),
    Contender(
        "SGDFactorization, CCL",
        SGDFactorization(loss="ccl", random_state=0),
        MANY_NEGATIVES
        | {
            "margin": uniform(0.4, 0.5),
            "negative_weight": loguniform(20, 200),
            "learning_rate": loguniform(0.05, 0.2),
            "iterations": [20, 40],
        },
        most_trials=8,
    ),
    Contender(
        "SGDFactorization, softmax",
        SGDFactorization(loss="softmax", random_state=0),
        MANY_NEGATIVES
        | {
            "temperature": loguniform(0.05, 0.4),
            "learning_rate": loguniform(0.005, 0.05),
            "iterations": [20, 40],
        },
        most_trials=8,
    ),
    Contender("Item2Vec", Item2Vec(random_state=0)),  # in the order of the file
    Contender(
        "Item2Vec, similar",
        Item2Vec(scoring="similar", random_state=0),
        {
            "factors": [64, 128],
            "learning_rate": loguniform(0.02, 0.1),
            "negative_exponent": uniform(-0.5, 1.25),
            "subsample": loguniform(5e-6, 3e-5),
            "iterations": [10, 20],
        },
        most_trials=6,
    ),
    Contender(
        "MLPRecommender",
        MLPRecommender(batch_size=4096, layers=(64, 32), random_state=0),
        {
            "architecture": ["gmf", "neumf"],
            "factors": [32, 64],
            "learning_rate": loguniform(0.001, 0.004),
            "regularization": loguniform(0.03, 1),
            "dropout": [0.0, 0.3],
            "iterations": [10, 15],
        },
        most_trials=6,
    ),
]
RANKING_PEERS = [
    Contender(
        "implicit, ALS",
        ImplicitPeer("als"),
        {
            "factors": [32, 64, 128, 256],
            "alpha": loguniform(0.3, 100),
            "regularization": loguniform(1e-3, 30),
            "iterations": [15],
        },
        peer=True,
    ),
    Contender(
        "implicit, BPR",
        ImplicitPeer("bpr"),
        WARP | {"iterations": [40, 80]},
        most_trials=8,
        peer=True,
    ),
    Contender(
        "LightFM, WARP",
        LightFMPeer("warp"),
        WARP | {"regularization": loguniform(1e-7, 1e-4), "iterations": [15, 30]},
        most_trials=8,
        peer=True,
    ),
]
# On Gowalla dense EASE takes minutes and gigabytes, so it is searched in its sparse form, and the network is searched
# without its layers. The other models are searched briefly.
LARGER = {
    "EASE": Contender("EASE, sparse", EASE(method="sparse"), {"regularization": loguniform(10, 1000)}),
    "MLPRecommender": Contender(
        "MLPRecommender",
        MLPRecommender(64, architecture="gmf", batch_size=4096, random_state=0),
        {"learning_rate": loguniform(0.001, 0.004), "regularization": loguniform(0.01, 1), "iterations": [10, 20]},
        most_trials=4,
    ),
}
LARGE = [
    replace(contender, most_trials=min(12, contender.most_trials))
    for contender in (LARGER.get(c.name, c) for c in RANKERS + RANKING_PEERS)
    if contender.name != "UserKNN"
]
# Item2Vec makes sequences of events with times.
SEQUENCES = Contender(
    "Item2Vec, similar",
    Item2Vec(scoring="similar", random_state=0),
    {
        "factors": [64, 128],
        "window": [5, 10, 20],
        "learning_rate": loguniform(0.02, 0.1),
        "negative_exponent": uniform(-0.5, 1.25),
        "subsample": loguniform(1e-5, 1e-3),
        "iterations": [10, 20],
    },
    most_trials=8,
)

# Options that earlier, longer searches found on hidden parts of the training part (bench/cases, `tune` and docs).
GOWALLA: dict[str, Space] = {
    "ItemKNN": {"neighbors": 200, "similarity": "rp3beta", "alpha": 0.8, "beta": 0.2},
    "EASE, sparse": {"regularization": 80.0, "neighbors": 256},
    "GraphFilter": {
        "factors": 512,
        "ideal_weight": 0.2,
        "user_exponent": 0.4,
        "item_exponent": 0.45,
        "degree_exponent": 0.4,
    },
    "ImplicitALS": {"factors": 256, "alpha": 83.0, "regularization": 0.007, "iterations": 6},
    "SGDFactorization, BPR": {
        "factors": 64,
        "n_negatives": 16,
        "learning_rate": 0.05,
        "regularization": 0.02,
        "iterations": 60,
    },
    "SGDFactorization, CCL": {  # on a hidden fifth of each user's items
        "factors": 128,
        "learning_rate": 0.1,
        "n_negatives": 512,
        "margin": 0.8,
        "negative_weight": 150.0,
        "iterations": 40,
    },
}

RATERS = [
    Contender(
        "ExplicitALS",
        ExplicitALS(random_state=0),
        {
            "factors": [10, 20, 50, 100],
            "regularization": loguniform(0.5, 30),
            "bias_regularization": loguniform(0.3, 20),
            "regularization_exponent": uniform(0.0, 0.8),
        },
    ),
    *(
        Contender(
            f"SGDFactorization, squared{', SVD++' * presence}",
            SGDFactorization(loss="squared", implicit_feedback=presence, random_state=0),
            SQUARED,
        )
        for presence in (False, True)
    ),
]
SURPRISE_SPACE = SQUARED | {"learning_rate": loguniform(0.002, 0.02), "regularization": loguniform(0.01, 0.2)}
SURPRISE = [
    Contender("Surprise, SVD", SurprisePeer(), SURPRISE_SPACE, peer=True),
    # A fit of its SVD++ takes a minute: a smaller model and fewer draws.
    Contender(
        "Surprise, SVD++",
        SurprisePeer(True),
        SURPRISE_SPACE | {"factors": [16, 32], "iterations": [20]},
        most_trials=4,
        peer=True,
    ),
]


def random_tenth(train: fr.Interactions) -> Fold:
    """Returns a random tenth of all interactions."""
    return fr.split_random(train, 0.1, random_state=0)


@dataclass(frozen=True)
class Task:
    """A data set with its training and test parts, its metrics, and the figures published for this split."""

    name: str
    text: str
    folds: Callable[[Folder], Iterator[Fold]]
    metrics: tuple[str, ...]
    contenders: list[Contender]
    published: tuple[tuple[str, tuple[str, ...]], ...] = ()
    decides: str = "ndcg@10"
    validation: Callable[[fr.Interactions], Fold] = random_tenth
    options: Space = field(default_factory=dict)
    blended: int = 5  # the largest number of models in the blend
    stated: dict[str, Space] = field(default_factory=dict)  # settings that stand beside those drawn


def gowalla(folder: Folder) -> Iterator[Fold]:
    """Returns the published split; times are places in its file, which lists the places of one user after the other."""
    users, items, split = folder.columns("gowalla", "user", "item", "split")
    data = fr.Interactions(users, items, times=np.arange(len(users)))
    is_train = split.astype(str) == "train"
    yield data.select(is_train), data.select(~is_train)


def late_fifth(train: fr.Interactions) -> Fold:
    """Returns the last fifth of each user's list, in the order of times.

    Gowalla's test part is not random: popular places are in it more often than they would be by chance (27 % of
    the events of places with 300 and more, 21 % of all). Late in the lists of the training part that is so as well,
    though less; a random part is not so, and makes filters win that hold popular places back.
    """
    return fr.split_last(train, 0.2)


def random_fifth(name: str) -> Callable[[Folder], Iterator[Fold]]:
    """Returns a random fifth of all interactions as the test part."""

    def folds(folder: Folder) -> Iterator[Fold]:
        yield fr.split_random(fr.Interactions.from_matrix(folder.matrix(name)), 0.2, random_state=0)

    return folds


def by_time(folder: Folder) -> Iterator[Fold]:
    """Cuts MovieLens 1M once in time: the last tenth of all events is the test part."""
    users, items, times, part = folder.columns("ml-1m", "user", "item", "timestamp", "time_split")
    data = fr.Interactions(codes(users), codes(items), times=times.astype(np.int64), time_unit="s")
    is_test = part.astype(str) == "test"
    train, test = data.select(~is_test), data.select(is_test)
    known = np.isin(test.user_codes, train.user_codes)
    yield train, test.select(known)


def last_ninth(train: fr.Interactions) -> Fold:
    """Returns the last ninth in time of a training part, which is as long as the test part."""
    return fr.split_time(train, fraction=1 / 9)


def leave_last(folder: Folder) -> Iterator[Fold]:
    """Takes the last event of each user as the test part (the protocol of NCF)."""
    users, items, times = folder.columns("ml-1m", "user", "item", "timestamp")
    data = fr.Interactions(codes(users), codes(items), times=times.astype(np.int64), time_unit="s")
    yield fr.split_last(data)


def published_folds(folder: Folder) -> Iterator[Fold]:
    """Returns the folds u1 to u5 of MovieLens 100K."""
    data = ratings(folder, "ml-100k")
    for number in range(1, 6):
        (mask,) = folder.columns("ml-100k", f"u{number}_test")
        yield data.select(~mask.astype(bool)), data.select(mask.astype(bool))


def random_folds(folder: Folder) -> Iterator[Fold]:
    """Returns five random folds of MovieLens 1M's ratings."""
    data = ratings(folder, "ml-1m")
    fold = np.random.default_rng(0).permutation(data.n_interactions) % 5
    for number in range(5):
        yield data.select(fold != number), data.select(fold == number)


def ratings(folder: Folder, name: str) -> fr.Interactions:
    """Returns users, items and ratings, in the order of the file."""
    users, items, values = folder.columns(name, "user", "item", "rating")
    return fr.Interactions(codes(users), codes(items), values.astype(np.float32))


# This note is to be deleted with the next run of these tasks.
EARLIER_BLEND = (
    "Blend was measured earlier, with the three best models, and with weights from a random fifth of each user's items."
)

TASKS = [
    Task(
        "gowalla",
        "Gowalla check-ins, the split of NGCF and LightGCN: 29 858 users, 40 981 places. Published figures are "
        "those of the BARS leaderboard and of the named papers. Settings were found on the last fifth of each "
        "user's list in the training part. Like the test part, and unlike a random fifth, it has more of the "
        "popular places. No setting of this table was chosen by the test part. But the test part was looked at more "
        "than once while the models were built. The last fifth was chosen after popular places had been counted in "
        "the test part.",
        gowalla,
        ("recall@20", "ndcg@20"),
        LARGE,
        published=(
            ("item2vec (BARS)", ("0.1326", "0.1057")),
            ("ItemCF (BARS)", ("0.1570", "0.1214")),
            ("MF-BPR (BARS)", ("0.1627", "0.1378")),
            ("SLIM (BARS)", ("0.1699", "0.1382")),
            ("EASE (BARS)", ("0.1765", "0.1467")),
            ("LightGCN (He et al., SIGIR 2020)", ("0.1830", "0.1554")),
            ("MF-CCL (Mao et al., CIKM 2021)", ("0.1837", "0.1493")),
            ("GF-CF (Shen et al., CIKM 2021)", ("0.1849", "0.1518")),
            ("UltraGCN (Mao et al., CIKM 2021)", ("0.1862", "0.1580")),
            ("SimpleX (Mao et al., CIKM 2021)", ("0.1872", "0.1557")),
            ("BSPM (Choi et al., SIGIR 2023)", ("0.1921", "0.1597")),
            ("ChebyCF (Kim et al., SIGIR 2025)", ("0.1941", "0.1616")),
        ),
        decides="ndcg@20",
        validation=late_fifth,
        stated=GOWALLA,
    ),
    Task(
        "ml-1m",
        "MovieLens 1M. Every rating is an interaction, and a random fifth is hidden for the test. There are no "
        "published figures of this split. " + EARLIER_BLEND,
        random_fifth("ml-1m"),
        ("recall@20", "ndcg@10"),
        RANKERS + RANKING_PEERS,
    ),
    Task(
        "ml-1m-time",
        "MovieLens 1M, with one cut in time. Every rating is an interaction. The test part is the last tenth of all "
        "events, for users with a history before the cut. Settings were found on the last ninth of the events "
        "before the cut, with a cut in time as well. The times of a quarter of the events are interpolated, within "
        'the order of the user\'s events. Softmax and "Item2Vec, similar" had fewer draws than on the other data '
        "sets. `MLPRecommender` was not measured again with the true times. Of Blend's five candidates, one got all "
        "the weight on the hidden part.",
        by_time,
        ("ndcg@10", "recall@20"),
        [SEQUENCES if contender.name == SEQUENCES.name else contender for contender in RANKERS + RANKING_PEERS],
        validation=last_ninth,
    ),
    Task(
        "ml-100k",
        "MovieLens 100K. Every rating is an interaction, and a random fifth is hidden for the test. There are no "
        "published figures of this split.",
        random_fifth("ml-100k"),
        ("recall@20", "ndcg@10"),
        RANKERS + RANKING_PEERS,
    ),
    Task(
        "ml-1m-leave-one-out",
        "MovieLens 1M. The last item of each user is ranked among 99 items that the user has not had, drawn at "
        "random. This table is for comparison with the literature only: ranking among samples is biased and can "
        "reverse the order of models (Krichene, Rendle 2020). Settings were found on the last but one item of each "
        "user.",
        leave_last,
        ("biased_sampled_hit_rate@10", "biased_sampled_ndcg@10"),
        [
            *(c for c in RANKERS if c.name in ("Popularity", "SGDFactorization, BPR")),
            Contender(
                "ImplicitALS",
                ImplicitALS(random_state=0),
                {
                    "factors": [128, 192],
                    "alpha": loguniform(1, 10),
                    "regularization": loguniform(2e-3, 0.03),
                },
            ),
            Contender(
                "SGDFactorization, logistic",
                SGDFactorization(loss="logistic", random_state=0),
                BPR
                | {
                    "factors": [64, 128, 192],
                    "learning_rate": loguniform(0.01, 0.1),
                    "regularization": loguniform(2e-3, 0.03),
                },
                most_trials=8,
            ),
            Contender(
                "MLPRecommender",
                MLPRecommender(batch_size=1024, random_state=0),
                {
                    "factors": [32, 64],
                    "layers": [(64, 32), (128, 64, 32)],
                    "learning_rate": [0.0005, 0.001],
                    "regularization": [0.01, 0.1],
                    "iterations": [7],
                },
                most_trials=6,
            ),
        ],
        published=(
            ("ItemPop (He et al., WWW 2017)", ("0.4535", "0.2542")),
            ("eALS (He et al., WWW 2017)", ("0.7018", "0.4280")),
            ("NeuMF (He et al., WWW 2017)", ("0.7210", "0.4387")),
            ("MF (Rendle et al., RecSys 2020)", ("0.7294", "0.4523")),
        ),
        decides="biased_sampled_ndcg@10",
        validation=fr.split_last,
        options={"n_sampled": 99},
        blended=0,
    ),
    Task(
        "ml-100k-ratings",
        "MovieLens 100K, prediction of ratings. The figures are means of the five published folds u1 to u5. "
        "Settings were searched for on each fold's own training part. Predictions are clipped to 1 … 5, as Surprise "
        "does.",
        published_folds,
        ("rmse", "mae"),
        RATERS + SURPRISE,
        decides="rmse",
        blended=0,
    ),
    Task(
        "ml-1m-ratings",
        "MovieLens 1M, prediction of ratings. The figures are means of five random folds. Settings were searched "
        "for on each fold's own training part. Predictions are clipped to 1 … 5, as Surprise does. Published "
        "figures are Surprise's own, of other random folds.",
        random_folds,
        ("rmse", "mae"),
        RATERS + SURPRISE[:1],
        published=(("Surprise, SVD", ("0.873", "0.686")), ("Surprise, SVD++", ("0.862", "0.672"))),
        decides="rmse",
        blended=0,
    ),
]


def run(task: Task, folder: Folder, only: list[str], trials: int, batch: int) -> None:
    """Searches, fits and evaluates each model of a task; a model whose results are in the file is not run again."""
    path = _results(task.name)
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"models": {}}
    folds = list(task.folds(folder))
    for number, (train, test) in enumerate(folds, 1):
        tell_parts(f"{task.name}, fold {number} of {len(folds)}", train=train, test=test)
        left, hidden = task.validation(train)
        tell_parts(f"{task.name}, fold {number}, the search", train=left, hidden=hidden)
    for contender in task.contenders:
        draws = min(trials, contender.most_trials) if contender.space else 0
        known = results["models"].get(contender.name)
        if (only and contender.name not in only) or (known is not None and known["trials"] >= draws):
            continue
        print(f"{task.name}: {contender.name}", flush=True)
        try:
            measured = [measure(task, contender, number, fold, draws, batch) for number, fold in enumerate(folds)]
        except ImportError as error:
            print(f"  left out: {error}")
            continue
        _note(path, results, contender.name, _mean(measured) | {"peer": contender.peer})
    if task.blended and (not only or "Blend" in only) and "Blend" not in results["models"]:
        _note(path, results, "Blend", measure_blend(task, results["models"], *folds[0], batch))


def measure(task: Task, contender: Contender, number: int, fold: Fold, trials: int, batch: int) -> dict[str, Any]:
    """Measures one model on one fold: its search on a part of the training part, and its one test."""
    train, test = fold
    model, options, score, searched = contender.model, {}, None, []
    if trials:
        store = RESULTS / f".accuracy-{task.name}-{contender.name}-{number}.jsonl"
        found = fr.search(
            model, contender.space, train, metric=task.decides, method="optuna", n_trials=trials,
            cv=task.validation(train), store=store, refit=False, verbose=True, batch_size=batch, **task.options,
        )  # fmt: skip
        options, score = found.best_options, found.best_score
        searched = [[trial.options, trial.score] for trial in found.ranked()]
        if contender.name in task.stated:
            stated = task.stated[contender.name]
            beside = fr.search(
                model, {name: [value] for name, value in stated.items()}, train, metric=task.decides, method="grid",
                cv=task.validation(train), refit=False, batch_size=batch, **task.options,
            )  # fmt: skip
            searched.append([stated, beside.best_score])
            if beside.best_score > score:
                options, score = stated, beside.best_score
    fitted, seconds = _fitted(model, options, train)
    as_it_comes = _tested(task, _fitted(model, {}, train)[0], test, batch) if options and not contender.peer else None
    return {
        "options": [options],
        "trials": trials,
        "validation": score,
        "searched": searched,
        "metrics": _tested(task, fitted, test, batch),
        "defaults": as_it_comes,
        "fit_cpu_seconds": seconds,
    }


def measure_blend(
    task: Task, models: dict[str, Any], train: fr.Interactions, test: fr.Interactions, batch: int
) -> dict[str, Any]:
    """Measures a blend of the best models in validation, with the options found for each, validated as these were.

    Members with next to no weight are left out, and the weights of the others are found once more.
    """
    own = [c for c in task.contenders if not c.peer and models.get(c.name, {}).get("validation")]
    best = sorted(own, key=lambda c: -models[c.name]["validation"])[: task.blended]
    weights = _blended(task, best, models).fit(train).weights_
    best = [c for c, weight in zip(best, weights, strict=True) if weight >= 0.03]
    model, seconds = _fitted(_blended(task, best, models), {}, train)
    weights = ", ".join(f"{weight:.2f} {c.name}" for weight, c in zip(model.weights_, best, strict=True))
    print(f"{task.name}: Blend of {weights}, in validation {model.validation_scores_}", flush=True)
    return {
        "options": [{"models": weights}],
        "trials": 0,
        "validation": float(model.validation_scores_[-1]),
        "metrics": _tested(task, model, test, batch),
        "defaults": None,
        "fit_cpu_seconds": seconds,
        "peer": False,
    }


def _blended(task: Task, contenders: list[Contender], models: dict[str, Any]) -> Blend:
    members = [_with(c.model, models[c.name]["options"][0]) for c in contenders]
    return Blend(members, validation=task.validation, random_state=0)


def _with(model: Any, options: Space) -> Any:
    return type(model)(**{**model.get_params(deep=False), **options})


def _fitted(model: Any, options: Space, train: fr.Interactions) -> tuple[Any, float]:
    began = time.process_time()
    return _with(model, options).fit(train), round(time.process_time() - began, 2)


def _tested(task: Task, model: Any, test: fr.Interactions, batch: int) -> dict[str, list[float]]:
    if task.decides == "rmse":
        predicted = np.clip(model.predict_pairs(test.user_codes, test.item_codes), 1, 5)
        errors = predicted.astype(np.float64) - test.values
        return {"rmse": [float(np.sqrt(np.mean(errors**2)))], "mae": [float(np.abs(errors).mean())]}
    report = fr.evaluate(model, test, task.metrics, batch_size=batch, **task.options)
    return {e.metric: [e.mean, e.low, e.high] for e in report.estimates}


def _mean(folds: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns one record that sums up several folds."""
    if len(folds) == 1:
        return folds[0]

    def mean_of(name: str) -> Any:
        if folds[0][name] is None:
            return None
        return {metric: [float(np.mean([fold[name][metric][0] for fold in folds]))] for metric in folds[0][name]}

    return folds[0] | {
        "options": [option for fold in folds for option in fold["options"]],
        "searched": [fold["searched"] for fold in folds],
        "metrics": mean_of("metrics"),
        "defaults": mean_of("defaults"),
        "folds": [fold["metrics"] for fold in folds],
        "fit_cpu_seconds": round(float(np.mean([fold["fit_cpu_seconds"] for fold in folds])), 2),
    }


def _note(path: Path, results: dict[str, Any], name: str, record: dict[str, Any]) -> None:
    results["models"][name] = record
    results["machine"] = machine()
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"  {record['options']}: {record['metrics']}", flush=True)


# --- the page --------------------------------------------------------------------------------------------------------


INTRODUCTION = """\
# How good the models are

This page has the accuracy of all models on seven tasks. `bench/accuracy.py` wrote it.

- **Settings** were found by `fastrec.search` (Optuna's sampler) on a hidden part of the training data, a random tenth
  if nothing else is said. The test part was used once, at the end. *draws* is the number of settings that were tried.
- **Measures** rank all items that a user has not had in training. No items are sampled, if nothing else is said.
  Intervals are 95 % over users.
- **Other libraries** stand in italics. Their settings were searched for, and tested, by the same code, with as many
  draws.
- **Gowalla** has settings from earlier, longer searches, too (`GOWALLA` in the script). The better setting on the
  hidden part was taken.
- **Blend** joins the five models that were best on the hidden part, with the weights that are best there (NDCG@20).
  Members with next to no weight are left out.
- **Columns.** *defaults* is the first measure with no option set at all. *fit* is the processor time of one fit with
  the settings found, on all cores together.
"""


def write_page() -> None:
    """Writes docs/explanation/accuracy.md from the results."""
    lines = [INTRODUCTION]
    for task in TASKS:
        path = _results(task.name)
        if path.exists():
            lines += _section(task, json.loads(path.read_text(encoding="utf-8")))
    PAGE.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


SUMMARY = {"ml-1m": "ml-1m, random fifth", "ml-1m-time": "ml-1m, cut in time", "gowalla": "gowalla"}
BEGIN, END = "<!-- measured: written by bench/accuracy.py -->", "<!-- end -->"


def write_summary() -> None:
    """Writes the table of docs/explanation/models.md: each model's first measure and cost, data set by data set."""
    tasks = {task.name: task for task in TASKS}
    found = {
        name: json.loads(_results(name).read_text("utf-8"))["models"] for name in SUMMARY if _results(name).exists()
    }
    header = ["model"]
    for name in found:
        header += [f"{SUMMARY[name]}: {tasks[name].metrics[0]}", "fit, CPU s"]
    rows = []
    for contender in dict.fromkeys(c for models in found.values() for c, m in models.items() if not m["peer"]):
        row = [contender]
        for name, models in found.items():
            known = models.get(contender)
            first = tasks[name].metrics[0]
            row += [f"{known['metrics'][first][0]:.4f}", f"{known['fit_cpu_seconds']:.1f}"] if known else ["", ""]
        rows.append(row)
    rows.sort(key=lambda row: row[1], reverse=True)
    lines = [_line(header), f"|---|{'---:|' * (len(header) - 1)}", *map(_line, rows)]
    page = GUIDE.read_text(encoding="utf-8")
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    GUIDE.write_text("\n".join([before + BEGIN, *lines, END + after]), encoding="utf-8")


def _results(name: str) -> Path:
    return RESULTS / f"accuracy-{name}.json"


def _section(task: Task, results: dict[str, Any]) -> list[str]:
    sign, first = (1 if task.decides == "rmse" else -1), task.metrics[0]
    rows = [
        (found["metrics"][first][0], [f"*{name}*" if found["peer"] else name, *_cells(task, found)])
        for name, found in results["models"].items()
    ]
    rows += [(float(cells[0]), [f"*{name}, published*", *cells, "", "", ""]) for name, cells in task.published]
    header = ["model", *task.metrics, "defaults", "fit, CPU s", "draws"]
    lines = [f"## {task.name}", "", task.text, "", _line(header), f"|---|{'---:|' * (len(header) - 1)}"]
    lines += [_line(cells) for _, cells in sorted(rows, key=lambda row: sign * row[0])]
    lines += ["", "<details><summary>Settings</summary>", ""]
    for name, found in results["models"].items():
        for number, options in enumerate(found["options"], 1):
            fold = f" (fold {number})" if len(found["options"]) > 1 else ""
            said = ", ".join(f"{o}={_short(v)}" for o, v in options.items()) or "the defaults"
            lines.append(f"- {name}{fold}: {said}")
    ran = results["machine"]
    tools = f"{ran['cores']} cores, {ran['cpu']}, Python {ran['python']}, {ran['date'][:10]}."
    return [*lines, "", "</details>", "", tools, ""]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(task: Task, found: dict[str, Any]) -> list[str]:
    cells = [_cell(found["metrics"][metric]) for metric in task.metrics]
    defaults = "" if found["defaults"] is None else f"{found['defaults'][task.metrics[0]][0]:.4f}"
    return [*cells, defaults, f"{found['fit_cpu_seconds']:.1f}", str(found["trials"])]


def _cell(values: list[float]) -> str:
    return f"{values[0]:.4f}" if len(values) == 1 else f"{values[0]:.4f} ± {(values[2] - values[1]) / 2:.4f}"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def main() -> None:
    """Runs the named tasks and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", help=f"which: {', '.join(task.name for task in TASKS)} (all)")
    parser.add_argument("--data", type=Path, default=os.environ.get("FASTREC_BENCH_DATA"), help="the data folder")
    parser.add_argument("--models", default="", help="only these models, separated by semicolons")
    parser.add_argument("--trials", type=int, default=30, help="draws of each search")
    parser.add_argument("--batch-size", type=int, default=2048, help="users ranked at a time")
    options = parser.parse_args()
    if options.data is None:
        parser.error("--data (or FASTREC_BENCH_DATA) must name the folder with ml-100k, ml-1m and gowalla")
    names = options.tasks or [task.name for task in TASKS]
    only = [name.strip() for name in options.models.split(";") if name.strip()]
    RESULTS.mkdir(exist_ok=True)
    for task in TASKS:
        if task.name in names:
            try:
                run(task, Folder(options.data), only, options.trials, options.batch_size)
            except MissingDataError as error:
                print(f"{task.name}: {error}")
    write_page()
    write_summary()


if __name__ == "__main__":
    main()
