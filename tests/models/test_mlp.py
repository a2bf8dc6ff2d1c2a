"""MLPRecommender as its users meet it, and the end of a training, which it shares with TwoTowerRecommender."""

import numpy as np
import pytest

from fastrec.data import Interactions
from fastrec.models import MLPRecommender, Popularity, TwoTowerRecommender, load
from tests.models.groups import QUICK, groups, share_of_own_group


@pytest.mark.parametrize("architecture", ["dot", "gmf", "mlp", "neumf"])
@pytest.mark.parametrize("loss", ["logistic", "squared"])
def test_groups_are_found(architecture, loss):
    options = {**QUICK, "iterations": 40 if architecture == "mlp" else 12}
    model = MLPRecommender(**options, architecture=architecture, loss=loss).fit(groups())
    assert share_of_own_group(model) > 0.9
    assert model.loss_curve_[-1] < 0.7 * model.loss_curve_[0]
    scores = model.predict_pairs(0, range(45))
    if loss == "logistic":
        assert ((scores > 0) & (scores < 1)).all()


@pytest.mark.parametrize("options", [{"normalization": "batch"}, {"normalization": "layer"}, {"dropout": 0.3}])
def test_groups_are_found_with_every_kind_of_layer(options):
    model = MLPRecommender(**QUICK, **options).fit(groups())
    assert share_of_own_group(model) > 0.9
    assert share_of_own_group(model, X=groups(seed=1)) > 0.8


@pytest.mark.parametrize("normalization", [None, "batch", "layer"])
@pytest.mark.parametrize("X", [[[1]], [[1, 1, 1]], [[1], [1]], [[1, 0], [0, 0]]], ids=str)
def test_batches_of_one_and_the_smallest_matrices_are_learned_from(normalization, X):
    options = dict(layers=(4,), normalization=normalization, batch_size=1, iterations=2, random_state=0, n_jobs=1)
    model = MLPRecommender(4, **options).fit(X)
    assert np.isfinite(model.loss_curve_).all()
    assert np.isfinite(model.predict_pairs(0, 0)).all()


@pytest.mark.parametrize("architecture", ["dot", "gmf", "mlp", "neumf"])
def test_users_not_seen_in_training_are_folded_in(architecture):
    X, new = groups(), groups(seed=1)
    options = {**QUICK, "iterations": 40 if architecture == "mlp" else 12}
    model = MLPRecommender(**options, architecture=architecture).fit(X)
    assert share_of_own_group(model, X=new) > 0.85
    one, many = model.set_params(n_jobs=1).recommend(new), model.set_params(n_jobs=2).recommend(new)
    np.testing.assert_array_equal(one.scores, many.scores)
    np.testing.assert_array_equal(model.recommend(new[[7]]).scores[0], one.scores[7])


def test_users_with_one_history_share_their_embedding():
    X = groups().toarray()
    X[3] = X[0]
    model = MLPRecommender(**QUICK).fit(X)
    np.testing.assert_array_equal(model.user_embeddings_[0], model.user_embeddings_[3])
    np.testing.assert_array_equal(model.recommend(0).scores, model.recommend(X[[3]]).scores)


def test_ratings_are_learned_by_squared_error_without_negatives():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2, 50), rng.integers(0, 2, 40)
    ratings = np.where(a[:, None] == b, 5, 2) * (rng.random((50, 40)) < 0.6)
    model = MLPRecommender(**QUICK, loss="squared", negatives=0).fit(ratings)
    users, items = np.nonzero(ratings == 0)
    error = model.predict_pairs(users, items) - np.where(a[users] == b[items], 5, 2)
    assert np.sqrt((error**2).mean()) < 0.5


@pytest.mark.parametrize("jobs", [2, 3])
def test_batches_that_threads_share_give_the_same_bits(jobs):
    X = groups(200, 60)
    options = {**QUICK, "batch_size": 2048, "iterations": 3, "dropout": 0.1, "normalization": "batch"}
    one = MLPRecommender(**options).fit(X)
    many = MLPRecommender(**{**options, "n_jobs": jobs}).fit(X)
    for name in ("user_embeddings_", "item_embeddings_", "weights_", "moments_", "loss_curve_"):
        np.testing.assert_array_equal(getattr(one, name), getattr(many, name))


@pytest.mark.parametrize("kind", [MLPRecommender, TwoTowerRecommender])
def test_divergence_is_noticed_in_its_epoch_and_names_the_learning_rate(kind):
    model = kind(**{**QUICK, "learning_rate": 1e30}).fit
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match=r"epoch \d.*learning_rate below 1e\+30"):
        model(groups())


@pytest.mark.parametrize("kind", [MLPRecommender, TwoTowerRecommender])
def test_validation_stops_training_and_keeps_the_best_epoch(kind):
    X = groups(seed=2)
    model = kind(**{**QUICK, "iterations": 200, "validation_fraction": 0.2, "n_iter_no_change": 3}).fit(X)
    assert model.n_iter_ < 200
    best = int(np.argmax(model.validation_curve_))
    assert model.n_iter_ - 1 - best <= 3
    assert len(model.validation_curve_) == len(model.loss_curve_) == model.n_iter_
    short = kind(**{**QUICK, "iterations": best + 1, "validation_fraction": 0.2}).fit(X)
    np.testing.assert_array_equal(model.predict_pairs([0, 7], [3, 5]), short.predict_pairs([0, 7], [3, 5]))
    given = kind(**{**QUICK, "iterations": 3}).fit(X, X_val=groups(seed=3))
    assert given.validation_curve_.shape == (3,)
    with pytest.raises(ValueError, match="X_val must be of the shape of X"):
        kind(**QUICK).fit(X, X_val=X[:5])


@pytest.mark.parametrize("kind", [MLPRecommender, TwoTowerRecommender])
def test_callback_and_tolerance_stop_training(kind):
    seen = []
    model = kind(**QUICK, callback=lambda epoch, elapsed, loss: seen.append((epoch, elapsed, loss)) or epoch == 4)
    assert model.fit(groups()).n_iter_ == 4
    assert [epoch for epoch, _, _ in seen] == [1, 2, 3, 4]
    assert [loss for _, _, loss in seen] == model.loss_curve_.tolist()
    assert kind(**QUICK, tol=0.5).fit(groups()).n_iter_ < 12


def test_warm_start_goes_on():
    model = MLPRecommender(**QUICK, warm_start=True).fit(groups())
    before = model.loss_curve_[-1]
    assert model.fit(groups()).loss_curve_[0] < 1.2 * before
    cold = model.set_params(warm_start=False).fit(groups()).loss_curve_[0]
    assert cold > 2 * before
    model.set_params(warm_start=True, factors=4).fit(groups())
    assert model.item_embeddings_.shape == (45, 8)


def test_weight_decay_makes_weights_small():
    plain = MLPRecommender(**QUICK).fit(groups())
    small = MLPRecommender(**QUICK, regularization=5.0).fit(groups())
    assert np.abs(small.user_embeddings_).mean() < 0.7 * np.abs(plain.user_embeddings_).mean()


def test_values_are_weights_of_the_cross_entropy():
    X = groups()
    double = X.copy()
    double.data[:] = 2
    options = {**QUICK, "iterations": 1}
    one, two = MLPRecommender(**options).fit(X), MLPRecommender(**options).fit(double)
    assert two.loss_curve_[0] > one.loss_curve_[0]
    assert two.predict_pairs(0, range(45)).mean() > one.predict_pairs(0, range(45)).mean()


def test_options_that_cannot_be_are_refused():
    for option, value, error in [
        ("factors", 0, ValueError), ("architecture", "cnn", ValueError), ("layers", (), ValueError),
        ("layers", 64, TypeError), ("layers", (8, 0), ValueError), ("dropout", 1.0, ValueError),
        ("normalization", "group", ValueError), ("loss", "bpr", ValueError), ("negatives", -1, ValueError),
        ("learning_rate", 0, ValueError), ("regularization", -1, ValueError), ("regularization", 1e4, ValueError),
        ("batch_size", 0, ValueError), ("validation_fraction", 0.9, ValueError), ("callback", 3, TypeError),
    ]:  # fmt: skip
        with pytest.raises(error, match=option):
            MLPRecommender(**{**QUICK, option: value}).fit(groups())


def test_asking_does_not_hang_on_options_set_after_the_fit():
    model = MLPRecommender(**QUICK).fit(groups())
    before = model.recommend(range(9), 4).scores
    model.set_params(architecture="mlp", layers=(3,), factors=2, loss="squared", normalization="layer")
    np.testing.assert_array_equal(model.recommend(range(9), 4).scores, before)


def test_candidates_of_another_model_are_put_in_order():
    X = groups()
    first, second = Popularity().fit(X), MLPRecommender(**QUICK).fit(X)
    candidates = first.recommend(range(60), 12)
    top = second.rerank(range(60), candidates, 5)
    assert top.codes.shape == (60, 5)
    for user in range(60):
        among = candidates.codes[user][candidates.valid[user]]
        scores = second.predict_pairs(user, among)
        order = np.lexsort((among, -scores))[:5]
        np.testing.assert_array_equal(top.codes[user], among[order])
        np.testing.assert_array_equal(top.scores[user], scores[order])
    np.testing.assert_array_equal(second.rerank(X, candidates, 5).codes, top.codes)
    np.testing.assert_array_equal(second.rerank(range(60), candidates.codes, 5).codes, top.codes)


def test_candidates_are_told_by_their_ids():
    X = groups().tocoo()
    ids = [f"i{code}" for code in range(45)]
    data = Interactions(X.row, X.col, users=[f"u{code}" for code in range(60)], items=ids)
    turned = Interactions(X.row, 44 - X.col, users=data.users, items=ids[::-1])
    first, second = Popularity().fit(turned), MLPRecommender(**QUICK).fit(data)
    candidates = first.recommend(["u1", "u2"], 8)
    top = second.rerank(["u1", "u2"], candidates, 8)
    for row in range(2):
        assert set(top.items[row]) == set(candidates.items[row])
    with pytest.raises(ValueError, match="one list of items for each"):
        second.rerank(["u1"], [["i1"], ["i2"]], 1)


@pytest.mark.parametrize("normalization", [None, "batch", "layer"])
def test_a_loaded_network_answers_the_same(normalization, tmp_path):
    model = MLPRecommender(**{**QUICK, "iterations": 2}, normalization=normalization).fit(groups())
    model.save(tmp_path / "model.fastrec")
    again = load(tmp_path / "model.fastrec")
    np.testing.assert_array_equal(again.recommend(range(60)).scores, model.recommend(range(60)).scores)
    new = groups(seed=5)
    np.testing.assert_array_equal(again.recommend(new).scores, model.recommend(new).scores)
    assert again.network_weights().keys() == model.network_weights().keys()
