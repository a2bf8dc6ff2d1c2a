"""Ranking metrics as scorers of scikit-learn."""

import pickle

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline

import fastrec as fr
from fastrec.metrics import make_scorer

X = (np.random.default_rng(0).random((60, 20)) < 0.3).astype("f4")


def test_a_scorer_is_the_score_by_its_metric():
    model = fr.ItemKNN().fit(X)
    assert make_scorer("ndcg@10")(model, X) == model.score(X)
    assert make_scorer("recall@20")(model, X) == model.score(X, metric="recall@20")
    truth = np.zeros((60, 20))
    truth[:, [0, 3]] = 1
    histories = X * (truth == 0)
    codes = model.recommend(histories, 3).codes
    expected = np.mean([len({0, 3} & set(row)) / 2 for row in codes.tolist()])
    assert make_scorer("recall@3")(model, histories, truth) == pytest.approx(expected)
    assert pickle.loads(pickle.dumps(make_scorer("map@5"))).metric == "map@5"
    assert repr(make_scorer("map@5")) == "make_scorer('map@5')"


def test_searches_of_scikit_learn_choose_by_it():
    search = GridSearchCV(fr.ItemKNN(), {"neighbors": [1, 10]}, scoring=make_scorer("recall@5"), cv=2).fit(X)
    scores = [cross_val_score(fr.ItemKNN(n), X, scoring=make_scorer("recall@5"), cv=2).mean() for n in (1, 10)]
    assert search.cv_results_["mean_test_score"].tolist() == scores
    assert search.best_params_["neighbors"] == [1, 10][int(np.argmax(scores))]


def test_steps_of_a_pipeline_come_first():
    values = X * 3
    pipeline = Pipeline([("binary", fr.Binarize(2.5)), ("model", fr.ItemKNN())]).fit(values)
    assert make_scorer("recall@5")(pipeline, values) == make_scorer("recall@5")(fr.ItemKNN().fit(X), X)


@pytest.mark.parametrize("metric", ["rmse", "coverage@10", "biased_sampled_ndcg@10", "recall", "nothing@3"])
def test_a_metric_that_is_not_a_ranking_metric_is_refused(metric):
    with pytest.raises(ValueError, match="metric"):
        make_scorer(metric)
