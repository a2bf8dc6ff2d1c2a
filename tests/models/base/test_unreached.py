"""Popularity that stands below a model's own scores."""

import numpy as np

from fastrec.models import Popularity
from fastrec.models.base.unreached import faint_popularity


def test_the_most_popular_item_has_the_highest_score_and_items_without_users_none():
    model = Popularity().fit([[1, 1, 0], [0, 1, 0]])
    np.testing.assert_allclose(faint_popularity(model, 1e-6), [5e-7, 1e-6, 0], rtol=1e-6)


def test_it_follows_the_data():
    model = Popularity().fit([[1, 1, 0], [0, 1, 0]])
    faint_popularity(model, 1.0)
    model.partial_fit([[0, 0, 1], [0, 0, 1]])
    assert faint_popularity(model, 1.0).tolist() == [0.5, 1, 1]
