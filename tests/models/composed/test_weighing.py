import numpy as np
import pytest

from fastrec.models.composed.weighing import Judgement, find_weights, ndcg_of_scores


def judgement(seed=0, n=60, candidates=30):
    """Returns three members: one knows the hidden events with some noise, one with more, one knows nothing."""
    rng = np.random.default_rng(seed)
    hits = rng.random((n, candidates)) < 0.1
    hits[:, 0] = True
    said = np.stack([hits + noise * rng.normal(size=hits.shape) for noise in (0.5, 0.7, 100)]).astype(np.float32)
    return Judgement(said, hits, np.minimum(hits.sum(axis=1), 20))


def test_the_weights_are_no_worse_than_the_best_member_and_those_of_noise_are_small():
    judged = judgement()
    weights, scores = find_weights(judged)
    assert weights.sum() == pytest.approx(1)
    assert scores[-1] >= scores[:-1].max()
    assert scores[-1] == pytest.approx(ndcg_of_scores(np.tensordot(weights, judged.said, 1), *judged[1:]), abs=1e-3)
    assert weights[0] >= weights[1] >= weights[2]


def test_if_nothing_was_hidden_weights_are_equal():
    judged = Judgement(np.empty((2, 0, 5), np.float32), np.empty((0, 5), bool), np.empty(0, np.int64))
    weights, scores = find_weights(judged)
    assert weights.tolist() == [0.5, 0.5]
    assert np.isnan(scores).all()
