import numpy as np

from fastrec.models import EASE
from fastrec.models.base.audience import Audience
from fastrec.models.base.item_filter import ItemFilter
from fastrec.models.composed.views import View, best_of, each_once


def test_helpers():
    rows = np.array([[3, 1, 3, -1], [0, 0, 0, 0]], np.int32)
    assert each_once(rows).tolist() == [[-1, 1, 3, -1], [0, -1, -1, -1]]
    assert each_once(rows[:1]).tolist() == [[1, 3]]
    codes, scores = best_of(np.array([[-1, 1, 2, 5]], np.int32), np.array([[9.0, 1.0, 4.0, 4.0]]), 5)
    assert codes.tolist() == [[2, 5, 1, -1, -1]]
    assert scores[0, :3].tolist() == [4, 4, 1]


def test_scores_are_compared_with_the_list_of_what_was_not_seen():
    X = np.kron(np.eye(2), np.ones((6, 4)))
    X[0, 0] = 0
    model = EASE(regularization=1.0).fit(X)
    view = View(model, Audience.of_users(model, np.array([0], np.int32)), 3)
    scores = model.predict_pairs(0, range(8)).astype(float)
    open_scores = np.sort(np.delete(scores, [1, 2, 3]))[::-1][:3]
    np.testing.assert_allclose(view.list[0], open_scores[::-1])
    every = view.at(np.arange(8, dtype=np.int32)[None])
    np.testing.assert_allclose(view.in_spans(every)[0], scores / (open_scores[0] - open_scores[-1]), rtol=1e-6)
    assert view.count_above(every)[0].tolist() == [int((open_scores > score).sum()) for score in scores]


def test_the_list_is_asked_for_once_where_the_same_is_wanted():
    X = np.kron(np.eye(2), np.ones((6, 4)))
    X[:2, 0] = 0
    model = EASE(regularization=1.0).fit(X)
    for users in ([0], [0, 1]):
        audience = Audience.of_users(model, np.array(users, np.int32))
        view = View(model, audience, 3)
        assert view.best(3, model.item_filter(audience)) is view.codes
        for wanted in (model.item_filter(audience, deny=[0]), model.item_filter(audience, exclude_seen=False)):
            np.testing.assert_array_equal(view.best(3, wanted), view.scores.best(3, wanted)[0])
        assert view.best(2, ItemFilter()).shape == (len(users), 2)
