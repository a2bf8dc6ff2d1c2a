"""The best of a linear filter without all scores are those of the definition, whatever is pruned on the way."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrec.kernels.products import runnable_ways
from fastrec.matrix.code_matrix import check_matrix
from fastrec.matrix.rows import transpose
from fastrec.retrieval.filters import NOTHING_CLOSED, read_filters
from fastrec.solvers import filter_search
from fastrec.solvers.filter_search import FilterSearch
from tests.reference import graph_filter


def problem(n_users=60, n_items=200, factors=20, density=0.05, seed=0, spread=1.0):
    """Returns a graph with popular items, vectors that are longer for these, and degrees."""
    rng = np.random.default_rng(seed)
    popularity = np.linspace(1, 0.05, n_items) ** 2
    graph = ((rng.random((n_users, n_items)) < density * 4 * popularity) * rng.random((n_users, n_items))).astype("f4")
    vectors = (rng.normal(size=(n_items, factors)) * np.sqrt(popularity)[:, None] * spread).astype("f4")
    return graph, vectors, (1 + 3 * popularity).astype("f4"), rng


def histories(rng, n, n_items):
    return ((rng.random((n, n_items)) < 0.06) * (0.5 + rng.random((n, n_items)))).astype("f4")


def search_of(graph, vectors, degrees):
    matrix = check_matrix(graph)
    return FilterSearch(matrix, transpose(matrix, 1), vectors, degrees)


@given(st.integers(0, 10**6), st.sampled_from([0, 1, 20, 140, 300]), st.sampled_from([1, 7, 40]), st.booleans())
def test_a_search_finds_the_best_of_all_scores(seed, factors, k, excluding):
    graph, vectors, degrees, rng = problem(factors=factors, seed=seed, spread=10.0 ** rng_exponent(seed))
    signals = histories(rng, 9, 200)
    coordinates = (signals @ vectors).astype("f4")
    out = rng.random(signals.shape) < 0.3 if excluding else np.zeros(signals.shape, bool)
    filters = read_filters(check_matrix(out), None, 9, 200).closed if excluding else NOTHING_CLOSED
    search = search_of(graph, vectors, degrees)
    codes, scores, found = search.search(check_matrix(signals), coordinates, k, filters, 1)
    expected, values = graph_filter.best(signals, graph, vectors, coordinates, degrees, k, out)
    assert found
    scale = np.abs(values[values > -np.inf]).max(initial=1e-30)
    np.testing.assert_allclose(scores, values, rtol=1e-4, atol=1e-5 * scale)
    differ = codes != expected  # two items are equally good
    np.testing.assert_allclose(scores[differ], values[differ], rtol=1e-4, atol=1e-5 * scale)


def rng_exponent(seed):
    return (seed % 7) - 3


@pytest.mark.parametrize("way", runnable_ways())
def test_all_ways_of_this_cpu_and_any_number_of_threads_find_the_same(way, monkeypatch):
    graph, vectors, degrees, rng = problem(factors=150)
    signals = histories(rng, 40, 200)
    monkeypatch.setattr(filter_search, "byte_way", lambda: runnable_ways()[way])
    monkeypatch.setattr(filter_search, "PIECE", 8)
    monkeypatch.setattr(filter_search, "GROUP", 3)
    search, coordinates = search_of(graph, vectors, degrees), (signals @ vectors).astype("f4")
    codes, scores, _ = search.search(check_matrix(signals), coordinates, 10, NOTHING_CLOSED, 1)
    twice = search.search(check_matrix(signals), coordinates, 10, NOTHING_CLOSED, 2)
    np.testing.assert_array_equal(twice[0], codes)
    np.testing.assert_array_equal(twice[1], scores)
    expected = graph_filter.best(signals, graph, vectors, coordinates, degrees, 10, np.zeros(signals.shape, bool))[1]
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)


def test_users_whose_numbers_are_beyond_bounds_are_not_answered():
    graph, vectors, degrees, rng = problem()
    signals = histories(rng, 3, 200)
    signals[1] *= np.float32(1e36)
    search = search_of(graph, vectors, degrees)
    with np.errstate(over="ignore", invalid="ignore"):
        coordinates = (signals @ vectors).astype("f4")
    codes, _, found = search.search(check_matrix(signals), coordinates, 5, NOTHING_CLOSED, 1)
    assert not found
    assert codes[1, 0] == -1
    assert (codes[[0, 2]] >= 0).all()


def test_users_with_more_candidates_than_there_is_room_for_are_not_answered(monkeypatch):
    monkeypatch.setattr(filter_search, "ROOM", 0)
    graph, vectors, degrees = np.eye(4, 200, dtype="f4"), np.ones((200, 4), "f4"), np.ones(200, "f4")
    signals = np.eye(1, 200, k=150, dtype="f4")  # all items are equally good
    search = search_of(graph, vectors, degrees)
    codes, _, found = search.search(check_matrix(signals), np.ones((1, 4), "f4"), 1, NOTHING_CLOSED, 1)
    assert not found
    assert codes[0, 0] == -1


def test_a_search_is_worth_it_where_few_numbers_are_touched():
    graph, vectors, degrees, _ = problem()
    search = search_of(graph, vectors, degrees)
    few, many = np.zeros((16, 200), "f4"), np.ones((16, 200), "f4")
    few[:, 150] = 1
    assert search.is_worth(check_matrix(few))
    assert not search_of(graph, vectors * np.float32(1e17), degrees).is_worth(check_matrix(few))
    assert not search.is_worth(check_matrix(many))
