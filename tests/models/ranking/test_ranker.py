import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.naive_bayes import GaussianNB

from fastrec.models.ranking.ranker import ask_ranker, check_ranker, fit_ranker


def lists(n=60, size=20):
    """Returns lists whose first feature tells the hits; the second one is constant in each list."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n * size, 2)).astype(np.float32)
    X[:, 1] = np.repeat(rng.normal(size=n), size)
    hits = X[:, 0] + 0.3 * rng.normal(size=len(X)) > 1
    return np.ascontiguousarray(X.T), hits, np.full(n, size)


@pytest.mark.parametrize("ranker", ["boosting", LinearRegression(), GaussianNB()], ids=str)
def test_rankers_learn_what_comes_first(ranker):
    columns, hits, sizes = lists()
    made = fit_ranker(ranker, 0, columns, hits, sizes)
    scores = ask_ranker(made, columns)
    assert scores[hits].mean() > scores[~hits].mean() + 0.1
    assert made is not ranker


def test_a_ranker_is_told_the_lists_by_the_name_that_it_has_for_them():
    class Told:
        def get_params(self, deep=True):
            return {}

        def predict(self, X):
            return X[:, 0]

    class Sizes(Told):
        def fit(self, X, y, group):
            self.told = group
            return self

    class Numbers(Told):
        def fit(self, X, y, qid):
            self.told = qid
            return self

    columns, hits, _ = lists()
    sizes = np.array([1000, 0, 200])
    assert fit_ranker(Sizes(), 0, columns, hits, sizes).told.tolist() == [1000, 200]
    assert np.bincount(fit_ranker(Numbers(), 0, columns, hits, sizes).told).tolist() == [1000, 200]


@pytest.mark.parametrize("ranker", [LinearRegression, "trees", 3])
def test_an_object_without_fit_and_predict_is_no_ranker(ranker):
    with pytest.raises(TypeError, match='ranker must be "boosting" or an estimator with fit and predict'):
        check_ranker("ranker", ranker)
