import numpy as np

from fastrec import Interactions, RollingTime
from fastrec.matrix.code_matrix import check_matrix
from fastrec.models.composed.weighing import NOTHING
from fastrec.models.ranking.pairs import Pairs
from fastrec.models.ranking.windows import apart, choose_validation, join_lists, make_lists


def lists(codes, hidden):
    codes = np.array(codes, np.int32)
    n = int((codes >= 0).sum())
    scores = np.arange(n, dtype=np.float32)[None]
    rows = np.nonzero(codes >= 0)[0]
    pairs = Pairs(check_matrix(hidden), None, None, rows, codes[codes >= 0], scores, np.zeros((1, n), int), 3, ())
    return make_lists(codes, pairs, np.arange(2 * n, dtype=np.float32).reshape(2, n), check_matrix(hidden))


def test_hidden_items_that_nobody_lists_are_not_added():
    made = lists([[0, 2, -1], [-1, 1, 3]], [[1, 1, 0, 0], [0, 0, 0, 1]])
    assert made.labels.tolist() == [True, False, False, True]
    assert made.sizes.tolist() == [2, 2]
    assert made.judged.ideal.tolist() == [2, 1]  # the missed item counts in the best possible gain
    assert made.judged.said[0].tolist() == [[0, 1, np.float32(NOTHING)], [np.float32(NOTHING), 2, 3]]


def test_the_quality_of_scores_is_their_ndcg():
    made = lists([[0, 2], [1, 3]], [[1, 0, 0, 0], [0, 0, 0, 1]])
    assert made.quality(np.array([2.0, 1.0, 1.0, 2.0])) == 1
    np.testing.assert_allclose(made.quality(np.array([1.0, 2.0, 1.0, 2.0])), (1 / np.log2(3) + 1) / 2)


def test_the_last_window_judges_or_every_other_list_of_one():
    first, last = lists([[0, 2, 1]], [[1, 0, 0, 0]]), lists([[1, 3], [0, -1]], [[0, 0, 0, 1], [1, 0, 0, 0]])
    taught, judged = apart([first, first, last])
    assert judged is last
    assert taught.labels.tolist() == first.labels.tolist() * 2
    taught, judged = apart([last])
    assert (taught.columns.tolist(), judged.columns.tolist()) == ([[0, 1], [3, 4]], [[2], [5]])
    whole = join_lists([first, last])
    assert whole.there.tolist() == [[True] * 3, [True, True, False], [True, False, False]]
    assert whole.columns.shape == (2, 6)


def test_lists_with_a_hit():
    kept = lists([[0, 2], [1, 3], [0, 1]], [[1, 0, 0, 0], [1, 0, 1, 0], [1, 1, 0, 0]]).with_hits()
    assert kept.judged.hits.tolist() == [[True, False], [True, True]]
    assert kept.columns.tolist() == [[0, 1, 4, 5], [6, 7, 10, 11]]


def test_windows_in_time_where_there_are_enough_times_else_a_share():
    codes = np.arange(40)
    assert isinstance(choose_validation(Interactions(codes, codes, times=codes)), RollingTime)
    assert choose_validation(Interactions(codes, codes, times=5 + codes // 20)) == 0.2
    assert choose_validation(Interactions(codes, codes)) == 0.2
    assert choose_validation(None) == 0.2
