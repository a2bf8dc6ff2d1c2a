"""Items as callers name them."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastrec.data import Interactions, Vocabulary
from fastrec.models import EASE, ImplicitALS, ItemKNN, Popularity, SequenceRules, UserKNN


def random_matrix(n_users=40, n_items=30, seed=0):
    return sp.random_array((n_users, n_items), density=0.2, rng=seed, format="csr", dtype=np.float32)


def test_filters_that_mix_ids_and_lists_are_refused():
    model = Popularity().fit(Interactions([0, 1], [0, 1], users=["a", "b"], items=["x", "yz"]))
    with pytest.raises(TypeError, match="deny must be ids of items for all users, or a list of them for each user"):
        model.recommend(["a", "b"], deny=[["x"], "yz"])


def test_sets_and_generators_are_lists():
    model = Popularity().fit(random_matrix())
    assert model.recommend({3}).users.tolist() == [3]
    assert model.recommend(user for user in (3, 5)).users.tolist() == [3, 5]
    expected = model.recommend([3, 5], deny=[[1, 2], [4]]).codes
    np.testing.assert_array_equal(model.recommend([3, 5], deny=({1, 2}, (4,))).codes, expected)


def test_histories_by_ids():
    data = Interactions([0, 0, 1], [0, 1, 1], users=Vocabulary(["a", "b"]), items=Vocabulary(["x", "y"]))
    model = Popularity().fit(data)
    assert model.histories([["y", "y"], [], ["x", "y"]]).toarray().tolist() == [[0, 1], [0, 0], [1, 1]]
    assert model.histories([["z", "x"]], on_unknown="skip").toarray().tolist() == [[1, 0]]
    assert model.recommend(model.histories([["x"]]), k=1).items.tolist() == [["y"]]
    with pytest.raises(ValueError, match="'z'"):
        model.histories([["z"]])


@pytest.mark.parametrize("make", [ImplicitALS, EASE, ItemKNN, UserKNN, SequenceRules])
@pytest.mark.parametrize("recency", [1.0, 0.8])
def test_histories_by_mappings_have_values(make, recency):
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((30, 8)) < 0.5)
    names = [f"i{code}" for code in range(8)]
    data = Interactions(users, items, rng.integers(1, 9, len(users)), times=np.arange(len(users)), items=names)
    options = {"recency": recency} if "recency" in make().get_params() else {}
    model = make(**options).fit(data)
    mixed = model.histories(
        [{"elsewhere": 7.0, "i5": 3.0, "i2": 9.0}, ["i2"], {}, {"i2": 2.0, "nowhere": 1.0}], on_unknown="skip"
    )
    given = Interactions([0, 0, 1, 3], [5, 2, 2, 2], [3, 9, 1, 2], times=[0, 1, 2, 3], users=range(4), items=names)
    np.testing.assert_array_equal(mixed.matrix.toarray(), given.matrix.toarray())
    assert model.recommend(mixed, k=3).codes.tolist() == model.recommend(given, k=3).codes.tolist()


@pytest.mark.parametrize("items", [["i01", "i02"], [1, 2], {"i01": 2.0}])
def test_histories_are_a_list_for_each_user(items):
    model = Popularity().fit(Interactions([0, 1], [0, 1], items=["i01", "i02"]))
    with pytest.raises(TypeError, match=r"items must be a list of items for each user, .* in place of a list"):
        model.histories(items)
