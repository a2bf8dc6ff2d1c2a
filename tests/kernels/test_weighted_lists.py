"""Lists of the columns that sparse weights lead to; their sums are those of whole rows, to the bit."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fastrec.kernels.neighbors import add_weighted_rows
from fastrec.kernels.weighted_lists import UNANSWERED, list_best
from fastrec.matrix.code_matrix import check_matrix
from fastrec.retrieval.filters import NOTHING_CLOSED, read_filters
from fastrec.solvers.neighbors import rows_of
from tests.reference import topk


def sparse(rng, n, m, density, negative=False):
    values = rng.integers(-2 if negative else 1, 4, (n, m)) / 4
    return check_matrix(((rng.random((n, m)) < density) * values).astype(np.float32), negative="accept")


def lists_of(rows, weights, k, filters, room):
    n, m = rows.shape[0], weights.shape[1]
    sums, touched = np.zeros(m, np.float32), np.empty(room, np.int32)
    codes, scores = np.empty((n, k), np.int32), np.empty((n, k), np.float32)
    list_best(rows_of(rows), 0, n, rows_of(weights), filters, sums, touched, codes, scores)
    assert not sums.any()
    return codes, scores


@given(st.integers(0, 10**6), st.sampled_from([1, 3, 12]), st.sampled_from([0.02, 0.2]), st.booleans())
def test_lists_are_those_of_whole_rows_where_enough_is_above_zero(seed, k, density, negative):
    rng = np.random.default_rng(seed)
    rows, weights = sparse(rng, 12, 40, 0.2), sparse(rng, 40, 40, density, negative)
    out = rng.random((12, 40)) < 0.3
    codes, scores = lists_of(rows, weights, k, read_filters(check_matrix(out), None, 12, 40).closed, 80)
    whole = np.zeros((12, 40), np.float32)
    add_weighted_rows(rows_of(rows), 0, 12, rows_of(weights), whole)
    expected = topk.select_topk(whole, k, exclude=out)
    answered = codes[:, 0] != UNANSWERED
    np.testing.assert_array_equal(answered, (np.where(out, 0, whole) > 0).sum(axis=1) >= k)
    np.testing.assert_array_equal(codes[answered], expected[0][answered])
    np.testing.assert_array_equal(scores[answered], expected[1][answered])


def test_columns_that_there_is_no_room_for_leave_a_row_without_an_answer():
    rng = np.random.default_rng(0)
    rows, weights = sparse(rng, 6, 30, 0.5), sparse(rng, 30, 30, 0.9)
    codes, _ = lists_of(rows, weights, 2, NOTHING_CLOSED, 30)
    assert (codes[:, 0] == UNANSWERED).any()
    codes, _ = lists_of(rows, weights, 2, NOTHING_CLOSED, 60)
    assert (codes >= 0).all()
