"""ImplicitALS: its loss, its answers, and when it stops."""

import itertools

import numpy as np
import pytest
from scipy.sparse import csr_array, random_array

from fastrec.matrix.rows import pick_rows
from fastrec.metrics import ndcg
from fastrec.models import ImplicitALS, Popularity, load
from tests.reference import als as reference


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    taste, kind = rng.integers(0, 4, 120), rng.integers(0, 4, 60)
    return csr_array((rng.random((120, 60)) < np.where(taste[:, None] == kind, 0.4, 0.03)).astype(np.float32))


def checkerboard(size):
    """Returns users who like the items of their own parity, except the one that is to be recommended."""
    X = np.zeros((size, size), np.float32)
    X[::2, ::2] = X[1::2, 1::2] = 1
    np.fill_diagonal(X, 0)
    return X


def test_a_checkerboard_is_completed():
    model = ImplicitALS(factors=3, regularization=1e-3, alpha=4, iterations=15, random_state=0).fit(checkerboard(50))
    top = model.recommend(np.arange(50), k=1)
    assert np.array_equal(top.codes[:, 0], np.arange(50))


@pytest.mark.parametrize("exponent", [0.0, 1.0])
def test_the_loss_curve_is_the_loss(X, exponent):
    options = dict(alpha=5.0, regularization=0.05, regularization_exponent=exponent)
    model = ImplicitALS(8, iterations=40, dtype="float32", random_state=0, **options).fit(X)
    assert np.all(np.diff(model.loss_curve_) < 1e-6 * model.loss_curve_[-1])
    final = reference.loss(X.toarray(), model.user_factors_, model.item_factors_, 5.0, 0.05, exponent)
    # The users are solved once more after the last epoch, which can only lower the loss.
    assert final == pytest.approx(model.loss_curve_[-1], rel=5e-3)
    assert final <= model.loss_curve_[-1] * (1 + 1e-5)


def test_cg_to_the_end_is_cholesky(X):
    losses = [
        ImplicitALS(8, iterations=4, solver=solver, cg_steps=30, dtype="float32", random_state=0).fit(X).loss_curve_
        for solver in ("cg", "cholesky")
    ]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)


def test_fold_in_is_a_full_solve_in_the_gramians_basis(X):
    model = ImplicitALS(20, alpha=5, regularization=0.01, iterations=3, random_state=0).fit(X)
    items = model.item_factors_.astype(np.float64)
    gram = items.T @ items
    assert np.abs(gram - np.diag(np.diag(gram))).max() < 1e-5 * gram.max()
    assert np.all(np.diff(np.diag(gram)) < 1e-6 * gram.max())
    expected = reference.solve_rows(X.toarray(), items, 5, 0.01, 1.0)
    np.testing.assert_allclose(model.transform(X), expected, atol=2e-3 * np.abs(expected).max())


def test_values_weigh(X):
    heavy = X.copy()
    heavy.data *= 3
    assert ImplicitALS(8).fit(heavy).alpha_ == pytest.approx(0.1 * 120 * 60 / (3 * X.nnz))
    a = ImplicitALS(8, alpha=6, random_state=0).fit(X)
    b = ImplicitALS(8, alpha=2, random_state=0).fit(heavy)
    assert np.array_equal(a.item_factors_, b.item_factors_)


def test_all_equal_values_change_no_bit_from_values_kept_one_by_one(X):
    other = X.copy()
    other.data[0] += np.float32(1e-7)  # no longer all equal, with the same sums
    a, b = (ImplicitALS(8, iterations=2, random_state=0).fit(M) for M in (X, other))
    np.testing.assert_allclose(a.item_factors_, b.item_factors_, atol=1e-4)


@pytest.mark.parametrize(("factors", "shape"), [(50, (3, 4)), (4, (1, 9)), (4, (9, 1)), (200, (5, 5))])
def test_odd_shapes(factors, shape):
    X = random_array(shape, density=0.5, rng=np.random.default_rng(0), format="csr")
    model = ImplicitALS(factors, iterations=3, random_state=0).fit(X)
    assert model.user_factors_.shape == (shape[0], factors)
    assert model.item_factors_.shape == (shape[1], factors)
    assert np.isfinite(model.item_factors_).all()


def test_nothing_at_all_can_be_fitted():
    model = ImplicitALS(4, iterations=2, random_state=0).fit(csr_array((3, 5), dtype=np.float32))
    assert not model.user_factors_.any()
    assert np.all(model.recommend([0, 1, 2], k=2).codes == -1)


@pytest.mark.parametrize("solver", ["cg", "cholesky"])
def test_no_regularization_is_allowed(X, solver):
    model = ImplicitALS(8, regularization=0, iterations=3, solver=solver, random_state=0).fit(X)
    assert np.isfinite(model.item_factors_).all()


def test_int64_indices_and_wide_types_are_the_same_matrix(X):
    wide = csr_array((X.data.astype(np.float64), X.indices.astype(np.int64), X.indptr.astype(np.int64)), shape=X.shape)
    a, b = (ImplicitALS(8, iterations=2, random_state=0).fit(M) for M in (X, wide))
    assert np.array_equal(a.item_factors_, b.item_factors_)


def test_the_callback_sees_every_epoch_and_can_stop(X):
    seen = []

    def callback(epoch, elapsed, loss):
        seen.append((epoch, elapsed, loss))
        return epoch == 3

    model = ImplicitALS(8, iterations=10, callback=callback, random_state=0).fit(X)
    assert [epoch for epoch, _, _ in seen] == [1, 2, 3]
    assert all(later[1] >= sooner[1] >= 0 for sooner, later in itertools.pairwise(seen))
    assert [loss for _, _, loss in seen] == list(model.loss_curve_)
    assert model.n_iter_ == 3


def test_tol_stops_when_the_loss_hardly_falls(X):
    model = ImplicitALS(8, iterations=100, tol=1e-3, random_state=0).fit(X)
    falls = -np.diff(model.loss_curve_) / model.loss_curve_[:-1]
    assert 2 < model.n_iter_ < 100
    assert falls[-1] < 1e-3 <= falls[:-1].min()


def test_validation_stops_and_keeps_the_best_epoch(X):
    model = ImplicitALS(
        32, alpha=200, regularization=1e-6, iterations=100, validation_fraction=0.2, random_state=0
    ).fit(X)
    curve = model.validation_curve_
    assert len(curve) == model.n_iter_ < 100
    assert np.argmax(curve[::-1]) >= 3  # no better epoch among the last three
    again = ImplicitALS(
        32, alpha=200, regularization=1e-6, iterations=100, validation_fraction=0.2, random_state=0
    ).fit(X)
    assert np.array_equal(again.item_factors_, model.item_factors_)
    best = ImplicitALS(
        32, alpha=200, regularization=1e-6, iterations=int(np.argmax(curve)) + 1, validation_fraction=0.2,
        random_state=0,
    ).fit(X)  # fmt: skip
    assert np.array_equal(best.item_factors_, model.item_factors_)


def test_validation_on_a_matrix_of_the_callers(X):
    rng = np.random.default_rng(0)
    hidden = rng.random(X.nnz) < 0.3
    rows, columns = X.nonzero()
    train, held = (csr_array((X.data[m], (rows[m], columns[m])), shape=X.shape) for m in (~hidden, hidden))
    model = ImplicitALS(8, iterations=30, random_state=0).fit(train, X_val=held)
    assert model.validation_curve_.max() > 0.1
    with pytest.raises(ValueError, match="X_val must be of the shape of X"):
        ImplicitALS(8).fit(train, X_val=held[:5])


def test_a_warm_start_goes_on_where_the_last_fit_ended(X):
    model = ImplicitALS(8, iterations=4, random_state=0, warm_start=True).fit(X)
    first = model.loss_curve_
    model.fit(X)
    assert model.loss_curve_[0] < first[-1]


def test_ctrl_c_leaves_the_model_as_it_was(X):
    def interrupt(epoch, elapsed, loss):
        raise KeyboardInterrupt

    model = ImplicitALS(8, iterations=2, random_state=0).fit(X)
    before = model.item_factors_.copy()
    model.set_params(callback=interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    assert np.array_equal(model.item_factors_, before)
    fresh = ImplicitALS(8, callback=interrupt)
    with pytest.raises(KeyboardInterrupt):
        fresh.fit(X)
    assert not hasattr(fresh, "item_factors_")


def test_progress_is_a_line_for_each_epoch_outside_a_terminal(X, capsys):
    ImplicitALS(8, iterations=2, verbose=True, random_state=0).fit(X)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("ImplicitALS: alpha ")
    assert lines[1].startswith("ImplicitALS 1/2 loss ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(factors=0), "ImplicitALS.factors .* must be an integer of at least 1, got 0"),
        (dict(regularization=-1.0), "ImplicitALS.regularization .* must be a finite number of at least 0, got -1.0"),
        (dict(alpha=0.0), "ImplicitALS.alpha .* must be a finite number above 0, got 0.0"),
        (dict(solver="lu"), "ImplicitALS.solver must be one of 'auto', 'cg', 'cholesky', got 'lu'"),
        (dict(dtype="float64"), "ImplicitALS.dtype must be one of"),
        (dict(validation_fraction=0.9), "ImplicitALS.validation_fraction must be a finite number from 0 to 0.5"),
        (dict(n_jobs=0), "n_jobs"),
    ],
)
def test_bad_options_are_named(X, options, message):
    with pytest.raises(ValueError, match=message):
        ImplicitALS(**options).fit(X)


def test_overflows_are_noticed(X):
    huge = X.copy()
    huge.data *= np.float32(1e30)
    with pytest.raises(FloatingPointError, match="diverged"):
        ImplicitALS(8, alpha=1e8, regularization_exponent=0, random_state=0).fit(huge)


def test_contributions_sum_to_the_score(X):
    model = ImplicitALS(8, iterations=5, random_state=0).fit(X)
    for user in range(5):
        item = int(model.recommend(user, k=1).codes[0, 0])
        explanation = model.explain(user, item)
        assert explanation.score == pytest.approx(float(model.predict_pairs(user, item)[0]), abs=2e-3)


def test_users_are_folded_into_factors_that_were_learned_elsewhere():
    X = random_array((30, 20), density=0.3, format="csr", dtype=np.float32, random_state=0)
    model = ImplicitALS(4, random_state=0, alpha=2.0).fit(X)
    other = ImplicitALS(4, alpha=2.0).fit_users(X, model.item_factors_)
    pairs = np.repeat(np.arange(30), 20), np.tile(np.arange(20), 30)
    np.testing.assert_allclose(other.predict_pairs(*pairs), model.predict_pairs(*pairs), atol=1e-5)


def test_a_model_for_other_users_answers_as_their_histories_are_answered():
    X = random_array((30, 20), density=0.3, format="csr", dtype=np.float32, random_state=0)
    model = ImplicitALS(4, random_state=0).fit(X)
    model.similar_users(0), model._training  # arrays derived of users are its own
    other = model.for_users(pick_rows(model.seen_, np.array([3, 7])))
    np.testing.assert_array_equal(other._training.toarray(), X[[3, 7]].toarray())
    np.testing.assert_array_equal(other.recommend([0, 1]).codes, model.recommend([3, 7]).codes)
    np.testing.assert_array_equal(other.recommend([0, 1]).scores, model.recommend([3, 7]).scores)
    assert model.seen_.shape == (30, 20)
    assert np.shares_memory(other.item_factors_, model.item_factors_)


def test_settings_of_auto_are_those_that_the_size_of_the_data_gives(X, tmp_path):
    model = ImplicitALS(iterations=3, random_state=0).fit(X)
    assert (model.factors_, model.item_factors_.shape) == (32, (60, 32))
    assert model.alpha_ * X.sum() == pytest.approx(0.1 * X.shape[0] * X.shape[1])
    numbers = dict(alpha=model.alpha_, regularization=model.regularization_)
    given = ImplicitALS(32, **numbers, iterations=3, random_state=0).fit(X)
    assert (given.factors_, given.alpha_, given.regularization_) == (32, *numbers.values())
    assert np.array_equal(given.item_factors_, model.item_factors_)
    model.save(tmp_path / "model.fastrec")
    again = load(tmp_path / "model.fastrec")
    assert np.array_equal(again.transform(X[:5]), model.user_factors_[:5])
    new = X[:, ::-1]
    assert np.array_equal(again.partial_fit(new).item_factors_, given.partial_fit(new).item_factors_)
    assert again.explain(3, 5).items.tolist() == given.explain(3, 5).items.tolist()


def test_a_penalty_that_is_set_on_a_fitted_model_acts_at_once(X):
    model = ImplicitALS(iterations=3, random_state=0).fit(X)
    stronger = model.set_params(regularization=2 * model.regularization_).transform(X[:4])
    assert (np.linalg.norm(stronger, axis=1) < np.linalg.norm(model.user_factors_[:4], axis=1)).all()


def test_factors_that_were_learned_elsewhere_say_how_many_they_are(X):
    model = ImplicitALS().fit_users(X, np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32))
    assert (model.factors_, model.user_factors_.shape) == (5, (120, 5))


def test_too_many_factors_do_little_harm_with_the_penalty_of_auto():
    rng = np.random.default_rng(1)
    taste, kind = rng.integers(0, 4, 600), rng.integers(0, 4, 80)
    chances = np.where(taste[:, None] == kind, 0.1, 0.01) * rng.lognormal(0, 0.7, 80)
    taken = rng.random((600, 80)) < chances
    hidden = taken & (rng.random(taken.shape) < 0.2)
    train = csr_array((taken & ~hidden).astype(np.float32))
    users = np.flatnonzero(hidden.any(axis=1) & (train.sum(axis=1) > 0))

    def found(model):
        return ndcg(model.fit(train).recommend(users).codes, csr_array(hidden[users].astype(np.float32)), 10).mean()

    auto = found(ImplicitALS(64, random_state=0))
    assert auto > 1.1 * found(ImplicitALS(64, regularization=0.01, random_state=0))
    assert auto > found(Popularity())
