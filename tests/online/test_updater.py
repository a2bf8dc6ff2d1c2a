"""Snapshots and the Updater: each event once, the newest seen by the next answer, the same bits after any death."""

import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from fastrec.data import Interactions
from fastrec.models import (
    EASE,
    ContentRecommender,
    ExplicitALS,
    ImplicitALS,
    Item2Vec,
    ItemKNN,
    Popularity,
    PureSVD,
    SGDFactorization,
    UserKNN,
    compress,
    estimators,
    load,
)
from fastrec.online import Deletion, Event, Journal, JournalTrimmedError, Schedule, Snapshot, Updater, Versions
from fastrec.online.training_data import interactions_of
from fastrec.storage import FileError

USERS, ITEMS = [f"u{n}" for n in range(40)], [f"i{n}" for n in range(25)]


def data(seed=0, ids=True):
    rng = np.random.default_rng(seed)
    cells = np.argwhere(rng.random((40, 25)) < 0.2)
    values = rng.integers(1, 4, len(cells))
    names = {"users": USERS, "items": ITEMS} if ids else {"users": np.arange(40), "items": np.arange(25)}
    info = {"title": [f"Film {n}" for n in range(25)]}
    return Interactions(cells[:, 0], cells[:, 1], values, item_info=info, **names)


@pytest.fixture(scope="module")
def model():
    return ImplicitALS(factors=4, iterations=4, random_state=0, n_jobs=1).fit(data())


@pytest.fixture
def journal(tmp_path):
    with Journal(tmp_path / "events.db") as journal:
        yield journal


def same(first, second):
    np.testing.assert_array_equal(first.codes, second.codes)
    np.testing.assert_array_equal(first.scores, second.scores)
    np.testing.assert_array_equal(first.fallback, second.fallback)


def same_models(first, second):
    np.testing.assert_array_equal(first.user_factors_, second.user_factors_, strict=True)
    np.testing.assert_array_equal(first.item_factors_, second.item_factors_, strict=True)
    assert (first.seen_ != second.seen_).nnz == 0


# -- Snapshot


def test_a_snapshot_answers_as_an_updated_model_bit_for_bit(model):
    events = [
        Event("u3", "i7", 2.0, seq=1),
        Event("new", "i1", seq=2),
        Event("u3", "i7", seq=3),
        Event("u9", "i2", seq=4),
    ]
    snapshot = Snapshot(model).after(events[:1]).after(events[1:])
    rows = np.zeros((3, 25))
    rows[0, 7], rows[1, 1], rows[2, 2] = 3, 1, 1
    updated = load_copy(model).update_users(["u3", "new", "u9"], rows)
    who = ["u3", "u4", "new", "u9", "u5"]
    for options in ({}, {"exclude_seen": False}, {"deny": ["i1", "i3"]}, {"allow": ITEMS[:9]}):
        same(snapshot.recommend(who, 7, **options), updated.recommend(who, 7, **options))
        same(snapshot.recommend(["new"], 7, **options), updated.recommend(["new"], 7, **options))
    assert snapshot.recommend(who, 3).users.tolist() == who
    assert snapshot.seq == 4
    assert snapshot.changed_users == 3
    mine, theirs = snapshot.explain("u3", "i4"), updated.explain("u3", "i4")
    assert mine.score == theirs.score
    assert mine.items.tolist() == theirs.items.tolist()


def load_copy(model):
    import copy

    return copy.copy(model)


def test_a_user_who_asks_again_is_answered_from_the_same_factors_until_the_next_event(model):
    one = Snapshot(model).after([Event("u3", "i7", seq=1)])
    first, again = one.recommend(["u3"], 5), one.recommend(["u3"], 5)
    same(first, again)
    two = one.after([Event("u3", "i8", 5.0, seq=2)])
    rows = model.seen_[[3]].toarray()
    rows[0, 7] += 1
    same(one.recommend(["u3"], 5), model.recommend(rows, 5))
    rows[0, 8] += 5
    same(two.recommend(["u3"], 5), model.recommend(rows, 5))


def test_what_is_known_of_users_counts_beside_what_they_do():
    features = np.kron(np.eye(4), np.ones((10, 1)))
    model = SGDFactorization(4, loss="logistic", iterations=3, random_state=0, n_jobs=1)
    model.fit(data(), user_features=features)
    snapshot = Snapshot(model).after([Event("u3", "i7", seq=1), Event("new", "i1", seq=2), Event("u9", "i2", seq=3)])
    rows = np.zeros((3, 25))
    rows[0, 7], rows[1, 1], rows[2, 2] = 1, 1, 1
    updated = load_copy(model).update_users(["u3", "new", "u9"], rows)
    for who in (["u3", "u4", "new"], ["u3"], ["new", "u9"]):
        for options in ({"on_unknown": "popular"}, {"exclude_seen": False}, {"deny": ["i1"]}):
            same(snapshot.recommend(who, 5, **options), updated.recommend(who, 5, **options))


def test_an_older_snapshot_stays_as_it_was(model):
    before = Snapshot(model)
    expected = before.recommend(USERS, 5)
    after = before.after([Event(user, "i0", seq=n) for n, user in enumerate(USERS, 1)])
    later = after.after([Event("u0", "i1", seq=41)])
    same(before.recommend(USERS, 5), expected)
    assert (before.seq, after.seq, later.seq) == (0, 40, 41)
    assert len(after.history("u0").codes) + (1 not in after.history("u0").codes) == len(later.history("u0").codes)


def test_unknown_items_and_users_are_counted_or_told(model):
    snapshot = Snapshot(model).after([Event("u1", "unheard of", seq=1), Event(7, 7, seq=2), Event("x", 7, seq=3)])
    assert snapshot.unknown_items == 3
    same(snapshot.recommend(["u1"]), model.recommend(["u1"]))
    with pytest.raises(ValueError, match="unknown id 'x'"):
        snapshot.recommend(["x"])
    with pytest.raises(ValueError, match="unknown id 'x'"):
        snapshot.explain("x", "i1")
    with pytest.raises(ValueError, match="must follow 3"):
        snapshot.after([Event("u1", "i1", seq=3)])
    same(snapshot.recommend("u1"), snapshot.recommend(["u1"]))
    assert snapshot.recommend(["x", "u1"], on_unknown="popular").fallback.tolist() == [True, False]
    assert not snapshot.knows("x")
    assert snapshot.knows("u1")


def test_values_that_the_model_takes_no_notice_of(model):
    snapshot = Snapshot(model).after([Event("u1", "i3", 1e-300, seq=1), Event("u1", "i3", -2.0, seq=2)])
    assert snapshot.changed_users == 0
    assert snapshot.seq == 2


def test_an_event_of_value_zero_is_had_and_not_learned_from(model):
    before = Snapshot(model)
    best = before.recommend(["u1"], k=1).items[0, 0]
    after = before.after([Event("u1", best, 0.0, seq=1)])
    found, others = after.recommend(["u1"], k=24), before.recommend(["u1"], k=25)
    assert best not in found.items
    np.testing.assert_array_equal(found.scores[found.valid], others.scores[others.valid][1:])


def test_a_deleted_user_is_unknown_and_may_begin_anew(model, journal):
    snapshot = Snapshot(model, mark=journal.mark).after(
        [Event("u2", "i1", seq=1), Event("u3", "i1", seq=2), Deletion(journal.mark("u2"), 3)]
    )
    assert not snapshot.knows("u2")
    with pytest.raises(ValueError, match="unknown id 'u2'"):
        snapshot.recommend(["u2", "u3"])
    top = snapshot.recommend(["u2", "u3", "u4"], on_unknown="popular")
    assert top.fallback.tolist() == [True, False, False]
    anew = snapshot.after([Event("u2", "i5", seq=4)])
    assert anew.history("u2").codes.tolist() == [5]
    same(anew.recommend(["u2"]), model.recommend(model.histories([["i5"]])))


def test_without_a_vocabulary_codes_are_ids():
    model = Popularity().fit(data(ids=False).matrix)
    snapshot = Snapshot(model).after(
        [Event(3, 1, seq=1), Event(99, 2, seq=2), Event("3", 3, seq=3), Event(3, 99, seq=4)]
    )
    assert 1 in snapshot.history(3).codes
    assert snapshot.history(99).codes.tolist() == [2]
    assert snapshot.unknown_items == 1
    # Numbers that the model does not know are unknown users, whatever else is asked.
    for options in ({}, {"exclude_seen": False}, {"deny": [0]}):
        top = snapshot.recommend([500, 4, -1], 3, on_unknown="popular", **options)
        assert (top.codes[[0, 2]] >= 0).all()
        same(snapshot.recommend([4], 3, on_unknown="popular", **options), model.recommend([4], 3, **options))
        with pytest.raises(ValueError, match="unknown id 500"):
            snapshot.recommend([4, 500], **options)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4), st.floats(0.125, 100, width=32)), max_size=30), st.data()
)
def test_any_grouping_of_events_gives_the_same_histories(model, triples, draw):
    events = [Event(f"u{user}", f"i{item}", value, seq=seq) for seq, (user, item, value) in enumerate(triples, 1)]
    cut = draw.draw(st.integers(0, len(events)))
    one, two = Snapshot(model).after(events), Snapshot(model).after(events[:cut]).after(events[cut:])
    for user in range(6):
        first, second = one.history(f"u{user}"), two.history(f"u{user}")
        np.testing.assert_array_equal(first.codes, second.codes)
        np.testing.assert_array_equal(first.values, second.values)


VALUES = st.floats(0.125, 3000, width=32)


@pytest.mark.parametrize("policy", ["sum", "last", "max"])
@settings(max_examples=30, deadline=None)
@given(
    events=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6), VALUES), max_size=200),
    cuts=st.sets(st.integers(0, 200)),
)
def test_however_they_come_and_whoever_asks_meanwhile_histories_are_those_of_an_update(model, policy, events, cuts):
    events = [Event(f"u{user}", f"i{item}", value, seq=seq) for seq, (user, item, value) in enumerate(events, 1)]
    snapshot, start = Snapshot(model, policy=policy), 0
    for cut in [*sorted(cuts), len(events)]:
        snapshot = snapshot.after(events[start:cut])
        start = max(start, cut)
        if cut % 3 == 0:
            snapshot.history("u1")
    updated = load_copy(model).partial_fit(interactions_of(model, events, policy)) if events else model
    for user in range(3):
        row = updated.seen_[[user]]
        np.testing.assert_array_equal(snapshot.history(f"u{user}").codes, row.indices)
        np.testing.assert_array_equal(snapshot.history(f"u{user}").values, row.data)


def test_an_event_more_copies_no_more_of_a_long_history_than_of_a_short_one(model):
    def waiting(n):
        snapshot = Snapshot(model).after([Event("u1", f"i{j % 20}", seq=j + 1) for j in range(n)])
        return len(snapshot._histories.get("u1")._state[1]), len(snapshot._histories.get("u1")._state[0].codes)

    assert waiting(10) == (10, 0)
    assert waiting(100_000) == (0, 20)


# -- Updater


def test_events_are_seen_by_the_next_answer_in_every_process(model, journal):
    one, two = Updater(model, journal), Updater(model, journal)
    best = one.snapshot.recommend(["u1"], 1).items[0, 0]
    journal.append([("u1", best)])
    for updater in (one, two):
        assert updater.is_behind()
        assert updater.catch_up().recommend(["u1"], 1).items[0, 0] != best
        assert not updater.is_behind()


def test_checkpoints_replay_to_the_same_bits(model, journal):
    running = Updater(model, journal)
    for step in range(4):
        journal.append([(f"u{n}", f"i{(n * 7 + step) % 25}", 1.0 + n % 3) for n in range(step, 20)])
        journal.append([(f"new{step}", f"i{step}"), (f"new{step}", f"fresh{step}")])
        if step in (0, 2):
            running.checkpoint()
        running.catch_up()
    restarted = Updater(model, journal)
    same_models(restarted.snapshot.model, running.snapshot.model)
    assert restarted.snapshot.model_seq == running.snapshot.model_seq < running.snapshot.seq
    assert restarted.snapshot.version == running.snapshot.version
    who = [*USERS, "new0", "new2", "new3"]
    same(restarted.snapshot.recommend(who), running.snapshot.recommend(who))
    assert "fresh2" in running.snapshot.model.items_


QUICK = {"random_state": 0, "n_jobs": 1}


@pytest.mark.parametrize(
    "other",
    [
        ItemKNN(5, n_jobs=1),
        EASE(20.0, n_jobs=1),
        UserKNN(5, n_jobs=1),
        Popularity(),
        SGDFactorization(4, iterations=2, **QUICK),
        Item2Vec(4, iterations=2, **QUICK),
    ],
    ids=lambda model: type(model).__name__,
)
def test_every_model_that_can_be_updated_replays_to_the_same_answers(other, journal):
    other = clone(other).fit(data())
    running = Updater(other, journal)
    for step in range(3):
        journal.append([(f"u{n}", f"i{(n * 7 + step) % 25}", 1.0 + n % 3) for n in range(step, 20)])
        journal.append([(f"new{step}", f"i{step}"), (f"new{step}", f"fresh{step}")])
        if step < 2:
            running.checkpoint()
    running.catch_up()
    restarted = Updater(other, journal)
    who = [*USERS, "new0", "new2"]
    same(restarted.snapshot.recommend(who), running.snapshot.recommend(who))
    assert restarted.snapshot.version == running.snapshot.version
    assert "fresh1" in running.snapshot.model.items_
    journal.delete_user("u3")
    assert not len(running.checkpoint().history("u3").codes)


@pytest.mark.parametrize("name", ["PureSVD", "GraphFilter", "ExplicitALS", "ItemKNN", "EASE", "SGDFactorization"])
def test_users_are_answered_by_what_they_did_whatever_the_model(name, journal):
    kind = estimators()[name]
    options = {option: value for option, value in {"factors": 4, **QUICK}.items() if option in kind().get_params()}
    other = kind(**options).fit(data())
    updater = Updater(other, journal)
    journal.append([("u1", "i3"), ("n", "i4"), ("n", "i5")])
    snapshot = updater.catch_up()
    row = np.zeros((1, 25), np.float32)
    row[0, [4, 5]] = 1
    same(snapshot.recommend(["n"], 5), other.recommend(row, 5))
    row = other.seen_[[1]].toarray()
    row[0, 3] += 1
    same(snapshot.recommend(["u1"], 5), other.recommend(row, 5))


def test_popularity_that_fades_is_kept_up_with_by_a_journal_in_another_unit(tmp_path):
    day = 86400
    times = np.array([0, 0, 30, 60]) * day
    users, items = ["a", "b", "c"], ["x", "y", "z"]
    model = Popularity(half_life="30d").fit(
        Interactions([0, 1, 2, 0], [0, 1, 0, 2], times=times, users=users, items=items, time_unit="s")
    )
    with Journal(tmp_path / "events.db", time_unit="ms") as journal:
        versions = Versions(tmp_path / "models")
        versions.publish(model)
        updater = Updater(versions, journal)
        journal.append([("b", "z", 1.0, 90 * day * 1000), ("d", "new", 1.0, 90 * day * 1000), ("d", "x")])
        checked = updater.checkpoint().model
        whole = Popularity(half_life="30d").fit(
            Interactions(
                [0, 1, 2, 0, 1, 3, 3], [0, 1, 0, 2, 2, 3, 0], times=np.append(times, [90 * day] * 3),
                users=[*users, "d"], items=[*items, "new"], time_unit="s",
            )
        )  # fmt: skip
        np.testing.assert_allclose(checked.item_scores_, whole.item_scores_, rtol=1e-6)
        journal.delete_user("d")
        journal.append([("a", "y", 1.0, 120 * day * 1000)])
        refitted = updater.refit().model
        np.testing.assert_allclose(refitted.item_scores_, whole.item_scores_ / 2 + [0, 1, 0, 0], rtol=1e-6)
        assert not len(updater.snapshot.history("d").codes)


def test_a_checkpoint_changes_no_history(model, journal):
    updater = Updater(model, journal)
    journal.append([("u1", "i3", 0.1), ("u1", "i3", 0.2), ("n", "i4"), ("u1", "i9")])
    before = updater.catch_up()
    after = updater.checkpoint()
    assert after.changed_users == 0
    for user in ("u1", "n", "u2"):
        np.testing.assert_array_equal(before.history(user).values, after.history(user).values)
    assert updater.checkpoint() is after, "nothing new, nothing done"


def test_publishing_lets_the_journal_be_trimmed_and_others_follow(model, journal, tmp_path):
    versions = Versions(tmp_path / "models", keep=2)
    versions.publish(model)
    leader, follower, late = (Updater(versions, journal) for _ in range(3))
    journal.append([("u1", "i3"), ("n", "i4")])
    follower.catch_up()
    leader.checkpoint()
    journal.append([("u2", "i3")])
    assert journal.trim(99) == 2
    assert follower.reload()
    assert not follower.reload()
    leader.catch_up()
    same_models(follower.snapshot.model, leader.snapshot.model)
    same(follower.snapshot.recommend(["u1", "u2", "n"]), leader.snapshot.recommend(["u1", "u2", "n"]))
    same(late.catch_up().recommend(["u1", "u2", "n"]), leader.snapshot.recommend(["u1", "u2", "n"]))
    with pytest.raises(JournalTrimmedError):
        Updater(model, journal)


def test_a_deleted_user_is_gone_from_the_next_model(model, journal, tmp_path):
    versions = Versions(tmp_path / "models")
    versions.publish(model)
    updater = Updater(versions, journal)
    journal.append([("u1", "i3"), ("u2", "i4")])
    journal.delete_user("u1")
    journal.append([("u1", "i8")])
    for make in (updater.checkpoint, updater.refit):
        snapshot = make()
        assert snapshot.history("u1").codes.tolist() == [8]
        assert 4 in snapshot.history("u2").codes
        assert not snapshot.is_deleted("u1")
        row = snapshot.model.seen_[[snapshot.model.users_.encode(["u1"])[0]]]
        assert row.indices.tolist() == [8]


def test_a_refit_is_that_of_all_the_data(model, journal, tmp_path):
    versions = Versions(tmp_path / "models")
    versions.publish(model)
    updater = Updater(versions, journal)
    journal.append([("u1", "i3"), ("n", "fresh"), ("u1", "i3")])
    model = updater.refit().model
    cells = data()
    users, items = cells.users.extended(["n"]), cells.items.extended(["fresh"])
    whole = Interactions(
        np.append(cells.user_codes, [1, 40, 1]), np.append(cells.item_codes, [3, 25, 3]),
        np.append(cells.values, [1, 1, 1]), users=users, items=items, duplicates="sum",
    )  # fmt: skip
    same_models(model, ImplicitALS(factors=4, iterations=4, random_state=0, n_jobs=1).fit(whole))
    assert list(model.item_info_["title"])[-2:] == ["Film 24", ""]
    with pytest.raises(TypeError, match="Versions"):
        Updater(model).refit()


def test_a_bad_new_model_leaves_the_old_one(model, tmp_path):
    path = tmp_path / "model.fastrec"
    model.save(path)
    updater = Updater(path)
    before = updater.snapshot
    good = path.read_bytes()
    replace(path, good[:-100] + b"x" * 100)
    assert not updater.reload()
    assert updater.snapshot is before
    assert "FileError" in updater.problem
    replace(path, b"")
    assert not updater.reload()
    Popularity().fit(data()).save(path)
    assert updater.reload()
    assert updater.problem is None
    assert type(updater.snapshot.model).__name__ == "Popularity"
    assert updater.snapshot.version != before.version


def replace(path, content):
    beside = path.with_suffix(".new")
    beside.write_bytes(content)
    os.replace(beside, path)


def test_another_journal_is_noticed(model, journal, tmp_path):
    versions = Versions(tmp_path / "models")
    versions.publish(model, seq=5)
    with pytest.raises(ValueError, match="not its journal"):
        Updater(versions, journal)


def test_a_disk_that_is_full_stops_no_answer(model, journal, tmp_path, monkeypatch):
    versions = Versions(tmp_path / "models")
    versions.publish(model)
    updater = Updater(versions, journal)
    journal.append([("u1", "i3")])

    def full(*_, **options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("fastrec.online.versions.write_arrays", full)
        with pytest.raises(OSError, match="No space"):
            updater.checkpoint()
    assert updater.snapshot.model_seq == 1, "it answers from the model that it could not write"
    assert journal.published_seq() == 0
    assert versions.load().seq == 0
    journal.append([("u1", "i4")])
    running = updater.checkpoint()
    assert versions.load().seq == 2
    same_models(Updater(model, journal).snapshot.model, running.model)


def test_readers_never_see_half_an_update(model, journal):
    updater = Updater(model, journal)
    wrong, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            snapshot = updater.catch_up()
            pair = {len(snapshot.history(user).codes) for user in ("p", "q")}
            if len(pair) != 1:
                wrong.append(pair)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for n in range(25):
        journal.append([("p", f"i{n}"), ("q", f"i{n}")])
        if n % 8 == 5:
            updater.checkpoint()
    stop.set()
    for reader in readers:
        reader.join()
    assert not wrong
    assert len(updater.catch_up().history("p").codes) == 25


def test_the_schedule_makes_models_and_tells(model, journal, tmp_path):
    versions = Versions(tmp_path / "models")
    versions.publish(model)
    told = {"checkpoint": threading.Event(), "refit": threading.Event(), "failed": threading.Event()}
    updater = Updater(versions, journal)
    schedule = Schedule(
        updater, checkpoint_every=0, refit_share=0.2, tick=0.01, report=lambda what, seconds: told[what].set()
    ).start()
    journal.append([("u1", "i3")])  # nobody asks for anything, and all is done even so
    assert told["checkpoint"].wait(20)
    journal.append([(f"u{n}", f"i{item}") for n in range(30) for item in (4, 5)])
    assert told["refit"].wait(20)
    assert not told["failed"].is_set()
    schedule.stop()
    assert journal.trimmed_seq() > 0
    assert updater.problem is None


def test_a_refit_that_fails_waits_before_it_is_tried_again(model, journal, tmp_path, monkeypatch):
    versions = Versions(tmp_path / "models")
    versions.publish(model)
    updater, failed = Updater(versions, journal), []
    monkeypatch.setattr(updater, "refit", lambda: failed.append(1) or 1 / 0)
    schedule = Schedule(updater, refit_share=0.001, tick=0.002)
    journal.append([(f"u{n}", "i3") for n in range(30)])
    for _ in range(20):
        schedule._do_what_is_due()
    assert len(failed) == 1
    assert "refit failed: division by zero" in updater.problem
    schedule._retry = 0.0
    schedule._do_what_is_due()
    assert len(failed) == 2


def test_events_since_the_last_refit_are_counted_across_restarts(model, journal, tmp_path):
    versions = Versions(tmp_path / "models")
    versions.publish(model)
    updater = Updater(versions, journal)
    journal.append([(f"u{n}", "i3") for n in range(30)])
    updater.checkpoint()
    assert updater.events_since_refit() == Updater(versions, journal).events_since_refit() == 30
    updater.refit()
    journal.append([("u1", "i4")])
    updater.checkpoint()
    assert updater.events_since_refit() == Updater(versions, journal).events_since_refit() == 1


def test_a_refit_keeps_what_the_model_was_told_about_items_and_users(journal, tmp_path):
    features = np.kron(np.eye(5), np.ones((5, 1)))
    content = ContentRecommender().fit(data(), item_features=features)
    als = ImplicitALS(factors=4, iterations=3, random_state=0).fit(data(), item_features=features)
    journal.append([("u1", "i3"), ("n", "fresh")])
    for number, one in enumerate((content, als)):
        versions = Versions(tmp_path / str(number))
        versions.publish(one)
        after = Updater(versions, journal).refit().model
        kept = sp.csr_array(after.item_features_).toarray()
        np.testing.assert_allclose(kept[:25], sp.csr_array(one.item_features_).toarray(), rtol=1e-6)
        assert not kept[25].any()
    assert after.item_map_.shape == als.item_map_.shape


def test_what_cannot_be_refitted_or_updated_is_refused_at_once(model, journal, tmp_path):
    versions = Versions(tmp_path / "models")
    versions.publish(compress(model, "int8"))
    updater = Updater(versions, journal)
    with pytest.raises(TypeError, match="CompressedFactors cannot be fitted again"):
        updater.refit()
    with pytest.raises(TypeError, match="CompressedFactors cannot be fitted again"):
        Schedule(updater, refit_every=60)
    Schedule(updater, checkpoint_every=60)
    with pytest.raises(TypeError, match="PureSVD has no partial_fit"):
        Schedule(Updater(PureSVD(3).fit(data()), journal), checkpoint_every=60)


def test_models_that_take_no_new_items_leave_events_about_them_out(journal):
    updater = Updater(compress(EASE(10.0).fit(data()), "int8"), journal)
    journal.append([("new", "unheard of"), ("new", "i3")])
    snapshot = updater.checkpoint()
    assert snapshot.history("new").codes.tolist() == [3]
    assert snapshot.model.n_features_in_ == 25


def test_checkpoints_of_another_family_are_no_obstacle(model, journal):
    updater = Updater(model, journal)
    journal.append([("u1", "i3"), ("u1", "i4")])
    updater.checkpoint()
    snapshot = Updater(PureSVD(3).fit(data()), journal).snapshot
    assert (snapshot.model_seq, snapshot.seq) == (0, 2)
    assert {3, 4} <= set(snapshot.history("u1").codes.tolist())


def test_an_absurd_value_changes_nothing(model, journal):
    updater = Updater(model, journal)
    journal.append([("u1", "i3", 1e30), ("u2", "i4", 1e-300)])
    assert updater.catch_up().changed_users == 0
    same(updater.checkpoint().recommend(USERS), Snapshot(model).recommend(USERS))


def test_the_last_rating_counts(journal):
    rated = Interactions([0, 0, 1], [0, 1, 1], [5, 3, 4], users=["a", "b"], items=["x", "y"])
    updater = Updater(ExplicitALS(2, random_state=0).fit(rated), journal)
    journal.append([("a", "x", 1.0), ("a", "x", 2.0)])
    assert updater.catch_up().history("a").values.tolist() == [2, 3]
    assert Updater(updater.snapshot.model, journal, policy="sum").snapshot.history("a").values.tolist() == [8, 3]


def test_what_cancels_is_had_and_not_learned_from(journal):
    updater = Updater(EASE(5.0).fit(data()), journal)
    before = updater.snapshot.history("u1").codes.tolist()
    new = next(code for code in range(25) if code not in before)
    journal.append([("u1", f"i{new}", 2.0), ("u1", f"i{new}", -2.0)])
    for snapshot in (updater.catch_up(), updater.checkpoint()):
        assert snapshot.history("u1").codes.tolist() == sorted([*before, new])
        assert new not in snapshot.recommend(["u1"], k=25).codes
    assert updater.snapshot.model.item_counts_.tolist() == EASE(5.0).fit(data()).item_counts_.tolist()


def test_a_problem_is_told_as_long_as_there_is_one(model, tmp_path):
    versions = Versions(tmp_path)
    versions.publish(model)
    updater, pointer = Updater(versions), tmp_path / "CURRENT"
    good = pointer.read_text()
    pointer.write_text("nonsense")
    updater.reload()
    assert "names no version" in updater.problem
    pointer.write_text(good)
    updater.reload()
    assert updater.problem is None


def test_two_updaters_on_one_folder_answer_alike(model, journal, tmp_path):
    versions = Versions(tmp_path)
    versions.publish(model)
    updaters = [Updater(versions, journal) for _ in range(2)]

    def work(updater, number):
        for n in range(6):
            journal.append([(f"u{number}", f"i{n}"), (f"n{number}", f"i{n + 3}")])
            updater.checkpoint()

    threads = [threading.Thread(target=work, args=pair) for pair in zip(updaters, range(2), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    who = ["u0", "u1", "n0", "n1"]
    whole = Updater(model, journal).snapshot
    for updater in updaters:
        updater.reload()
        snapshot = updater.catch_up()
        for user in who:
            assert snapshot.history(user).codes.tolist() == whole.history(user).codes.tolist()
            assert snapshot.history(user).values.tolist() == whole.history(user).values.tolist()


def test_a_version_that_was_pruned_while_it_was_looked_for_is_not_missed(model, tmp_path, monkeypatch):
    versions = Versions(tmp_path, keep=1)
    versions.publish(model, seq=1)
    names = iter(["v000009"])
    current = versions.current
    monkeypatch.setattr(versions, "current", lambda: next(names, None) or current())
    assert versions.load().version == "v000001"


# -- Versions


def test_versions_count_up_and_the_oldest_go(tmp_path):
    versions = Versions(tmp_path, keep=2)
    assert versions.current() is None
    with pytest.raises(FileNotFoundError):
        versions.load()
    model = Popularity().fit(data())
    assert [versions.publish(model, seq) for seq in range(4)] == [f"v{n:06d}" for n in range(1, 5)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["CURRENT", "v000003.fastrec", "v000004.fastrec"]
    assert versions.load().seq == 3
    assert isinstance(load(versions.path("v000004")), Popularity)
    (tmp_path / "CURRENT").write_text("../../etc/passwd")
    with pytest.raises(FileError, match="names no version"):
        versions.load()


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_killed_while_publishing_there_is_one_readable_version(tmp_path):
    code = (
        "import sys, numpy as np; from fastrec.models import Popularity; from fastrec.online import Versions\n"
        "v = Versions(sys.argv[1]); m = Popularity().fit(np.ones((200, 300))); v.publish(m)\n"
        "print('ready', flush=True)\n"
        "while True: v.publish(m)\n"
    )
    for delay in (0.05, 0.11, 0.17):
        with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as run:
            run.stdout.readline()
            threading.Event().wait(delay)
            run.send_signal(signal.SIGKILL)
        assert Versions(tmp_path).load().model.n_features_in_ == 300


def test_a_problem_is_in_the_log_once_until_it_is_over(model, caplog):
    updater = Updater(model)
    for _ in range(3):
        updater.tell("refit", "no room for it")
    assert [record.getMessage() for record in caplog.records] == ["no room for it"]
    updater.tell("refit", None)
    updater.tell("refit", "no room for it")
    assert len(caplog.records) == 2
