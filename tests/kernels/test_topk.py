"""Candidates ranked by exact scores, and scores ranked as they are, against plain NumPy: the same bits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.kernels.topk import (
    COSINE,
    FEW,
    INNER_PRODUCT,
    SQUARED_DISTANCE,
    Exact,
    Filter,
    measure_rows,
    rank_candidates,
    score_rows,
    select_row,
    select_rows,
)
from tests.reference import topk as reference

METRICS = {"ip": INNER_PRODUCT, "cosine": COSINE, "l2": SQUARED_DISTANCE}
EVERYTHING = -1


def filter_of(closed, mask=None):
    """Returns a filter that leaves out codes for each query, and for all."""
    starts = np.concatenate([[0], np.cumsum(closed.sum(axis=1))])
    shut = np.zeros(0, np.uint8) if mask is None else mask.astype(np.uint8)
    return Filter(shut, starts, np.nonzero(closed)[1].astype(np.int32))


def norms_of(rows):
    norms = np.empty(len(rows))
    assert measure_rows(rows, norms) == -1
    return norms


def lists_of(listed):
    """Returns the candidates of queries; None: all codes."""
    counts = np.array([EVERYTHING if some is None else len(some) for some in listed])
    codes = np.concatenate([np.zeros(0, np.int32), *(some for some in listed if some is not None)]).astype(np.int32)
    return np.concatenate([[0], np.cumsum(np.maximum(counts, 0))[:-1]]), counts, codes


def draw_lists(rng, b, n):
    return [None if rng.random() < 0.4 else np.flatnonzero(rng.random(n) < 0.5) for _ in range(b)]


def allowed_by(listed, n):
    return np.array([np.ones(n, bool) if some is None else np.isin(np.arange(n), some) for some in listed])


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), n=st.integers(1, 2 * FEW), d=st.integers(1, 40), b=st.integers(1, 4),
    k=st.integers(1, 20), masked=st.booleans(),
)  # fmt: skip
def test_candidates_are_ranked_as_by_the_twin(metric, seed, n, d, b, k, masked):
    rng = np.random.default_rng(seed)
    vectors, queries = (rng.integers(-3, 4, (size, d)).astype(np.float32) for size in (n, b))  # with ties, and zeros
    closed, listed = rng.random((b, n)) < 0.2, draw_lists(rng, b, n)
    mask = rng.random(n) < 0.7 if masked else None
    codes, scores = np.empty((b, k), np.int32), np.empty((b, k), np.float32)
    exact = Exact(vectors, norms_of(vectors), METRICS[metric])
    rank_candidates(exact, queries, norms_of(queries), 0, *lists_of(listed), filter_of(closed, mask), codes, scores)
    allow = allowed_by(listed, n) & (True if mask is None else mask)
    expected = reference.select_topk(reference.score_exactly(queries, vectors, metric), k, closed, allow)
    np.testing.assert_array_equal(codes, expected[0])
    np.testing.assert_array_equal(scores, expected[1])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 80), st.integers(1, 4), st.integers(1, 30), st.integers(1, 9))
def test_rows_of_scores_are_selected_as_by_the_twin(seed, n, b, k, levels):
    rng = np.random.default_rng(seed)
    values = rng.integers(-levels, levels + 1, (b, n)).astype(np.float32)
    values[rng.random((b, n)) < 0.1] = -np.inf
    values[rng.random((b, n)) < 0.1] = np.nan
    closed, listed = rng.random((b, n)) < 0.2, draw_lists(rng, b, n)
    codes, scores = np.empty((b, k), np.int32), np.empty((b, k), np.float32)
    select_rows(values, *lists_of(listed), filter_of(closed), codes, scores)
    expected = reference.select_topk(values, k, closed, allowed_by(listed, n))
    np.testing.assert_array_equal(codes, expected[0])
    np.testing.assert_array_equal(scores, expected[1])
    some = allowed_by(listed, n)
    for row in range(b):  # one query at a time gives the same
        shut = np.flatnonzero(closed[row]).astype(np.int32)
        mask = some[row].astype(np.uint8) if listed[row] is not None else np.empty(0, np.uint8)
        select_row(values[row], mask, np.array([0, len(shut)]), shut, codes[row], scores[row])
    np.testing.assert_array_equal(codes, expected[0])
    np.testing.assert_array_equal(scores, expected[1])


@pytest.mark.parametrize("d", [1, 15, 16, 17, 100])
def test_pairs_are_scored_as_rankings_score_them(d):
    left, right = np.random.default_rng(d).normal(size=(2, 9, d)).astype(np.float32)
    right[0] = left[0] * np.float32(1e30)  # a score that float32 cannot hold becomes its largest number
    left[0] *= np.float32(1e30)
    scores = np.empty(9, np.float32)
    rows, codes = np.arange(9), np.arange(9, dtype=np.int32)[::-1].copy()
    score_rows(left, rows, right[::-1].copy(), codes, scores)
    np.testing.assert_array_equal(scores, np.diag(reference.score_exactly(left, right)))
    assert scores[0] == reference.LARGEST


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_the_first_row_that_is_not_finite_is_told(bad):
    rows = np.ones((5, 20), np.float32)
    rows[[2, 4], 17] = bad
    assert measure_rows(rows, np.empty(5)) == 2
