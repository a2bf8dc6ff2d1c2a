"""Users as callers name them."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastrec.data import Interactions
from fastrec.models import Popularity


def random_matrix(n_users=40, n_items=30, seed=0):
    return sp.random_array((n_users, n_items), density=0.2, rng=seed, format="csr", dtype=np.float32)


def test_single_ids_of_all_kinds_are_one_user():
    coded = Popularity().fit(random_matrix())
    for user in (3, np.int32(3), [3], (3,), range(3, 4), np.array(3), np.array([3], np.uint8)):
        assert coded.recommend(user).users.tolist() == [3]
    named = Popularity().fit(Interactions([0, 1], [0, 1], users=["a", "b"], items=[5, 6]))
    for user in ("b", np.str_("b"), ["b"], ("b",), np.array(["b"]), np.array(["b"], object)):
        top = named.recommend(user)
        assert top.users.tolist() == ["b"]
        assert top.items[0, 0] == 5


def test_frames_columns_are_ids():
    pandas = pytest.importorskip("pandas")
    named = Popularity().fit(Interactions([0, 1], [0, 1], users=["a", "b"], items=[5, 6]))
    column = pandas.Series(["b", "a"], index=[7, 9])
    assert named.recommend(column).users.tolist() == ["b", "a"]
    assert named.predict_pairs(column, pandas.Series([5, 6])).tolist() == [1, 1]


def test_histories_by_interactions_are_of_anybody():
    model = Popularity().fit(Interactions([0, 1], [0, 1], users=["a", "b"], items=["x", "y"]))
    new = Interactions([0], [1], users=["stranger"], items=model.items_)
    top = model.recommend(new)
    assert top.users.tolist() == ["stranger"]
    assert top.items[0, 0] == "x"
