"""Users that a checkpoint takes out of models."""

import numpy as np
import pytest

import fastrec as fr
from fastrec.online import Journal, Updater, Versions
from fastrec.online.forgetting import empty_users, find_obstacle, hide_ids
from tests.online.following import ITEMS, data


@pytest.mark.parametrize("kind", [fr.EASE, fr.Popularity, fr.ImplicitALS])
@pytest.mark.parametrize("way", ["checkpoint", "refit"])
def test_an_update_leaves_nothing_of_a_deleted_user_in_any_file(kind, way, tmp_path):
    given = data()._replace(users=fr.Vocabulary([f"person number {n}" for n in range(40)]))
    options = {"factors": 4, "random_state": 0} if kind is fr.ImplicitALS else {}
    versions, journal = Versions(tmp_path / "versions"), Journal(tmp_path / "events.db")
    versions.publish(kind(**options).fit(given))
    updater = Updater(versions, journal)
    journal.append([("person number 7", ITEMS[0]), ("person number 8", ITEMS[1])])
    updater.checkpoint()
    journal.delete_user("person number 7")
    assert any(b"person number 7" in path.read_bytes() for path in tmp_path.rglob("v*.fastrec"))
    getattr(updater, way)()
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"person number 7" in path.read_bytes()]
    model = versions.load().model
    assert model.seen_[[7]].nnz == 0
    assert "person number 8" in model.users_
    before = model.item_counts_.copy()
    journal.append([("person number 7", ITEMS[0])])  # a user who comes back is a new one
    updater.checkpoint()
    assert versions.load().model.users_.ids.tolist().count("person number 7") == 1
    assert versions.load().model.item_counts_[0] == before[0] + 1
    journal.close()


def test_weights_of_a_checkpoint_are_those_of_a_fit_without_the_user(tmp_path):
    versions, journal = Versions(tmp_path / "versions"), Journal(tmp_path / "events.db")
    versions.publish(fr.EASE().fit(data()))
    updater = Updater(versions, journal)
    journal.delete_user("u3")
    updater.checkpoint()
    expected = fr.EASE().fit(empty_users(data(), [3]))
    np.testing.assert_array_equal(versions.load().model.weights_, expected.weights_)
    journal.close()


def test_places_of_the_gone_have_ids_that_nobody_has():
    hidden = hide_ids(fr.Vocabulary(["a", "(forgotten 0)"]), [0])
    assert hidden.ids.tolist() == ["(forgotten 0)'", "(forgotten 0)"]


def test_obstacles_are_named():
    model = fr.ImplicitALS(factors=2, random_state=0).fit(data())
    assert find_obstacle(model) is None
    assert "made from another model" in find_obstacle(fr.compress(model))
    assert "times" in find_obstacle(fr.Item2Vec())
