"""Private EASE: the weights it learns, the users it can answer, and the effect of noise."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastrec.models import EASE, PrivateEASE
from fastrec.models.private_ease import LEAST_TRUST, _trust_histories


def groups(n, seed=0):
    rng = np.random.default_rng(seed)
    taste = rng.integers(0, 4, n)
    chance = np.where(np.repeat(np.arange(4), 6) == taste[:, None], 0.6, 0.05)
    return sp.csr_array((rng.random((n, 24)) < chance).astype(np.float32))


def test_with_many_users_it_ranks_nearly_as_ease_does():
    X, held = groups(20_000), groups(300, seed=1)
    private = PrivateEASE(10.0, 1e-6, noise_seed=0).fit(X)
    assert len(private.head_) == 24
    assert private.score(held) > 0.97 * EASE(100).fit(X).score(held)


def test_with_few_users_and_a_small_epsilon_it_keeps_to_what_stands_out():
    model = PrivateEASE(0.1, 1e-6, noise_seed=0).fit(groups(100))
    assert len(model.head_) <= 2
    assert model.weights_.shape == (len(model.head_),) * 2
    assert np.isfinite(model.predict_pairs(groups(2)[[0]], range(24))).all()


def test_one_user_more_or_less_moves_the_sums_by_less_than_the_noise():
    X = groups(3000).toarray()
    without = X.copy()
    without[0] = 0
    one, other = (PrivateEASE(1.0, 1e-6, noise_seed=5).fit(data) for data in (X, without))
    assert np.abs(one.item_scores_ - other.item_scores_).max() <= 1


def test_the_head_can_be_given():
    model = PrivateEASE(5.0, 1e-6, head=7, noise_seed=0).fit(groups(2000))
    assert len(model.head_) == 7
    assert PrivateEASE(5.0, 1e-6, head=1000, noise_seed=0).fit(groups(2000)).head_.tolist() == list(range(24))
    for bad in (0, 2.5, "all"):
        with pytest.raises((ValueError, TypeError), match="head"):
            PrivateEASE(head=bad).fit(groups(2000))


def test_auto_takes_more_items_for_a_larger_epsilon():
    rng = np.random.default_rng(0)
    X = sp.csr_array((rng.random((1000, 400)) < 20 / np.arange(40, 440)).astype(np.float32))
    sizes = [len(PrivateEASE(epsilon, 1e-6, noise_seed=0).fit(X).head_) for epsilon in (0.5, 2.0, 8.0)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]


def test_similar_items_are_of_the_same_group():
    model = PrivateEASE(10.0, 1e-6, noise_seed=0).fit(groups(5000))
    assert all(code // 6 == 1 for code in model.similar_items(6, 5).codes[0])


def test_items_beyond_the_head_come_by_popularity():
    model = PrivateEASE(10.0, 1e-6, head=6, noise_seed=0).fit(groups(5000))
    beyond = np.setdiff1d(np.arange(24), model.head_)
    scores = model.predict_pairs(groups(1), beyond)
    assert np.argsort(-scores).tolist() == np.argsort(-model.item_scores_[beyond]).tolist()


def test_histories_count_less_the_shorter_they_are_and_the_more_the_most_popular_items_have():
    falling = 1 / np.arange(1.0, 1001)
    trusts = [
        _trust_histories(falling / falling.sum() * n_users * root, n_users)
        for n_users in (100, 10_000)
        for root in (2, 20)
    ]
    assert trusts[:2] == pytest.approx(trusts[2:])
    assert trusts[0] == LEAST_TRUST < trusts[1] < 1
    assert _trust_histories(np.ones(1000), 100) == 1.0  # no item is more popular than another
    assert _trust_histories(np.full(24, 5.0), 100) == 1.0
    for nothing in (np.zeros(30), np.full(30, -3.0)):
        assert LEAST_TRUST <= _trust_histories(nothing, 100) <= 1.0
