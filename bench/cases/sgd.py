"""Stochastic gradients beside implicit, LightFM and gensim: samples per second, and accuracy."""

import resource
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
from data import Folder, codes, tell_parts

from fastrec.data import Interactions
from fastrec.metrics import ndcg, recall
from fastrec.models import Item2Vec, SGDFactorization
from fastrec.preprocessing import split_last

Record = dict[str, Any]
THREADS = 2

# Options found on a tenth of Gowalla's training part, hidden at random (docs/explanation/sgd.md).
GOWALLA = {
    "bpr": dict(
        loss="bpr", negatives="adaptive", n_negatives=16, iterations=60, learning_rate=0.05, regularization=0.02
    ),
    "ccl": dict(
        loss="ccl", iterations=60, learning_rate=0.1, n_negatives=768, negative_weight=150.0, margin=0.8, factors=128
    ),
}  # fmt: skip
# Options found on a tenth of the first fold's training part.
ML_1M = dict(loss="squared", factors=64, iterations=25, learning_rate=0.02, regularization=0.05)
ML_100K = {
    False: dict(loss="squared", factors=64, iterations=30, learning_rate=0.02, regularization=0.08),
    True: dict(loss="squared", factors=64, iterations=30, learning_rate=0.02, regularization=0.1),
}


def clock() -> tuple[float, float]:
    """Returns wall seconds, and CPU seconds of all threads: on a busy machine only the second says something."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), usage.ru_utime + usage.ru_stime


def since(start: tuple[float, float]) -> tuple[float, float]:
    now = clock()
    return now[0] - start[0], now[1] - start[1]


def epoch_cost(model: SGDFactorization, matrix: sp.csr_array) -> tuple[float, float]:
    """Returns wall and CPU seconds of an epoch, the first left out."""
    marks: list[tuple[float, float]] = []
    model.set_params(callback=lambda epoch, elapsed, loss: marks.append(clock())).fit(matrix)
    return tuple((last - first) / (len(marks) - 1) for first, last in zip(marks[0], marks[-1], strict=True))


def accuracy(recommend: Callable[[np.ndarray], np.ndarray], test: sp.csr_array, k: int = 20) -> Record:
    """Returns recall (hits / |test items|) and NDCG over users with test items."""
    users = np.flatnonzero(np.diff(test.indptr))
    found = recommend(users)
    return {
        f"recall@{k}": float(np.nanmean(recall(found, test[users], k))),
        f"ndcg@{k}": float(np.nanmean(ndcg(found, test[users], k))),
    }


def bpr(folder: Folder, repeats: int) -> Iterator[Record]:
    """BPR beside implicit's: samples per second, interleaved, and NDCG@20 on Gowalla after as many epochs."""
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    train, test = folder.gowalla()
    old = sp.csr_matrix(train)
    shared = dict(iterations=60, learning_rate=0.05, random_state=0)
    for factors in (64, 128):
        uniform = dict(factors=factors, negatives="uniform", n_jobs=THREADS)  # as implicit draws them
        quick = dict(iterations=6, learning_rate=0.05, random_state=0, **uniform)
        epoch_cost(SGDFactorization(**quick), train[:500])  # kernels are compiled before the clock runs
        for repeat in range(repeats):
            ours = epoch_cost(SGDFactorization(**quick), train)
            peer = BayesianPersonalizedRanking(
                factors=factors - 1, iterations=5, learning_rate=0.05, num_threads=THREADS, random_state=0
            )
            start = clock()
            peer.fit(old, show_progress=False)
            theirs = tuple(part / 5 for part in since(start))
            yield {
                "case": "bpr", "factors": factors, "repeat": repeat, "samples/s": train.nnz / ours[0],
                "implicit samples/s": train.nnz / theirs[0], "ratio": theirs[0] / ours[0],
                "ratio of CPU time": theirs[1] / ours[1],
            }  # fmt: skip
        model = SGDFactorization(regularization=0.01, **uniform, **shared).fit(train)
        peer = BayesianPersonalizedRanking(factors=factors - 1, regularization=0.01, num_threads=THREADS, **shared)
        peer.fit(old, show_progress=False)
        yield {
            "case": "bpr quality", "factors": factors,
            **accuracy(lambda u, model=model: model.recommend(u, 20).codes, test),
        }  # fmt: skip
        yield {
            "case": "bpr quality of implicit", "factors": factors,
            **accuracy(lambda u, peer=peer: np.ascontiguousarray(peer.recommend(u, old[u], N=20)[0], np.int32), test),
        }  # fmt: skip


def warp(folder: Folder, repeats: int) -> Iterator[Record]:
    """WARP beside LightFM's: positive samples per second at 64 factors, ten draws at most."""
    from lightfm import LightFM

    for name in ("gowalla", "ml-1m"):
        matrix = folder.matrix(name)
        quick = dict(factors=64, loss="warp", n_negatives=10, iterations=5, random_state=0, n_jobs=THREADS)
        epoch_cost(SGDFactorization(**quick), matrix[:500])
        for repeat in range(repeats):
            ours = epoch_cost(SGDFactorization(**quick), matrix)
            peer = LightFM(no_components=64, loss="warp", max_sampled=10, random_state=0)
            arrays = (matrix.data, matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32))  # as it wants them
            cells = sp.csr_matrix(arrays, shape=matrix.shape).tocoo()
            peer.fit_partial(cells, epochs=1, num_threads=THREADS)
            start = clock()
            peer.fit_partial(cells, epochs=2, num_threads=THREADS)
            theirs = tuple(part / 2 for part in since(start))
            yield {
                "case": "warp", "data": name, "repeat": repeat, "samples/s": matrix.nnz / ours[0],
                "lightfm samples/s": matrix.nnz / theirs[0], "ratio": theirs[0] / ours[0],
                "ratio of CPU time": theirs[1] / ours[1],
            }  # fmt: skip


def ratings(folder: Folder, repeats: int) -> Iterator[Record]:
    """Biased MF and SVD++: updates per second, RMSE on random folds of ML-1M and on ML-100K's own."""
    users, items, values = folder.columns("ml-1m", "user", "item", "rating")
    users, items, values = codes(users), codes(items), values.astype(np.float32)
    fold = np.random.default_rng(0).permutation(len(users)) % 5
    for presence in (False, True):
        options = dict(ML_1M, implicit_feedback=presence, random_state=0, n_jobs=THREADS)
        matrix = of(users, items, values, fold >= 0)
        epoch_cost(SGDFactorization(**options | {"iterations": 2}), matrix[:300])
        for repeat in range(repeats):
            seconds, cpu = epoch_cost(SGDFactorization(**options | {"iterations": 6}), matrix)
            yield {
                "case": "squared", "svd++": presence, "repeat": repeat, "updates/s": matrix.nnz / seconds,
                "updates per CPU second": matrix.nnz / cpu,
            }  # fmt: skip
        yield {"case": "ml-1m", "svd++": presence, "rmse": folds(users, items, values, options, fold)}
    users, items, values = folder.columns("ml-100k", "user", "item", "rating")
    masks = [mask.astype(bool) for mask in folder.columns("ml-100k", *(f"u{number}_test" for number in range(1, 6)))]
    fold = np.array([np.where(mask, number, -1) for number, mask in enumerate(masks)])
    for presence in (False, True):
        options = dict(ML_100K[presence], implicit_feedback=presence, random_state=0, n_jobs=THREADS)
        yield {
            "case": "ml-100k", "svd++": presence,
            "rmse": folds(codes(users), codes(items), values.astype(np.float32), options, *fold),
        }  # fmt: skip


def of(users: np.ndarray, items: np.ndarray, values: np.ndarray, mask: np.ndarray) -> sp.csr_array:
    """Returns the ratings of a mask as a matrix."""
    shape = (int(users.max()) + 1, int(items.max()) + 1)
    return sp.csr_array((values[mask], (users[mask], items[mask])), shape=shape)


def folds(users: np.ndarray, items: np.ndarray, values: np.ndarray, options: Record, *fold: np.ndarray) -> float:
    """The mean RMSE of five folds, given as one array of numbers or as five arrays of flags (-1 where not in it)."""
    errors = []
    for number in range(5):
        test = fold[0 if len(fold) == 1 else number] == number
        model = SGDFactorization(**options).fit(of(users, items, values, ~test))
        errors.append(np.sqrt(np.mean((model.predict_pairs(users[test], items[test]) - values[test]) ** 2)))
    return float(np.mean(errors))


def gowalla(folder: Folder, repeats: int) -> Iterator[Record]:
    """BPR and CCL on Gowalla's published split, at the settings found on a part of its training data."""
    train, test = folder.gowalla()
    for name, options in GOWALLA.items():
        start = clock()
        model = SGDFactorization(random_state=0, n_jobs=THREADS, **options).fit(train)
        seconds, cpu = since(start)
        found = accuracy(lambda users, model=model: model.recommend(users, 20).codes, test)
        yield {"case": name, "seconds": seconds, "CPU seconds": cpu, **found}


def item2vec(folder: Folder, repeats: int) -> Iterator[Record]:
    """Item2Vec beside gensim's Word2Vec on ML-1M's sequences, the same settings: seconds of five epochs."""
    from gensim.models import Word2Vec

    user, item, time_ = folder.columns("ml-1m", "user", "item", "timestamp")
    data = Interactions(
        codes(user).astype(np.int32), codes(item).astype(np.int32), times=time_.astype(np.int64), time_unit="s"
    )
    train, last = split_last(data, 1)
    tell_parts("item2vec", train=train, last=last)
    order = np.lexsort((np.arange(len(train.user_codes)), train.times, train.user_codes))
    cuts = np.flatnonzero(np.diff(train.user_codes[order])) + 1
    sentences = [[str(code) for code in part] for part in np.split(train.item_codes[order], cuts)]
    options = dict(window=5, n_negatives=5, subsample=1e-3, learning_rate=0.05, random_state=0, n_jobs=THREADS)
    Item2Vec(64, iterations=1, **options).fit(train[:50])
    for repeat in range(repeats):
        start = clock()
        Item2Vec(64, iterations=5, **options).fit(train)
        ours = since(start)
        peer = Word2Vec(
            vector_size=64, window=5, negative=5, sample=1e-3, sg=1, min_count=1, workers=THREADS, alpha=0.05, seed=0
        )
        peer.build_vocab(sentences)
        start = clock()
        peer.train(sentences, total_examples=len(sentences), epochs=5)
        theirs = since(start)
        yield {
            "case": "item2vec", "repeat": repeat, "fastrec": ours[0], "gensim": theirs[0],
            "ratio": theirs[0] / ours[0], "ratio of CPU time": theirs[1] / ours[1],
        }  # fmt: skip


PARTS = (bpr, warp, ratings, gowalla, item2vec)
