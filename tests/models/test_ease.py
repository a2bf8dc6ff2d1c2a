"""EASE, dense and sparse, against the closed forms in float64, and the inverse that it needs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.matrix.code_matrix import check_matrix
from fastrec.models import EASE, load
from fastrec.models.base.persistence import describe
from fastrec.storage import write_arrays
from tests.reference import ease as reference

seeds = st.integers(0, 2**32 - 1)
VARIANTS = [(0.0, 0.0), (0.3, 0.0), (0.0, 0.6), (0.2, 0.6), (0.5, 1.0)]


def random_matrix(rng, rows, columns, density=0.3, signed=False):
    values = rng.integers(1, 4, (rows, columns)) * (rng.choice([-1, 1], (rows, columns)) if signed else 1)
    return ((rng.random((rows, columns)) < density) * values).astype(float)


# -- the inverse


# -- kernels


# -- the model


@settings(max_examples=30, deadline=None)
@given(seeds, st.sampled_from(VARIANTS), st.booleans())
def test_dense_weights_are_the_closed_form(seed, variant, signed):
    rng = np.random.default_rng(seed)
    X = random_matrix(rng, int(rng.integers(1, 40)), int(rng.integers(1, 150)), rng.choice([0.05, 0.3, 1.0]), signed)
    dropout, relaxation = variant
    model = EASE(4.0, dropout=dropout, relaxation=relaxation, method="dense", n_jobs=1).fit(X)
    expected = reference.weights(X, 4.0, dropout, relaxation)
    np.testing.assert_allclose(model.weights_, expected, atol=2e-4)
    assert (model.weights_.diagonal() <= relaxation + 1e-6).all()


@pytest.mark.parametrize(("dropout", "relaxation"), VARIANTS)
@pytest.mark.parametrize("method", ["dense", "sparse"])
@pytest.mark.parametrize("signed", [False, True])
def test_variants_minimise_what_they_say(dropout, relaxation, method, signed):
    X = random_matrix(np.random.default_rng(5), 60, 14, 0.5, signed)
    model = EASE(3.0, dropout=dropout, relaxation=relaxation, method=method, neighbors=13, threshold=0.0).fit(X)
    found = model.weights_ if method == "dense" else model.weights_.toarray()
    expected = reference.weights_by_columns(X, 3.0, dropout, relaxation)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_dropout_is_what_training_with_hidden_entries_leads_to():
    rng = np.random.default_rng(6)
    X, B = random_matrix(rng, 8, 5, 0.6, True), rng.normal(size=(5, 5))
    plain = ((X - X @ B) ** 2).sum() + (0.3 / 0.7 * (X**2).sum(axis=0)[:, None] * B**2).sum()
    assert reference.expected_loss(X, B, 0.3) == pytest.approx(plain)
    assert reference.loss(X, B, 0.0, 0.3) == pytest.approx(plain)


@pytest.mark.parametrize(("dropout", "relaxation"), VARIANTS)
@pytest.mark.parametrize("signed", [False, True])
def test_sparse_weights_among_all_items_are_the_dense_ones(dropout, relaxation, signed):
    X = random_matrix(np.random.default_rng(2), 80, 30, 0.5, signed)  # dense enough that every two items meet
    options = {"dropout": dropout, "relaxation": relaxation}
    sparse = EASE(6.0, method="sparse", neighbors=29, threshold=0.0, **options).fit(X)
    np.testing.assert_allclose(sparse.weights_.toarray(), reference.weights(X, 6.0, **options), atol=1e-3)


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(1, 10), st.sampled_from(VARIANTS))
def test_sparse_weights_are_the_closed_form_on_their_supports(seed, neighbors, variant):
    rng = np.random.default_rng(seed)
    X = random_matrix(rng, int(rng.integers(1, 40)), int(rng.integers(1, 25)), rng.choice([0.05, 0.4]))
    # Values of many sizes, so that hardly any two items predict equally well.
    X *= rng.random(X.shape) + 0.5
    dropout, relaxation = variant
    model = EASE(4.0, dropout=dropout, relaxation=relaxation, method="sparse", neighbors=neighbors, threshold=0.0).fit(
        X
    )
    chosen = reference.supports(X, 4.0, dropout, neighbors)
    expected = reference.weights_on_supports(X, chosen, 4.0, dropout, relaxation)
    np.testing.assert_allclose(model.weights_.toarray(), expected, atol=1e-3)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_no_other_weights_with_a_zero_diagonal_have_a_lower_loss(dropout):
    rng = np.random.default_rng(1)
    X = random_matrix(rng, 60, 12)
    B = EASE(5.0, dropout=dropout).fit(X).weights_.astype(float)
    best = reference.loss(X, B, 5.0, dropout)
    for _ in range(20):
        change = rng.normal(size=B.shape) * 0.01
        np.fill_diagonal(change, 0)
        assert reference.loss(X, B + change, 5.0, dropout) > best


def test_auto_is_dense_until_the_catalogue_is_large(monkeypatch):
    X = random_matrix(np.random.default_rng(0), 20, 12)
    assert isinstance(EASE().fit(X).weights_, np.ndarray)
    monkeypatch.setattr("fastrec.models.base.item_weights.LARGEST_DENSE", 11)
    assert not isinstance(EASE().fit(X).weights_, np.ndarray)
    assert isinstance(EASE(method="dense").fit(X).weights_, np.ndarray)


def test_a_dislike_sets_back_what_goes_with_it():
    X = np.kron(np.eye(2), np.ones((10, 4)))
    model = EASE(5.0).fit(X)
    liked, disliked = model.predict_pairs([[1, 0, 0, 0, 0, 0, 0, 0], [-1, 0, 0, 0, 0, 0, 0, 0]], [1, 1])
    assert liked > 0 > disliked


def test_scores_are_the_history_times_the_weights():
    X = random_matrix(np.random.default_rng(3), 30, 40, 0.3, True)
    for method in ("dense", "sparse"):
        model = EASE(8.0, method=method, neighbors=9).fit(X)
        weights = model.weights_ if method == "dense" else model.weights_.toarray()
        pairs = model.predict_pairs(np.repeat(np.arange(30), 40), np.tile(np.arange(40), 30)).reshape(30, 40)
        np.testing.assert_allclose(pairs, X @ weights, atol=1e-5)


@pytest.mark.parametrize("method", ["dense", "sparse"])
def test_similar_items_are_those_of_the_largest_weights(method):
    X = random_matrix(np.random.default_rng(3), 60, 15)
    model = EASE(8.0, method=method).fit(X)
    weights = np.asarray(model.weights_ if method == "dense" else model.weights_.toarray()).copy()
    np.fill_diagonal(weights, 0)
    top = model.similar_items(range(15), 3)
    np.testing.assert_array_equal(np.where(top.valid, top.scores, 0), np.maximum(np.sort(weights)[:, :-4:-1], 0))


@pytest.mark.parametrize("method", ["dense", "sparse"])
@pytest.mark.parametrize("relaxation", [0.0, 0.5])
def test_threads_copies_and_files_change_nothing(method, relaxation, tmp_path):
    X = check_matrix(random_matrix(np.random.default_rng(0), 300, 280, 0.1))
    models = [EASE(50.0, method=method, relaxation=relaxation, neighbors=20, n_jobs=jobs).fit(X) for jobs in (1, 3)]
    models[0].save(tmp_path / "model")
    tops = [model.recommend(range(300)) for model in (*models, load(tmp_path / "model"))]
    for top in tops[1:]:
        np.testing.assert_array_equal(top.codes, tops[0].codes)
        np.testing.assert_array_equal(top.scores, tops[0].scores)
    pairs = models[0].predict_pairs(range(300), tops[0].codes[:, 0])
    np.testing.assert_array_equal(pairs, tops[0].scores[:, 0])


def test_weights_that_do_not_fit_are_refused_by_load(tmp_path):
    arrays, record = describe(EASE().fit(random_matrix(np.random.default_rng(0), 9, 6)))
    for change in (arrays["weights"][:5].copy(), arrays["weights"].astype(np.float64), arrays["weights"] * np.nan):
        write_arrays(tmp_path / "model", arrays | {"weights": change}, record)
        with pytest.raises(ValueError, match="holds no model"):
            load(tmp_path / "model")


def test_a_regularization_beyond_float32_is_named():
    with pytest.raises(FloatingPointError, match=r"EASE.regularization of 1e\+39 is too large"):
        EASE(1e39).fit(np.ones((5, 3)))


@pytest.mark.parametrize("method", ["dense", "sparse"])
def test_values_that_float32_cannot_square_are_named(method):
    with pytest.raises(FloatingPointError, match="X has values whose squares are too large for float32"):
        EASE(method=method).fit(np.full((3, 3), 1e25))


def test_a_system_that_is_singular_for_float32_is_named():
    X = np.tile([[1.0, 1e4, 1e4 + 1]], (50, 1)) * np.arange(1, 51)[:, None]
    with pytest.raises(FloatingPointError, match=r"EASE\.regularization of 1e-12 is too small"):
        EASE(1e-12).fit(X)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"regularization": 0}, "regularization must be a finite number above 0"),
        ({"dropout": 1}, "dropout must be a finite number from 0 to below 1, got 1"),
        ({"dropout": -0.1}, "dropout must be a finite number from 0 to below 1"),
        ({"threshold": 1.0}, "threshold must be a finite number from 0 to below 1"),
        ({"relaxation": 1.1}, "relaxation must be a finite number"),
        ({"method": "cg"}, "method must be one of 'auto', 'dense', 'sparse'"),
        ({"neighbors": 0}, "neighbors must be an integer of at least 1, got 0"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=f"EASE.{message}"):
        EASE(**options).fit(np.eye(3))


def test_progress_is_shown_on_request(capsys):
    EASE(verbose=True).fit(np.eye(3))
    assert "EASE 3/3" in capsys.readouterr().err
