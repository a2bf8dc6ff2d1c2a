"""Stripped models hold nothing of any user, and answer histories as the whole model does."""

import copy

import numpy as np
import pytest

import fastrec as fr
from fastrec.models import UserKNN, estimators, strip
from fastrec.retrieval.diversity import GroupCap
from tests.test_estimators import in_order, quick

KINDS = [kind for kind in estimators().values() if kind.__module__.startswith("fastrec.models.")]
STRIPPED = [kind for kind in KINDS if not kind.reads_others and kind.keeps_users]
every = pytest.mark.parametrize("kind", STRIPPED, ids=lambda kind: kind.__name__)
USERS = [f"user-{code}-xyzzy" for code in range(40)]
ITEMS = [f"item{code}" for code in range(12)]
# Histories of no user in the training data: a network answers those of its own users by what it learned of them.
ASKED = [["item1", "item5"], ["item3"], ["item0", "item2", "item4", "item7", "item9", "item10"], []]


def make_data():
    rng = np.random.default_rng(0)
    cells = np.argwhere(rng.random((40, 12)) < 0.4)
    return fr.Interactions(cells[:, 0], cells[:, 1], rng.integers(1, 6, len(cells)), users=USERS, items=ITEMS)


def fitted(kind):
    # The default members of models made of models have a graph of users among them.
    members = [fr.ItemKNN(), fr.EASE()]
    made = {fr.Blend: fr.Blend(members, weights=[0.5, 0.5]), fr.TwoStage: fr.TwoStage(members, random_state=0)}
    model = made[kind] if kind in made else quick(kind)
    return model.fit(in_order(kind, make_data()))


def assert_answers_alike(first, second):
    histories = first.histories(ASKED)
    one, other = first.recommend(histories, 5), second.recommend(histories, 5)
    np.testing.assert_array_equal(one.codes, other.codes)
    np.testing.assert_array_equal(one.scores, other.scores)
    np.testing.assert_array_equal(one.items, other.items)
    pairs = [model.predict_pairs(histories[:3], ITEMS[:3]) for model in (first, second)]
    np.testing.assert_array_equal(*pairs)
    if "explain" in first.capabilities:
        told = [model.explain(histories[:1], "item7").contributions for model in (first, second)]
        np.testing.assert_array_equal(*told)


@every
def test_histories_are_answered_as_by_the_whole_model_after_save_and_load_too(kind, tmp_path):
    model = fitted(kind)
    before = copy.copy(vars(model))
    stripped = fr.strip(model)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())
    assert_answers_alike(model, stripped)
    stripped.save(tmp_path / "m.fastrec")
    again = fr.load(tmp_path / "m.fastrec")
    assert_answers_alike(model, again)
    for one in (stripped, again, copy.copy(again)):
        assert not one.has_users
        assert not one.keeps_users
        assert not {"partial_fit", "similar_users"} & one.capabilities
    content = (tmp_path / "m.fastrec").read_bytes()
    for user in ("user-", "-xyzzy"):
        assert all(user.encode(how) not in content for how in ("utf-8", "utf-16-le", "utf-16-be"))
    assert b"item3" in content


@every
def test_nothing_is_left_that_has_a_row_for_each_user_or_event(kind):
    model = fitted(kind)
    events = int(model.seen_.nnz)
    for one in all_models(fr.strip(model)):
        for name, value in vars(one).items():
            sizes = getattr(value, "shape", ())
            assert not {40, events} & set(sizes), name
        assert one.users_ is None or len(one.users_) == 0


def all_models(model):
    yield model
    for name in ("members_", "inner_", "origin_"):
        for inner in vars(model).get(name, ()):
            yield from all_models(inner)


@every
def test_requests_that_need_users_say_that_there_are_none_and_how_to_go_on(kind, tmp_path):
    stripped = fr.strip(fitted(kind))
    words = "keeps no users, so it knows no user 'user-3-xyzzy': give their histories"
    with pytest.raises(ValueError, match=words):
        stripped.recommend("user-3-xyzzy")
    with pytest.raises(ValueError, match=words):
        stripped.predict_pairs(["user-3-xyzzy"], ["item1"])
    with pytest.raises(ValueError, match="keeps no users, so there are none to write recommendations for"):
        stripped.recommend_to(tmp_path / "all.csv")
    if hasattr(kind, "update_users"):
        for update in (
            lambda: stripped.partial_fit(in_order(kind, make_data())),
            lambda: stripped.update_users(["new"], stripped.histories([["item1"]])),
            lambda: stripped.update_items(["item1"], np.zeros((1, 0))),
        ):
            with pytest.raises(ValueError, match="keeps no users, so it cannot be updated: update the original model"):
                update()
    if hasattr(kind, "similar_users"):
        with pytest.raises(ValueError, match="keeps no users, so it has no users that could be similar"):
            stripped.similar_users(stripped.histories([["item1"]]))
    with pytest.raises(ValueError, match="nothing is held about the user"):
        fr.export_user(stripped, "user-3-xyzzy")
    with pytest.raises(ValueError, match="give their items as histories="):
        fr.evaluate(stripped, make_data(), exclude_seen=False)


@every
def test_unknown_users_are_shown_what_is_popular_or_left_out_where_that_is_asked_for(kind):
    stripped = fr.strip(fitted(kind))
    top = stripped.recommend(["a", "b"], 2, on_unknown="popular")
    assert top.fallback.all()
    best = np.argsort(-stripped.item_counts_, kind="stable")[:2]
    assert top.codes.tolist() == [best.tolist()] * 2
    assert stripped.recommend(["a", "b"], 2, on_unknown="skip").codes.shape == (0, 2)
    assert stripped.recommend([], 2).codes.shape == (0, 2)


@every
def test_a_fit_makes_it_an_ordinary_model_again(kind):
    data = in_order(kind, make_data())
    model = fitted(kind)
    again = fr.strip(model).fit(data)
    assert again.has_users
    assert again.keeps_users
    assert again.capabilities == model.capabilities
    np.testing.assert_array_equal(again.recommend(USERS, 3).codes, model.recommend(USERS, 3).codes)


def test_models_that_are_made_of_users_cannot_be_stripped():
    for kind in (UserKNN, fr.SequenceKNN, fr.GraphFilter):
        with pytest.raises(TypeError, match=f"{kind.__name__} cannot be stripped: its answers come from"):
            fr.strip(fitted(kind))
    blend = fr.Blend([fr.EASE(), UserKNN()], weights=[1, 1]).fit(make_data())
    with pytest.raises(TypeError, match="UserKNN cannot be stripped"):
        fr.strip(blend)
    with pytest.raises(TypeError, match="strip takes a fitted model"):
        strip("model.fastrec")


def test_a_model_without_ids_is_stripped_too():
    model = fr.EASE().fit(make_data().matrix)
    stripped = fr.strip(model)
    with pytest.raises(ValueError, match="it knows no user 3"):
        stripped.recommend([3], on_unknown="popular")
    asked = np.eye(12)
    np.testing.assert_array_equal(stripped.recommend(asked, 3).codes, model.recommend(asked, 3).codes)


def test_similar_items_need_weights_or_vectors():
    for model in (fr.ItemKNN(), fr.ImplicitALS(factors=4, random_state=0)):
        model.fit(make_data())
        np.testing.assert_array_equal(
            fr.strip(model).similar_items(ITEMS, 3).codes, model.similar_items(ITEMS, 3).codes
        )
    with pytest.raises(ValueError, match="scores of items are the same for the same users: ask a model with weights"):
        fr.strip(fr.Popularity().fit(make_data())).similar_items("item1")


@pytest.mark.parametrize("model", [
    fr.Reranked(fr.ImplicitALS(factors=4, random_state=0), GroupCap(1, groups=list("aabbccddeeff"))),
    fr.Reranked(fr.ItemKNN(), lambda top, k, histories: top),
    fr.Blend([fr.ImplicitALS(factors=4, random_state=0), fr.SequenceRules()], weights=[1, 1]),
    fr.Pipeline([("capped", fr.LogWeight()), ("als", fr.ImplicitALS(factors=4, random_state=0))]),
], ids=["rule", "function", "order", "pipeline"])  # fmt: skip
def test_models_made_of_models_are_stripped_with_all_of_them(model):
    data = in_order(fr.SequenceRules, make_data())
    model.fit(data)
    stripped = fr.strip(model)
    assert all(not one.has_users and one.users_ is stripped.users_ for one in all_models(stripped))
    assert model.has_users
    histories = stripped.histories(ASKED)
    k = 12 if callable(getattr(model, "rule", None)) and not isinstance(model.rule, GroupCap) else 5
    np.testing.assert_array_equal(stripped.recommend(histories, k).codes, model.recommend(histories, k).codes)


def test_features_of_users_go_and_what_was_learned_of_features_stays():
    features = np.random.default_rng(1).random((40, 3)).astype(np.float32)
    model = fr.ImplicitALS(factors=4, random_state=0).fit(make_data(), user_features=features)
    stripped = fr.strip(model)
    assert stripped.user_features_.shape == (0, 3)
    np.testing.assert_array_equal(stripped.user_vectors(features), model.user_vectors(features))
    assert_answers_alike(model, stripped)
