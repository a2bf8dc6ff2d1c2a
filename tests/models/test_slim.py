"""SLIM against the conditions of its minimum in float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.models import SLIM
from fastrec.solvers.slim import TOLERANCE
from tests.reference import slim as reference

seeds = st.integers(0, 2**32 - 1)
penalties = st.sampled_from([(0.0, 1.0), (0.5, 0.5), (1.0, 10.0), (3.0, 50.0)])


def random_matrix(rng, rows, columns, density=0.3, values=(1, 2, 3)):
    return (rng.random((rows, columns)) < density) * rng.choice(values, (rows, columns)).astype(float)


def start_of(X):
    """Returns the largest gradient of each item's weights at weights of 0."""
    gramian = X.T @ X
    np.fill_diagonal(gramian, 0)
    return gramian.max(axis=0)


def distance(X, model, l1, l2):
    """Returns the largest gradient that is left, as a share of each item's largest gradient at weights of 0."""
    weights = model.weights_.toarray().astype(float)
    assert weights.min(initial=0) >= 0
    assert not weights.diagonal().any()
    return (reference.gradients(X, weights, l1, l2) / np.maximum(start_of(X), 1e-9)).max()


@settings(max_examples=30, deadline=None)
@given(seeds, penalties, st.sampled_from(["dense", "sparse"]))
def test_weights_are_a_minimum(seed, penalties, method):
    rng = np.random.default_rng(seed)
    X = random_matrix(rng, int(rng.integers(30, 60)), int(rng.integers(1, 60)), rng.choice([0.05, 0.3, 0.9]))
    model = SLIM(*penalties, method=method, threshold=0, weighting="raw", n_jobs=1).fit(X)
    assert distance(X, model, *penalties) <= 5 * TOLERANCE


@settings(max_examples=10, deadline=None)
@given(seeds)
def test_weights_of_many_alike_items_are_a_minimum(seed):
    """The data has more items than the set has places at first, and items that nearly repeat others."""
    rng = np.random.default_rng(seed)
    X = random_matrix(rng, 200, 150, values=(1,))
    X = np.hstack([X, np.where(rng.random(X.shape) < 0.02, 1 - X, X)])
    assert distance(X, SLIM(0.5, 1.0, weighting="raw").fit(X), 0.5, 1.0) <= 5 * TOLERANCE


def test_the_sparse_method_chooses_the_items_that_predict_best_alone():
    rng = np.random.default_rng(0)
    X = random_matrix(rng, 300, 40, values=(1,))
    model = SLIM(0.5, 5.0, method="sparse", neighbors=7, threshold=0).fit(X)
    gramian = X.T @ X
    strength = gramian / np.sqrt(gramian.diagonal() + 5.0)[:, None]
    np.fill_diagonal(strength, -1)
    best = -np.sort(-strength, axis=0)[6]
    rows, columns = model.weights_.nonzero()
    assert (strength[rows, columns] >= best[columns] * (1 - 1e-6)).all()
    assert np.bincount(columns, minlength=40).max() <= 7


def test_pairs_below_l1_have_no_weight():
    rng = np.random.default_rng(1)
    X = random_matrix(rng, 100, 30, density=0.15, values=(1,))
    weights = SLIM(4.0, 1.0).fit(X).weights_.toarray()
    assert (weights > 0).any()
    assert not weights[X.T @ X <= 4].any()


@pytest.mark.parametrize("method", ["dense", "sparse"])
def test_the_number_of_threads_changes_no_bit(method):
    X = random_matrix(np.random.default_rng(2), 120, 90)
    first, second = (SLIM(method=method, n_jobs=jobs).fit(X).weights_ for jobs in (1, 3))
    np.testing.assert_array_equal(first.indices, second.indices)
    np.testing.assert_array_equal(first.data, second.data)


def test_values_too_large_for_float32_are_refused():
    with pytest.raises(FloatingPointError, match="too large for float32"):
        SLIM(weighting="raw").fit(np.array([[1e30, 1.0], [1.0, 1.0]]))
