"""Compares models of the next basket on purchases that are made up: what users buy again, and what changes."""

import time
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from data import Folder

import fastrec as fr

Record = dict[str, Any]
PAGE = "explanation/next_basket.md"
SEEDS = 3
METRICS = ["recall@10", "ndcg@10"]
# The settings that are tried on each training part's own last baskets: 12, and 4 for the frequencies alone.
ALPHAS, GROUP_DECAYS, GROUP_SIZES, NEIGHBORS = (0.3, 0.6, 0.9), (0.6, 0.9), (3,), (30, 150)


class Shop(NamedTuple):
    """A made-up shop: the share of a basket from the user's own staples, and how many of these change in a basket."""

    own: float
    drift: float
    users: int = 1500
    items: int = 1000
    groups: int = 25
    staples: int = 12


SHOPS = {
    "staples that change": Shop(own=0.6, drift=0.1),
    "staples that stay": Shop(own=0.6, drift=0.0),
    "few staples": Shop(own=0.15, drift=0.1),
}


def make_purchases(shop: Shop, seed: int) -> fr.Interactions:
    """Makes up 8 to 30 baskets of each user, a week apart: own staples, items of the user's group, and popular ones."""
    rng = np.random.default_rng(seed)
    popular = 1 / np.arange(1, shop.items + 1) ** 0.8
    popular = rng.permutation(popular / popular.sum())
    tastes = np.array([rng.permutation(popular) * (rng.random(shop.items) < 0.1) for _ in range(shop.groups)])
    tastes /= tastes.sum(axis=1, keepdims=True)
    loves = 1 / np.arange(1, shop.staples + 1)
    loves /= loves.sum()
    users, items, weeks = [], [], []
    for user in range(shop.users):
        taste = tastes[rng.integers(shop.groups)]
        staples = rng.choice(shop.items, shop.staples, p=taste)
        last = int(rng.integers(0, 10))
        for week in range(last, last + int(rng.integers(8, 31))):
            changed = rng.random(shop.staples) < shop.drift
            staples = np.where(changed, rng.choice(shop.items, shop.staples, p=taste), staples)
            size = 1 + rng.poisson(6)
            liked, bought = rng.choice(shop.items, size, p=taste), rng.choice(shop.items, size, p=popular)
            kinds = rng.random(size)
            others = np.where(kinds < shop.own + 0.3, liked, bought)
            basket = np.unique(np.where(kinds < shop.own, rng.choice(staples, size, p=loves), others))
            users += [user] * len(basket)
            items += basket.tolist()
            weeks += [week] * len(basket)
    return fr.Interactions(users, items, times=np.array(weeks) * 7, duplicates="sum")


def own_frequency() -> fr.TIFUKNN:
    """Returns the baseline: how often the user bought each item, and nothing else."""
    return fr.TIFUKNN(alpha=1.0, within_decay=1.0, group_decay=1.0)


def tune(train: fr.Interactions) -> tuple[fr.TIFUKNN, fr.TIFUKNN]:
    """Returns the best of the settings, and of the fadings without neighbours, on the last baskets of the training
    part.
    """
    fit, hidden = fr.split_last_baskets(train)
    model = fr.TIFUKNN().fit(fit)

    def judge(options: dict[str, float]) -> float:
        return fr.evaluate(model.set_params(**options), hidden, "ndcg@10").mean("ndcg@10")

    names = ("alpha", "group_decay", "group_size", "neighbors")
    grid = [dict(zip(names, one, strict=True)) for one in product(ALPHAS, GROUP_DECAYS, GROUP_SIZES, NEIGHBORS)]
    alone = [{"alpha": 1.0, "group_decay": decay, "group_size": size} for decay in (0.5, 0.9) for size in (1, 3)]
    return fr.TIFUKNN(**max(grid, key=judge)), fr.TIFUKNN(**max(alone, key=judge))


def made_up(folder: Folder, repeats: int) -> Iterator[Record]:
    """The last basket of each of 1,500 users of made-up shops: means of 3 shops each, 95 % intervals over all users."""
    for name, shop in SHOPS.items():
        values: dict[str, list[Any]] = {}
        for seed in range(SEEDS):
            train, test = fr.split_last_baskets(make_purchases(shop, seed))
            tuned, alone = tune(train)
            print(f"    {name}, seed {seed}: {tuned!r}; {alone!r}", flush=True)
            models: dict[str, Any] = {
                "own frequency": own_frequency(), "own frequency, fading, tuned": alone, "TIFUKNN()": fr.TIFUKNN(),
                "TIFUKNN, tuned": tuned, "UserKNN": fr.UserKNN(), "EASE": fr.EASE(), "Popularity": fr.Popularity(),
            }  # fmt: skip
            report = fr.evaluate({key: model.fit(train) for key, model in models.items()}, test, METRICS)
            for model in models:
                values.setdefault(model, []).append([report.values[model][metric] for metric in METRICS])
        base = np.concatenate([one[1] for one in values["own frequency"]])
        for model, runs in values.items():
            own = [np.concatenate([run[place] for run in runs]) for place in range(len(METRICS))]
            means = dict(zip(METRICS, map(with_interval, own), strict=True))
            less = with_interval(own[1] - base, "+") if model != "own frequency" else ""
            yield {"shop": name, "model": model, **means, "ndcg@10 less own frequency": less}


def with_interval(values: Any, sign: str = "") -> str:
    """Returns a mean and half the width of its 95 % interval."""
    return f"{values.mean():{sign}.4f} ± {1.96 * values.std(ddof=1) / np.sqrt(len(values)):.4f}"


def speed(folder: Folder, repeats: int) -> Iterator[Record]:
    """Seconds of one thread: the fit, the first answer with its index, and answers to single users."""
    data = make_purchases(SHOPS["staples that change"]._replace(users=8000), 0)
    for _ in range(repeats):
        model = fr.TIFUKNN(n_jobs=1)
        began = time.process_time()
        model.fit(data)
        fitted = time.process_time()
        model.recommend(0)
        indexed = time.process_time()
        for user in range(200):
            model.recommend(user)
        answered = time.process_time()
        yield {
            "users": len(data), "events": data.n_interactions, "fit, CPU s": fitted - began,
            "index, CPU s": indexed - fitted, "an answer, CPU ms": (answered - indexed) / 200 * 1000,
        }  # fmt: skip


PARTS = (made_up, speed)
