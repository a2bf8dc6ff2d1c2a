import copy

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer

from fastrec.data import Interactions
from fastrec.models import Popularity


def random_matrix(n_users=40, n_items=30, seed=0):
    return sp.random_array((n_users, n_items), density=0.2, rng=seed, format="csr", dtype=np.float32)


def test_works_in_scikit_learns_tools():
    X = random_matrix()
    data = Interactions.from_matrix(X.toarray())
    by_matrix = cross_val_score(Popularity(), X, cv=KFold(4))
    by_data = cross_val_score(Popularity(), data, cv=KFold(4))
    assert ((by_matrix >= 0) & (by_matrix <= 1)).all()
    np.testing.assert_array_equal(by_matrix, by_data)
    search = GridSearchCV(Popularity(), {"weighting": ["count", "value"]}, cv=2).fit(X)
    assert search.best_params_["weighting"] in ("count", "value")
    piped = make_pipeline(Binarizer(threshold=0.5), Popularity(weighting="value")).fit(X)
    assert piped.predict(X).shape == (40,)


def test_copies_work_on_their_own():
    model = Popularity().fit(random_matrix())
    model.similar_items(0)
    again = copy.deepcopy(model)
    assert again._derived is not model._derived
    np.testing.assert_array_equal(again.similar_items(0).codes, model.similar_items(0).codes)
    assert not again.seen_.data.flags.writeable
    assert not clone(model).__sklearn_is_fitted__()


def test_pairs_may_be_one_against_many():
    model = Popularity().fit(random_matrix())
    many = model.predict_pairs([3, 3, 3], [1, 2, 4])
    np.testing.assert_array_equal(model.predict_pairs(3, [1, 2, 4]), many)
    np.testing.assert_array_equal(model.predict_pairs([0, 1], 4), [many[2]] * 2)
    np.testing.assert_array_equal(model.predict_pairs(random_matrix()[:3], [1, 2, 4]), many)
    with pytest.raises(ValueError, match="users and items must be of one length, got 2 and 3"):
        model.predict_pairs([0, 1], [1, 2, 3])


def test_options_are_shown_by_their_signatures():
    assert list(Popularity().get_params()) == ["half_life", "min_support", "weighting"]
    with pytest.raises(TypeError, match=r"Popularity\(\) has no option 'factors'; it has weighting, half_life"):
        Popularity(factors=3)
    with pytest.raises(TypeError, match="here it is called 'X'"):
        Popularity().fit(user_items=random_matrix())
