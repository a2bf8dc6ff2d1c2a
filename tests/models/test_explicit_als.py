import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.matrix.arrays import aligned_zeros
from fastrec.matrix.code_matrix import check_matrix
from fastrec.models import ExplicitALS
from fastrec.models.explicit_als import Ratings
from fastrec.solvers.epochs import seed_of
from tests.reference import explicit_als as reference


def ratings(n=40, m=25, density=0.4, seed=0):
    rng = np.random.default_rng(seed)
    truth = (
        3 + rng.normal(size=(n, 1)) * 0.4 + rng.normal(size=m) * 0.4 + rng.normal(size=(n, 2)) @ rng.normal(size=(2, m))
    )
    seen = rng.random((n, m)) < density
    seen[np.arange(n), np.arange(n) % m] = True
    rows, columns = np.nonzero(seen)
    return sp.csr_array((truth[seen].astype(np.float32), (rows, columns)), shape=(n, m)), truth


OPTIONS = {"factors": 3, "regularization": 0.3, "bias_regularization": 0.2, "random_state": 0}


def loss_of(model, X):
    """Returns the objective by its definition."""
    cells = X.tocoo()
    users, items = model.user_factors_.astype(np.float64), model.item_factors_.astype(np.float64)
    errors = cells.data - (users[cells.row] * items[cells.col]).sum(axis=1)
    total = float((errors**2).sum())
    for factors, biases, counts in (
        (users[:, :-2], users[:, -2], np.diff(X.indptr)),
        (items[:, :-2], items[:, -1] - model.mean_, np.bincount(cells.col, minlength=X.shape[1])),
    ):
        weights = np.maximum(counts, 1) ** model.regularization_exponent
        total += float(
            weights
            @ (model.regularization * model.spread_ * (factors**2).sum(axis=1) + model.bias_regularization * biases**2)
        )
    return total


def test_a_row_is_its_ridge_regression():
    X, _ = ratings()
    model = ExplicitALS(**OPTIONS).fit(X)
    items = model.item_factors_.astype(np.float64)
    for user in (0, 7):
        codes = X[[user]].indices
        design = np.column_stack([items[codes, :3], np.ones(len(codes))])
        weight = len(codes) ** model.regularization_exponent
        penalty = np.diag([0.3 * model.spread_ * weight] * 3 + [0.2 * weight])
        solved = np.linalg.solve(design.T @ design + penalty, design.T @ (X[[user]].data - items[codes, 4]))
        np.testing.assert_allclose(model.user_factors_[user, :4], solved, rtol=1e-3, atol=1e-4)
        assert model.user_factors_[user, 4] == 1


@pytest.mark.parametrize("exponent", [0.0, 0.25, 1.0])
def test_a_fit_is_that_of_plain_numpy(exponent):
    X, _ = ratings(30, 20)
    dense = X.toarray().astype(float)
    items = np.zeros((20, 4))
    draws = np.random.default_rng(seed_of(0)).standard_normal((20, 3), np.float32)
    spread = X.data.std(dtype=float)
    items[:, :3] = 0.1 * (spread / 3) ** 0.5 * draws
    mean, users, items = reference.fit(dense, dense != 0, items, 4, 0.3 * spread, 0.2, exponent)
    model = ExplicitALS(**OPTIONS, regularization_exponent=exponent, iterations=4).fit(X)
    expected = mean + users[:, 3:] + items[:, 3] + users[:, :3] @ items[:, :3].T
    found = model.predict_pairs(np.repeat(range(30), 20), np.tile(range(20), 30)).reshape(30, 20)
    # The users' factors of a model are solved once more, for the final items.
    last = reference.solve_rows(dense, dense != 0, items, mean, 0.3 * spread, 0.2, exponent)
    expected = mean + last[:, 3:] + items[:, 3] + last[:, :3] @ items[:, :3].T
    np.testing.assert_allclose(found, expected, atol=2e-3)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.sampled_from([0.0, 0.5, 1.0]))
def test_rows_are_solved_as_by_plain_numpy(seed, factors, exponent):
    rng = np.random.default_rng(seed)
    n, m = int(rng.integers(1, 9)), int(rng.integers(1, 30))
    known = rng.random((n, m)) < rng.choice([0.1, 0.6])
    R = np.where(known, rng.integers(-3, 6, (n, m)), 0.0)
    others = rng.normal(size=(m, factors + 1))
    rows, columns = np.nonzero(known)
    X = check_matrix(sp.csr_array((R[known].astype(np.float32), (rows, columns)), shape=(n, m)), negative="accept")
    expected = reference.solve_rows(R, known, others, 1.5, 0.7, 0.4, exponent)
    model = ExplicitALS(factors, regularization=0.7, bias_regularization=0.4, regularization_exponent=exponent)
    for steps in (0, 60):
        found = aligned_zeros(n, factors + 1)
        errors = Ratings(model, X).solve(found, others.astype(np.float32), 1.5, steps, 1)
        np.testing.assert_allclose(found, expected, atol=2e-3)
        misfit = R - 1.5 - others[:, -1] - expected[:, -1:] - expected[:, :-1] @ others[:, :-1].T
        assert errors == pytest.approx((misfit[known] ** 2).sum(), rel=1e-2, abs=1e-3)


@settings(max_examples=15, deadline=None)
@given(
    factor=st.floats(0.01, 1000),
    shift=st.floats(-50, 50),
    solver=st.sampled_from(["cholesky", "cg"]),
    defaults=st.booleans(),
)
def test_scaled_and_shifted_ratings_give_scaled_and_shifted_predictions(factor, shift, solver, defaults):
    X, _ = ratings()
    other = X.copy()
    other.data = ((X.data.astype(float) + shift) * factor).astype(np.float32)
    options = {"random_state": 0} if defaults else OPTIONS
    plain, scaled = (ExplicitALS(**options, solver=solver).fit(data) for data in (X, other))
    pairs = np.divmod(np.arange(X.shape[0] * X.shape[1]), X.shape[1])
    expected = (plain.predict_pairs(*pairs) + shift) * factor
    np.testing.assert_allclose(scaled.predict_pairs(*pairs), expected, atol=0.01 * factor * plain.spread_)
    np.testing.assert_allclose(scaled.loss_curve_, plain.loss_curve_ * factor**2, rtol=0.01)
    folded = (scaled.transform(other[:9]) @ scaled.item_factors_.T - factor * shift) / factor
    np.testing.assert_allclose(folded, plain.transform(X[:9]) @ plain.item_factors_.T, atol=0.01 * plain.spread_)


def test_options_set_on_a_fitted_model_leave_its_factors_in_their_places():
    X, _ = ratings()
    model = ExplicitALS(**OPTIONS).fit(X)
    before = model.recommend(X, 5), model.similar_items(range(25), 3), model.item_biases_, model.user_biases_
    model.set_params(factors=7)
    after = model.recommend(X, 5), model.similar_items(range(25), 3), model.item_biases_, model.user_biases_
    for one, other in zip(before[:2], after[:2], strict=True):
        np.testing.assert_array_equal(one.scores, other.scores)
    for one, other in zip(before[2:], after[2:], strict=True):
        np.testing.assert_array_equal(one, other)
    assert model.explain(3, 4).score == pytest.approx(float(model.predict_pairs(3, 4)[0]), rel=1e-4)


@pytest.mark.parametrize("solver", ["cholesky", "cg"])
def test_loss_falls_and_is_that_of_the_definition(solver):
    X, _ = ratings()
    model = ExplicitALS(**OPTIONS, solver=solver, iterations=30).fit(X)
    assert (np.diff(model.loss_curve_) <= 1e-4 * model.loss_curve_[:-1]).all()
    assert loss_of(model, X) == pytest.approx(model.loss_curve_[-1], rel=1e-3)


def test_both_solvers_reach_the_same_loss():
    X, _ = ratings(80, 40)
    exact, steps = (ExplicitALS(**OPTIONS, solver=name, iterations=60).fit(X) for name in ("cholesky", "cg"))
    assert steps.loss_curve_[-1] == pytest.approx(exact.loss_curve_[-1], rel=5e-3)


def test_hidden_ratings_are_found_better_than_by_biases():
    X, truth = ratings(150, 60, 0.3)
    hidden = np.argwhere(X.toarray() == 0)
    wanted = truth[hidden[:, 0], hidden[:, 1]]
    wide = ExplicitALS(**{**OPTIONS, "regularization": 0.1}).fit(X).predict_pairs(*hidden.T)
    biases = ExplicitALS(**{**OPTIONS, "regularization": 1e6}).fit(X).predict_pairs(*hidden.T)
    assert np.sqrt(np.mean((wide - wanted) ** 2)) < 0.5 * np.sqrt(np.mean((biases - wanted) ** 2))


def test_negative_ratings_and_zeros_are_ratings():
    X = sp.csr_array((np.array([-4, 0, 4, -4, 4], np.float32), ([0, 0, 0, 1, 1], [0, 1, 2, 0, 2])), shape=(2, 3))
    model = ExplicitALS(factors=1, regularization=0.1, bias_regularization=0.1, random_state=0).fit(X)
    assert model.mean_ == 0
    assert model.predict_pairs(0, 0)[0] < model.predict_pairs(0, 1)[0] < model.predict_pairs(0, 2)[0]


def test_a_user_without_ratings_is_the_mean_and_the_items_bias():
    X, _ = ratings()
    dense = X.toarray()
    dense[5] = 0
    model = ExplicitALS(**OPTIONS).fit(sp.csr_array(dense))
    np.testing.assert_allclose(model.predict_pairs(5, range(25)), model.mean_ + model.item_biases_, rtol=1e-5)
    assert model.user_biases_[5] == 0
    reasons = model.explain(5, 3)
    assert (len(reasons.items), reasons.score) == (0, float(model.predict_pairs(5, 3)[0]))


def test_similarity_is_of_tastes_not_of_biases():
    X, _ = ratings()
    model = ExplicitALS(**OPTIONS).fit(X)
    tastes = model.item_factors_[:, :3] / np.linalg.norm(model.item_factors_[:, :3], axis=1)[:, None]
    cosines = tastes @ tastes[4]
    cosines[4] = -2
    assert model.similar_items(4, 1).codes[0, 0] == cosines.argmax()


def test_training_stops_when_told_to():
    X, _ = ratings()
    seen = []
    model = ExplicitALS(**OPTIONS, callback=lambda epoch, elapsed, loss: seen.append(loss) or epoch == 3).fit(X)
    assert model.n_iter_ == len(seen) == 3
    assert ExplicitALS(**OPTIONS, tol=0.5).fit(X).n_iter_ < 15


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"regularization": 0}, "ExplicitALS.regularization must be a finite number above 0"),
        ({"solver": "lu"}, "ExplicitALS.solver must be one of"),
        ({"cg_steps": 0}, "ExplicitALS.cg_steps must be an integer from 1 to"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        ExplicitALS(**options).fit(np.eye(3))
