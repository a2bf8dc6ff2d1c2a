"""TwoTowerRecommender as its users meet it."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastrec.models import TwoTowerRecommender
from fastrec.models.two_tower import Tower, cross_entropy
from tests.models.groups import QUICK, groups, share_of_own_group
from tests.reference import network as reference


@pytest.mark.parametrize("layers", [(), (16,), (16, 8)])
def test_towers_find_groups_in_histories_never_seen(layers):
    model = TwoTowerRecommender(**{**QUICK, "layers": layers, "iterations": 40}).fit(groups())
    assert share_of_own_group(model) > 0.9
    assert share_of_own_group(model, X=groups(seed=1)) > 0.9
    scores = model.transform(groups()) @ model.item_factors_.T
    np.testing.assert_allclose(model.predict_pairs(5, range(45)), scores[5], rtol=1e-5, atol=1e-5)


def test_cold_items_are_found_by_their_features():
    X = groups().toarray()
    X[:, 42:] = 0
    features = np.eye(3)[np.arange(45) % 3]
    model = TwoTowerRecommender(**{**QUICK, "iterations": 40}).fit(X, item_features=features)
    scores = model.user_factors_[:9] @ model.item_factors_[42:].T
    assert (scores.argmax(axis=1) == np.arange(9) % 3).all()
    assert (model.recommend(range(60), 45, exclude_seen=False).codes == 43).any()
    without = TwoTowerRecommender(**QUICK).fit(X)
    assert not np.isin([42, 43, 44], without.recommend(range(60), 45, exclude_seen=False).codes).any()
    with pytest.raises(ValueError, match="item_features must have a row for each of 45 items, got 44"):
        TwoTowerRecommender(**QUICK).fit(X, item_features=features[:44])
    sparse = TwoTowerRecommender(**{**QUICK, "iterations": 40}).fit(X, item_features=sp.csr_array(features))
    np.testing.assert_array_equal(sparse.item_factors_, model.item_factors_)


def test_drawn_items_do_where_there_are_more():
    model = TwoTowerRecommender(**{**QUICK, "iterations": 40}, negatives=12).fit(groups())
    assert share_of_own_group(model) > 0.85


def test_gradients_of_towers_and_cross_entropy_are_those_of_finite_differences():
    rng = np.random.default_rng(0)
    tower = Tower([16, 32, 16], 0)
    flat = rng.normal(size=tower.end).astype("f4") * 0.3
    x = rng.normal(size=(5, 16)).astype("f4")
    items = rng.normal(size=(7, 16)).astype("f4")
    weights = (rng.random((5, 7)) < 0.4) * rng.integers(1, 4, (5, 7)).astype("f4")
    weights[2] = 0

    def lost(flat, x):
        kernels = [tower.layer(flat, index) for index in range(2)]
        h = np.maximum(x @ kernels[0][0] + kernels[0][1], 0) @ kernels[1][0] + kernels[1][1]
        s = h @ items.T.astype("f8")
        log = s - s.max(1, keepdims=True)
        log = log - np.log(np.exp(log).sum(1, keepdims=True))
        return -(weights / np.maximum(weights.sum(1, keepdims=True), 1e-9) * log).sum()

    outputs = tower.forward(flat, x)
    found, errors = cross_entropy(outputs[-1] @ items.T, weights)
    slopes = np.zeros_like(flat)
    by_input = tower.backward(flat, outputs, errors @ items, slopes)
    point = flat.astype("f8"), x.astype("f8")
    assert found == pytest.approx(lost(*point), rel=1e-5)
    np.testing.assert_allclose(slopes, reference.slopes(lambda p: lost(p, point[1]), point[0]), atol=1e-4)
    np.testing.assert_allclose(by_input, reference.slopes(lambda p: lost(point[0], p), point[1]), atol=1e-4)
