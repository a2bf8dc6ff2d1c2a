"""The bases between half epochs: products stay, the Gramian is diagonal, and a balanced penalty is the least."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.models import ImplicitALS
from fastrec.solvers.als_bases import Gramians, balance, choose_bases, is_balanced, relaxation

FACTORS, WIDTH = 5, 16


def random_sides(seed, scale=1.0, factors=FACTORS):
    rng = np.random.default_rng(seed)
    users, items = np.zeros((60, WIDTH), np.float32), np.zeros((40, WIDTH), np.float32)
    users[:, :factors] = rng.standard_normal((60, factors)) * scale * rng.uniform(0.2, 3, factors)
    items[:, :factors] = rng.standard_normal((40, factors)) / scale
    return users, items, rng.uniform(0.5, 4, 60), rng.uniform(0.5, 4, 40)


def weigh(rows, weights):
    return (rows.T.astype(float) * weights) @ rows


def gramians_of(users, items, user_weights, item_weights):
    return Gramians(weigh(items, np.ones(40)), np.stack([weigh(users, user_weights), weigh(items, item_weights)]))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1.0, 1e-3, 1e3]), st.booleans())
def test_products_stay_and_the_gramian_becomes_diagonal(seed, scale, balanced):
    users, items, *weights = random_sides(seed, scale)
    bases = choose_bases(gramians_of(users, items, *weights), FACTORS, balanced)
    changed = items @ bases.others
    np.testing.assert_allclose(
        (users @ bases.own) @ changed.T, users @ items.T, atol=1e-4 * np.abs(users @ items.T).max()
    )
    expected = np.diag(np.pad(bases.eigenvalues, (0, WIDTH - FACTORS)))
    np.testing.assert_allclose(changed.T @ changed, expected, atol=1e-4 * expected.max())
    assert (np.diff(bases.eigenvalues) <= 0).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1.0, 1e-3, 1e3]))
def test_balanced_sides_have_equal_gramians_and_no_change_lowers_the_penalty(seed, scale):
    users, items, *weights = random_sides(seed, scale)
    whole = gramians_of(users, items, *weights)
    bases = choose_bases(whole, FACTORS, True)
    first, second = (weigh(rows @ own, w) for rows, own, w in zip((users, items), bases[1:], weights, strict=True))
    np.testing.assert_allclose(first, second, atol=1e-4 * np.abs(first).max())
    least = np.trace(first) + np.trace(second)
    assert least <= (np.trace(whole.weighted[0]) + np.trace(whole.weighted[1])) * (1 + 1e-5)
    change = np.eye(FACTORS) + 0.1 * np.random.default_rng(seed).standard_normal((FACTORS, FACTORS))
    back = np.linalg.inv(change).T
    used = slice(FACTORS)
    other = np.trace(change.T @ first[used, used] @ change) + np.trace(back.T @ second[used, used] @ back)
    assert other >= least * (1 - 1e-5)


@pytest.mark.parametrize("users", [np.zeros((3, 3)), np.full((3, 3), np.nan), np.diag([np.inf, 1, 1])])
def test_sides_without_a_penalty_stay_as_they_are(users):
    assert all(np.array_equal(change, np.eye(3)) for change in balance(users, np.eye(3)))
    assert all(np.array_equal(change, np.eye(3)) for change in balance(np.eye(3), users))


def test_directions_that_one_side_lacks_stay_finite():
    users, items, *weights = random_sides(0)
    users[:, 3:] = 0
    bases = choose_bases(gramians_of(users, items, *weights), FACTORS, True)
    assert np.isfinite(bases.own).all()
    np.testing.assert_allclose((users @ bases.own) @ (items @ bases.others).T, users @ items.T, atol=1e-3)


def test_gramians_follow_the_change_of_the_other_side():
    users, items, *weights = random_sides(1)
    bases = choose_bases(gramians_of(users, items, *weights), FACTORS, True)
    solved = users @ bases.own * 2
    after = gramians_of(users, items, *weights).following(
        0, bases.others, weigh(solved, np.ones(60)), weigh(solved, weights[0])
    )
    np.testing.assert_allclose(after.weighted[1], weigh(items @ bases.others, weights[1]), rtol=1e-4, atol=1e-4)
    assert np.array_equal(after.weighted[0], weigh(solved, weights[0]))


def test_epochs_that_are_balanced_and_relaxed():
    assert [epoch for epoch in range(20) if is_balanced(epoch)] == [1, 2, 4, 8, 16]
    assert [relaxation(epoch) for epoch in range(4)] == [1.0, 1.0, 1.5, 1.5]


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
def test_no_epoch_raises_the_loss_of_sides_that_begin_far_from_balance(exponent):
    rng = np.random.default_rng(0)
    X = (rng.random((200, 90)) < 0.1).astype(np.float32)
    model = ImplicitALS(
        8, alpha=20.0, regularization=0.05, regularization_exponent=exponent, iterations=12, dtype="float32",
        cg_steps=8, warm_start=True, n_jobs=1,
    )  # fmt: skip
    model.user_factors_ = rng.normal(0, 10, (200, 8)).astype(np.float32)
    model.item_factors_ = rng.normal(0, 0.001, (90, 8)).astype(np.float32)
    curve = model.fit(X).loss_curve_
    assert (np.diff(curve) <= 1e-4 * curve[0]).all()
