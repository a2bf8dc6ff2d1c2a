"""Parts of the training data that are hidden: by a share, a function or a splitter."""

import numpy as np
import pytest
from sklearn.model_selection import KFold

from fastrec import RollingTime, UserKFold, split_last
from fastrec.data import Interactions
from fastrec.matrix.code_matrix import check_matrix
from fastrec.matrix.rows import hide_part
from fastrec.models.base.hiding import check_validation, hidden_parts, is_in

MATRIX = check_matrix((np.random.default_rng(0).random((120, 40)) < 0.2).astype(np.float32))


def test_hidden_parts_are_parts_of_the_data_and_no_repetitions():
    data = Interactions([0, 0, 0, 1, 1], [0, 1, 0, 1, 2], times=[1, 2, 3, 1, 2])
    (part,) = hidden_parts(split_last, data, data.matrix)
    assert part.hidden.toarray().tolist() == [[0, 0, 0], [0, 0, 1]]  # user 0 had item 0 before
    X = MATRIX
    parts = list(hidden_parts(UserKFold(3), X, hide_part(X)[0]))
    assert [part.train.shape[0] + part.histories.shape[0] for part in parts] == [120] * 3
    assert all(part.histories.multiply(part.hidden).nnz == 0 < part.hidden.nnz for part in parts)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_share_hides_as_much_of_each_user(share):
    (part,) = hidden_parts(share, MATRIX, MATRIX)
    assert part.train is part.histories
    left, hidden = hide_part(MATRIX, share)
    np.testing.assert_array_equal(part.histories.toarray(), left.toarray())
    np.testing.assert_array_equal(part.hidden.toarray(), hidden.toarray())


def test_of_interactions_all_events_of_a_hidden_pair_are_hidden():
    data = Interactions([0, 0, 0, 0, 1], [0, 1, 2, 1, 0], times=[1, 2, 3, 4, 5])
    (part,) = hidden_parts(0.4, data, data.matrix)
    assert isinstance(part.train, Interactions)
    np.testing.assert_array_equal(part.train.matrix.toarray() > 0, part.histories.toarray() > 0)
    np.testing.assert_array_equal((part.histories + part.hidden).toarray(), data.matrix.toarray())


def test_a_splitter_over_users_hides_a_fifth_of_those_left_out():
    for part in hidden_parts(KFold(4), MATRIX, MATRIX):
        assert (part.train.shape, part.histories.shape) == ((90, 40), (30, 40))
        assert 0 < part.hidden.nnz < part.histories.nnz


def test_a_splitter_over_time_hides_what_came_later():
    rng = np.random.default_rng(1)
    data = Interactions(rng.integers(0, 9, 200), rng.integers(0, 20, 200), times=np.arange(200), time_unit="s")
    parts = list(hidden_parts(RollingTime(2), data, data.matrix))
    assert len(parts) == 2
    for part in parts:
        assert part.histories.shape == part.hidden.shape == data.matrix.shape
        hidden = data.times[is_in(part.hidden, data) & ~is_in(part.histories, data)]
        assert hidden.min() > part.train.times.max()


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda X: X, TypeError, r"must give a pair \(train, hidden\), got CodeMatrix"),
        (lambda X: (X, X, X), TypeError, r"must give a pair \(train, hidden\), got tuple"),
        (lambda X: (X, X[:3]), ValueError, r"of the data's shape, \(120, 40\), got \(120, 40\) and \(3, 40\)"),
    ],
)
def test_functions_that_give_no_two_parts_are_refused(function, error, message):
    with pytest.raises(error, match=message):
        list(hidden_parts(function, MATRIX, MATRIX))


@pytest.mark.parametrize("validation", [0.2, 0.5, split_last, KFold(3), RollingTime(2)])
def test_valid_ways_to_hide_are_accepted(validation):
    check_validation("validation", validation)


@pytest.mark.parametrize(
    ("validation", "error"), [(0, ValueError), (0.6, ValueError), (True, TypeError), ("last", TypeError)]
)
def test_invalid_ways_to_hide_are_refused(validation, error):
    with pytest.raises(error, match="validation must be"):
        check_validation("validation", validation)


def test_events_of_pairs_that_a_matrix_has_are_found():
    data = Interactions([0, 1, 1, 0], [2, 0, 1, 2], items=range(3))
    assert is_in(check_matrix([[0, 0, 1], [0, 1, 0]]), data).tolist() == [True, False, True, True]
