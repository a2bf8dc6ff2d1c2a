"""One pass over rankings."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastrec import metrics
from tests.metrics.cases import NAMES


def test_a_repeated_item_counts_once():
    truth = np.array([[1, 1, 0, 0]])
    assert metrics.recall([[0, 0, 0]], truth)[0] == 0.5
    assert metrics.ndcg([[0, 0]], truth)[0] < 1
    assert metrics.average_precision([[0, 0]], truth)[0] == 0.5
    ranking, once = [[0, 0, 1, 2, 2]], [[0, 1, 2]]
    counts, features = [8, 2, 4, 1], np.eye(4)[[0, 0, 1, 2]]
    for metric in (metrics.novelty, metrics.average_popularity, metrics.tail_share):
        extra = (8,) if metric is metrics.novelty else ()
        assert metric(ranking, counts, *extra) == metric(once, counts, *extra)
    assert metrics.gini(ranking, 4) == metrics.gini(once, 4)
    assert metrics.auc(ranking, truth) == metrics.auc(once, truth)
    assert metrics.auc([[2, 2, 0]], truth, n_candidates=3) == metrics.auc([[2, 0]], truth, n_candidates=3)
    assert metrics.diversity(ranking, features) == metrics.diversity(once, features)


def test_an_empty_place_in_the_middle_keeps_its_rank():
    assert metrics.reciprocal_rank([[-1, 0]], np.array([[1]]))[0] == 0.5


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_threads_do_not_change_the_result(jobs):
    random = np.random.default_rng(0)
    ranking = random.permuted(np.tile(np.arange(60), (4000, 1)), axis=1)[:, :50]
    truth = sp.random_array((4000, 60), density=0.1, rng=random, format="csr")
    labels = [f"{name}@{k}" for name in NAMES for k in (5, 50)]
    alone, together = (metrics.measure(ranking, truth, labels, n_jobs=n) for n in (1, jobs))
    for label in labels:
        np.testing.assert_array_equal(alone[label], together[label])
