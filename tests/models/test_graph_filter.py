import numpy as np
import pytest
import scipy.sparse as sp

from fastrec.models import GraphFilter, graph_filter, load
from fastrec.models.graph_filter import _interpolate
from fastrec.solvers import filter_search
from fastrec.solvers.filter_search import FilterSearch


def sparse(n=50, m=30, density=0.2, seed=0):
    rng = np.random.default_rng(seed)
    dense = (rng.random((n, m)) < density) * rng.integers(1, 4, (n, m))
    dense[np.arange(n), np.arange(n) % m] = 1
    return sp.csr_array(dense.astype(np.float32))


def plain(X, filter, factors, weight, users, items, degrees, flatness=1.5, sharpness=0.5):
    """Returns the filter by its definition, with all eigenvectors."""
    R = X.toarray().astype(np.float64)
    M = R.sum(axis=1)[:, None] ** -users * R * R.sum(axis=0) ** -items
    values, vectors = np.linalg.eigh(M.T @ M)
    values, vectors = (values / values[-1])[::-1], vectors[:, ::-1]
    ideal = weight * (np.arange(len(values)) < factors)
    centred = 2 * values - 1
    h = {
        "linear": values + ideal,
        "plateau": 0.5 + 0.5 * np.sign(centred) * np.abs(centred) ** flatness + ideal,
        "sharpen": (values + ideal) * np.exp(-sharpness * values),
    }[filter]
    return R * R.sum(axis=0) ** -degrees @ (vectors * h) @ vectors.T * R.sum(axis=0) ** degrees


@pytest.mark.parametrize("filter", ["linear", "plateau", "sharpen"])
@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_scores_are_those_of_the_definition(filter, weight):
    X = sparse()
    options = {"user_exponent": 0.4, "item_exponent": 0.5, "degree_exponent": 0.3}
    model = GraphFilter(6, ideal_weight=weight, filter=filter, order=60, **options).fit(X)
    expected = plain(X, filter, 6, weight, 0.4, 0.5, 0.3)
    scores = np.stack([model.predict_pairs(user, range(30)) for user in range(50)])
    np.testing.assert_allclose(scores, expected, atol=5e-3 * np.abs(expected).max())


def test_gfcf_is_a_choice_of_exponents():
    X = sparse()
    options = {"user_exponent": 0.5, "item_exponent": 0.5, "degree_exponent": 0.5}
    scores = GraphFilter(0, **options).fit(X).predict_pairs([0] * 30, range(30))
    R = X.toarray()
    M = R / np.sqrt(R.sum(axis=1))[:, None] / np.sqrt(R.sum(axis=0))
    np.testing.assert_allclose(scores, (R[0] / np.sqrt(R.sum(0)) @ M.T @ M) * np.sqrt(R.sum(0)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("filter", ["linear", "plateau", "sharpen"])
def test_a_fitted_model_keeps_to_the_filter_that_it_was_fitted_with(filter, tmp_path):
    model = GraphFilter(4, filter=filter, random_state=0).fit(sparse())
    before = model.recommend(range(50), 30).scores
    other = {"filter": "plateau" if filter == "linear" else "linear", "ideal_weight": 2.0, "degree_exponent": 0.9}
    model.set_params(**other, order=2, flatness=3.0, sharpness=2.0, user_exponent=1.0, item_exponent=0.1, factors=2)
    np.testing.assert_array_equal(model.recommend(range(50), 30).scores, before)
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(load(tmp_path / "model").recommend(range(50), 30).scores, before)
    assert (model.fit(sparse()).recommend(range(50), 30).scores != before).any()


def test_a_linear_filter_is_one_step():
    assert GraphFilter().fit(sparse()).coefficients_.tolist() == [0.5, -0.5]


def test_interpolation_meets_the_function_at_its_nodes():
    coefficients = _interpolate(lambda values: values**3, 3)
    for value in (0.0, 0.3, 1.0):
        assert np.polynomial.chebyshev.chebval(1 - 2 * value, coefficients) == pytest.approx(value**3, abs=1e-12)


@pytest.mark.parametrize("factors", [0, 5, 140])
@pytest.mark.parametrize("exponent", [0.0, 0.3])
def test_a_search_has_the_bits_of_all_scores(factors, exponent, monkeypatch):
    monkeypatch.setattr(graph_filter, "DENSE_NUMBERS", 0)
    X = sparse(90, 400, 0.02)
    model = GraphFilter(factors, degree_exponent=exponent, random_state=0, n_jobs=2).fit(X)
    with monkeypatch.context() as searched:
        searched.setattr(FilterSearch, "is_worth", lambda search, signals: True)
        found, some = model.recommend(range(90), 30), model.recommend(range(90), 5, deny=[3, 4], exclude_seen=False)
        alone = [model.recommend(user, 30) for user in range(90)]
        monkeypatch.setattr(graph_filter, "USERS_AT_ONCE", 7)
        parts = model.recommend(range(90), 30)
    monkeypatch.setattr(FilterSearch, "is_worth", lambda search, signals: False)
    for answer, all_scores in (
        (found, model.recommend(range(90), 30)),
        (parts, found),
        (some, model.recommend(range(90), 5, deny=[3, 4], exclude_seen=False)),
    ):
        np.testing.assert_array_equal(answer.codes, all_scores.codes)
        np.testing.assert_array_equal(answer.scores, all_scores.scores)
    np.testing.assert_array_equal(np.concatenate([one.scores for one in alone]), found.scores)
    users = np.repeat(np.arange(90), 30)
    np.testing.assert_array_equal(model.predict_pairs(users, found.codes.ravel()), found.scores.ravel())


def test_users_that_a_search_cannot_answer_are_answered_by_all_scores(monkeypatch):
    monkeypatch.setattr(graph_filter, "DENSE_NUMBERS", 0)
    X = sparse(90, 400, 0.02)
    model = GraphFilter(5, random_state=0).fit(X)
    expected = model.recommend(range(90), 30)
    monkeypatch.setattr(filter_search, "ROOM", -448)
    answer = model.recommend(range(90), 30)
    np.testing.assert_array_equal(answer.scores, expected.scores)


def test_a_small_filter_is_one_matrix_and_scores_as_a_large_one_does(monkeypatch):
    X = sparse(60, 30, 0.4)
    model = GraphFilter(4, random_state=0).fit(X)
    assert model._is_dense
    found = model.recommend(range(60), 10)
    why = model.explain(0, int(found.codes[0, 0]))
    assert why.contributions.sum() == pytest.approx(found.scores[0, 0], rel=1e-4)
    monkeypatch.setattr(graph_filter, "DENSE_NUMBERS", 0)
    assert not model._is_dense
    np.testing.assert_allclose(model.recommend(range(60), 10).scores, found.scores, rtol=1e-4)


def test_more_users_at_a_time_change_no_bit():
    X = sparse(300)
    model = GraphFilter(5, random_state=0).fit(X)
    whole = model.recommend(X, 5)
    for rows in (slice(0, 1), slice(3, 80), slice(64, 200)):
        np.testing.assert_array_equal(model.recommend(X[rows], 5).scores, whole.scores[rows])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"factors": -1}, "must be an integer of at least 0"),
        ({"filter": "high"}, "GraphFilter.filter must be one of"),
        ({"flatness": 0.5}, "GraphFilter.flatness must be a finite number of at least 1"),
        ({"degree_exponent": -0.1}, "GraphFilter.degree_exponent must be a finite number from 0 to 1"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        GraphFilter(**options).fit(np.eye(3))
