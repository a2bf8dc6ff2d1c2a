"""AutoRecommender beside random searches of each family, chosen on a hidden part and judged on the test part."""

import time
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from data import Folder, codes, ones

import fastrec as fr
from fastrec.evaluation.automatic.contest import Part, hide_events
from fastrec.evaluation.automatic.families import Shape, families_for, forms_of

PAGE = "explanation/automatic.md"
# The random draws of each family; the number of users that are asked; the metric that decides.
DRAWS, USERS, METRIC = 16, 3000, "ndcg@10"


def clicks(folder: Folder, rng: np.random.Generator) -> sp.csr_array:
    """Many users of few items: the 286 most popular films of ML-1M, about three of them a user."""
    matrix = folder.matrix("ml-1m")
    popular = np.argsort(-np.bincount(matrix.indices, minlength=matrix.shape[1]), kind="stable")[:286]
    return thinned(matrix[:, popular], rng, 3)


def hours(folder: Folder, rng: np.random.Generator) -> sp.csr_array:
    """Counts with a heavy tail: 3000 users of ML-1M with about ten films, and values that are lognormal."""
    matrix = thinned(some_users(folder.matrix("ml-1m"), rng, 3000), rng, 10)
    matrix.data = rng.lognormal(2, 2, matrix.nnz).astype(np.float32)
    return matrix


def artists(folder: Folder, rng: np.random.Generator) -> sp.csr_array:
    """More items than users: a fourth of the 4000 users of Gowalla with the most places, with forty each."""
    matrix = folder.gowalla()[0]
    return thinned(matrix[np.sort(np.argsort(-np.diff(matrix.indptr), kind="stable")[:4000:4])], rng, None, 40)


def shop(folder: Folder, rng: np.random.Generator) -> sp.csr_array:
    """Sparse events: 3000 users of Gowalla with about eight places each."""
    return thinned(some_users(folder.gowalla()[0], rng, 3000), rng, 8)


def core(folder: Folder, rng: np.random.Generator) -> sp.csr_array:
    """The 10-core of 8000 users of Gowalla: each user has ten places or more, and each place ten users."""
    data = fr.Interactions.from_matrix(some_users(folder.gowalla()[0], rng, 8000))
    left = fr.KCore(10, 10).fit_transform(data).compact()
    return ones(left.user_codes, left.item_codes, left.shape)


def films(folder: Folder, rng: np.random.Generator) -> sp.csr_array:
    """2000 users of ML-1M with about thirty films each."""
    return thinned(some_users(folder.matrix("ml-1m"), rng, 2000), rng, 30)


def topics(folder: Folder, rng: np.random.Generator) -> sp.csr_array:
    """Made up: 2000 users draw from 800 items by twelve factors and by how popular an item is."""
    return drawn(rng, (2000, 800), 12, 1.6, 1.1, 25)


def planes(_: Folder, rng: np.random.Generator) -> sp.csr_array:
    """Made up in favour of BPR: 1500 users draw from 1500 items by strong likings of two factors only."""
    return drawn(rng, (1500, 1500), 2, 2.5, 1.0, 60)


def drawn(
    rng: np.random.Generator, shape: tuple[int, int], factors: int, liking: float, fame: float, mean: int
) -> sp.csr_array:
    """Draws items without replacement, by scores of a few factors and by how popular an item is."""
    users, items = rng.normal(size=(shape[0], factors)), rng.normal(size=(shape[1], factors))
    popularity = fame * np.log(np.arange(shape[1]) + 5)
    scores = liking * users @ items.T / factors**0.5 - popularity + rng.gumbel(size=shape)
    lengths = np.minimum(rng.geometric(1 / mean, shape[0]) + 4, shape[1] // 4)
    rows, places = np.nonzero(np.arange(shape[1]) < lengths[:, None])
    columns = np.argsort(-scores, axis=1)[rows, places]
    return sp.csr_array((np.ones(len(rows), np.float32), (rows, columns)), shape=shape)


def some_users(matrix: sp.csr_array, rng: np.random.Generator, n: int) -> sp.csr_array:
    """Returns some rows of a matrix."""
    return sp.csr_array(matrix[np.sort(rng.permutation(matrix.shape[0])[:n])])


def thinned(matrix: sp.csr_array, rng: np.random.Generator, mean: float | None, most: int = 10**9) -> sp.csr_array:
    """Draws as many random entries of each row as a geometric distribution says; leaves out items without users."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((rng.random(matrix.nnz), rows))
    place = np.empty(matrix.nnz, np.int64)
    place[order] = np.arange(matrix.nnz) - np.repeat(matrix.indptr[:-1], np.diff(matrix.indptr))
    wanted = np.full(matrix.shape[0], most) if mean is None else rng.geometric(1 / mean, matrix.shape[0])
    kept = place < wanted[rows]
    return sp.csr_array((np.ones(kept.sum(), np.float32), (codes(rows[kept]), codes(matrix.indices[kept]))))


SETS = {one.__name__: one for one in (clicks, hours, artists, shop, core, films, topics, planes)}
TIMED = "ml-100k with times"


def timed(folder: Folder, name: str) -> fr.Interactions:
    """Returns a set of MovieLens with its times."""
    user, item, value, when = folder.columns(name, "user", "item", "rating", "timestamp")
    return fr.Interactions.from_ids(user, item, value, when, time_unit="s", duplicates="last")


def made(folder: Folder, name: str, split: int) -> tuple[fr.Interactions, fr.Interactions]:
    """Returns a set's training and test part: a random fifth, or each user's last fifth."""
    if name.startswith(TIMED):
        data = timed(folder, "ml-100k")
        return fr.split_last(data, 0.2) if name.endswith("last") else fr.split_random(data, 0.2, random_state=split)
    matrix = SETS[name](folder, np.random.default_rng(split)) if name in SETS else folder.matrix(name)
    return fr.split_random(fr.Interactions.from_matrix(matrix), 0.2, random_state=split)


def judge(model: Any, test: fr.Interactions) -> float:
    """Returns NDCG@10 of some users, whatever their values."""
    asked = np.random.default_rng(0).permutation(np.unique(test.user_codes))[:USERS]
    part = test.select(np.isin(test.user_codes, asked))._replace(values=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(fr.evaluate(model, part, [METRIC]).mean(METRIC))


class Drawn(NamedTuple):
    """The best draw of a family: its score on the hidden part, and on the test part when it has learned from all."""

    hidden: float
    test: float


def random_search(train: fr.Interactions, test: fr.Interactions, seed: int, part: Part) -> dict[str, Drawn]:
    """Returns the draw of each family that is best on a hidden part."""
    rng = np.random.default_rng(seed)
    hidden = hide_events(train, seed, part)
    found = {}
    for family in families_for(Shape(*train.shape, train.n_interactions, part == "last")):
        forms = forms_of(train) if family.reads_values else ["raw"]
        tried = [(family.draw(rng), forms[n % len(forms)]) for n in range(DRAWS if family.space else 1)]
        makers = [lambda o=options, f=form, family=family: family.make(o, f, seed, None) for options, form in tried]
        scores = [judge(make().fit(hidden.train), hidden.test) for make in makers]
        found[family.name] = Drawn(max(scores), judge(makers[int(np.argmax(scores))]().fit(train), test))
    return found


def reach(folder: Folder, repeats: int) -> Iterator[dict[str, Any]]:
    """NDCG@10 of AutoRecommender, and of the best of 16 random draws of each family; as many splits as repeats."""
    for split in range(repeats):
        for name in (*SETS, "ml-100k", f"{TIMED}, random", *[f"{TIMED}, last"][split:]):
            part: Part = "last" if name.endswith("last") else "random"
            train, test = made(folder, name, split)
            began = time.process_time()
            auto = fr.AutoRecommender(random_state=split).fit(train)
            seconds, score = time.process_time() - began, judge(auto.model_, test)
            began = time.process_time()
            found = random_search(train, test, split, part)
            chosen = max(found, key=lambda name: found[name].hidden)
            luckiest = max(found, key=lambda name: found[name].test)
            yield {
                "data": name, "what": f"split {split}", "auto": score,
                "chose": f"{type(auto.model_).__name__} {auto.form_}",
                "best draw": found[chosen].test, "its family": chosen, "reach": score / found[chosen].test,
                "best family on the test part": luckiest, "reach beside it": score / found[luckiest].test,
                "popularity": found["Popularity"].test, "trials": len(auto.trials_), "CPU s": seconds,
                "CPU s of draws": time.process_time() - began,
            }  # fmt: skip


def budget(folder: Folder, repeats: int) -> Iterator[dict[str, Any]]:
    """Seconds of a fit with the budget of a minute, on ML-1M with its times, by the clock and of all processors."""
    train, test = fr.split_last(timed(folder, "ml-1m"), 0.2)
    clock, began = time.perf_counter(), time.process_time()
    auto = fr.AutoRecommender("1min", random_state=0).fit(train)
    yield {
        "data": "ml-1m with times", "events": train.n_interactions, "chose": type(auto.model_).__name__,
        "ndcg@10": judge(auto.model_, test), "trials": len(auto.trials_), "s": time.perf_counter() - clock,
        "CPU s": time.process_time() - began,
    }  # fmt: skip


PARTS = (reach, budget)
