"""Exact top k beside implicit's `recommend` and faiss's flat index: all users, batches, one query at a time."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
from data import Folder
from threadpoolctl import threadpool_limits

from fastrec.kernels.products import runnable_ways
from fastrec.models import ImplicitALS
from fastrec.retrieval import ExactIndex, packed

Record = dict[str, Any]
THREADS = 2
K = 10


def seconds(run: Callable[[], Any]) -> float:
    """Returns the wall time of one call."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def synthetic(n: int, d: int, seed: int) -> np.ndarray:
    """Returns vectors with a falling spectrum and norms that differ as popularity does."""
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(n, d)) / np.sqrt(np.arange(1, d + 1)) * random.lognormal(0, 0.5, (n, 1))
    return vectors.astype(np.float32)


def factors_of(matrix: sp.csr_array, factors: int) -> ImplicitALS:
    """Returns the model whose factors are searched: iALS with its defaults."""
    return ImplicitALS(factors, random_state=0, n_jobs=THREADS).fit(matrix)


def recommend(folder: Folder, repeats: int) -> Iterator[Record]:
    """The best 10 for all users, seen items left out, 128 factors: users a second, 2 threads, the same factors."""
    from implicit.cpu.als import AlternatingLeastSquares

    for name in ("gowalla", "ml-1m"):
        matrix = folder.matrix(name)
        model, old = factors_of(matrix, 128), sp.csr_matrix(matrix)
        peer = AlternatingLeastSquares(factors=128, num_threads=THREADS)
        peer.user_factors, peer.item_factors = np.array(model.user_factors_), np.array(model.item_factors_)
        everyone = np.arange(matrix.shape[0])
        indexes = {storage: ExactIndex(storage=storage, n_jobs=THREADS) for storage in ("float32", "int8")}
        for index in indexes.values():
            index.fit(model.item_factors_).search(model.user_factors_[:1000], K, matrix[:1000])
        for repeat in range(repeats):
            with threadpool_limits(1, "blas"):
                theirs = seconds(lambda: peer.recommend(everyone, old, N=K))
            record = {"case": "topk-recommend", "data": name, "repeat": repeat, "implicit": len(everyone) / theirs}
            for storage, index in indexes.items():
                ours = seconds(lambda: index.search(model.user_factors_, K, matrix))
                record |= {storage: len(everyone) / ours, f"{storage} ratio": theirs / ours}
            ours = seconds(lambda: model.recommend(everyone, K))
            yield record | {"ImplicitALS.recommend": len(everyone) / ours, "model ratio": theirs / ours}


def search(folder: Folder, repeats: int) -> Iterator[Record]:
    """Batches of queries in one thread, the best 10, against faiss's IndexFlatIP: queries a second."""
    import faiss

    faiss.omp_set_num_threads(1)
    for name, vectors, queries in search_cases(folder):
        flat = faiss.IndexFlatIP(vectors.shape[1])
        flat.add(vectors)
        indexes = {storage: ExactIndex(storage=storage, n_jobs=1).fit(vectors) for storage in ("float32", "int8")}
        for index in (flat, *indexes.values()):
            index.search(queries[:64], K)
        for repeat in range(repeats):
            theirs = seconds(lambda: flat.search(queries, K))
            record = {"case": "topk-search", "data": name, "repeat": repeat, "faiss": len(queries) / theirs}
            for storage, index in indexes.items():
                ours = seconds(lambda: index.search(queries, K))
                record |= {storage: len(queries) / ours, f"{storage} ratio": theirs / ours}
            yield record


def single(folder: Folder, repeats: int) -> Iterator[Record]:
    """One query at a time, warm, the best 10: median microseconds of a call."""
    import faiss

    faiss.omp_set_num_threads(1)
    extra = [("27 000 x 64", synthetic(27_000, 64, 1), synthetic(1000, 64, 2))]
    for name, vectors, queries in [*extra, *search_cases(folder)]:
        flat = faiss.IndexFlatIP(vectors.shape[1])
        flat.add(vectors)
        indexes = {storage: ExactIndex(storage=storage).fit(vectors) for storage in ("float32", "int8")}
        few = [queries[row : row + 1] for row in range(min(len(queries), 200))]
        for repeat in range(repeats):
            record = {"case": "topk-single", "data": name, "repeat": repeat, "faiss": _median(flat, few)}
            for storage, index in indexes.items():
                ours = _median(index, few)
                record |= {storage: ours, f"{storage} ratio": record["faiss"] / ours}
            yield record


def _median(index: Any, queries: list[np.ndarray]) -> float:
    index.search(queries[0], K)
    return 1e6 * float(np.median([seconds(lambda query=query: index.search(query, K)) for query in queries]))


def ways(folder: Folder, repeats: int) -> Iterator[Record]:
    """int8 by each instruction set that this CPU has, one thread: times faiss's flat index."""
    import faiss

    faiss.omp_set_num_threads(1)
    chosen = packed.byte_way
    for name, vectors, queries in search_cases(folder):
        flat = faiss.IndexFlatIP(vectors.shape[1])
        flat.add(vectors)
        indexes = {}
        for way, number in runnable_ways().items():
            packed.byte_way = lambda number=number: number
            indexes[way] = ExactIndex(storage="int8", n_jobs=1).fit(vectors)
            indexes[way].search(queries[:64], K)
        packed.byte_way = chosen
        for repeat in range(repeats):
            theirs = seconds(lambda: flat.search(queries, K))
            ratios = {
                way: theirs / seconds(lambda index=index: index.search(queries, K)) for way, index in indexes.items()
            }
            yield {"case": "topk-ways", "data": name, "repeat": repeat, "faiss": len(queries) / theirs, **ratios}


def search_cases(folder: Folder) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Returns the vectors and queries of the races, each with its name."""
    for n, d, b in ((27_000, 128, 1000), (50_000, 64, 1000), (1_000_000, 64, 256)):
        yield f"{n:,} x {d}".replace(",", " "), synthetic(n, d, 1), synthetic(b, d, 2)
    model = factors_of(folder.matrix("gowalla"), 128)
    yield "Gowalla's ALS factors", np.array(model.item_factors_), np.array(model.user_factors_[:3000])


FIRST_SEARCH = """
import sys, time
import numpy as np
from fastrec.retrieval import ExactIndex
random = np.random.default_rng(0)
vectors, queries = random.normal(size=(2000, 64)).astype(np.float32), random.normal(size=(50, 64)).astype(np.float32)
times = []
for _ in range(2):
    began = time.perf_counter()
    ExactIndex(storage=sys.argv[1]).fit(vectors).search(queries, 10)
    times.append(time.perf_counter() - began)
print(*times)
"""


def first_search(folder: Folder, repeats: int) -> Iterator[Record]:
    """The first index of a process, 2000 x 64: with an empty cache of compiled kernels, and with a full one."""
    with tempfile.TemporaryDirectory() as work:
        for repeat in range(repeats):
            for storage in ("float32", "int8"):
                environment = {**os.environ, "NUMBA_CACHE_DIR": os.path.join(work, f"{storage}-{repeat}")}
                command, times = [sys.executable, "-c", FIRST_SEARCH, storage], []
                for _ in range(2):
                    out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
                    times.append([float(part) for part in out.split()])
                (cold, _), (cached, warm) = times
                yield {
                    "case": "topk-first-search",
                    "storage": storage,
                    "repeat": repeat,
                    "cold": cold,
                    "cached": cached,
                    "warm": warm,
                }


PARTS = (recommend, search, single, ways, first_search)
