"""The scan: its bounds hold, it skips only what it may, and the vectors that it keeps include the answer."""

import numpy as np
import pytest

from fastrec.kernels.products import AVX2, runnable_ways
from fastrec.kernels.scan import search_bytes, search_floats
from fastrec.kernels.topk import COSINE, INNER_PRODUCT, SQUARED_DISTANCE, Exact, Filter
from fastrec.matrix.arrays import readonly
from fastrec.retrieval import packed as packing
from fastrec.retrieval.packed import make_rotation, make_space, move_queries, pack_vectors, rotate
from tests.reference.topk import score_exactly

NAMES = {INNER_PRODUCT: "ip", COSINE: "cosine", SQUARED_DISTANCE: "l2"}


def scan(vectors, queries, k, room, storage, metric=INNER_PRODUCT):
    """Returns the Space after a search, and the codes that were found."""
    vectors, queries = readonly(vectors.astype(np.float32)), readonly(queries.astype(np.float32))
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    packed = pack_vectors(vectors, norms, metric, storage)
    dimensions = vectors.shape[1] + (metric == SQUARED_DISTANCE)
    space = make_space(packed, dimensions, len(queries), k, room)
    nothing = Filter(*(readonly(np.empty(0, kind)) for kind in (np.uint8, np.int64, np.int32)))
    codes, scores = np.empty((len(queries), k), np.int32), np.empty((len(queries), k), np.float32)
    search = search_floats if storage == "float32" else search_bytes
    exact = Exact(vectors, readonly(norms), metric)
    moved = move_queries(queries, packed.center)
    bad = search(packed.way, packed.panels, packed.form, exact, queries, moved, 0, nothing, space, codes, scores)
    assert bad == -1
    return space, codes, packed


def vectors_of(n, d, seed, spread=0.5):
    random = np.random.default_rng(seed)
    return random.normal(size=(n, d)) * random.lognormal(0, spread, (n, 1))


@pytest.mark.parametrize("metric", NAMES)
@pytest.mark.parametrize("storage", ["float32", "int8"])
def test_upper_bounds_are_above_the_true_scores(storage, metric):
    vectors, queries = vectors_of(800, 40, 0), vectors_of(8, 40, 1)
    space, _, packed = scan(vectors, queries, 5, 1600, storage, metric)
    vectors, queries = vectors.astype(np.float32).astype(np.float64), queries.astype(np.float32).astype(np.float64)
    if metric == SQUARED_DISTANCE:
        vectors, queries = vectors - packed.center, queries - packed.center
    for row, query in enumerate(queries):
        codes, bounds = space.codes[row, : space.counts[row]], space.bounds[row, : space.counts[row]]
        truth = vectors[codes] @ query
        if metric == SQUARED_DISTANCE:
            truth = truth - (vectors[codes] ** 2).sum(axis=1) / 2
        if metric == COSINE:
            truth = truth / np.linalg.norm(vectors[codes], axis=1)
        excess = bounds * unit_of(packed, query, metric) - truth
        excess /= np.linalg.norm(query) * (1 if metric == COSINE else np.linalg.norm(vectors, axis=1).max())
        # The unit of a rotated query is known up to a few roundings.
        assert excess.min() >= (-1e-12 if storage == "float32" else -1e-6)
        assert excess.max() < (1e-3 if storage == "float32" else 0.2)


def what_rounding_took(vectors, packed):
    """Returns rotated vectors in the order of the panels: their bytes' values, and the rounding errors."""
    d, rows = vectors.shape[1], packed.panels.order >= 0
    quads = packed.panels.panels
    levels = quads.view(np.uint8).reshape(*quads.shape, 4).swapaxes(1, 2).reshape(len(rows), -1)[:, : max(d, 16)]
    kept = packed.panels.steps[:, None].astype(np.float64) * (levels.astype(np.float64) - 128)
    rotated = rotate(vectors[packed.panels.order[rows]].astype(np.float64) * packed.form.scale, make_rotation(d))
    return kept[rows], rotated - kept[rows]


@pytest.mark.parametrize("d", [3, 16, 40, 300])
def test_the_error_of_rounding_a_vector_is_known_and_not_overstated(d):
    vectors = vectors_of(200, d, 8).astype(np.float32)
    packed = pack_vectors(vectors, np.linalg.norm(vectors.astype(np.float64), axis=1), INNER_PRODUCT, "int8")
    kept, took = what_rounding_took(vectors, packed)
    for stated, true in ((packed.panels.errors, took), (packed.panels.lengths, kept)):
        true = np.linalg.norm(true, axis=1)
        assert (stated[: len(true)] >= true).all()
        assert (stated[: len(true)] <= true * (1 + 1e-6) + 1e-30).all()


@pytest.mark.parametrize("d", [16, 40, 300])
def test_bounds_hold_for_queries_that_ask_for_what_rounding_took(d):
    # The query lies along a vector's rounding error, and its own numbers are whole levels. No other error exists, so
    # the bound must give the whole error, and hardly more.
    vectors = vectors_of(120, d, 9).astype(np.float32)
    packed = pack_vectors(vectors, np.linalg.norm(vectors.astype(np.float64), axis=1), INNER_PRODUCT, "int8")
    _, took = what_rounding_took(vectors, packed)
    matrices = make_rotation(d)
    cuts = np.cumsum([0, *map(len, matrices)])
    for row in range(0, 120, 6):
        levels = np.rint(took[row] / np.abs(took[row]).max() * packed.form.levels)
        query = np.concatenate([levels[cuts[i] : cuts[i + 1]] @ matrix.T for i, matrix in enumerate(matrices)])
        query = query.astype(np.float32)
        space, _, _ = scan(vectors, query[None], 120, 1600, "int8")
        code = packed.panels.order[row]
        (place,) = np.flatnonzero(space.codes[0, : space.counts[0]] == code)
        query = query.astype(np.float64)
        excess = (
            space.bounds[0, place] * unit_of(packed, query, INNER_PRODUCT) - vectors[code].astype(np.float64) @ query
        )
        error = np.linalg.norm(took[row]) / packed.form.scale * np.linalg.norm(query)
        assert -0.01 * error <= excess <= 0.1 * error


@pytest.mark.parametrize("way", runnable_ways())
@pytest.mark.parametrize("d", [16, 40, 300])
def test_bounds_hold_for_vectors_that_ask_for_what_rounding_took_from_a_query(d, way, monkeypatch):
    # The other way round: a vector of whole levels lies along the query's rounding error, on each way of the CPU.
    number = runnable_ways()[way]
    monkeypatch.setattr(packing, "byte_way", lambda: number)
    most, matrices = 63 if number == AVX2 else 127, make_rotation(d)
    cuts = np.cumsum([0, *map(len, matrices)])
    for query in vectors_of(6, d, 10).astype(np.float32):
        asked = query.astype(np.float64) * 2.0 ** -np.frexp(np.linalg.norm(query.astype(np.float64)))[1]
        (rotated,) = rotate(asked[None], matrices)
        step = np.abs(rotated).max() / most
        lost = rotated - step * np.rint(rotated / step)
        levels = np.rint(lost / np.abs(lost).max() * 127)
        vector = np.concatenate([levels[cuts[i] : cuts[i + 1]] @ matrix.T for i, matrix in enumerate(matrices)])
        vectors = np.concatenate([vector[None], vectors_of(40, d, 11)]).astype(np.float32)
        space, _, packed = scan(vectors, query[None], 41, 1600, "int8")
        (place,) = np.flatnonzero(space.codes[0, : space.counts[0]] == 0)
        truth = vectors[0].astype(np.float64) @ query.astype(np.float64)
        excess = space.bounds[0, place] * unit_of(packed, query.astype(np.float64), INNER_PRODUCT) - truth
        error = np.linalg.norm(lost) / np.linalg.norm(asked) * np.linalg.norm(query) * np.linalg.norm(vector)
        assert -0.01 * error <= excess <= 0.1 * error


@pytest.mark.parametrize("storage", ["float32", "int8"])
def test_a_vector_that_just_reaches_the_limit_is_looked_at(storage):
    # Long vectors with low scores, and after them, at the start of a chunk, a short vector along the query.
    query, long = np.eye(1, 32), vectors_of(1024, 32, 12, spread=0)
    long *= 4 / np.linalg.norm(long, axis=1)[:, None]
    long = long[np.argsort(-(long @ query[0]))] * np.linspace(1.01, 1, 1024)[:, None]  # the best vector is met first
    best = (long @ query[0]).max()
    for above in (1 + 1e-5, 1 + 1e-4):
        vectors = np.concatenate([long, best * above * query, 0.1 * long[:100]])
        _, codes, _ = scan(vectors, query, 1, 200, storage)
        assert codes.tolist() == [[1024]]


def unit_of(packed, query, metric):
    """Returns a query's unit in terms of its products."""
    scale, norm = packed.form.scale, np.linalg.norm(query)
    stretch = scale if metric == SQUARED_DISTANCE else 1.0
    whole = np.hypot(norm * stretch, 1.0) if metric == SQUARED_DISTANCE else norm
    power = 2.0 ** -np.frexp(whole)[1]
    unit = 1 / power if metric == COSINE else 1 / (power * scale * stretch)
    if packed.form.levels:
        asked = np.append(query * stretch, 1.0) if metric == SQUARED_DISTANCE else query
        rotated = rotate(asked[None] * power, make_rotation(len(asked)))
        unit *= np.abs(rotated).max() / packed.form.levels
    return unit


@pytest.mark.parametrize("storage", ["float32", "int8"])
def test_long_vectors_end_the_scan_early(storage):
    vectors = vectors_of(30_000, 16, 2, spread=1.5)
    space, codes, packed = scan(vectors, vectors_of(12, 16, 3), 10, 200, storage)
    looked_at = space.work[0] / (12 * len(packed.panels.order) / 16)
    assert looked_at < 0.5
    truth = score_exactly(vectors_of(12, 16, 3), vectors)
    np.testing.assert_array_equal(codes[:, 0], truth.argmax(axis=1))


@pytest.mark.parametrize("storage", ["float32", "int8"])
def test_few_candidates_are_ranked(storage):
    space, _, _ = scan(vectors_of(20_000, 64, 4), vectors_of(50, 64, 5), 10, 200, storage)
    assert (space.counts >= 10).all()
    assert space.counts.mean() < 40


@pytest.mark.parametrize("storage", ["float32", "int8"])
def test_a_query_with_too_many_candidates_says_so(storage):
    space, codes, _ = scan(np.ones((500, 4)), np.ones((3, 4)), 10, 60, storage)
    assert space.counts.tolist() == [-2] * 3
    assert space.work[1] == 3
    assert (codes == -1).all()


@pytest.mark.parametrize("storage", ["float32", "int8"])
def test_a_query_that_is_not_finite_is_named(storage):
    vectors = readonly(np.ones((20, 3), np.float32))
    queries = readonly(np.array([[1, 1, 1], [1, np.nan, 1]], np.float32))
    norms = np.full(20, np.sqrt(3))
    packed = pack_vectors(vectors, norms, INNER_PRODUCT, storage)
    nothing = Filter(*(readonly(np.empty(0, kind)) for kind in (np.uint8, np.int64, np.int32)))
    search = search_floats if storage == "float32" else search_bytes
    found = np.empty((2, 1), np.int32), np.empty((2, 1), np.float32)
    exact = Exact(vectors, readonly(norms), INNER_PRODUCT)
    space = make_space(packed, 3, 2, 1, 20)
    assert search(packed.way, packed.panels, packed.form, exact, queries, queries, 0, nothing, space, *found) == 1


@pytest.mark.parametrize("storage", ["float32", "int8"])
def test_vectors_are_packed_by_falling_norm(storage):
    vectors = vectors_of(50, 5, 6).astype(np.float32)
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    packed = pack_vectors(vectors, norms, INNER_PRODUCT, storage)
    order, bounds = packed.panels.order, packed.panels.norms
    assert order[50:].tolist() == [-1] * 14
    np.testing.assert_array_equal(np.sort(order[:50]), np.arange(50))
    assert (np.diff(bounds) <= 0).all()
    assert (bounds[:50] >= norms[order[:50]] * packed.form.scale).all()
