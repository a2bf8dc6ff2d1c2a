"""Metrics of rankings beside other implementations."""

import inspect
import math

import numpy as np
import pytest
from sklearn.metrics import ndcg_score, roc_auc_score

from fastrec import metrics
from tests.metrics.cases import NAMES


@pytest.mark.parametrize("graded", [False, True])
def test_ndcg_agrees_with_scikit_learn_on_complete_rankings(graded):
    random = np.random.default_rng(3)
    scores = random.random((40, 25))
    truth = random.integers(0, 5 if graded else 2, (40, 25)).astype(float)
    truth[:, 0] = 1  # scikit-learn has 0 where fastrec has NaN
    ranking = np.argsort(-scores, axis=1)
    ours = metrics.graded_ndcg if graded else metrics.ndcg
    for k in (1, 5, 25):
        theirs = [ndcg_score(truth[[u]], scores[[u]], k=k) for u in range(40)]
        np.testing.assert_allclose(ours(ranking, truth, k), theirs, atol=1e-12, rtol=0)


def test_auc_agrees_with_scikit_learn_on_complete_rankings():
    random = np.random.default_rng(4)
    scores, truth = random.random((30, 20)), random.integers(0, 2, (30, 20))
    truth[:, 0], truth[:, 1] = 0, 1
    theirs = [roc_auc_score(truth[u], scores[u]) for u in range(30)]
    np.testing.assert_allclose(metrics.auc(np.argsort(-scores, axis=1), truth), theirs, atol=1e-12, rtol=0)


def test_exponential_gain_is_two_to_the_grade_less_one():
    ranking, truth = np.array([[1, 0]]), np.array([[3.0, 1.0]])
    expected = (1 + 7 / math.log2(3)) / (7 + 1 / math.log2(3))
    np.testing.assert_allclose(metrics.graded_ndcg(ranking, truth, gain="exponential"), [expected], atol=1e-12)
    with pytest.raises(ValueError, match="at most 500"):
        metrics.graded_ndcg(ranking, np.array([[1e4, 1.0]]), gain="exponential")
    with pytest.raises(ValueError, match="gain must be one of"):
        metrics.graded_ndcg(ranking, truth, gain="quadratic")


def test_an_empty_truth_is_nan_in_every_metric():
    for name in [*NAMES, "auc"]:
        assert np.isnan(getattr(metrics, name)([[0, 1]], np.zeros((1, 3)), 2)).all(), name


def test_a_short_list_is_no_shortcut():
    # implicit's precision@60 reaches 2.33 on 40 items, since its divisor is not k.
    truth = np.ones((1, 40))
    assert metrics.precision(np.arange(40)[None, :], truth, 60)[0] == pytest.approx(40 / 60)
    assert metrics.precision([[0, -1, -1, -1]], truth, 4)[0] == 0.25
    assert metrics.recall([[-1, -1]], truth, 2)[0] == 0.0


def test_every_public_metric_has_an_example():
    for name in metrics.__all__:
        assert ">>>" in inspect.getdoc(getattr(metrics, name)), name


def test_agrees_with_ir_measures():
    ir_measures = pytest.importorskip("ir_measures")
    random = np.random.default_rng(5)
    ranking = random.permuted(np.tile(np.arange(30), (50, 1)), axis=1)[:, :20]
    truth = random.integers(0, 3, (50, 30)) * (random.random((50, 30)) < 0.3)
    truth[:, 0] = 1
    grades = [
        ir_measures.Qrel(str(u), str(i), int(truth[u, i])) for u in range(50) for i in range(30) if truth[u, i] > 0
    ]
    run = [ir_measures.ScoredDoc(str(u), str(i), 100.0 - r) for u in range(50) for r, i in enumerate(ranking[u])]
    from ir_measures import AP, RR, P, R, Rprec, Success, nDCG

    pairs = {
        "average_precision@10": AP @ 10,
        "reciprocal_rank@10": RR @ 10,
        "precision@10": P @ 10,
        "recall@10": R @ 10,
        "hit_rate@5": Success @ 5,
        "graded_ndcg@10": nDCG @ 10,
        "r_precision@20": Rprec,
    }
    ours = metrics.measure(ranking, truth, list(pairs))
    for label, theirs in pairs.items():
        found = {value.query_id: value.value for value in ir_measures.iter_calc([theirs], grades, run)}
        np.testing.assert_allclose(ours[label], [found[str(u)] for u in range(50)], atol=1e-9, rtol=0, err_msg=label)
