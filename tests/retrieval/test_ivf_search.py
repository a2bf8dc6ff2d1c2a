"""Searches of lists: alone and in batches, with more lists where there are fewer than k, and of queries of zeros."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastrec.retrieval import IVFIndex
from fastrec.retrieval.ivf_search import NEARLY_NOTHING, SearchEffort, room_for
from tests.reference.topk import score_exactly, select_topk
from tests.retrieval.vectors import QUERIES, RERANKS, VECTORS, all_lists, recall


@pytest.mark.parametrize("rerank", [*RERANKS, None])
def test_a_query_of_zeros_gets_the_first_codes(rerank):
    index = all_lists(rerank=rerank).fit(VECTORS)
    top = index.search(np.zeros((2, 20)), 3, sp.csr_array(([1.0], [0], [0, 1, 1]), shape=(2, 3000)))
    assert top.codes.tolist() == [[1, 2, 3], [0, 1, 2]]
    assert top.scores.tolist() == [[0, 0, 0], [0, 0, 0]]


def test_batches_of_all_sizes_work_in_what_others_left():
    index = IVFIndex(n_lists=60, n_probe=5, random_state=0, n_jobs=1).fit(VECTORS)
    whole = index.search(QUERIES, 7)
    for part in (slice(0, 100), slice(100, 103), slice(5, 300), slice(40, 42)):
        top = index.search(QUERIES[part], 7)
        np.testing.assert_array_equal(top.codes, whole.codes[part])
        np.testing.assert_array_equal(top.scores, whole.scores[part])
        index.search(QUERIES[:30], 9)
    with pytest.raises(ValueError, match="row 60, column 3"):
        index.search(np.where((np.arange(300) == 60)[:, None] & (np.arange(20) == 3), np.nan, QUERIES), 7)
    np.testing.assert_array_equal(index.search(QUERIES, 7).codes, whole.codes)


@pytest.mark.parametrize("rerank", ["float32", None])
@pytest.mark.parametrize("share", [0.01, 0.2, 0.7])
def test_more_lists_are_looked_at_until_there_are_k(share, rerank):
    allowed = np.random.default_rng(9).random(3000) < share
    index = IVFIndex(n_lists=60, n_probe=1, rerank=rerank, random_state=0).fit(VECTORS)
    for allow in (allowed, np.flatnonzero(allowed), sp.csr_array(np.tile(allowed, (300, 1)))):
        top = index.search(QUERIES, 10, allow=allow)
        assert (top.codes >= 0).all()
        assert allowed[top.codes].all()
    everything = sp.csr_array(np.ones((2, 3000)) - np.isin(np.arange(3000), [5, 2000]))
    top = index.search(QUERIES[:2], 4, everything)
    assert sorted(top.codes[0].tolist()) == [-1, -1, 5, 2000]
    assert np.isneginf(top.scores[:, 2:]).all()


@pytest.mark.parametrize("rerank", ["float32", None])
def test_the_allowed_items_of_each_query_are_ranked_exactly(rerank):
    allow = sp.csr_array(np.random.default_rng(10).random((300, 3000)) < 0.01)
    top = IVFIndex(n_lists=60, n_probe=1, rerank=rerank, random_state=0).fit(VECTORS).search(QUERIES, 5, allow=allow)
    codes, _ = select_topk(score_exactly(QUERIES, VECTORS), 5, allow=allow.toarray())
    assert recall(codes, top.codes) > (0.9 if rerank is None else 0.9999)


def test_more_is_looked_at_where_too_few_were_found():
    assert SearchEffort(3, 0).more(60) == (12, 0, 1)
    assert SearchEffort(20, 0).more(60) == (60, 0, 1), "no more lists than there are"
    assert SearchEffort(3, 0.64, 5.0).more(60) == (3, 0.01, 5), "lists of which less is expected"
    assert SearchEffort(3, NEARLY_NOTHING).more(60) == (3, 0, 1), "and then all of them"


def test_there_is_never_room_for_more_than_there_are():
    state = all_lists().fit(VECTORS[:40])._check_fitted()
    assert room_for(state, 1) == 76
    assert room_for(state, 1000) == state.whole_room == 2 * len(state.packed.panels.order)


def test_a_query_whose_scores_float32_cannot_hold_is_refused():
    index = all_lists().fit(VECTORS * np.float32(1e19))
    with pytest.raises(ValueError, match="queries must"):
        index.search(np.where(np.arange(20) == 3, np.inf, QUERIES[:1]), 5)


def test_removed_vectors_are_no_answer_to_zeros():
    index = all_lists().fit(VECTORS[:50])
    index.remove([0, 2])
    top = index.search(np.zeros((1, 20)), 3, [1])
    assert (top.codes.tolist(), top.scores.tolist()) == ([[3, 4, 5]], [[0, 0, 0]])
