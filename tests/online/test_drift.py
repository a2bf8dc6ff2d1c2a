"""Drift: the earlier snapshot predicts events, and a model that has become worse is noticed and refitted."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrec.data import Interactions
from fastrec.models import ImplicitALS
from fastrec.online import Deletion, Drift, Event, Journal, Schedule, Snapshot, Updater, Versions
from fastrec.online.drift import foresee

N_USERS, GROUP, N_GROUPS = 200, 15, 4


def taken(rng, group, n):
    return group * GROUP + rng.choice(GROUP, n, replace=False)


@pytest.fixture(scope="module")
def model():
    """Returns users of four groups, each with fifteen items of its own, of which a user has had five."""
    rng = np.random.default_rng(0)
    items = np.concatenate([taken(rng, user % N_GROUPS, 5) for user in range(N_USERS)])
    users, n_items = np.repeat(np.arange(N_USERS), 5), GROUP * N_GROUPS
    data = Interactions(users, items, users=np.arange(N_USERS), items=np.arange(n_items))
    return ImplicitALS(factors=8, iterations=5, random_state=0, n_jobs=1).fit(data)


def events(seed, shift):
    """Returns the next events of users: items of their group, or of the group `shift` further on."""
    rng = np.random.default_rng(seed)
    return [(user, int(taken(rng, (user + shift) % N_GROUPS, 1)[0])) for user in range(N_USERS)]


def test_predictions_are_judged_by_the_ndcg_of_items_new_to_users_with_a_history(model):
    snapshot = Snapshot(model)
    best = snapshot.recommend([3, 5, 9], 10).items
    seen = int(model.seen_[[3]].indices[0])
    entries = [
        Event(3, int(best[0, 0]), seq=1), Event(3, seen, seq=2), Event(5, int(best[1, 3]), seq=3),
        Event("x", 1, seq=4), Event(7, 10**6, seq=5), Event(10**6, 1, seq=6), Deletion(b"", 7),
        Event(9, int(best[2, 1]), -1.0, seq=8),
    ]  # fmt: skip
    np.testing.assert_allclose(foresee(snapshot, entries), [1, 1 / np.log2(5)])
    assert foresee(snapshot, []).shape == (0,)


def test_chance_is_no_drift():
    rng = np.random.default_rng(0)
    drift = Drift(0.05, window=200)
    for _ in range(50):
        drift.add(((rng.random(100) < 0.1) * rng.random(100)).tolist())
        assert not drift.has_fallen
    drift.add([0.0] * 200)
    assert drift.has_fallen
    drift.reset()
    assert not drift.has_fallen
    assert np.isnan(drift.first)


@given(st.lists(st.lists(st.floats(0, 1), max_size=9), max_size=9), st.integers(2, 8))
def test_the_first_users_are_compared_with_the_newest_of_the_others(groups, window):
    drift = Drift(0.2, window=window)
    for group in groups:
        drift.add(group)
    values = [value for group in groups for value in group]
    for found, users in ((drift.first, values[:window]), (drift.newest, values[window:][-window:])):
        np.testing.assert_allclose(found, np.mean(users) if len(users) == window else np.nan)


@pytest.mark.parametrize(("newest", "fallen"), [(0.005, True), (0.0079, True), (0.0081, False), (0.02, False)])
def test_a_fall_is_a_share_of_what_was(newest, fallen):
    drift = Drift(0.2, window=10)
    drift.add([0.01] * 10 + [newest] * 10)
    assert drift.has_fallen is fallen


@pytest.mark.parametrize(("shift", "fallen"), [(0, False), (1, True)])
def test_a_change_of_taste_is_noticed(model, tmp_path, shift, fallen):
    drift = Drift(0.2, window=150)
    with Journal(tmp_path / "events.db") as journal:
        updater = Updater(model, journal)
        for seed in range(6):
            drift.look(updater.catch_up(), journal)
            journal.append(events(seed, 0 if seed < 1 else shift))
        drift.look(updater.catch_up(), journal)
    assert drift.first > 0.2
    assert drift.has_fallen is fallen


def test_a_drift_is_answered_by_a_refit(model, tmp_path, monkeypatch):
    monkeypatch.setattr("fastrec.online.schedule.Drift", lambda fall: Drift(fall, window=150))
    versions = Versions(tmp_path / "models")
    versions.publish(model)
    refitted = threading.Event()
    with Journal(tmp_path / "events.db") as journal:
        updater = Updater(versions, journal)
        told = {"refit": refitted}
        schedule = Schedule(updater, refit_drift=0.2, tick=0.01, report=lambda what, seconds: told[what].set())
        schedule._look()
        assert not schedule._refit_is_due()
        for seed in range(6):
            journal.append(events(seed, 0 if seed < 1 else 1))
            schedule._look()
        assert schedule._refit_is_due()
        schedule.start()
        assert refitted.wait(60)
        schedule.stop()
        assert np.isnan(schedule.drift.newest), "after a refit it begins anew"
    assert versions.current() != "v000001"
