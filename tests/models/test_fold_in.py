"""Every model that solves for a user keeps the bounds of tests/reference/solved_rows.py, for all its options."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from fastrec.models import ExplicitALS, FixedFactors, ImplicitALS, compress
from tests.reference.solved_rows import assert_implicit, assert_solved, entries_of

DRAWN = (Phase.explicit, Phase.generate)  # data made from a seed cannot be simplified

histories = st.builds(
    lambda seed, rows, columns, density, size: sp.csr_matrix(
        (np.random.default_rng(seed).random((rows, columns)) < density)
        * 10.0 ** np.random.default_rng(seed + 1).uniform(-size, size, (rows, columns)).astype(np.float32)
    ),
    st.integers(0, 2**31),
    st.integers(2, 20),
    st.integers(2, 60),
    st.sampled_from([0.1, 0.5, 1.0]),
    st.sampled_from([0.0, 0.5, 2.0]),
)


@settings(max_examples=15, deadline=None, phases=DRAWN)
@given(histories, st.sampled_from([1, 3, 16]), st.floats(-2, 6), st.floats(-6, 3), st.sampled_from([0.0, 0.5, 1.0]))
def test_implicit_als_folds_in_within_the_bounds(X, factors, alpha, strength, exponent):
    alpha, strength = 10.0**alpha, 10.0**strength
    options = dict(regularization=strength, regularization_exponent=exponent, weighting="raw")
    model = ImplicitALS(factors, alpha=alpha, **options, iterations=2, random_state=0).fit(X)
    n = X.shape[1]
    known = model.item_factors_.astype(np.float64)

    def penalty_of(extra):
        return strength * (n + extra) ** exponent

    assert_implicit(model.item_factors_, X, model.transform(X), known.T @ known, alpha, penalty_of)
    small = compress(model, "int8")
    decoded = small.decode_items(np.arange(n))
    assert_implicit(decoded, X, small.transform(X), np.diag(np.square(known).sum(axis=0)), alpha, penalty_of)


@settings(max_examples=20, deadline=None, phases=DRAWN)
@given(histories, st.sampled_from([1, 3, 16]), st.floats(-2, 6), st.floats(-9, 3))
def test_fixed_factors_fold_in_within_the_bounds(X, factors, alpha, strength):
    items = np.random.default_rng(0).normal(size=(X.shape[1], factors)).astype(np.float32)
    items[1::2] = items[0]
    alpha, strength = 10.0**alpha, 10.0**strength
    model = FixedFactors(None, items, alpha=alpha, regularization=strength).fit(X)
    wide = items.astype(np.float64)
    assert_implicit(items, X, model.transform(X), wide.T @ wide, alpha, lambda extra: strength)


@settings(max_examples=25, deadline=None, phases=DRAWN)
@given(histories, st.sampled_from([1, 3, 16, 40]), st.floats(-6, 3), st.floats(-6, 3), st.sampled_from([0.0, 0.5, 1.0]))
def test_explicit_als_folds_in_within_the_bounds(X, factors, strength, of_biases, exponent):
    strength, of_biases = 10.0**strength, 10.0**of_biases
    model = ExplicitALS(
        factors, regularization=strength, bias_regularization=of_biases, regularization_exponent=exponent,
        iterations=2, random_state=0,
    ).fit(X)  # fmt: skip
    solutions = model.transform(X)
    others = np.column_stack([model.item_factors_[:, :-2], model.item_biases_]).astype(np.float64)
    for row, got in enumerate(solutions[:, :-1].astype(np.float64)):
        items, values = entries_of(X, row)
        near = others[items].copy()
        targets = values - model.mean_ - near[:, -1]
        near[:, -1] = 1
        penalties = np.full(near.shape[1], strength * model.spread_)
        penalties[-1] = of_biases
        equations = near.T @ near + np.diag(penalties) * max(len(items), 1) ** exponent
        if len(items):
            assert_solved(equations, near.T @ targets, got)


@pytest.mark.parametrize("values", [1.0, 5000.0, 2e5])
def test_folded_in_users_are_those_of_an_update(values):
    rng = np.random.default_rng(0)
    X = sp.csr_matrix((rng.random((30, 12)) < 0.4) * values)
    model = ImplicitALS(
        3, alpha=40.0, regularization=0.01, regularization_exponent=0, weighting="raw", random_state=0
    ).fit(X)
    model.partial_fit(X)
    known = model.item_factors_.astype(np.float64)
    assert_implicit(model.item_factors_, model.seen_, model.user_factors_, known.T @ known, 40.0, lambda extra: 0.01)


@pytest.mark.parametrize("strength", [1e8, 1e11])
def test_factors_that_a_penalty_takes_to_nothing_are_no_division_by_zero(strength):
    X = np.kron(np.eye(2), np.ones((4, 3)))
    model = ImplicitALS(8, regularization=strength, random_state=0).fit(X)
    assert np.isfinite(model.user_factors_).all()
    assert np.isfinite(model.transform(X)).all()
