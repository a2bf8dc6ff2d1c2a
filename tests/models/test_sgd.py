"""SGDFactorization: what it learns, the same result for any threads, fold-in, validation, divergence, bad options."""

import hypothesis
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import strategies as st

from fastrec.data import Interactions
from fastrec.models import SGDFactorization, load

LOSSES = ["bpr", "warp", "logistic", "ccl", "softmax", "squared"]
QUICK = dict(factors=8, iterations=10, random_state=0)


def clusters(n_users=300, n_items=200, groups=5, seed=0):
    """Returns users who take items of their own group, seldom others: (train, test)."""
    rng = np.random.default_rng(seed)
    own = np.arange(n_users)[:, None] % groups == np.arange(n_items)[None, :] % groups
    taken = rng.random((n_users, n_items)) < np.where(own, 0.4, 0.02)
    hidden = taken & (rng.random(taken.shape) < 0.2)
    return [sp.csr_array(part.astype(np.float32)) for part in (taken & ~hidden, hidden)]


def ratings(n_users=250, n_items=120, rank=3, seed=0):
    """Returns ratings of a biased low-rank model with little noise: (train, users, items, values of the test part)."""
    rng = np.random.default_rng(seed)
    users, items = rng.normal(0, 0.6, (n_users, rank)), rng.normal(0, 0.6, (n_items, rank))
    truth = 3.5 + rng.normal(0, 0.3, (n_users, 1)) + rng.normal(0, 0.5, (1, n_items)) + users @ items.T
    truth += rng.normal(0, 0.1, truth.shape)
    shown = rng.random(truth.shape) < 0.4
    test = ~shown & (rng.random(truth.shape) < 0.1)
    row, column = np.nonzero(shown)
    train = sp.csr_array((truth[shown].astype(np.float32), (row, column)), shape=truth.shape)
    return train, *np.nonzero(test), truth[test]


def share_of_own(codes, users, groups=5):
    """Returns the share of the recommended items that are of the user's own group."""
    return float((codes % groups == np.asarray(users)[:, None] % groups).mean())


def rmse(model, users, items, values):
    return float(np.sqrt(np.mean((model.predict_pairs(users, items) - values) ** 2)))


@pytest.mark.parametrize(
    "options",
    [
        dict(loss="bpr"),
        dict(loss="bpr", negatives="popularity"),
        dict(loss="bpr", negatives="adaptive"),
        dict(loss="bpr", optimizer="adagrad"),
        dict(loss="bpr", optimizer="adam", learning_rate=0.01),
        dict(loss="warp"),
        dict(loss="logistic"),
        dict(loss="ccl"),
        dict(loss="softmax"),
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_groups_are_found(options):
    train, _ = clusters()
    model = SGDFactorization(factors=8, iterations=60, random_state=0, **options).fit(train)
    assert share_of_own(model.recommend(range(300), 10).codes, range(300)) > 0.8  # by chance 0.2
    assert model.loss_curve_[-1] < model.loss_curve_[0]


@pytest.mark.parametrize("presence", [False, True])
def test_ratings_are_predicted(presence):
    train, users, items, values = ratings()
    model = SGDFactorization(
        factors=4, loss="squared", implicit_feedback=presence, learning_rate=0.03, regularization=0.01, iterations=60,
        random_state=0,
    ).fit(train)  # fmt: skip
    assert rmse(model, users, items, values) < 0.2  # the noise is 0.1, and biases alone leave 0.6
    assert model.mean_ == pytest.approx(float(train.data.mean()), rel=1e-6)
    assert (model.presence_factors_ is not None) == presence


def test_presence_helps_where_it_says_something():
    rng = np.random.default_rng(1)
    tastes = rng.integers(0, 2, 400)
    kinds = np.arange(100) % 2
    liked = tastes[:, None] == kinds[None, :]
    shown = rng.random(liked.shape) < np.where(liked, 0.12, 0.02)  # users rate what they like
    values = np.where(liked, 4.0, 2.0) + rng.normal(0, 0.7, liked.shape)
    row, column = np.nonzero(shown)
    train = sp.csr_array((values[shown].astype(np.float32), (row, column)), shape=liked.shape)
    test = np.nonzero(~shown & (rng.random(liked.shape) < 0.1))
    plain, presence = (
        SGDFactorization(4, loss="squared", implicit_feedback=on, iterations=40, random_state=0).fit(train)
        for on in (False, True)
    )
    assert rmse(presence, *test, values[test]) < rmse(plain, *test, values[test])


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("optimizer", ["sgd", "adagrad", "adam"])
def test_threads_change_no_bit(loss, optimizer):
    train, _ = clusters()
    options = dict(QUICK, iterations=2, loss=loss, optimizer=optimizer, implicit_feedback=loss == "squared")
    models = [SGDFactorization(n_jobs=jobs, **options).fit(train) for jobs in (1, 2, 5)]
    for model in models[1:]:
        np.testing.assert_array_equal(model.item_factors_, models[0].item_factors_)
        np.testing.assert_array_equal(model.user_factors_, models[0].user_factors_)
        np.testing.assert_array_equal(model.loss_curve_, models[0].loss_curve_)


@pytest.mark.parametrize("loss", LOSSES)
def test_fold_in_of_training_rows_and_of_files(loss, tmp_path):
    train, _ = clusters()
    model = SGDFactorization(loss=loss, **QUICK).fit(train)
    np.testing.assert_array_equal(model.transform(train), model.user_factors_)
    np.testing.assert_array_equal(model.transform(train[[7]])[0], model.user_factors_[7])
    model.save(tmp_path / "model.fastrec")
    np.testing.assert_array_equal(load(tmp_path / "model.fastrec").transform(train[:9]), model.user_factors_[:9])


@pytest.mark.parametrize("optimizer", ["sgd", "adagrad"])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_strong_penalty_draws_who_is_folded_in_to_zero_and_never_beyond(loss, optimizer, tmp_path):
    train, _ = clusters()
    SGDFactorization(loss=loss, optimizer=optimizer, **QUICK).fit(train).save(tmp_path / "model.fastrec")
    largest = []
    for penalty in (0.01, 30.0, 1e6):  # with the last two, rate × penalty is above 1
        model = load(tmp_path / "model.fastrec").set_params(regularization=(penalty, 0.01))
        largest.append(np.abs(model.transform(train)[:, : model.factors]).max())
    assert max(largest) <= largest[0] * 1.01


@pytest.mark.parametrize("loss", ["bpr", "warp", "logistic", "ccl", "softmax"])
def test_unseen_users_are_folded_in_as_well_as_seen_ones(loss):
    train, _ = clusters()
    model = SGDFactorization(factors=8, loss=loss, iterations=60, random_state=0).fit(train[:200])
    assert share_of_own(model.recommend(train[200:], 10).codes, range(200, 300)) > 0.75


def test_columns_of_biases_make_a_score_an_inner_product():
    train, _ = clusters()
    for loss, extra in (("bpr", 1), ("ccl", 0), ("squared", 2)):
        model = SGDFactorization(loss=loss, **QUICK).fit(train)
        assert model.item_factors_.shape == (200, 8 + extra)
        assert model.user_factors_.shape == (300, 8 + extra)
        score = model.user_factors_[3].astype(float) @ model.item_factors_[5]
        assert model.predict_pairs(3, 5)[0] == pytest.approx(score, rel=1e-6)
    assert (model.user_factors_[:, 8] == 1).all()
    assert (model.item_factors_[:, 9] == 1).all()


def test_similarities_leave_biases_out():
    train, _ = clusters()
    model = SGDFactorization(loss="squared", **QUICK).fit(train)
    y = model.item_factors_[:, :8].astype(float)
    cosines = y @ y[0] / np.linalg.norm(y, axis=1) / np.linalg.norm(y[0])
    assert model.similar_items(0, 1).scores[0, 0] == pytest.approx(np.delete(cosines, 0).max(), rel=1e-5)


def test_unit_vectors_for_cosine_losses():
    train, _ = clusters()
    for loss in ("ccl", "softmax"):
        model = SGDFactorization(loss=loss, **QUICK).fit(train)
        for side in (model.user_factors_, model.item_factors_):
            np.testing.assert_allclose(np.linalg.norm(side, axis=1), 1, rtol=1e-5)


def test_dislikes_push_away():
    train, _ = clusters()
    marked = train.toarray()
    marked[:, 0] = np.where(np.arange(300) % 2 == 0, -1, 1)
    model = SGDFactorization(loss="logistic", factors=8, iterations=40, random_state=0).fit(marked)
    scores = model.predict_pairs(np.arange(300), np.zeros(300, int))
    assert scores[1::2].mean() > scores[::2].mean() + 1


def test_weights_count_only_where_asked():
    train, _ = clusters()
    heavy = train.copy()
    heavy.data = np.random.default_rng(0).uniform(0.1, 3, train.nnz).astype(np.float32)
    plain, same, other = (
        SGDFactorization(weighted=weighted, **QUICK).fit(X).item_factors_
        for X, weighted in ((train, False), (heavy, False), (heavy, True))
    )
    np.testing.assert_array_equal(plain, same)
    assert not np.array_equal(plain, other)


@pytest.mark.parametrize(("loss", "rate"), [("bpr", 1e12), ("squared", 50.0), ("logistic", 1e12)])
def test_divergence_is_told_in_its_epoch_with_the_learning_rate(loss, rate):
    train, _ = clusters()
    model = SGDFactorization(loss=loss, learning_rate=rate, factors=8, iterations=50, random_state=0)
    with pytest.raises(FloatingPointError, match=r"after epoch \d+: SGDFactorization has diverged.*learning_rate"):
        model.fit(train)
    assert not hasattr(model, "item_factors_")


@pytest.mark.parametrize("loss", ["ccl", "softmax"])
@pytest.mark.parametrize("optimizer", ["sgd", "adagrad", "adam"])
def test_steps_beyond_float32_do_not_end_on_the_sphere_unseen(loss, optimizer):
    train, _ = clusters()
    model = SGDFactorization(4, loss=loss, optimizer=optimizer, learning_rate=1e25, iterations=2, random_state=0)
    with pytest.raises(FloatingPointError, match="after epoch 1: SGDFactorization has diverged"):
        model.fit(train)


EDGES = {
    "one user": np.ones((1, 6)),
    "one item": np.ones((5, 1)),
    "one cell": np.ones((1, 1)),
    "nothing to draw": np.ones((70, 65)),
    "a user with all": np.vstack([np.ones(8), np.eye(8)]),
    "empty rows and columns": np.kron(np.eye(2), [[1.0, 0.0], [0.0, 0.0]]),
}


@pytest.mark.parametrize("name", EDGES)
@pytest.mark.parametrize("loss", LOSSES)
def test_the_smallest_and_fullest_matrices_are_learned_from(loss, name):
    X = EDGES[name]
    for options in (
        {},
        {"optimizer": "adam"},
        {"optimizer": "adagrad", "weighted": True},
        {"negatives": "popularity"},
        {"negatives": "uniform"},
    ):
        model = SGDFactorization(4, loss=loss, iterations=2, random_state=0, n_jobs=1, **options).fit(X)
        for learned in (model.user_factors_, model.item_factors_, model.loss_curve_):
            assert np.isfinite(learned).all()
        assert np.isfinite(model.transform(X)).all()
        assert not model.recommend(0, 1).valid[0, 0] or X[0].min() == 0


@pytest.mark.parametrize("loss", ["squared", "logistic", "bpr", "warp"])
def test_features_of_nothing_say_nothing(loss):
    train, _ = clusters()
    features = np.eye(4)[np.arange(200) % 4]
    features[::3] = 0
    for given in (features, np.zeros((200, 2)), np.ones((200, 1))):
        model = SGDFactorization(loss=loss, **QUICK).fit(train, item_features=given)
        assert np.isfinite(model.item_factors_).all()
        assert np.isfinite(model.item_vectors(given[:4])).all()


def test_ratings_that_are_all_alike_are_predicted():
    X = sp.coo_array((np.full(60, -3.0), (np.arange(60) % 20, np.arange(60) % 15)), shape=(20, 15))
    for presence in (False, True):
        model = SGDFactorization(4, loss="squared", implicit_feedback=presence, random_state=0).fit(X)
        np.testing.assert_allclose(model.predict_pairs([0, 1], [1, 2]), -3, atol=0.01)


@hypothesis.settings(max_examples=12)
@hypothesis.given(
    factor=st.floats(0.01, 1000),
    shift=st.floats(-50, 50),
    presence=st.booleans(),
    optimizer=st.sampled_from(["sgd", "adagrad", "adam"]),
    features=st.booleans(),
)
def test_scaled_and_shifted_ratings_give_scaled_and_shifted_predictions(factor, shift, presence, optimizer, features):
    train, users, items, _ = ratings(60, 40)
    other = train.copy()
    other.data = ((train.data.astype(float) + shift) * factor).astype(np.float32)
    options = dict(loss="squared", implicit_feedback=presence, optimizer=optimizer, **QUICK)
    kinds = dict(item_features=np.eye(4)[np.arange(40) % 4]) if features else {}
    plain, scaled = (SGDFactorization(**options).fit(X, **kinds) for X in (train, other))
    expected = (plain.predict_pairs(users, items) + shift) * factor
    np.testing.assert_allclose(scaled.predict_pairs(users, items), expected, atol=0.003 * factor * plain.spread_)
    np.testing.assert_allclose(scaled.loss_curve_, plain.loss_curve_ * factor**2, rtol=0.01)


def test_ratings_twice_as_high_double_all_predictions_to_the_bit():
    train, users, items, _ = ratings(60, 40)
    plain, doubled = (SGDFactorization(loss="squared", **QUICK).fit(X) for X in (train, 2 * train))
    assert doubled.spread_ == 2 * plain.spread_ == pytest.approx(2 * train.data.std(dtype=float))
    np.testing.assert_array_equal(doubled.predict_pairs(users, items), 2 * plain.predict_pairs(users, items))
    np.testing.assert_array_equal(doubled.item_factors_, plain.item_factors_)
    for model, X in ((plain, train), (doubled, 2 * train)):
        model.partial_fit(X[:, ::-1])
        model.update_users([3], [[5.0 if model is plain else 10.0] * 40], how="replace")
    np.testing.assert_array_equal(doubled.predict_pairs(users, items), 2 * plain.predict_pairs(users, items))


@pytest.mark.parametrize("presence", [False, True])
def test_defaults_converge_on_ratings_of_0_to_100(presence):
    train, users, items, values = ratings()
    train.data = (train.data - 1) * 25
    model = SGDFactorization(loss="squared", implicit_feedback=presence, random_state=0).fit(train)
    assert rmse(model, users, items, (values - 1) * 25) < 0.5 * train.data.std()


def test_validation_stops_early_and_keeps_the_best_epoch():
    train, users, items, values = ratings()
    options = dict(factors=30, loss="squared", regularization=0.0, learning_rate=0.1, schedule="constant")
    model = SGDFactorization(iterations=200, validation_fraction=0.1, random_state=0, **options).fit(train)
    assert model.n_iter_ < 200
    curve = model.validation_curve_
    assert len(curve) == len(model.loss_curve_) == model.n_iter_
    assert model.n_iter_ - 1 - int(np.argmin(curve)) == 5
    given = sp.csr_array((values.astype(np.float32), (users, items)), shape=train.shape)
    model = SGDFactorization(iterations=8, random_state=0, n_iter_no_change=50, **options).fit(train, X_val=given)
    assert model.validation_curve_.shape == (8,)
    with pytest.raises(ValueError, match="X_val must be of the shape of X"):
        model.fit(train, X_val=given[:5])


@pytest.mark.parametrize("loss", LOSSES)
def test_the_best_epoch_is_kept(loss):
    train = ratings()[0] if loss == "squared" else clusters()[0]
    options = dict(factors=16, loss=loss, schedule="constant", validation_fraction=0.2, random_state=0, n_jobs=1)
    if loss == "squared":
        options |= dict(regularization=0.0, learning_rate=0.1, implicit_feedback=True)
    long = SGDFactorization(iterations=12, n_iter_no_change=12, **options).fit(train)
    best = int(long.validation_curve_.argmin() if loss == "squared" else long.validation_curve_.argmax())
    short = SGDFactorization(iterations=best + 1, n_iter_no_change=12, **options).fit(train)
    np.testing.assert_array_equal(long.item_factors_, short.item_factors_)
    np.testing.assert_array_equal(long.user_factors_, short.user_factors_)


def test_validation_by_ranking():
    train, test = clusters()
    model = SGDFactorization(loss="logistic", **{**QUICK, "iterations": 60, "n_iter_no_change": 60})
    model.fit(train, X_val=test)
    assert model.validation_curve_[-1] > 2 * model.validation_curve_[0]


@pytest.mark.parametrize("loss", ["bpr", "warp"])
def test_an_epoch_is_enough_to_find_groups(loss):
    train, _ = clusters()
    model = SGDFactorization(factors=8, loss=loss, iterations=1, random_state=0).fit(train)
    assert share_of_own(model.recommend(range(300), 10).codes, range(300)) > 0.9  # by chance 0.2


def test_callback_stops():
    train, _ = clusters()
    seen = []
    model = SGDFactorization(callback=lambda *news: seen.append(news) or len(seen) == 3, **QUICK).fit(train)
    assert model.n_iter_ == 3
    assert [epoch for epoch, _, _ in seen] == [1, 2, 3]
    assert [loss for _, _, loss in seen] == model.loss_curve_.tolist()


def test_tol_stops():
    train, _ = clusters()
    assert SGDFactorization(factors=4, iterations=50, tol=0.5, random_state=0).fit(train).n_iter_ < 50


def test_warm_start_goes_on():
    train, _ = clusters()
    model = SGDFactorization(warm_start=True, **{**QUICK, "iterations": 60}).fit(train)
    first, last = model.loss_curve_[[0, -1]]
    assert abs(model.fit(train).loss_curve_[0] - last) < 0.5 * (first - last)


def test_progress_shows_the_loss(capsys):
    train, _ = clusters()
    SGDFactorization(factors=4, iterations=2, random_state=0, verbose=True).fit(train)
    assert "SGDFactorization 2/2 loss" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (dict(factors=0), ValueError, "SGDFactorization.factors must be an integer of at least 1, got 0"),
        (dict(loss="mse"), ValueError, "SGDFactorization.loss must be one of 'squared'"),
        (dict(optimizer="lbfgs"), ValueError, "SGDFactorization.optimizer must be one of"),
        (dict(learning_rate=0), ValueError, "SGDFactorization.learning_rate must be a finite number above 0"),
        (dict(learning_rate=np.nan), ValueError, "SGDFactorization.learning_rate"),
        (dict(regularization=(1, 2, 3)), ValueError, "a number, or two for users and items"),
        (dict(regularization=-1), ValueError, "SGDFactorization.regularization"),
        (dict(n_negatives=65), ValueError, "SGDFactorization.n_negatives must be an integer from 1 to 64"),
        (dict(implicit_feedback=True), ValueError, "needs loss='squared', got loss='bpr'"),
        (dict(loss="warp", negatives="adaptive"), ValueError, "needs loss='bpr', got loss='warp'"),
        (dict(negatives="hard"), ValueError, "negatives must be one of"),
        (dict(schedule="cosine"), ValueError, "SGDFactorization.schedule must be one of"),
        (dict(weighted=1), TypeError, "SGDFactorization.weighted must be True or False"),
        (dict(callback=3), TypeError, "SGDFactorization.callback must be a function or None"),
        (dict(validation_fraction=0.9), ValueError, "SGDFactorization.validation_fraction"),
    ],
)
def test_bad_options_are_named(options, error, message):
    with pytest.raises(error, match=message):
        SGDFactorization(**options).fit(np.eye(3))


@pytest.mark.parametrize("loss", ["bpr", "warp", "ccl", "softmax"])
def test_negative_values_are_refused_where_they_mean_nothing(loss):
    with pytest.raises(ValueError, match="row 0, column 1"):
        SGDFactorization(loss=loss).fit([[1, -1], [1, 1]])


def test_zeros_of_events_are_ratings_and_those_of_a_matrix_are_no_entries():
    events = Interactions([0, 0, 1], [0, 1, 2], [0.0, 5.0, 0.0])
    rating, ranking = (SGDFactorization(2, loss=loss, iterations=2).fit(events) for loss in ("squared", "bpr"))
    assert rating.seen_.nnz == ranking.seen_.nnz == 3
    assert (rating.item_counts_.sum(), ranking.item_counts_.sum()) == (3, 1)
    assert SGDFactorization(2, loss="squared", iterations=2).fit(sp.csr_array(events.matrix)).seen_.nnz == 1


def test_the_loss_decides_which_values_are_valid():
    """A server and its journal ask the model, not its class."""
    rating, disliking, ranking = (
        SGDFactorization(4, loss=loss, iterations=1) for loss in ("squared", "logistic", "bpr")
    )
    assert (rating.takes_negatives, disliking.takes_negatives, ranking.takes_negatives) == (True, True, False)
    assert (rating.keeps_zeros, disliking.keeps_zeros, ranking.keeps_zeros) == (True, False, False)
    X = Interactions([0, 0, 1, 1], [0, 1, 1, 2], [0.0, -1.0, 2.0, 1.0])
    assert rating.fit(X).item_counts_.sum() == 4
    assert disliking.fit(X).item_counts_.sum() == 3
    with pytest.raises(ValueError, match="negative"):
        ranking.fit(X)
