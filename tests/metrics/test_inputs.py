"""The arguments of metrics."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastrec import metrics


def test_invalid_arguments_are_named():
    with pytest.raises(ValueError, match="fill short lists with -1"):
        metrics.recall([[0, 1], [0]], np.eye(2))
    with pytest.raises(ValueError, match="n_candidates must be an integer"):
        metrics.auc([[0]], np.eye(2)[:1], n_candidates=1.7)
    with pytest.raises(ValueError, match="at most n_users = 2, got 3"):
        metrics.novelty([[0]], [3], 2)
    with pytest.raises(ValueError, match="n_jobs must be"):
        metrics.measure([[0]], np.eye(2)[:1], "recall@1", n_jobs=0)


def test_negative_and_zero_values_are_not_relevant_and_duplicates_are_summed():
    coo = sp.coo_array(([1.0, 1.0, -2.0, 0.0], ([0, 0, 0, 0], [0, 0, 1, 2])), shape=(1, 4))
    assert metrics.recall([[0, 1, 2, 3]], coo, 1)[0] == 1.0
    assert metrics.hit_rate([[1, 2, 3]], coo)[0] == 0.0


@pytest.mark.parametrize("make", [np.asarray, sp.csr_array, sp.csc_array, sp.coo_array, sp.csr_matrix, sp.lil_array])
@pytest.mark.parametrize("dtype", [bool, np.int8, np.int64, np.float32, np.float64])
def test_any_kind_of_truth_and_ranking(make, dtype):
    dense = np.array([[1, 0, 1], [0, 0, 0]], dtype=dtype)
    truth = make(dense)
    ranking = np.asfortranarray(np.array([[2, 1], [0, 1]], dtype=np.uint8))
    ranking.flags.writeable = False
    np.testing.assert_array_equal(metrics.recall(ranking, truth), [0.5, np.nan])
    assert np.array_equal(np.asarray(truth.todense() if sp.issparse(truth) else truth), dense)


def test_a_topk_and_interactions_are_taken_as_they_are():
    class Top:
        codes = np.array([[0, 1]], dtype=np.int32)

    np.testing.assert_array_equal(metrics.recall(Top(), np.array([[0, 1]])), [1.0])


def test_no_users_and_no_places():
    assert metrics.ndcg(np.empty((0, 5), dtype=int), sp.csr_array((0, 3))).shape == (0,)
    np.testing.assert_array_equal(metrics.recall(np.empty((1, 0), dtype=int), np.ones((1, 2))), [0.0])


@pytest.mark.parametrize(
    ("ranking", "truth", "k", "message"),
    [
        ([[0, 3]], np.ones((1, 3)), None, "code 3 at row 0, column 1, beyond the 3 items"),
        ([[0, -2]], np.ones((1, 3)), None, "code -2 at row 0, column 1"),
        ([[2**31]], np.ones((1, 3)), None, "code 2147483648 at row 0, column 0"),
        ([[0]], np.ones((2, 3)), None, "got 1 and 2 rows"),
        ([0], np.ones((1, 3)), None, "two-dimensional"),
        ([[0]], np.ones(3), None, "truth"),
        ([[0]], np.array([[1, np.nan]]), None, "truth contains NaN in row 0, column 1"),
        ([[0]], np.ones((1, 3)), 0, "k must be an integer of at least 1"),
    ],
)
def test_bad_input_is_a_value_error_that_says_where(ranking, truth, k, message):
    with pytest.raises(ValueError, match=message):
        metrics.recall(ranking, truth, k)


def test_wrong_types_are_type_errors():
    with pytest.raises(TypeError, match="integer item codes"):
        metrics.recall([[0.5]], np.ones((1, 3)))
    with pytest.raises(TypeError, match="k must be an integer"):
        metrics.recall([[0]], np.ones((1, 3)), 2.5)
    with pytest.raises(TypeError, match="named by a string"):
        metrics.measure([[0]], np.ones((1, 3)), [10])
