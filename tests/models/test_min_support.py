"""`min_support` leaves out items of fewer users, and nothing else changes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastrec as fr
from fastrec.models.composed.compressed import Compressed
from tests.reference import neighbors as reference

SEEDS, LEAST = st.integers(0, 2**32 - 1), st.integers(1, 6)


def random_data(seed, n_users=25, n_items=12):
    """Returns values from 1 on, popular and rare items, and the number of users of each pair of items."""
    rng = np.random.default_rng(seed)
    chances = rng.random(n_items) ** 2
    X = (rng.random((n_users, n_items)) < chances) * rng.integers(1, 5, (n_users, n_items)).astype(np.float32)
    X[0, 0] = 1
    return X, reference.count_shared(X.T, X)


def dense(weights):
    return weights if isinstance(weights, np.ndarray) else weights.toarray()


@settings(max_examples=30, deadline=None)
@given(SEEDS, LEAST, st.sampled_from(["cosine", "jaccard", "tfidf", "bm25", "sppmi", "rp3beta"]))
def test_item_knn_keeps_the_nearest_of_those_with_support(seed, least, similarity):
    X, users = random_data(seed)
    every = fr.ItemKNN(12, similarity=similarity, n_jobs=1).fit(X)
    found = dense(fr.ItemKNN(3, similarity=similarity, min_support=least, n_jobs=1).fit(X).weights_)
    allowed = np.where(users >= least, dense(every.weights_), 0)
    by_row = similarity in ("sppmi", "rp3beta")
    expected = reference.keep_best(allowed if by_row else allowed.T, 3)
    np.testing.assert_allclose(found, expected if by_row else expected.T, rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(SEEDS, LEAST, st.sampled_from(["dense", "sparse"]), st.sampled_from([0.0, 0.5]))
def test_ease_has_no_weight_without_support(seed, least, method, relaxation):
    X, users = random_data(seed)
    users += 100 * (least == 1)  # it asks for nothing: pairs without users have weights, too
    options = {"method": method, "relaxation": relaxation, "n_jobs": 1, "regularization": 2.0}
    weights = dense(fr.EASE(min_support=least, **options).fit(X).weights_)
    assert not weights[users < least].any()
    if method == "dense":
        whole = fr.EASE(**options).fit(X).weights_
        np.testing.assert_array_equal(weights, np.where(users >= least, whole, 0))


@settings(max_examples=30, deadline=None)
@given(SEEDS, LEAST, st.integers(1, 5), st.sampled_from([0.0, 0.5]))
def test_rules_count_the_users_who_went_from_item_to_item(seed, least, window, before):
    rng = np.random.default_rng(seed)
    X = np.where(rng.random((25, 12)) < 0.4, rng.permuted(np.tile(np.arange(1.0, 13), (25, 1)), axis=1), 0)
    users = np.zeros((12, 12), int)
    for row in X:
        history = [int(item) for item in np.argsort(row) if row[item]]
        for place, item in enumerate(history):
            users[item, history[place + 1 : place + 1 + window]] += 1
            users[history[place + 1 : place + 1 + window], item] += before > 0
    options = {"before": before, "n_jobs": 1}
    whole = fr.SequenceRules(window, **options).fit(X)
    model = fr.SequenceRules(window, min_support=least, **options).fit(X)
    np.testing.assert_array_equal(
        model.weights_.toarray(), np.where(users >= least, whole.weights_.toarray(), 0).astype(np.float32)
    )
    more = np.zeros_like(X)
    more[:5] = rng.permuted(np.tile(np.arange(1.0, 13), (5, 1)), axis=1)
    updated, refitted = model.partial_fit(more), fr.SequenceRules(window, min_support=least, **options)
    refitted.fit(fr.Interactions(*_events_of(updated), times=updated.order_.astype(np.int64), items=range(12)))
    np.testing.assert_array_equal(updated.weights_.toarray(), refitted.weights_.toarray())


def _events_of(model):
    cells = model.seen_.tocoo()
    return cells.row, cells.col


KINDS = {
    "Popularity": lambda least: fr.Popularity(min_support=least),
    "ItemKNN": lambda least: fr.ItemKNN(min_support=least),
    "EASE": lambda least: fr.EASE(2.0, min_support=least),
    "SequenceRules": lambda least: fr.SequenceRules(min_support=least),
    "Blend": lambda least: fr.Blend([fr.ItemKNN(min_support=least), fr.EASE(2.0, min_support=least)], weights=[1, 1]),
    "Reranked": lambda least: fr.Reranked(fr.ItemKNN(min_support=least), lambda top, k, histories: top),
    "compressed": lambda least: fr.EASE(2.0, min_support=least),
}


@settings(max_examples=15, deadline=None)
@given(SEEDS, LEAST)
@pytest.mark.parametrize("kind", KINDS)
def test_no_item_and_no_pair_is_given_that_fewer_users_had(kind, seed, least):
    X, users = random_data(seed)
    model = KINDS[kind](least).fit(X)
    model = fr.compress(model, "float16") if kind == "compressed" else model
    few = np.flatnonzero(users.diagonal() < least)
    nobody = np.zeros((1, 12), np.float32)
    assert (model.told_counts() == np.where(users.diagonal() >= least, users.diagonal(), 0)).all()
    for asked in (X, nobody):  # the lists of the model, and of popular items
        lists = model.recommend(asked, 12, exclude_seen=False).codes
        assert not np.isin(lists, few).any()
    users += 100 * (least == 1 and kind in ("EASE", "compressed"))  # pairs without users have weights, too
    similar = model.similar_items(range(12), 12).codes
    for item, row in enumerate(similar):
        assert (users[item, row[row >= 0]] >= least).all()
    if kind in ("Popularity", "SequenceRules"):  # an item that no history leads to is scored by its users
        assert not model.predict_pairs(nobody, few).any()
    if kind in ("ItemKNN", "EASE"):
        for item in range(12):
            reasons = model.explain(X[:1], item)
            assert not reasons.contributions[users[item, reasons.items] < least].any()


def test_one_user_is_enough_unless_more_are_asked_for():
    X, _ = random_data(0)
    for kind in (fr.ItemKNN, fr.EASE):
        np.testing.assert_array_equal(dense(kind().fit(X).weights_), dense(kind(min_support=1).fit(X).weights_))
        with pytest.raises(ValueError, match=f"{kind.__name__}.min_support must be an integer of at least 1, got 0"):
            kind(min_support=0).fit(X)


def test_a_blend_asks_for_what_all_its_members_ask_for():
    X, _ = random_data(0)
    blend = fr.Blend([fr.ItemKNN(min_support=5), fr.EASE(min_support=3)], weights=[1, 1])
    assert blend.min_support == 3
    assert fr.Blend([fr.ItemKNN(min_support=5), fr.EASE()]).min_support == 1
    assert not isinstance(blend, Compressed)
    assert fr.compress(fr.EASE(min_support=3).fit(X)).min_support == 3


def test_it_survives_files_and_stripping_takes_away_the_counts_of_few(tmp_path):
    X, users = random_data(3)
    model = fr.ItemKNN(min_support=4).fit(X)
    assert (model.item_counts_ == users.diagonal()).all()
    stripped = fr.strip(model)
    stripped.save(tmp_path / "m.fastrec")
    again = fr.load(tmp_path / "m.fastrec")
    assert (model.item_counts_ > 0).sum() > (again.item_counts_ > 0).sum()
    assert not ((again.item_counts_ > 0) & (again.item_counts_ < 4)).any()
    np.testing.assert_array_equal(again.recommend(X, 5).codes, model.recommend(model.seen_, 5).codes)


def test_popularity_with_a_half_life_needs_support_too():
    data = fr.Interactions([0, 1, 2, 0], [0, 0, 0, 1], times=[1, 20, 300, 4000])
    model = fr.Popularity(half_life=100, min_support=2).fit(data)
    assert model.item_scores_[0] > 0 == model.item_scores_[1]
    model.partial_fit(fr.Interactions([1], [1], times=[5000]))
    assert model.item_scores_[1] > 0
