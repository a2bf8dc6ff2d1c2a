"""Evaluation and preprocessing: agreement with ranx and scikit-learn, the time of an evaluation, of a k-core."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
from data import Folder, tell_parts

import fastrec as fr
from fastrec import metrics

Record = dict[str, Any]
RANX = {
    "recall": metrics.recall,
    "precision": metrics.precision,
    "f1": metrics.f1,
    "hit_rate": metrics.hit_rate,
    "mrr": metrics.reciprocal_rank,
    "map": metrics.average_precision,
    "ndcg": metrics.ndcg,
}
METRICS = (
    "ndcg@10", "recall@10", "recall@20", "precision@10", "hit_rate@10", "map@10", "mrr@10", "coverage@10", "novelty@10",
    "gini@10",
)  # fmt: skip


def rankings(kind: str, rng: np.random.Generator, n: int = 400, n_items: int = 60, k: int = 20) -> Any:
    """Returns rankings of n users and their relevant items, of a kind: random, nothing found, all found, one item."""
    ranking = np.argsort(rng.random((n, n_items)), axis=1)[:, :k].astype(np.int32)
    relevant = rng.random((n, n_items)) < 0.15
    if kind == "nothing found":
        np.put_along_axis(relevant, ranking, False, axis=1)
        relevant[np.arange(n), _others(ranking, n_items)] = True
    elif kind == "all found":
        relevant[:] = False
        np.put_along_axis(relevant, ranking[:, : k // 2], True, axis=1)
    elif kind == "one item":
        relevant[:] = False
        relevant[np.arange(n), rng.integers(0, n_items, n)] = True
    relevant[~relevant.any(axis=1), 0] = True
    return ranking, sp.csr_array(relevant.astype(np.float32))


def _others(ranking: np.ndarray, n_items: int) -> np.ndarray:
    listed = np.zeros((len(ranking), n_items), bool)
    np.put_along_axis(listed, ranking, True, axis=1)
    return np.argmin(listed, axis=1)


def agreement(folder: Folder, repeats: int) -> Iterator[Record]:
    """The largest difference of any user's value from ranx's and scikit-learn's, on random and adversarial rankings."""
    from ranx import Qrels, Run, evaluate
    from sklearn.metrics import ndcg_score

    rng = np.random.default_rng(0)
    for kind in ("random", "nothing found", "all found", "one item"):
        ranking, truth = rankings(kind, rng)
        n, k = ranking.shape
        rows = [truth.indices[truth.indptr[row] : truth.indptr[row + 1]] for row in range(n)]
        qrels = Qrels({f"{row:05}": {str(item): 1 for item in rows[row]} for row in range(n)})
        run = Run({f"{row:05}": {str(item): float(k - at) for at, item in enumerate(ranking[row])} for row in range(n)})
        gaps = []
        for cut in (1, 5, 20):
            theirs = evaluate(qrels, run, [f"{name}@{cut}" for name in RANX], return_mean=False)
            gaps += [np.abs(RANX[name](ranking, truth, cut) - theirs[f"{name}@{cut}"]).max() for name in RANX]
        yield {"case": kind, "what": f"{kind}: {', '.join(RANX)} at 1, 5, 20", "peer": "ranx", "differs by": max(gaps)}
        scores = np.zeros(truth.shape)
        np.put_along_axis(scores, ranking, np.arange(k, 0, -1.0)[None, :].repeat(n, 0), axis=1)
        dense, gaps = truth.toarray(), []
        for cut in (1, 5, 20):
            theirs = [ndcg_score(dense[row : row + 1], scores[row : row + 1], k=cut) for row in range(n)]
            gaps.append(np.abs(metrics.ndcg(ranking, truth, cut) - theirs).max())
        yield {"case": kind, "what": f"{kind}: ndcg at 1, 5, 20", "peer": "scikit-learn", "differs by": max(gaps)}


def seconds(folder: Folder, repeats: int) -> Iterator[Record]:
    """Times `evaluate` for all users of ML-1M and 10 metrics, and the making of the lists alone."""
    train, test = fr.split_random(fr.Interactions.from_matrix(folder.matrix("ml-1m")), 0.2, random_state=0)
    tell_parts("evaluation", train=train, test=test)
    model = fr.ImplicitALS(factors=64, random_state=0).fit(train)
    users = np.unique(test.user_codes)
    for repeat in range(repeats + 1):
        began = time.perf_counter()
        model.recommend(users, 20)
        listed = time.perf_counter()
        fr.evaluate(model, test, METRICS)
        done = time.perf_counter()
        if repeat:  # the first one compiles
            yield {
                "case": "ml-1m", "repeat": repeat, "users": len(users), "evaluate, s": done - listed,
                "lists alone, s": listed - began, "metrics alone, s": done - listed - (listed - began),
            }  # fmt: skip


def k_core(folder: Folder, repeats: int) -> Iterator[Record]:
    """The 5-core of 10 million interactions with falling popularity: seconds."""
    rng = np.random.default_rng(0)
    n_users, n_items, n = 1_000_000, 200_000, 10_000_000
    users = (n_users * rng.random(n) ** 2).astype(np.int32)
    items = (n_items * rng.random(n) ** 3).astype(np.int32)
    matrix = sp.csr_array((np.ones(n, np.float32), (users, items)), shape=(n_users, n_items))
    fr.KCore().fit_transform(matrix[:1000])
    for repeat in range(repeats):
        began = time.perf_counter()
        kept = fr.KCore(user=5, item=5).fit_transform(matrix)
        yield {
            "case": "5-core", "repeat": repeat, "interactions": matrix.nnz, "kept": kept.nnz,
            "seconds": time.perf_counter() - began,
        }  # fmt: skip


PARTS = (agreement, seconds, k_core)
