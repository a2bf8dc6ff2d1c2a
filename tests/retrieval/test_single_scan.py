"""Searches of one query by the arrays that an index keeps for them."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.matrix.arrays import readonly
from fastrec.retrieval import ExactIndex
from fastrec.retrieval.filters import read_allowed
from fastrec.retrieval.single_scan import LENGTHS_KEPT
from tests.retrieval.vectors import STORAGES, lognormal


def assert_as_search(index, query, k, closed=(), allowed=None):
    closed = readonly(np.array(closed, np.int32))
    n = len(index.vectors_)
    found = index.search_one(query, k, closed, None if allowed is None else read_allowed(allowed, n))
    out = sp.csr_array((np.ones(len(closed)), ([0] * len(closed), closed)), shape=(1, n))
    top = index.search(query[None], k, out, allow=allowed)
    np.testing.assert_array_equal(found[0], top.codes[0], strict=True)
    np.testing.assert_array_equal(found[1], top.scores[0], strict=True)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("metric", ["ip", "cosine", "l2"])
@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 400), d=st.sampled_from([1, 5, 16, 70]), k=st.integers(1, 60), seed=st.integers(0, 99),
    shut=st.floats(0, 1), open=st.floats(0, 1), levels=st.booleans(),
)  # fmt: skip
def test_one_is_answered_as_among_many(metric, storage, n, d, k, seed, shut, open, levels):
    rng = np.random.default_rng(seed)
    vectors, queries = lognormal(n, d, seed), readonly(lognormal(3, d, seed + 1))
    vectors = np.rint(vectors) if levels else vectors  # with ties, and zeros
    index = ExactIndex(metric, storage).fit(vectors)
    closed, allowed = np.flatnonzero(rng.random(n) < shut), rng.random(n) < open
    for query in queries:
        assert_as_search(index, query, k)
        assert_as_search(index, query, k, closed, allowed)


@pytest.mark.parametrize("storage", STORAGES)
def test_queries_that_a_scan_cannot_answer_are_answered_all_the_same(storage):
    same, zero = readonly(np.ones(8, np.float32)), readonly(np.zeros(8, np.float32))
    for vectors in (np.ones((3000, 8)), np.zeros((3000, 8))):
        index = ExactIndex(storage=storage).fit(vectors)
        for query in (same, zero):
            assert_as_search(index, query, 5, closed=[0, 3])


def test_threads_and_lengths_of_answers_do_not_get_into_each_others_way():
    index, queries = ExactIndex(storage="int8").fit(lognormal(3000, 40, 0)), readonly(lognormal(60, 40, 1))
    nothing = readonly(np.empty(0, np.int32))
    wanted = {k: index.search(queries, k) for k in range(1, 2 * LENGTHS_KEPT)}

    def ask(number):
        k = 1 + number % (2 * LENGTHS_KEPT - 1)
        codes, scores = index.search_one(queries[number % 60], k, nothing)
        top = wanted[k]
        return np.array_equal(codes, top.codes[number % 60]) and np.array_equal(scores, top.scores[number % 60])

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, range(600)))


def test_copies_and_pickles_search_too():
    index, query = ExactIndex(storage="int8").fit(lognormal(500, 40, 0)), readonly(lognormal(1, 40, 1))[0]
    assert_as_search(index, query, 5)
    for twin in (copy.copy(index), copy.deepcopy(index), pickle.loads(pickle.dumps(index))):
        assert_as_search(twin, query, 5)
    index.fit(lognormal(400, 40, 2))
    assert_as_search(index, query, 5)
