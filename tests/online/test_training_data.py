"""The data that a new model is made of."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastrec.data import Interactions
from fastrec.models import (
    ContentRecommender,
    ExplicitALS,
    ImplicitALS,
    PrivatePopularity,
)
from fastrec.online import Updater, Versions
from fastrec.online.training_data import check_refittable
from tests.online.following import data, same_models


def test_a_refit_is_that_of_all_the_data(model, journal, tmp_path):
    versions = Versions(tmp_path / "models")
    versions.publish(model)
    updater = Updater(versions, journal)
    journal.append([("u1", "i3"), ("n", "fresh"), ("u1", "i3")])
    model = updater.refit().model
    cells = data()
    users, items = cells.users.extended(["n"]), cells.items.extended(["fresh"])
    whole = Interactions(
        np.append(cells.user_codes, [1, 40, 1]), np.append(cells.item_codes, [3, 25, 3]),
        np.append(cells.values, [1, 1, 1]), users=users, items=items, duplicates="sum",
    )  # fmt: skip
    same_models(model, ImplicitALS(factors=4, iterations=4, random_state=0, n_jobs=1).fit(whole))
    assert list(model.item_info_["title"])[-2:] == ["Film 24", ""]
    with pytest.raises(TypeError, match="Versions"):
        Updater(model).refit()


def test_a_refit_keeps_what_the_model_was_told_about_items_and_users(journal, tmp_path):
    features = np.kron(np.eye(5), np.ones((5, 1)))
    content = ContentRecommender().fit(data(), item_features=features)
    als = ImplicitALS(factors=4, iterations=3, random_state=0).fit(data(), item_features=features)
    journal.append([("u1", "i3"), ("n", "fresh")])
    for number, one in enumerate((content, als)):
        versions = Versions(tmp_path / str(number))
        versions.publish(one)
        after = Updater(versions, journal).refit().model
        kept = sp.csr_array(after.item_features_).toarray()
        np.testing.assert_allclose(kept[:25], sp.csr_array(one.item_features_).toarray(), rtol=1e-6)
        assert not kept[25].any()
    assert after.item_map_.shape == als.item_map_.shape


def test_the_last_rating_counts(journal):
    rated = Interactions([0, 0, 1], [0, 1, 1], [5, 3, 4], users=["a", "b"], items=["x", "y"])
    updater = Updater(ExplicitALS(2, random_state=0).fit(rated), journal)
    journal.append([("a", "x", 1.0), ("a", "x", 2.0)])
    assert updater.catch_up().history("a").values.tolist() == [2, 3]
    assert Updater(updater.snapshot.model, journal, policy="sum").snapshot.history("a").values.tolist() == [8, 3]


def test_a_private_model_is_not_refitted_to_the_journal_alone():
    model = PrivatePopularity(5.0, 1e-3).fit(data())
    with pytest.raises(TypeError, match="PrivatePopularity keeps no users, so it cannot be fitted again"):
        check_refittable(model)
