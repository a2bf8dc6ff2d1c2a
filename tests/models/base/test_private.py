"""Private models hold no user, and every released number is paid for."""

import json
import pickle

import numpy as np
import pytest
import scipy.sparse as sp

from fastrec.data import Interactions
from fastrec.evaluation import search
from fastrec.models import EASE, PrivateEASE, PrivatePopularity, load
from fastrec.online.training_data import check_refittable, check_updatable
from fastrec.privacy import Budget, BudgetSpentError, NotPrivateWarning
from fastrec.storage import read_arrays, write_arrays

KINDS = pytest.mark.parametrize("kind", [PrivateEASE, PrivatePopularity])


def groups(n=600):
    """Returns users of two groups, each with five items of its own."""
    rng = np.random.default_rng(0)
    taste = np.repeat([0, 1], n // 2)
    chance = np.where(np.repeat([0, 1], 5) == taste[:, None], 0.7, 0.05)
    return sp.csr_array((rng.random((n, 10)) < chance).astype(np.float32))


def as_interactions(X):
    cells = X.tocoo()
    users = [f"user-{code:05d}-xyz" for code in range(X.shape[0])]
    return Interactions(cells.row, cells.col, users=users, items=[f"item{code}" for code in range(X.shape[1])])


@KINDS
def test_the_file_names_nobody_and_holds_no_history(kind, tmp_path):
    data = as_interactions(groups())
    model = kind(5.0, 1e-6).fit(data)
    model.save(tmp_path / "m.fastrec")
    content = (tmp_path / "m.fastrec").read_bytes()
    for encoding in ("utf-8", "utf-16-le"):
        assert "user-000".encode(encoding) not in content
    assert b"item3" in content
    arrays, _ = read_arrays(tmp_path / "m.fastrec")
    assert arrays["seen/indices"].size == 0
    again = load(tmp_path / "m.fastrec")
    assert again.seen_.shape == (0, 10)
    assert again.privacy_["private"] is True
    assert len(pickle.loads(pickle.dumps(model)).users_) == 0


@KINDS
def test_no_exact_count_is_kept(kind):
    X = groups()
    model, exact = kind(1.0, 1e-6).fit(X), EASE().fit(X).item_counts_
    assert (model.item_counts_ != exact).any()
    assert (model.item_scores_ != np.rint(model.item_scores_)).any()


@KINDS
def test_fits_differ_as_their_noise_comes_from_the_system(kind):
    X = groups()
    first, second = kind(1.0, 1e-6).fit(X), kind(1.0, 1e-6).fit(X)
    assert (first.item_scores_ != second.item_scores_).any()


@KINDS
def test_known_users_are_answered_once_their_data_is_given(kind, tmp_path):
    data = as_interactions(groups())
    model = kind(5.0, 1e-6).fit(data)
    with pytest.raises(ValueError, match="user-00001-xyz"):
        model.recommend(["user-00001-xyz"])
    known = model.with_users(data)
    assert known.recommend(["user-00001-xyz"], 3).codes.tolist() == model.recommend(data[[1]], 3).codes.tolist()
    with pytest.raises(ValueError, match="save the model that fit returned"):
        known.save(tmp_path / "m.fastrec")
    assert model.seen_.shape == (0, 10)


@KINDS
def test_a_seed_makes_a_model_that_is_not_private_and_save_warns(kind, tmp_path):
    model = kind(5.0, 1e-6, noise_seed=1).fit(groups())
    assert model.privacy_["private"] is False
    with pytest.warns(NotPrivateWarning, match="is not private: its noise came from noise_seed"):
        model.save(tmp_path / "m.fastrec")


@KINDS
def test_a_budget_is_charged_by_each_fit(kind, tmp_path):
    path = str(tmp_path / "b")
    budget = Budget(path, epsilon=2.0, delta=1e-6)
    model = kind(1.0, 1e-6, budget=path).fit(groups())
    assert budget.epsilon_spent == pytest.approx(1.0, rel=1e-5)
    assert model.privacy_["budget"] == budget.id
    model.fit(groups())
    model.fit(groups())
    before = model.item_scores_
    with pytest.raises(BudgetSpentError):
        model.fit(groups())
    assert budget.epsilon_spent <= 2.0
    assert model.item_scores_ is before
    with pytest.raises(FileNotFoundError):
        kind(budget=str(tmp_path / "other")).fit(groups())
    with pytest.raises(TypeError, match="path of a budget as text"):
        kind(budget=3).fit(groups())


@KINDS
def test_each_fit_of_a_search_is_charged_and_one_beyond_the_budget_refused(kind, tmp_path):
    path = str(tmp_path / "b")
    budget = Budget(path, epsilon=5.0, delta=1e-6)
    model, space = kind(1.0, 1e-6, budget=path), {"delta": [1e-6, 1e-7]}
    search(model, space, groups(), method="grid", cv=2, metric="ndcg@5")
    assert len(budget.charges()) == 2 * 2 + 1  # trials times parts, and the last fit to all data
    with pytest.raises(ValueError, match="is spent up to"):
        search(kind(4.0, 1e-6, budget=path), space, groups(), method="grid", cv=2, metric="ndcg@5")
    assert budget.epsilon_spent <= 5.0


@KINDS
def test_later_events_need_a_fit_of_their_own(kind):
    model = kind(5.0, 1e-6).fit(as_interactions(groups()))
    assert not hasattr(model, "partial_fit")
    for check in (check_updatable, check_refittable):
        with pytest.raises(TypeError, match="keeps no users"):
            check(model)


@KINDS
def test_wrong_epsilons_and_deltas_are_refused(kind):
    for options in ({"epsilon": 0}, {"epsilon": -1.0}, {"delta": 0.0}, {"delta": 1 / 600}, {"epsilon": np.inf}):
        with pytest.raises((ValueError, TypeError), match=next(iter(options))):
            kind(**options).fit(groups())


@KINDS
def test_a_changed_file_is_refused(kind, tmp_path):
    model = kind(5.0, 1e-6).fit(groups())
    model.save(tmp_path / "m.fastrec")
    arrays, record = read_arrays(tmp_path / "m.fastrec")
    record["learned"]["privacy_record_"]["value"] = json.dumps({"epsilon": 1})
    write_arrays(tmp_path / "other.fastrec", dict(arrays), record)
    with pytest.raises(ValueError, match="privacy_record_ must hold"):
        load(tmp_path / "other.fastrec")


def test_values_are_not_read():
    X = groups()
    heavy = X.copy()
    heavy.data[:] = 7
    first, second = (PrivateEASE(5.0, 1e-6, noise_seed=0).fit(data) for data in (X, heavy))
    np.testing.assert_array_equal(first.weights_, second.weights_)
    np.testing.assert_array_equal(first.predict(X), first.predict(heavy))
