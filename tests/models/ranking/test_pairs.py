import numpy as np

from fastrec.matrix.code_matrix import check_matrix
from fastrec.models.ranking.pairs import latest_of_histories, mean_of_histories


def test_means_leave_out_what_is_missing():
    histories = check_matrix([[1, 1, 0, 0], [0, 0, 0, 0], [0, 2, 1, 1]])
    means = mean_of_histories(histories, np.array([1.0, 4.0, np.nan, 10.0]))
    np.testing.assert_array_equal(means, [2.5, np.nan, 7.0])


def test_the_newest_items_of_each_history():
    histories = check_matrix([[1, 1, 1, 0], [0, 1, 0, 1]])
    order = np.array([1, 0, 2, 1, 0], np.int32)
    for n, items, places in ((1, [2, 1], [0, 0]), (2, [0, 2, 1, 3], [0, 1, 1, 0]), (3, [0, 1, 2, 1, 3], order)):
        recent, kept = latest_of_histories(histories, order, n)
        assert recent.indices.tolist() == items
        assert kept.tolist() == list(places)
        assert np.diff(recent.indptr).tolist() == [min(n, 3), min(n, 2)]
    recent, kept = latest_of_histories(check_matrix([[1, 0, 1, 1]]), np.array([2, 0, 1], np.int32), 2)
    assert (recent.indices.tolist(), recent.indptr.tolist(), kept.tolist()) == ([0, 3], [0, 2], [1, 0])
    assert latest_of_histories(histories, None, 1) == (histories, None)
