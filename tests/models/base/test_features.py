"""Models with features of items and users: cold items and users, files, new items."""

import copy

import numpy as np
import pytest
import scipy.sparse as sp

from fastrec.data import Interactions
from fastrec.models import ImplicitALS, SGDFactorization, load

LOSSES = ("bpr", "warp", "logistic", "squared")


def groups(cold_items=(0, 7), cold_users=(3, 45)):
    """Returns two groups of users with items of their own, some without events; features tell the group, and noise."""
    rng = np.random.default_rng(0)
    X = np.kron(np.eye(2), rng.random((30, 7)) < 0.7) * 1.0
    X[:, list(cold_items)] = 0
    X[list(cold_users)] = 0
    features = [np.kron(np.eye(2), np.ones((n, 1))) for n in (7, 30)]
    return X, *(np.hstack([known, rng.random((len(known), 1))]) for known in features)


def models(**options):
    quick = dict(factors=4, iterations=30, random_state=0, n_jobs=1)
    longer = {"squared": dict(iterations=60)}  # few ratings are known
    sgd = [SGDFactorization(loss=loss, **{**quick, **longer.get(loss, {}), **options}) for loss in LOSSES]
    return [ImplicitALS(**{**quick, **options}), *sgd]


every = pytest.mark.parametrize("model", models(), ids=lambda model: getattr(model, "loss", "als"))


def fit(model, X, **features):
    if getattr(model, "loss", "") == "squared":  # ratings: 5 in the group, 1 elsewhere
        seen = np.random.default_rng(1).random(X.shape) < 0.4
        rated = np.where(seen, np.where(X > 0, 5.0, 1.0), 0)
        rated[:, ~X.any(axis=0)] = 0
        rated[~X.any(axis=1)] = 0
        X = rated
    return model.fit(X, **features)


# -- items and users without events


@every
def test_cold_items_and_users_are_answered_by_their_features(model):
    X, items, users = groups()
    fit(model, X, item_features=items, user_features=users)
    top = model.recommend(range(60), 7, exclude_seen=False)
    groups_found = np.where(top.codes < 7, 0, 1)
    own = np.repeat([0, 1], 30)
    assert not top.fallback.any()
    assert (groups_found[[3, 45]] == own[[3, 45], None]).mean() > 0.8
    scores = model.user_factors_ @ model.item_factors_.T
    assert (scores[:30, 0] > scores[:30, 7]).mean() > 0.8
    assert (scores[30:, 7] > scores[30:, 0]).mean() > 0.8
    assert np.isin([0, 7], top.codes).all()


@every
@pytest.mark.parametrize("side", ["item", "user"])
def test_new_ones_have_vectors_after_the_fit(model, side):
    X, items, users = groups()
    features = {"item": items, "user": users}[side]
    fit(model, X, **{f"{side}_features": features})
    cold = {"item": [0, 7], "user": [3, 45]}[side]
    vectors = getattr(model, f"{side}_vectors")(sp.csc_array(features[cold]))
    learned = getattr(model, f"{side}_factors_")[cold]
    np.testing.assert_allclose(vectors, learned, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="columns"):
        getattr(model, f"{side}_vectors")(features[:, :1])
    other = "user" if side == "item" else "item"
    with pytest.raises(ValueError, match=f"fitted without {other}_features"):
        getattr(model, f"{other}_vectors")(features)


@every
def test_users_are_folded_in_with_their_features(model):
    X, _, users = groups()
    fit(model, X, user_features=users)
    np.testing.assert_array_equal(model.transform(model.seen_, user_features=users), model.user_factors_)
    assert not np.array_equal(model.transform(model.seen_), model.user_factors_)
    nobody = model.transform(np.zeros((2, 14)), user_features=users[[3, 45]])
    np.testing.assert_allclose(nobody, model.user_factors_[[3, 45]], rtol=1e-4, atol=1e-5)


@every
@pytest.mark.parametrize("dense", [True, False])
def test_files_threads_and_forms_change_no_bit(model, dense, tmp_path):
    X, items, users = groups()
    fit(model, X, item_features=items, user_features=users)
    before = model.user_factors_, model.item_factors_, model.item_map_
    model.save(tmp_path / "m")
    again = load(tmp_path / "m")
    np.testing.assert_array_equal(again.item_vectors(items), model.item_vectors(items))
    np.testing.assert_array_equal(again.recommend(range(60), 5).codes, model.recommend(range(60), 5).codes)
    form = np.asarray if dense else sp.coo_array
    fit(model.set_params(n_jobs=2), X, item_features=form(items), user_features=form(users))
    for a, b in zip(before, (model.user_factors_, model.item_factors_, model.item_map_), strict=True):
        np.testing.assert_array_equal(a, b)


@every
def test_items_without_features_or_events_are_never_recommended(model):
    X, items, _ = groups()
    items[7] = 0
    fit(model, X, item_features=items)
    codes = model.recommend(range(60), 14, exclude_seen=False).codes
    assert 0 in codes
    assert 7 not in codes


@every
def test_users_without_features_or_history_get_what_is_popular(model):
    X, _, users = groups()
    users[45] = 0
    fit(model, X, user_features=users)
    assert model.recommend([3, 45, 0]).fallback.tolist() == [False, True, False]
    with pytest.raises(ValueError, match="45 has no history"):
        model.recommend([3, 45], on_empty="error")


@every
@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.ones((3, 2)), "a row for each of 14 items, got 3"),
        (np.full((14, 2), np.nan), "item_features contains NaN in row 0"),
        (np.ones(14), "item_features"),
    ],
)
def test_features_that_do_not_fit_are_refused(model, features, message):
    with pytest.raises(ValueError, match=message):
        fit(model, groups()[0], item_features=features)


# -- stochastic gradients


@pytest.mark.parametrize("loss", ["ccl", "softmax"])
def test_unit_vectors_have_no_features(loss):
    X, items, _ = groups()
    with pytest.raises(ValueError, match="without unit vectors"):
        SGDFactorization(4, loss=loss).fit(X, item_features=items)


@pytest.mark.parametrize("optimizer", ["sgd", "adagrad", "adam"])
def test_without_identity_rows_of_like_features_are_alike(optimizer):
    X, items, users = groups()
    items[:, 2] = users[:, 2] = 0
    model = SGDFactorization(4, identity=False, optimizer=optimizer, iterations=5, random_state=0)
    model.fit(X, item_features=items, user_features=users)
    for factors, half in ((model.item_factors_, 7), (model.user_factors_, 30)):
        np.testing.assert_array_equal(factors[:half], np.broadcast_to(factors[0], (half, factors.shape[1])))
        assert not np.array_equal(factors[0], factors[-1])


def test_validation_keeps_the_best_epoch_with_its_map():
    X, items, users = groups()
    model = SGDFactorization(4, validation_fraction=0.2, iterations=12, random_state=0)
    model.fit(X, item_features=items, user_features=users)
    assert len(model.validation_curve_) == model.n_iter_
    np.testing.assert_allclose(model.item_vectors(items[[0, 7]]), model.item_factors_[[0, 7]], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{"identity": 2}, {"feature_regularization": 0}, {"feature_regularization": "x"}])
def test_bad_options_are_named(options):
    with pytest.raises((ValueError, TypeError), match=next(iter(options))):
        SGDFactorization(4, **options).fit(groups()[0])


def test_features_with_ids():
    X, items, _ = groups()
    rows, columns = np.nonzero(X)
    ids = [f"i{code}" for code in range(14)]
    data = Interactions(rows, columns, users=[str(code) for code in range(60)], items=ids)
    model = SGDFactorization(4, iterations=20, random_state=0).fit(data, item_features=items)
    assert "i0" in model.recommend(["1", "2"], 7, exclude_seen=False).items


# -- alternating least squares


def test_factors_of_what_has_events_are_those_without_features():
    X, items, users = groups()
    plain = ImplicitALS(4, random_state=0).fit(X)
    model = ImplicitALS(4, random_state=0).fit(X, item_features=items, user_features=users)
    known = X.any(axis=0)
    np.testing.assert_array_equal(model.item_factors_[known], plain.item_factors_[known])
    np.testing.assert_array_equal(model.user_factors_[X.any(axis=1)], plain.user_factors_[X.any(axis=1)])
    np.testing.assert_allclose(plain.item_factors_[~known], 0, atol=1e-6)
    assert (np.abs(model.item_factors_[~known]).max(axis=1) > 1e-3).all()


@pytest.mark.parametrize("update", ["partial_fit", "update_items", "update_users"])
def test_updates_of_what_has_events_are_those_without_features(update):
    """Features of items without events are no part of the loss, not in an update either."""
    X, items, _ = groups()
    plain = ImplicitALS(4, random_state=0).fit(X)
    model = ImplicitALS(4, random_state=0).fit(X, item_features=items)
    for one in (plain, model):
        if update == "partial_fit":
            one.partial_fit(sp.csr_array((np.ones(3), ([1, 2, 5], [8, 1, 9])), shape=X.shape))
        elif update == "update_items":
            one.update_items([8], np.eye(1, 60, 4))
        else:
            one.update_users([4, 5], np.ones((2, 14)) * (np.arange(14) == 8), how="append")
    known = plain.item_counts_ > 0
    assert not known.all()
    np.testing.assert_allclose(model.item_factors_[known], plain.item_factors_[known], rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(model.transform(X), plain.transform(X), rtol=2e-5, atol=2e-6)


def test_updates_keep_features_and_end_where_a_cold_item_has_events():
    X, items, users = groups()
    model = ImplicitALS(4, random_state=0).fit(X, item_features=items, user_features=users)
    before = model.item_factors_[0].copy()
    model.update_users([3], np.zeros((1, 14)), how="replace")
    assert not model.recommend([3]).fallback.any()
    model.partial_fit(sp.csr_array(([1.0], ([1], [0])), shape=X.shape))
    assert not np.array_equal(model.item_factors_[0], before)
    assert 7 in model.recommend(range(60), 14, exclude_seen=False).codes
    np.testing.assert_allclose(model.item_vectors(items[[7]]), model.item_factors_[[7]], rtol=1e-4, atol=1e-6)
    model.update_items([14], np.eye(1, 60))  # an item without facts that one user took
    assert model.item_features_.shape == (15, 3)
    model.update_users([60], np.eye(1, 15))
    assert model.user_features_.shape == (61, 3)
    assert not model.recommend([60, 3]).fallback.any()


@pytest.mark.parametrize(
    "model",
    [
        ImplicitALS(8, random_state=0),
        SGDFactorization(8, loss="bpr", random_state=0),
        SGDFactorization(8, loss="warp", random_state=0),
    ],
    ids=["ImplicitALS", "bpr", "warp"],
)
def test_updates_of_models_with_features(model):
    """New items and users have no features; the others keep theirs, and cold items keep their place in the ranking."""
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(80), 8)
    items = np.where(users < 40, rng.integers(0, 13, 640), rng.integers(15, 28, 640))
    data = Interactions(users, items, users=np.arange(80), items=np.arange(30), duplicates="sum")
    genres, kinds = (np.kron(np.eye(2), np.ones((size, 1))) for size in (15, 40))
    fitted = model.fit(data, item_features=genres, user_features=kinds)
    more = Interactions(np.array([0, 0, 1]), np.array([0, 1, 1]), users=np.array([3, 100]), items=np.array([12, 40]))
    one, two = (copy.deepcopy(fitted).set_params(n_jobs=jobs).partial_fit(more) for jobs in (1, 2))
    np.testing.assert_array_equal(one.item_factors_, two.item_factors_)
    np.testing.assert_array_equal(one.user_factors_, two.user_factors_)
    assert one.item_features_.shape == (31, 2)
    assert one.user_features_.shape == (81, 2)
    ranks = np.argsort(np.argsort(-one.predict_pairs(np.zeros(30, int), np.arange(30))))
    assert ranks[13:15].mean() < ranks[28:30].mean()  # no user has had them: they rank by their features alone


def test_columns_are_asked_to_be_made_a_matrix():
    with pytest.raises(
        TypeError, match="item_features must be a matrix with 3 rows, got columns: make one with FeatureEncoder"
    ):
        ImplicitALS(2).fit(np.eye(3), item_features={"genre": ["a", "b", "a"]})
