"""Neighbours among sessions: their index, their scores, and the part of each item of a history in these."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.kernels.session_neighbors import Shares
from fastrec.matrix.sequences import Sequences
from fastrec.solvers.session_neighbors import as_shares, fading, index_sessions, score_histories, share_score
from tests.reference import session_neighbors as reference

ITEMS = 7
lists = st.lists(st.lists(st.integers(0, ITEMS - 1), unique=True), min_size=1, max_size=8)


def sequences_of(rows):
    return Sequences(np.cumsum([0, *map(len, rows)]), np.array([item for row in rows for item in row], np.int32))


def shares_of(n_sessions, seed):
    rng = np.random.default_rng(seed)
    sizes = (4, ITEMS, n_sessions, 3, 2, ITEMS)
    return Shares(*(as_shares(rng.uniform(0.2, 1, size)) for size in sizes))


def test_sessions_come_by_rank_and_of_equal_ranks_as_given():
    rows = [[1, 2], [0], [], [2, 1, 0]]
    sessions = index_sessions(sequences_of(rows), np.array([5, 7, 5, 7]), ITEMS)
    split = np.split(sessions.items, sessions.starts[1:-1])
    assert [part.tolist() for part in split] == [[0], [2, 1, 0], [1, 2], []]


def test_events_faded_below_a_thousandth_are_left_out():
    assert fading(0.1, 9).tolist() == pytest.approx([1, 0.1, 0.01, 0.001])
    assert fading(0.1, 2).tolist() == pytest.approx([1, 0.1])
    assert fading(1.0, 3).tolist() == [1, 1, 1]


@settings(max_examples=50, deadline=None)
@given(lists, lists, st.integers(1, 5), st.integers(1, 5), st.integers(0, 99))
def test_scores_do_not_depend_on_threads_and_parts_add_up_to_them(rows, histories, candidates, k, seed):
    sessions = index_sessions(sequences_of(rows), np.zeros(len(rows), np.int64), ITEMS)
    shares, asked = shares_of(len(rows), seed), sequences_of(histories)
    scores = score_histories(asked, sessions, shares, candidates, k, 1)
    np.testing.assert_array_equal(score_histories(asked, sessions, shares, candidates, k, 3), scores)
    for history, row in zip(histories, scores, strict=True):
        np.testing.assert_allclose(row, reference.scores(history, rows, shares, candidates, k), rtol=1e-5)
        for item in range(ITEMS):
            parts = share_score(np.array(history, np.int32), item, sessions, shares, candidates, k)
            assert parts.sum() == pytest.approx(row[item], rel=1e-5)
            assert not parts[np.setdiff1d(np.arange(ITEMS), history)].any()
