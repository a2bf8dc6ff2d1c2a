"""Neighbours, closed forms, filters, blends: ItemKNN beside implicit, EASE beside LAPACK, all of them on Gowalla."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import scipy.sparse as sp
from data import Folder, hide
from sklearn.base import clone
from threadpoolctl import threadpool_limits

import fastrec as fr
from fastrec.metrics import ndcg, recall
from fastrec.models import EASE, Blend, GraphFilter, ImplicitALS, ItemKNN, PureSVD, Recommender, UserKNN, graph_filter
from fastrec.solvers.filter_search import FilterSearch

Record = dict[str, Any]
THREADS = 2
NEIGHBORS = 20  # implicit's default
SIDE = 12_000  # rows of the matrix whose inverse is raced: a fortieth of the work at 41 000

# Found on hidden parts of Gowalla's training part (`tune`, and the tasks of accuracy.py).
FILTER: Record = {
    "factors": 512,
    "ideal_weight": 0.2,
    "user_exponent": 0.4,
    "item_exponent": 0.45,
    "degree_exponent": 0.4,
    "random_state": 0,
}
GOWALLA: dict[str, Recommender] = {
    "RP3beta": ItemKNN(200, similarity="rp3beta", alpha=0.8, beta=0.2, n_jobs=THREADS),
    "TF-IDF, asymmetric": ItemKNN(200, similarity="tfidf", asymmetry=0.3, n_jobs=THREADS),
    "cosine": ItemKNN(100, n_jobs=THREADS),
    "EASE, sparse": EASE(80, method="sparse", neighbors=256, n_jobs=THREADS),
    "PureSVD": PureSVD(128, item_exponent=0.12, random_state=0, n_jobs=THREADS),
    "GraphFilter, linear": GraphFilter(**FILTER, n_jobs=THREADS),
    "GraphFilter, plateau": GraphFilter(**FILTER, filter="plateau", n_jobs=THREADS),
    "Blend": Blend(
        [
            GraphFilter(**FILTER, n_jobs=THREADS),
            ImplicitALS(256, regularization=0.007, alpha=83, iterations=6, random_state=0, n_jobs=THREADS),
        ],
        random_state=0,
    ),
}


def race(folder: Folder, repeats: int) -> Iterator[Record]:
    """Seconds that implicit's CosineRecommender and ItemKNN take to fit, in turns, 20 neighbours each."""
    from implicit.nearest_neighbours import CosineRecommender

    ItemKNN(NEIGHBORS).fit(np.eye(40))  # kernels are compiled before the clock runs
    for name in ("gowalla", "ml-1m"):
        matrix = folder.matrix(name)
        old = sp.csr_matrix(matrix)
        for repeat in range(repeats):
            seconds = {}
            for who, fit in (
                ("implicit", lambda old=old: _peer(CosineRecommender).fit(old, show_progress=False)),
                ("fastrec", lambda matrix=matrix: ItemKNN(NEIGHBORS, n_jobs=THREADS).fit(matrix)),
            ):
                began, cpu = time.perf_counter(), time.process_time()
                fit()
                seconds |= {who: time.perf_counter() - began, f"{who} CPU": time.process_time() - cpu}
            yield {
                "case": "neighbors-race",
                "data": name,
                "repeat": repeat,
                **seconds,
                "ratio": seconds["implicit"] / seconds["fastrec"],
                "CPU ratio": seconds["implicit CPU"] / seconds["fastrec CPU"],
            }


def _peer(kind: Any) -> Any:
    return kind(K=NEIGHBORS, num_threads=THREADS)


def accuracy(model: Recommender, train: sp.csr_array, test: sp.csr_array) -> Record:
    """Returns the seconds of a fit and of recommending to all, Recall@20 (of all test items) and NDCG@20."""
    began, cpu = time.perf_counter(), time.process_time()
    model.fit(train)
    seconds = {"fit": time.perf_counter() - began, "fit CPU": time.process_time() - cpu}
    users = np.flatnonzero(np.diff(test.indptr))
    began = time.perf_counter()
    codes = model.recommend(users, 20).codes
    seconds["recommend"] = time.perf_counter() - began
    truth = test[users]
    values = {"recall@20": recall(codes, truth, 20), "ndcg@20": ndcg(codes, truth, 20)}
    return {**seconds, **{name: float(value.mean()) for name, value in values.items()}}


def gowalla(folder: Folder, repeats: int) -> Iterator[Record]:
    """Seconds and accuracy on the published split of Gowalla; compiled before, each once."""
    train, test = folder.gowalla()
    for name, model in GOWALLA.items():
        clone(model).fit(train[:2000]).recommend(0)
        yield {"case": "neighbors-gowalla", "model": name, "options": repr(model), **accuracy(model, train, test)}


def inverse(folder: Folder, repeats: int) -> Iterator[Record]:
    """Seconds of a float32 Cholesky inverse of 12 000 × 12 000: LAPACK's spotrf and spotri, and ours, in turns."""
    from scipy.linalg import lapack

    from fastrec.solvers.inversion import invert_lower

    rng = np.random.default_rng(0)
    factor = rng.standard_normal((SIDE, SIDE // 4), np.float32)
    start = factor @ factor.T
    start.flat[:: SIDE + 1] += SIDE / 4
    del factor
    for repeat in range(repeats):
        ours, theirs = start.copy(), start.copy()
        began, cpu = time.perf_counter(), time.process_time()
        invert_lower(ours, THREADS)
        took = time.perf_counter() - began, time.process_time() - cpu
        began, cpu = time.perf_counter(), time.process_time()
        upper, _ = lapack.spotrf(theirs.T, lower=0, clean=0, overwrite_a=1)
        lapack.spotri(upper, lower=0, overwrite_c=1)
        peer = time.perf_counter() - began, time.process_time() - cpu
        yield {
            "case": "ease-inverse",
            "side": SIDE,
            "repeat": repeat,
            "LAPACK": peer[0],
            "LAPACK CPU": peer[1],
            "fastrec": took[0],
            "fastrec CPU": took[1],
            "ratio": peer[0] / took[0],
            "largest difference": float(np.abs(np.tril(ours) - np.tril(theirs)).max()),
        }


def dense(folder: Folder, repeats: int) -> Iterator[Record]:
    """EASE at Gowalla's 41 000 items and at 24 000, there beside LAPACK's float32 inverse, each alone in a process.

    With two threads OpenBLAS 0.3.31 ends in a segmentation fault from 32 000 on at the latest.
    """
    yield _dense(folder, 24_000)
    yield {"case": "ease-dense", "data": "Gowalla, 40,981 items", **_alone(str(folder.root), "fit_dense", "40981")}


def dense_small(folder: Folder, repeats: int) -> Iterator[Record]:
    """`dense` with the 8000 most popular items alone."""
    yield _dense(folder, 8000)


def _dense(folder: Folder, side: int) -> Record:
    ours, theirs = (_alone(str(folder.root), what, str(side)) for what in ("fit_dense", "invert_lapack"))
    share = ours["fit"] / theirs["LAPACK"]
    return {"case": "ease-dense", "data": f"Gowalla, {side:,} items", **ours, **theirs, "fit / LAPACK": share}


def _alone(*arguments: str) -> Record:
    """Runs this file as a program and returns the record of its last line."""
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}
    command = [sys.executable, __file__, *arguments]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=paths).stdout.splitlines()
    record: Record = json.loads(lines[-1])
    return record


def fit_dense(folder: Folder, side: int) -> Record:
    """Fits dense EASE on the most popular items; returns the seconds, the accuracy and the process's peak of memory."""
    train, test = folder.gowalla()
    kept = np.sort(np.argsort(-np.bincount(train.indices, minlength=train.shape[1]), kind="stable")[:side])
    EASE(method="dense", n_jobs=THREADS).fit(train[:200, kept[:50]])  # kernels are compiled before the clock runs
    record = accuracy(EASE(80, method="dense", n_jobs=THREADS), train[:, kept], test[:, kept])
    return {**record, "peak GB": _peak()}


def invert_lapack(folder: Folder, side: int) -> Record:
    """Returns the seconds of spotrf and spotri on a matrix of that size; its contents do not matter to them."""
    from scipy.linalg import lapack

    matrix = np.full((side, side), 0.5, np.float32)
    matrix.flat[:: side + 1] = side
    with threadpool_limits(THREADS, "blas"):
        began, cpu = time.perf_counter(), time.process_time()
        upper, _ = lapack.spotrf(matrix.T, lower=0, clean=0, overwrite_a=1)
        lapack.spotri(upper, lower=0, overwrite_c=1)
        seconds = {"LAPACK": time.perf_counter() - began, "LAPACK CPU": time.process_time() - cpu}
    return {**seconds, "LAPACK peak GB": _peak()}


def _peak() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def whale(folder: Folder, repeats: int) -> Iterator[Record]:
    """ItemKNN beside one user who has every item: its time by how many these are."""
    rng = np.random.default_rng(0)
    for n in (10_000, 30_000, 100_000):
        users = np.concatenate([np.zeros(n, np.int64), rng.integers(1, 3001, 60_000)])
        items = np.concatenate([np.arange(n), rng.integers(0, n, 60_000)])
        data = fr.Interactions(users, items, users=np.arange(3001), items=np.arange(n))
        wall, cpu = time.perf_counter(), time.process_time()
        ItemKNN(20, n_jobs=THREADS).fit(data)
        took = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
        yield {"case": "neighbors-whale", "items": n, **took}


def tune(folder: Folder) -> Iterator[Record]:
    """Recall@20 and NDCG@20 of a hidden tenth of Gowalla's training part, over grids; where GOWALLA comes from."""
    train, hidden = hide(folder.matrix("gowalla"), 0.1)
    grid: list[Recommender] = [
        ItemKNN(neighbors, similarity="rp3beta", alpha=alpha, beta=beta)
        for neighbors in (200, 500)
        for alpha in (0.8, 1.0, 1.3)
        for beta in (0.1, 0.2, 0.3, 0.4)
    ]
    grid += [
        ItemKNN(neighbors, similarity=similarity, asymmetry=asymmetry)
        for neighbors in (50, 200)
        for similarity in ("cosine", "tfidf")
        for asymmetry in (0.2, 0.3, 0.4, 0.5)
    ]
    grid += [UserKNN(200, similarity=similarity) for similarity in ("cosine", "tfidf", "bm25", "jaccard")]
    grid += [EASE(regularization, method="sparse") for regularization in (20, 40, 80, 160, 320)]
    for model in grid:
        yield {"case": "neighbors-tune", "options": repr(model), **accuracy(model, train, hidden)}


def filters(folder: Folder) -> Iterator[Record]:
    """GraphFilter's settings on two hidden fifths of Gowalla's training part, every fourth user: its page's table."""
    users, items, split = folder.columns("gowalla", "user", "item", "split")
    mask = split.astype(str) == "train"
    data = fr.Interactions(users, items, times=np.arange(len(users))).select(mask)
    common = {"factors": 512, "ideal_weight": 0.2, "random_state": 0, "n_jobs": THREADS}
    grid = [
        {"user_exponent": user, "item_exponent": item, "degree_exponent": degree, **more}
        for user, item, degree, more in (
            (0.3, 0.5, 0.3, {}),
            (0.3, 0.5, 0.4, {}),
            (0.5, 0.5, 0.3, {}),
            (0.5, 0.5, 0.4, {}),
            (0.5, 0.5, 0.4, {"filter": "plateau"}),
            (0.4, 0.5, 0.4, {}),
            (0.4, 0.45, 0.4, {}),
            (0.4, 0.45, 0.4, {"filter": "plateau"}),
            (0.4, 0.45, 0.4, {"ideal_weight": 0.3}),
            (0.4, 0.4, 0.4, {}),
        )
    ]
    parts = {
        "late fifth": fr.split_last(data, 0.2),
        "random fifth": fr.split_random(data, 0.2, random_state=0),
    }
    for part, (train, hidden) in parts.items():
        hidden = hidden.select(hidden.user_codes % 4 == 0)
        for options in grid:
            model = GraphFilter(**common | options)
            yield {"case": "filters", "part": part, **options, **accuracy(model, train.matrix, hidden.matrix)}


def answers(folder: Folder, repeats: int) -> Iterator[Record]:
    """GraphFilter's answers beside the scores of all items, on one thread, in turns; the lists are the same.

    ML-1M: one user a call, the best 10, where "all scores" is a filter that is not kept as one matrix. Gowalla: each
    fiftieth user in one call, the best 20.
    """
    matrices = {"ml-1m": folder.matrix("ml-1m"), "gowalla": folder.matrix("gowalla")}
    models = {name: GraphFilter(random_state=0, n_jobs=1).fit(matrix) for name, matrix in matrices.items()}
    users = np.arange(0, matrices["gowalla"].shape[0], 50)

    def one_by_one() -> None:
        for user in range(300):
            models["ml-1m"].recommend(user, 10)

    works = {"ml-1m": (one_by_one, 300), "gowalla": (lambda: models["gowalla"].recommend(users, 20), len(users))}
    for name, (work, n) in works.items():
        for repeat in range(repeats):
            took = {}
            for way, patches in ANSWER_WAYS.items():
                with ExitStack() as stack:
                    for place, attribute, value in patches:
                        stack.enter_context(patch.object(place, attribute, value))
                    models[name].recommend([0, 1], 10)  # kernels and values kept for later are made here
                    cpu = time.process_time()
                    work()
                    took[f"{way}, CPU ms a user"] = (time.process_time() - cpu) / n * 1e3
            new, old = took.values()
            yield {"case": "filter-answers", "data": name, "repeat": repeat, **took, "ratio": old / new}


ANSWER_WAYS: dict[str, list[tuple[Any, str, Any]]] = {
    "answers": [],
    "all scores": [
        (graph_filter, "DENSE_NUMBERS", 0),
        (FilterSearch, "is_worth", lambda search, signals: False),
    ],
}


PARTS = (race, gowalla, inverse, dense, whale, answers)


def main() -> None:
    """Runs one measurement in a process of its own: `neighbors.py FOLDER WHAT SIDE` prints one line of JSON."""
    what = {part.__name__: part for part in (fit_dense, invert_lapack)}[sys.argv[2]]
    print(json.dumps(what(Folder(Path(sys.argv[1])), int(sys.argv[3]))))


if __name__ == "__main__":
    main()
