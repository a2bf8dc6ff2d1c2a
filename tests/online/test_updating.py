"""Snapshots and the Updater: each event once, the newest in the next answer, the same bits after any death."""

import os
import threading

import numpy as np
import pytest
from sklearn.base import clone

from fastrec.data import Interactions
from fastrec.models import (
    EASE,
    Item2Vec,
    ItemKNN,
    Popularity,
    PureSVD,
    SGDFactorization,
    UserKNN,
)
from fastrec.online import ItemUpdate, Journal, JournalTrimmedError, Updater, Versions
from tests.online.following import QUICK, USERS, data, same, same_models


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


def test_updates_of_items_outlive_checkpoints_publications_and_restarts(model, journal, tmp_path):
    versions = Versions(tmp_path / "models")
    versions.publish(model)
    updater, other = Updater(versions, journal), Updater(versions, journal)
    best = updater.snapshot.recommend(["u1"], 3).items[0].tolist()
    journal.update_items([ItemUpdate(best[0], hidden=True), ItemUpdate("fresh", {"title": "Fresh", "price": 3})])

    def look(snapshot, gone, price):
        assert set(snapshot.recommend(["u1"], 25).items[0]).isdisjoint(gone)
        assert snapshot.items.facts_of("fresh") == {"title": "Fresh", "price": price}

    look(updater.catch_up(), best[:1], 3)
    journal.append([(f"u{n}", "fresh") for n in range(20)])
    snapshot = updater.checkpoint()
    look(snapshot, best[:1], 3)
    assert snapshot.items.select({"price": {"<": 5}}).sum() == 1, "the model knows the item now"
    assert snapshot.items.titles([25]) == ["Fresh"]
    journal.update_items([ItemUpdate(best[1], removed=True), ItemUpdate("fresh", {"title": "Fresh", "price": 9})])
    updater.refit()
    updater.trim()
    assert journal.trimmed_seq() == journal.last_seq()
    assert other.reload()
    for follower in (updater, other, Updater(versions, journal), Updater(versions, Journal(journal.path))):
        look(follower.catch_up(), best[:2], 9)
    journal.update_items([ItemUpdate(best[0], hidden=False)])
    assert best[0] in other.catch_up().recommend(["u1"], 25).items[0]


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


def test_a_reload_beside_another_one_ends_with_the_new_model(model, tmp_path, monkeypatch):
    versions = Versions(tmp_path / "models")
    versions.publish(model)
    updater = Updater(versions)
    versions.publish(model)
    loading, go_on, load = threading.Event(), threading.Event(), updater._load

    def wait():
        loading.set()
        go_on.wait(30)
        return load()

    monkeypatch.setattr(updater, "_load", wait)
    found = []
    first = threading.Thread(target=updater.reload)
    second = threading.Thread(target=lambda: found.append((updater.reload(), updater.snapshot.version)))
    first.start()
    assert loading.wait(30)
    second.start()
    second.join(0.2)  # long enough to end if it does not wait
    go_on.set()
    first.join()
    second.join()
    assert found == [(False, "v000002")]


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


def test_checkpoints_of_another_family_are_no_obstacle(model, journal):
    updater = Updater(model, journal)
    journal.append([("u1", "i3"), ("u1", "i4")])
    updater.checkpoint()
    snapshot = Updater(PureSVD(3).fit(data()), journal).snapshot
    assert (snapshot.model_seq, snapshot.seq) == (0, 2)
    assert {3, 4} <= set(snapshot.history("u1").codes.tolist())


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


def test_a_problem_is_in_the_log_once_until_it_is_over(model, caplog):
    updater = Updater(model)
    for _ in range(3):
        updater.tell("refit", "no room for it")
    assert [record.getMessage() for record in caplog.records] == ["no room for it"]
    updater.tell("refit", None)
    updater.tell("refit", "no room for it")
    assert len(caplog.records) == 2
