"""Guides against plain NumPy: the best scores of lists, the regression, and what the lists chosen by them find."""

import numpy as np
import pytest

from fastrec.kernels.topk import COSINE, INNER_PRODUCT
from fastrec.retrieval import ExactIndex, IVFIndex
from fastrec.retrieval.guides import PRIOR, learn_guides, score_lists
from fastrec.retrieval.ivf_state import build_state, directions_of, power_of
from fastrec.retrieval.partition import Clusters, describe, exact_rows


def lists_of(n, d, n_lists, metric):
    """Vectors in lists, the last of which is empty."""
    random = np.random.default_rng(3)
    vectors = (random.normal(size=(n, d)) * random.lognormal(0, 0.4, size=(n, 1)) + 0.3).astype(np.float32)
    exact = exact_rows("vectors", vectors, metric)
    power, nearest = power_of(exact), random.integers(0, max(1, n_lists - 1), n).astype(np.int32)
    centers = np.zeros((n_lists, d), np.float32)
    clusters = describe(lambda part: directions_of(vectors, exact, power, part), nearest, centers).times(-power)
    return vectors, nearest, build_state(exact, clusters, 1)


def plain_scores(vectors, nearest, n_lists, queries, metric):
    """The best score of each list for queries of length 1."""
    rows = vectors.astype(np.float64)
    if metric == COSINE:
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    scores = queries / np.linalg.norm(queries, axis=1, keepdims=True) @ rows.T
    best = [scores[:, nearest == part].max(axis=1, initial=-np.inf) for part in range(n_lists)]
    return np.column_stack(best), np.linalg.norm(rows, axis=1).max()


@pytest.mark.parametrize("metric", [INNER_PRODUCT, COSINE])
@pytest.mark.parametrize(("n", "d", "n_lists", "b"), [(40, 3, 3, 1), (300, 20, 12, 7), (500, 70, 9, 100)])
def test_the_best_score_of_each_list_is_found(n, d, n_lists, b, metric):
    vectors, nearest, state = lists_of(n, d, n_lists, metric)
    queries = np.random.default_rng(4).normal(size=(b, d)).astype(np.float32)
    queries[: b // 2] -= 2  # scores below 0, too
    found = score_lists(state.packed, state.partition.starts, queries, metric, 1)
    wanted, longest = plain_scores(vectors, nearest, n_lists, queries, metric)
    unit = 1.0 if metric == COSINE else state.packed.form.scale
    assert np.isneginf(found[:, -1]).all(), "an empty list"
    np.testing.assert_allclose(found[:, :-1] / unit, wanted[:, :-1], atol=0.03 * longest)
    np.testing.assert_array_equal(found, score_lists(state.packed, state.partition.starts, queries, metric, 2))
    rows = [score_lists(state.packed, state.partition.starts, row[None], metric, 1)[0] for row in queries]
    np.testing.assert_array_equal(found, rows)


@pytest.mark.parametrize("metric", [INNER_PRODUCT, COSINE])
@pytest.mark.parametrize(("d", "b"), [(5, 200), (60, 12)])
def test_guides_are_those_of_a_ridge_regression(d, b, metric):
    _, nearest, state = lists_of(400, d, 7, metric)
    queries, sizes = np.random.default_rng(5).normal(size=(b, d)).astype(np.float32), np.bincount(nearest, minlength=7)
    starts, clusters = state.partition.starts, state.clusters
    learned = learn_guides(state.packed, starts, clusters, sizes, queries, metric, 1)
    unit = 1.0 if metric == COSINE else state.packed.form.scale
    best = score_lists(state.packed, starts, queries, metric, 1)[:, :-1].astype(np.float64) / unit
    rows = queries / np.linalg.norm(queries.astype(np.float64), axis=1, keepdims=True)
    more = best - rows @ clusters.centers[:-1].T - clusters.leads(sizes)[:-1]
    columns, prior = np.column_stack([rows, np.ones(b)]), np.diag([PRIOR / d] * d + [1.0])
    weights = np.linalg.solve(columns.T @ columns + prior, columns.T @ more)
    np.testing.assert_allclose(learned.guides[:-1], clusters.centers[:-1] + weights[:-1].T, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(learned.gains[:-1], weights[-1], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(learned.guides[-1], clusters.centers[-1])
    assert learned.gains[-1] == 0, "an empty list keeps its center"


def test_queries_without_length_teach_nothing():
    _, nearest, state = lists_of(300, 6, 5, INNER_PRODUCT)
    sizes, starts = np.bincount(nearest, minlength=5), state.partition.starts
    queries = np.random.default_rng(6).normal(size=(9, 6)).astype(np.float32)
    some = queries.copy()
    some[::3] = 0
    left = np.delete(queries, np.s_[::3], axis=0)
    found, wanted = (learn_guides(state.packed, starts, state.clusters, sizes, q, 0, 1) for q in (some, left))
    np.testing.assert_array_equal(found.guides, wanted.guides)
    nothing = learn_guides(state.packed, starts, state.clusters, sizes, np.zeros((3, 6), np.float32), 0, 1)
    np.testing.assert_array_equal(nothing.guides, state.clusters.centers)
    assert not nothing.gains.any()
    assert isinstance(nothing, Clusters)


def test_guides_find_more_in_as_many_lists(monkeypatch):
    """Queries in a part of the space, as users are: the lists that hold their best are known from others of them."""
    random = np.random.default_rng(7)
    spectrum = np.linspace(1, 0.05, 24)
    vectors = (random.normal(size=(6000, 24)) * spectrum * random.lognormal(0, 0.5, (6000, 1))).astype(np.float32)
    queries = (random.normal(size=(3000, 24)) * spectrum**2 + spectrum).astype(np.float32)
    truth, found = ExactIndex().fit(vectors).search(queries[:1000], 10).codes, []
    for learned in (0, 1024):
        monkeypatch.setattr("fastrec.retrieval.ivf.LEARNED", learned)
        index = IVFIndex(n_probe=6, random_state=0).fit(vectors, queries=queries[1000:])
        rows = zip(truth, index.search(queries[:1000], 10).codes, strict=True)
        found.append(np.mean([len(np.intersect1d(a, b)) / 10 for a, b in rows]))
    assert found[1] > found[0] + 0.02


def test_files_without_guides_are_searched_by_centers(tmp_path):
    vectors = np.random.default_rng(8).normal(size=(900, 8)).astype(np.float32)
    index = IVFIndex(n_probe=4, random_state=0).fit(vectors)
    arrays, record = index.describe()
    old = IVFIndex.rebuild({name: arrays[name] for name in arrays if name not in ("guides", "gains")}, record)
    np.testing.assert_array_equal(old.search(vectors, 5).codes, index.search(vectors, 5).codes)
    with pytest.raises(ValueError, match="'guides' and 'gains' must come together"):
        IVFIndex.rebuild({name: arrays[name] for name in arrays if name != "gains"}, record)
