"""iALS beside implicit: the time until implicit's final loss, the first fit, memory, accuracy, fold-in."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.sparse as sp
from data import Folder, hide
from measuring import measure
from threadpoolctl import threadpool_limits

import fastrec as fr
from fastrec.metrics import ndcg, recall
from fastrec.models import ImplicitALS

Record = dict[str, Any]
THREADS = 2

# The options with which implicit's own NDCG@10 on a hidden tenth of the training data is best (`tune` prints the grid):
# alpha in implicit's sense, lambda.
SETTINGS = {"ml-1m-x16": (2.0, 100.0), "gowalla": (60.0, 160.0)}

# One stated setting for each size, found at 256 factors on a hidden tenth of Gowalla's training part (`tune_gowalla`).
GOWALLA = {
    256: dict(alpha=83.0, regularization=0.007, iterations=6),
    512: dict(alpha=83.0, regularization=0.005, iterations=6),
}


def first_factors(matrix: sp.csr_array, factors: int) -> list[np.ndarray]:
    """Returns the same start for both: normal, of standard deviation 0.1 / √factors."""
    rng = np.random.default_rng(0)
    return [rng.normal(0, 0.1 / np.sqrt(factors), (n, factors)).astype(np.float32) for n in matrix.shape]


def loss(matrix: sp.csr_array, users: np.ndarray, items: np.ndarray, alpha: float, penalty: float) -> float:
    """Returns the loss of both at c = 1 + alpha, with a plain penalty, summed in float64."""
    gramians = [(factors.T @ factors).astype(np.float64) for factors in (users, items)]
    total = float((gramians[0] * gramians[1]).sum())
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    for start in range(0, matrix.nnz, 1 << 20):
        part = slice(start, start + (1 << 20))
        fit = np.einsum("ij,ij->i", users[rows[part]], items[matrix.indices[part]]).astype(np.float64)
        total += float(((1 + alpha) * (1 - fit) ** 2 - fit**2).sum())
    return total + penalty * sum(float(np.square(factors, dtype=np.float64).sum()) for factors in (users, items))


def fit_implicit(matrix: sp.csr_array, factors: int, alpha: float, penalty: float, cg: bool) -> tuple[float, float]:
    """Runs implicit's 15 iterations; returns (seconds, final loss)."""
    from implicit.cpu.als import AlternatingLeastSquares

    peer = AlternatingLeastSquares(
        factors=factors, iterations=15, num_threads=THREADS, regularization=penalty, alpha=alpha, use_cg=cg
    )
    peer.user_factors, peer.item_factors = first_factors(matrix, factors)
    old = sp.csr_matrix(matrix)
    with threadpool_limits(1, "blas"):
        began = time.perf_counter()
        peer.fit(old, show_progress=False)
        seconds = time.perf_counter() - began
    return seconds, loss(matrix, peer.user_factors, peer.item_factors, alpha - 1, penalty)


def fit_until(matrix: sp.csr_array, factors: int, alpha: float, penalty: float, goal: float) -> Record:
    """Runs fastrec's whole `fit`, stopped after the epoch that reaches the goal."""
    model = ImplicitALS(
        factors,
        alpha=alpha - 1,
        regularization=penalty,
        regularization_exponent=0,
        iterations=60,
        warm_start=True,
        n_jobs=THREADS,
        callback=lambda epoch, elapsed, loss: loss <= goal,
    )
    model.user_factors_, model.item_factors_ = first_factors(matrix, factors)
    began = time.perf_counter()
    model.fit(matrix)
    seconds = time.perf_counter() - began
    reached = loss(matrix, model.user_factors_, model.item_factors_, alpha - 1, penalty)
    return {"seconds": seconds, "epochs": model.n_iter_, "loss": reached}


def race(folder: Folder, repeats: int) -> Iterator[Record]:
    """The time until implicit's final loss is reached, interleaved with implicit's own 15 iterations."""
    for name in ("gowalla", "ml-1m-x16"):
        matrix = folder.matrix(name)
        alpha, penalty = SETTINGS[name]
        for factors in (64, 128, 256):
            fit_until(matrix, factors, alpha, penalty, np.inf)  # compiles
            for repeat in range(repeats):
                theirs, goal = fit_implicit(matrix, factors, alpha, penalty, cg=True)
                ours = fit_until(matrix, factors, alpha, penalty, goal)
                yield {
                    "case": "als",
                    "data": name,
                    "factors": factors,
                    "repeat": repeat,
                    "implicit": theirs,
                    "goal": goal / matrix.nnz,
                    "fastrec": ours["seconds"],
                    "epochs": ours["epochs"],
                    "loss": ours["loss"] / matrix.nnz,
                    "ratio": theirs / ours["seconds"],
                }


def race_cholesky(folder: Folder, repeats: int) -> Iterator[Record]:
    """The same against implicit's exact solver, where it ends within minutes."""
    for name, factors in (("gowalla", 64), ("gowalla", 128), ("ml-1m-x16", 64)):
        matrix = folder.matrix(name)
        alpha, penalty = SETTINGS[name]
        theirs, goal = fit_implicit(matrix, factors, alpha, penalty, cg=False)
        ours = fit_until(matrix, factors, alpha, penalty, goal)
        yield {
            "case": "als-cholesky",
            "data": name,
            "factors": factors,
            "implicit": theirs,
            "fastrec": ours["seconds"],
            "epochs": ours["epochs"],
            "ratio": theirs / ours["seconds"],
        }


FIRST_FIT = """
import sys, time
import numpy as np, scipy.sparse as sp
from fastrec.models import ImplicitALS
parts = np.load(sys.argv[1])
matrix = sp.csr_array((parts["data"], parts["indices"], parts["indptr"]), shape=parts["shape"])
times = []
for _ in range(2):
    began = time.perf_counter()
    ImplicitALS(64, random_state=0, n_jobs=2).fit(matrix)
    times.append(time.perf_counter() - began)
print(*times)
"""


def first_fit(folder: Folder, repeats: int) -> Iterator[Record]:
    """The first fit of a process on ML-100K: with an empty cache, and with a full one."""
    matrix = folder.matrix("ml-100k")
    with tempfile.TemporaryDirectory() as work:
        path = os.path.join(work, "matrix.npz")
        np.savez(path, data=matrix.data, indices=matrix.indices, indptr=matrix.indptr, shape=matrix.shape)
        for repeat in range(repeats):
            environment = {**os.environ, "NUMBA_CACHE_DIR": os.path.join(work, f"cache-{repeat}")}
            times = []
            for _ in range(2):
                command = [sys.executable, "-c", FIRST_FIT, path]
                out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
                times.append([float(seconds) for seconds in out.split()])
            (cold, _), (cached, warm) = times
            yield {
                "case": "als-first-fit",
                "repeat": repeat,
                "cold": cold,
                "cached": cached,
                "warm": warm,
                "beyond the fit": cached - warm,
            }


PEAK = """
import sys, time, threading
import numpy as np, psutil, scipy.sparse as sp
from fastrec.models import ImplicitALS
parts = np.load(sys.argv[1])
factors = int(sys.argv[2])
matrix = sp.csr_array((parts["data"], parts["indices"].astype(np.int32), parts["indptr"].astype(np.int32)),
                      shape=parts["shape"])
ImplicitALS(factors, iterations=1, n_jobs=2).fit(matrix[:100])
process, peak, done = psutil.Process(), [0], threading.Event()
def watch():
    while not done.is_set():
        peak[0] = max(peak[0], process.memory_info().rss)
        time.sleep(0.005)
import gc; gc.collect()
before = process.memory_info().rss
thread = threading.Thread(target=watch); thread.start()
ImplicitALS(factors, iterations=3, n_jobs=2, random_state=0).fit(matrix)
done.set(); thread.join()
size = matrix.nnz * 8 + matrix.shape[0] * 8 + sum(matrix.shape) * factors * 4
print((peak[0] - before) / 2**20, size / 2**20)
"""


def memory(folder: Folder, repeats: int) -> Iterator[Record]:
    """Peak memory of a fit above what was there before, against matrix and factors."""
    for name, factors in (("ml-1m-x16", 64), ("ml-1m-x16", 128), ("gowalla", 128)):
        matrix = folder.matrix(name)
        with tempfile.TemporaryDirectory() as work:
            path = os.path.join(work, "matrix.npz")
            np.savez(path, data=matrix.data, indices=matrix.indices, indptr=matrix.indptr, shape=matrix.shape)
            command = [sys.executable, "-c", PEAK, path, str(factors)]
            out = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        peak, size = map(float, out)
        yield {
            "case": "als-memory",
            "data": name,
            "factors": factors,
            "peak MiB": peak,
            "matrix and factors MiB": size,
            "ratio": peak / size,
        }


def parquet(folder: Folder, repeats: int) -> Iterator[Record]:
    """The peak of memory from Parquet to factors, bytes an interaction: 6 M made-up ones, 60 000 × 30 000, no values.

    Each row is above what was held when it began, and says what was held: ids are int64 in the file.
    """
    rng, n = np.random.default_rng(0), 6_000_000
    users = rng.permutation(60_000)[(60_000 * rng.random(n) ** 1.5).astype(int)] * 7 + 100
    items = (30_000 * rng.random(n) ** 2).astype(np.int64) * 13 + 5
    with tempfile.TemporaryDirectory() as work:
        path = os.path.join(work, "interactions.parquet")
        pq.write_table(pa.table({"user": users, "item": items}), path)
        del users, items
        model = ImplicitALS(64, iterations=1, random_state=0, n_jobs=THREADS)
        model.fit(sp.csr_array(np.eye(40)))  # kernels are compiled, and pyarrow's own memory is taken, before the start
        fr.read_interactions(path).matrix_by("sum")
        took, data = measure(lambda: fr.read_interactions(path))
        yield {"case": "als-parquet", "what": "read", **per_interaction(took, n), "held before": 0}
        took, _ = measure(lambda: data.matrix_by("sum"))
        yield {"case": "als-parquet", "what": "matrix", **per_interaction(took, n), "held before": 8}
        took, _ = measure(lambda: model.fit(data))
        yield {"case": "als-parquet", "what": "fit, 64 factors", **per_interaction(took, n), "held before": 16}


def per_interaction(took: Record, n: int) -> Record:
    return {"CPU s": took["CPU s"], "peak bytes": took["peak MiB"] * 2**20 / n if "peak MiB" in took else None}


def gowalla(folder: Folder, repeats: int) -> Iterator[Record]:
    """Recall@20 and NDCG@20 on Gowalla's published split, with the stated settings."""
    train, test = folder.gowalla()
    users = np.flatnonzero(np.diff(test.indptr))
    for factors, options in GOWALLA.items():
        began = time.perf_counter()
        model = ImplicitALS(factors, random_state=0, n_jobs=THREADS, **options).fit(train)
        seconds = time.perf_counter() - began
        codes = model.recommend(users, 20).codes
        yield {
            "case": "als-gowalla",
            "factors": factors,
            **options,
            "seconds": seconds,
            "recall@20": float(recall(codes, test[users], 20).mean()),
            "ndcg@20": float(ndcg(codes, test[users], 20).mean()),
        }


def fold_in(folder: Folder, repeats: int) -> Iterator[Record]:
    """Users folded in per second, all of a data set in one call, at 64 factors."""
    from implicit.cpu.als import AlternatingLeastSquares

    for name in ("ml-1m", "gowalla"):
        matrix = folder.matrix(name)
        alpha, penalty = SETTINGS["gowalla"]
        model = ImplicitALS(
            64, alpha=alpha - 1, regularization=penalty, regularization_exponent=0, iterations=3, n_jobs=THREADS
        ).fit(matrix)
        model.transform(matrix[:10])
        peer = AlternatingLeastSquares(factors=64, regularization=penalty, alpha=alpha, num_threads=THREADS)
        peer.user_factors, peer.item_factors = model.user_factors_.copy(), model.item_factors_.copy()
        old, everyone = sp.csr_matrix(matrix), np.arange(matrix.shape[0])
        for repeat in range(repeats):
            with threadpool_limits(1, "blas"):
                began = time.perf_counter()
                peer.recalculate_user(everyone, old)
                theirs = time.perf_counter() - began
            began = time.perf_counter()
            model.transform(matrix)
            ours = time.perf_counter() - began
            yield {
                "case": "als-fold-in",
                "data": name,
                "repeat": repeat,
                "implicit users/s": len(everyone) / theirs,
                "fastrec users/s": len(everyone) / ours,
                "ratio": theirs / ours,
            }


def tune(folder: Folder, repeats: int) -> Iterator[Record]:
    """implicit's NDCG@10 on a hidden tenth of the training data, over a grid; where SETTINGS come from."""
    from implicit.cpu.als import AlternatingLeastSquares

    grids = {"gowalla": ((20, 40, 60, 100), (20, 80, 160, 320)), "ml-1m-x16": ((1.2, 2, 4, 15), (1, 20, 100, 300))}
    for name, (alphas, penalties) in grids.items():
        train, hidden = hide(folder.matrix(name), 0.1)
        rows = np.random.default_rng(0).permutation(train.shape[0])[:3000]
        for alpha in alphas:
            for penalty in penalties:
                peer = AlternatingLeastSquares(
                    factors=64, num_threads=THREADS, regularization=penalty, alpha=alpha, random_state=0
                )
                with threadpool_limits(1, "blas"):
                    peer.fit(sp.csr_matrix(train), show_progress=False)
                codes, _ = peer.recommend(rows, sp.csr_matrix(train)[rows], N=10)
                value = float(np.nanmean(ndcg(codes.astype(np.int32), hidden[rows], 10)))
                yield {"case": "als-tune", "data": name, "alpha": alpha, "penalty": penalty, "ndcg@10": value}


def tune_gowalla(folder: Folder, repeats: int) -> Iterator[Record]:
    """NDCG@10 of a hidden tenth of Gowalla's training part after each epoch; where GOWALLA comes from."""
    train, hidden = hide(folder.gowalla()[0], 0.1)
    for alpha, regularization in ((50, 0.007), (83, 0.005), (83, 0.007), (83, 0.01), (150, 0.005), (150, 0.007)):
        model = ImplicitALS(
            256, alpha=alpha, regularization=regularization, iterations=12, n_iter_no_change=12, random_state=0
        ).fit(train, X_val=hidden)
        curve = [round(float(value), 4) for value in model.validation_curve_]
        yield {"case": "als-tune-gowalla", "alpha": alpha, "regularization": regularization, "ndcg@10": curve}


PARTS = (race, race_cholesky, first_fit, memory, parquet, gowalla, fold_in)
