"""Approximate top k beside faiss, hnswlib, usearch, voyager and ScaNN: recall@10 against queries a second."""

import gc
import resource
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from data import Folder
from threadpoolctl import threadpool_limits

from cases.topk import factors_of, seconds
from fastrec.models import Item2Vec, SGDFactorization
from fastrec.retrieval import ExactIndex, IVFIndex

Record = dict[str, Any]
K = 10
THREADS = 2  # threads of building; searches have one
TARGETS = (0.95, 0.99)
RECALLS = (0.88, 0.92, 0.95, 0.955, 0.96, 0.97, 0.98, 0.99, 0.9925, 0.995, 0.9975)  # recalls asked of our index
LARGE = 2_000_000  # the number of vectors beyond which each library gets what it can build in minutes, and few settings
BATCH, FEW = 3000, 200
SECONDS_OF_A_RUN = 0.2  # a setting that takes longer for all queries is timed on fewer of them
EFS = (10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384)
PROBES = (
    1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 18, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 320, 384, 448, 512,
)  # fmt: skip


class Method(NamedTuple):
    """A built index at one setting of its search."""

    library: str
    setting: str
    search: Callable[[np.ndarray], np.ndarray]  # queries to codes
    single: Callable[[np.ndarray], Any]  # one query


class Built(NamedTuple):
    """An index with its settings, and the cost of building it."""

    library: str
    seconds: float
    bytes_per_dimension: float
    ladders: list[list[Method]]  # settings of rising effort


Builder = Callable[[np.ndarray, str], Iterator[Built]]


def build_fastrec(vectors: np.ndarray, metric: str, asked: np.ndarray) -> Iterator[Built]:
    """Builds settings as a user gets them: by the recall asked for, found with queries that the race does not use."""
    large = len(vectors) > LARGE
    for rerank in ("float16",) if large else ("float32", "float16"):
        library, took, first, methods = "fastrec" if large or rerank == "float32" else "fastrec float16", [], None, {}
        for target in TARGETS if library != "fastrec" or large else RECALLS:
            index = IVFIndex(metric, recall_target=target, rerank=rerank, n_jobs=THREADS, random_state=0)
            took.append(seconds(lambda index=index: index.fit(vectors, queries=asked)))
            first, effort = first or index, (index.n_probe_, index.least_)  # all have the same lists

            def search(queries: np.ndarray, effort: tuple[int, float] = effort, index: Any = first) -> np.ndarray:
                index.n_probe_, index.least_ = effort
                return index.search(queries, K).codes

            setting = f"{index.n_lists_} lists, {effort[0]} probed at most, {effort[1]:.1g} expected, {rerank}"
            methods.setdefault(setting, Method(library, setting, search, search))
        arrays, _ = first.describe()
        size = sum(arrays[name].nbytes for name in ("panels", "steps", "lengths", "order", "vectors")) / vectors.size
        first.n_jobs = 1
        yield Built(library, float(np.median(took)), size, [list(methods.values())])


def build_exact(vectors: np.ndarray, metric: str) -> Iterator[Built]:
    index = ExactIndex(metric, "int8", THREADS)
    took = seconds(lambda: index.fit(vectors))
    index.n_jobs = 1
    method = Method("fastrec exact", "int8", lambda q: index.search(q, K).codes, lambda q: index.search(q, K))
    yield Built("fastrec exact", took, 5.2, [[method]])


def build_hnswlib(vectors: np.ndarray, metric: str) -> Iterator[Built]:
    import hnswlib

    for links in (16,) if len(vectors) > 100_000 else (16, 32):
        index = hnswlib.Index(metric, vectors.shape[1])
        index.init_index(len(vectors), ef_construction=200, M=links)
        took = seconds(lambda index=index: index.add_items(vectors, num_threads=THREADS))
        methods = []
        for ef in EFS:

            def search(queries: np.ndarray, ef: int = ef, index: Any = index) -> np.ndarray:
                index.set_ef(ef)
                return index.knn_query(queries, K, num_threads=1)[0]

            methods.append(Method("hnswlib", f"M={links}, ef={ef}", search, search))
        yield Built("hnswlib", took, 4 + (8 * links + 8) / vectors.shape[1], [methods])


def build_faiss(vectors: np.ndarray, metric: str) -> Iterator[Built]:
    import faiss

    (n, d), small = vectors.shape, len(vectors) <= 100_000
    lists = int(2 ** np.round(np.log2(2 * np.sqrt(n))))
    recipes = [
        ("faiss IVF", f"IVF{lists},Flat", "nprobe"),
        ("faiss FastScan", f"IVF{lists},PQ{d // 2}x4fs,RFlat", "nprobe"),
    ]
    recipes += [("faiss HNSW", "HNSW32,Flat", "ef")] if small else []
    recipes = recipes[:1] if n > LARGE else recipes
    for library, recipe, option in recipes:
        index = faiss.index_factory(d, recipe, faiss.METRIC_INNER_PRODUCT)
        faiss.omp_set_num_threads(THREADS)

        def build(index: Any = index) -> None:
            index.train(vectors)
            index.add(vectors)

        took = seconds(build)
        faiss.omp_set_num_threads(1)
        factors = (10, 40) if library == "faiss FastScan" else (1,)  # the number of re-ranked candidates, times k
        values = EFS if option == "ef" else PROBES[2 :: 5 if n > LARGE else 2]
        ladders = [[_faiss_method(library, index, recipe, value, factor) for value in values] for factor in factors]
        yield Built(library, took, float("nan"), ladders)


def _faiss_method(library: str, index: Any, recipe: str, value: int, factor: int) -> Method:
    import faiss

    if library == "faiss HNSW":
        params = faiss.SearchParametersHNSW(efSearch=value)
    else:
        params = faiss.SearchParametersIVF(nprobe=value)
    if factor > 1:
        params = faiss.IndexRefineSearchParameters(k_factor=factor, base_index_params=params)

    def search(queries: np.ndarray) -> np.ndarray:
        return index.search(queries, K, params=params)[1]

    return Method(library, f"{recipe}, {value}, re-ranked {factor} k", search, search)


def build_usearch(vectors: np.ndarray, metric: str) -> Iterator[Built]:
    from usearch.index import Index

    index = Index(ndim=vectors.shape[1], metric="ip" if metric == "ip" else "cos", dtype="f32", connectivity=16)
    took = seconds(lambda: index.add(np.arange(len(vectors)), vectors, threads=THREADS))
    methods = []
    for ef in EFS:

        def search(queries: np.ndarray, ef: int = ef) -> np.ndarray:
            index.expansion_search = ef
            return np.asarray(index.search(queries, K, threads=1).keys).reshape(len(queries), K)

        methods.append(Method("usearch", f"ef={ef}", search, search))
    yield Built("usearch", took, float("nan"), [methods])


def build_voyager(vectors: np.ndarray, metric: str) -> Iterator[Built]:
    import voyager

    space = voyager.Space.InnerProduct if metric == "ip" else voyager.Space.Cosine
    index = voyager.Index(space, vectors.shape[1], M=16, ef_construction=200, max_elements=len(vectors))
    took = seconds(lambda: index.add_items(vectors, num_threads=THREADS))
    methods = []
    for ef in EFS:

        def search(queries: np.ndarray, ef: int = ef) -> np.ndarray:
            return index.query(queries, K, num_threads=1, query_ef=ef)[0]

        methods.append(Method("voyager", f"ef={ef}", search, search))
    yield Built("voyager", took, float("nan"), [methods])


def build_scann(vectors: np.ndarray, metric: str) -> Iterator[Built]:
    # Inner products of vectors of length 1 are what its own cosine computes.
    from scann.scann_ops.py import scann_ops_pybind

    leaves = int(np.sqrt(len(vectors)))
    recipe = scann_ops_pybind.builder(vectors, K, "dot_product")
    recipe = recipe.tree(leaves, leaves // 10, training_sample_size=min(len(vectors), 250_000))
    recipe = recipe.score_ah(2, anisotropic_quantization_threshold=0.2).reorder(100).set_n_training_threads(THREADS)
    began = time.perf_counter()
    index = recipe.build()
    took = time.perf_counter() - began
    ladders = []
    reorders = (50, 100, 200, 400) if len(vectors) <= 100_000 else (200, 400, 800, 1600)
    for reorder in reorders[1::2] if len(vectors) > LARGE else reorders:
        methods = []
        for probed in PROBES[3 :: 4 if len(vectors) > LARGE else 2]:
            options = {"leaves_to_search": probed, "pre_reorder_num_neighbors": reorder, "final_num_neighbors": K}

            def search(queries: np.ndarray, options: Any = options) -> np.ndarray:
                return index.search_batched(queries, **options)[0]

            def single(queries: np.ndarray, options: Any = options) -> Any:
                return index.search(queries[0], **options)

            methods.append(Method("ScaNN", f"{leaves} leaves, {reorder} reordered, {probed} searched", search, single))
        ladders.append(methods)
    yield Built("ScaNN", took, float("nan"), ladders)


BUILDERS: dict[str, Builder] = {
    "hnswlib": build_hnswlib,
    "faiss": build_faiss,
    "usearch": build_usearch,
    "voyager": build_voyager,
    "scann": build_scann,
}


FEW_PEERS = ("hnswlib", "faiss", "scann")


def race(
    case: str, name: str, vectors: np.ndarray, asked: np.ndarray, repeats: int, metric: str = "ip",
    peers: tuple[str, ...] = tuple(BUILDERS),
) -> Iterator[Record]:  # fmt: skip
    """Points of all curves, then for each target recall the best of ours beside the best of all peers.

    The first of the queries asked are those of the race; our index is told the others.
    """
    if metric == "cosine":
        vectors, asked = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (vectors, asked))
    # Copies, since some peers refuse arrays that are read-only; their width is even, which faiss's pairs of columns
    # need.
    even = ((0, 0), (0, vectors.shape[1] % 2))
    vectors, asked = (np.pad(rows, even).astype(np.float32, copy=False) for rows in (vectors, asked))
    queries, asked = asked[:BATCH], asked[BATCH:]
    truth = ExactIndex(metric, "int8", THREADS).fit(vectors).search(queries, K).codes
    IVFIndex(metric, n_probe=1, random_state=0).fit(vectors[:1000]).search(queries[:9], K)  # compiles
    base, built = {"data": name, "n": len(vectors), "d": vectors.shape[1]}, []
    for builder in (partial(build_fastrec, asked=asked), build_exact, *(BUILDERS[peer] for peer in peers)):
        try:
            with threadpool_limits(THREADS):
                for one in builder(vectors, metric):
                    built.append(one)
                    yield {"case": f"{case}-build", **base, "library": one.library, "seconds": one.seconds,
                           "bytes/dimension": one.bytes_per_dimension, "peak GB so far": peak()}  # fmt: skip
        except ImportError as error:
            yield {"case": f"{case}-missing", **base, "library": str(error)}
    with threadpool_limits(1):
        ladders = [ladder for one in built for ladder in one.ladders]
        points = [*measure(ladders, queries, truth, repeats)]
    yield from ({"case": f"{case}-point", **base, **point} for point in points)
    yield from ({"case": f"{case}-ratio", **base, **ratio} for ratio in compare(points))
    del built
    gc.collect()


def measure(ladders: list[list[Method]], queries: np.ndarray, truth: np.ndarray, repeats: int) -> Iterator[Record]:
    """Measures recall and the best speeds of all settings in turns; settings far from the targets are left out."""
    kept: list[tuple[Method, float, int]] = []
    for ladder in ladders:
        for method in ladder:
            part = queries[:FEW]
            took = seconds(lambda method=method, part=part: method.search(part)) / len(part)
            count = int(min(len(queries), max(len(part), SECONDS_OF_A_RUN / took)))
            found = method.search(queries[:count])
            hits = [len(np.intersect1d(a, b)) for a, b in zip(truth[:count], found, strict=True)]
            recall = float(np.mean(hits) / K)
            if recall >= 0.85:
                kept.append((method, recall, count))
            if recall > 0.996:
                break
    best = {place: [np.inf, np.inf] for place in range(len(kept))}
    few = [queries[row : row + 1] for row in range(min(FEW, len(queries)))]
    for _ in range(repeats):
        for place, (method, _, count) in enumerate(kept):
            took = seconds(lambda method=method, count=count: method.search(queries[:count])) / count
            best[place][0] = min(best[place][0], took)
            single = seconds(lambda method=method: [method.single(query) for query in few]) / len(few)
            best[place][1] = min(best[place][1], single)
    for place, (method, recall, _) in enumerate(kept):
        batch, single = best[place]
        yield {
            "library": method.library,
            "setting": method.setting,
            "recall": recall,
            "batch": 1 / batch,
            "single": 1 / single,
        }


def compare(points: list[Record]) -> Iterator[Record]:
    """Compares, for each target, the most queries a second of ours at this recall or more, and of the best peer."""
    for target in TARGETS:
        for how in ("batch", "single"):
            enough = [point for point in points if point["recall"] >= target]
            ours = max((p for p in enough if p["library"] == "fastrec"), key=lambda p: p[how], default=None)
            peers = max(
                (p for p in enough if not p["library"].startswith("fastrec")), key=lambda p: p[how], default=None
            )
            if ours and peers:
                yield {"what": how, "recall@10": target, "fastrec": ours[how], "at": ours["recall"],
                       "best peer": peers[how], "its recall": peers["recall"], "which": peers["library"],
                       "ratio": ours[how] / peers[how]}  # fmt: skip


def peak() -> float:
    """Returns the largest memory that this process has had, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def shuffled(rows: np.ndarray) -> np.ndarray:
    """Returns a few thousand rows at random."""
    return rows[np.random.default_rng(0).permutation(len(rows))[: 2 * BATCH]]


def als(folder: Folder, repeats: int) -> Iterator[Record]:
    """Factors of iALS on Gowalla, 64, 128 and 256 of them."""
    yield from race_factors("ann-als", folder.matrix("gowalla"), repeats)


def als_movies(folder: Folder, repeats: int) -> Iterator[Record]:
    """Factors of iALS on ML-1M expanded 16 times, 64, 128 and 256 of them."""
    yield from race_factors("ann-als-movies", folder.matrix("ml-1m-x16"), repeats, FEW_PEERS)


def race_factors(
    case: str, matrix: sp.csr_array, repeats: int, peers: tuple[str, ...] = tuple(BUILDERS)
) -> Iterator[Record]:
    """Races over 128, 64 and 256 factors; `peers` run for the first."""
    for factors in (128, 64, 256):
        model, name = factors_of(matrix, factors), f"iALS, {factors} factors"
        some = peers if factors == 128 else FEW_PEERS
        yield from race(case, name, model.item_factors_, shuffled(model.user_factors_), repeats, peers=some)


def models(folder: Folder, repeats: int) -> Iterator[Record]:
    """Factors of BPR and of Item2Vec on Gowalla."""
    matrix = folder.matrix("gowalla")
    for name, model in (
        ("BPR, 64 factors", SGDFactorization(64, loss="bpr", iterations=10, random_state=0, n_jobs=THREADS)),
        ("Item2Vec, 64 factors", Item2Vec(64, scoring="similar", iterations=5, random_state=0, n_jobs=THREADS)),
    ):
        model.fit(matrix)
        items, users = model.item_factors_, shuffled(model.user_factors_)
        yield from race("ann-models", name, items, users, repeats, peers=FEW_PEERS)


def cosine(folder: Folder, repeats: int) -> Iterator[Record]:
    """300 000 x 100 by cosine, vectors that are no factors: groups of every size with a falling spectrum."""
    random = np.random.default_rng(1)
    spectrum = 1 / np.arange(1, 101) ** 0.4
    centers = random.normal(size=(5000, 100)) * spectrum
    share = random.pareto(1.2, 5000) + 0.2

    def draw(n: int) -> np.ndarray:
        own = centers[random.choice(5000, n, p=share / share.sum())]
        return (own + 0.7 * random.normal(size=(n, 100)) * spectrum).astype(np.float32)

    yield from race("ann-cosine", "300 000 x 100", draw(300_000), draw(2 * BATCH), repeats, "cosine", FEW_PEERS)


def million(folder: Folder, repeats: int) -> Iterator[Record]:
    """1 000 000 x 64: iALS factors of Gowalla with noise."""
    model = factors_of(folder.matrix("gowalla"), 64)
    vectors = noisy(model.item_factors_, 1_000_000)
    yield from race(
        "ann-million", "1 000 000 x 64", vectors, shuffled(model.user_factors_), repeats, peers=("faiss", "scann")
    )


def ten_million(folder: Folder, repeats: int) -> Iterator[Record]:
    """10 000 000 x 32: iALS factors of Gowalla with noise; only if it is asked for."""
    model = factors_of(folder.matrix("gowalla"), 32)
    vectors = noisy(model.item_factors_, 10_000_000)
    yield from race(
        "ann-ten-million", "10 000 000 x 32", vectors, shuffled(model.user_factors_), repeats, peers=("scann", "faiss")
    )


def noisy(items: np.ndarray, n: int) -> np.ndarray:
    """Returns n of the rows, each with noise of a third of each column's deviation, in proportion to its own norm."""
    random = np.random.default_rng(2)
    vectors = items[random.integers(len(items), size=n)]
    direction = items.std(axis=0) / np.linalg.norm(items.std(axis=0))
    for start in range(0, n, 1 << 20):
        rows = vectors[start : start + (1 << 20)]
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        rows += 0.33 * norms * direction * random.standard_normal(rows.shape, np.float32)
    return vectors


PARTS = (als, als_movies, models, cosine, million)
