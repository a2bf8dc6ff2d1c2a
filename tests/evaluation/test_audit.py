"""Audits: private models keep their claims, half the noise is detected, and ordinary models leak."""

import numpy as np
import pytest

from fastrec.data import Interactions
from fastrec.evaluation import audit
from fastrec.evaluation.audit import Audit
from fastrec.models import ImplicitALS, ItemKNN, Popularity, PrivateEASE, PrivatePopularity, SequenceRules
from fastrec.privacy import Budget, epsilon_of, mu_of, spending

USERS = np.repeat(np.eye(20, dtype=np.float32), 50, axis=0)  # each user has one of twenty items
PRIVATE = pytest.mark.parametrize("kind", [PrivatePopularity, PrivateEASE])


def sparse_users(n=150, items=60):
    return (np.random.default_rng(0).random((n, items)) < np.linspace(0.3, 0.02, items)).astype(np.float32)


@PRIVATE
def test_bounds_of_private_models_come_near_to_what_they_claim_and_not_above(kind):
    found = audit(kind(10.0, 1e-6), USERS, releases=250, through_file=True)
    assert found.claimed_mu == pytest.approx(mu_of(10.0, 1e-6), rel=1e-6)
    assert 0.6 * found.claimed_mu < found.mu
    assert found.mu_at(0.9999) < found.claimed_mu
    assert found.epsilon < found.claimed_epsilon


@PRIVATE
def test_half_the_noise_is_caught(kind, monkeypatch):
    draw = spending.draw_gaussian
    monkeypatch.setattr(spending, "draw_gaussian", lambda n, source: draw(n, source) // 2)
    found = audit(kind(5.0, 1e-6), USERS, releases=250)
    assert found.mu_at(0.999) > found.claimed_mu
    assert found.exceeds_claim


def test_ordinary_models_give_away_who_has_rare_items():
    for model, options in ((ItemKNN(), {"others": 0.5}), (ImplicitALS(factors=32, iterations=5), {})):
        found = audit(model, sparse_users(), size=8, releases=20, **options)
        assert found.auc > 0.95
        assert found.claimed_epsilon is None
        assert not found.exceeds_claim


def test_the_canary_can_be_given_in_ids():
    X = sparse_users()
    users, items = np.nonzero(X)
    names = {"users": [f"user {code}" for code in range(len(X))], "items": [f"item {code}" for code in range(60)]}
    data = Interactions(users, items, **names)
    by_id = audit(ItemKNN(), data, canary=["item 58", "item 59"], releases=20)
    by_code = audit(ItemKNN(), X, canary=[58, 59], releases=20)
    np.testing.assert_array_equal(by_id.scores_with, by_code.scores_with)
    assert by_id.auc == 1
    with pytest.raises(ValueError, match="nowhere"):
        audit(ItemKNN(), data, canary=["nowhere"])


def test_one_item_is_asked_for_by_itself():
    found = audit(Popularity(), sparse_users(), canary=[3], releases=20)
    assert (found.scores_with - found.scores_without == 1).all()


def test_a_canary_may_be_the_only_one_who_has_anything():
    found = audit(Popularity(), np.zeros((3, 4), np.float32), canary=[1, 2], releases=20)
    assert (found.scores_with.max(), found.scores_without.max()) == (2, 0)
    with pytest.raises(ValueError, match="at least one item"):
        audit(Popularity(), np.zeros((3, 4), np.float32))


def test_models_of_order_are_given_places():
    order = sparse_users() * np.arange(1, 61)
    assert audit(SequenceRules(), order, size=5, releases=20).auc == 1


def test_no_budget_is_charged_and_no_seed_repeats_the_noise(tmp_path):
    path = str(tmp_path / "b")
    budget = Budget(path, epsilon=2.0, delta=1e-6)
    model = PrivatePopularity(1.0, 1e-6, budget=path, noise_seed=3)
    found = audit(model, USERS, releases=20)
    assert budget.epsilon_spent == 0
    assert len(np.unique(found.scores_with)) == 20
    assert (model.budget, model.noise_seed) == (path, 3)


def test_the_findings_are_reported():
    found = Audit(np.arange(100) + 50.0, np.arange(100.0), 1e-6, claimed_epsilon=0.1, claimed_mu=0.02)
    assert found.exceeds_claim
    assert found.epsilon_by_mu == epsilon_of(found.mu, 1e-6)
    assert found.mu_at(0.5) > found.mu > found.mu_at(0.999)
    assert "100 releases with the canary and as many without: AUC 0.8" in str(found)
    assert "claimed: epsilon 0.1, mu 0.02" in str(found)


@pytest.mark.parametrize(("options", "said"), [
    ({"releases": 5}, "releases must be an integer of at least 20"), ({"others": 0.0}, "others"),
    ({"confidence": 1.0}, "confidence"), ({"delta": 0.0}, "delta"), ({"canary": [99]}, "from 0 to 59"),
    ({"canary": []}, "at least one item"), ({"canary": "everything"}, "at least one item"), ({"size": 0}, "size"),
])  # fmt: skip
def test_wrong_options_are_refused(options, said):
    with pytest.raises((ValueError, TypeError), match=said):
        audit(Popularity(), sparse_users(), **options)
