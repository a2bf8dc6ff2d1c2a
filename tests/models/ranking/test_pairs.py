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
    assert latest_of_histories(histories, order, 1).tolist() == [False, False, True, True, False]
    assert latest_of_histories(histories, order, 2).tolist() == [True, False, True, True, True]
    assert latest_of_histories(histories, None, 1).all()
