"""New users and items are bounded, held until they have enough events, and the same in every process after a death."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.data import Interactions
from fastrec.models import ImplicitALS, Popularity
from fastrec.online import Event, Journal, JournalTrimmedError, Updater, Versions
from fastrec.online import admission as admissions
from fastrec.online.admission import Admission, FittedSizes

USERS, ITEMS = [f"u{n}" for n in range(12)], [f"i{n}" for n in range(8)]


def fitted(kind=Popularity, **options):
    cells = np.argwhere(np.random.default_rng(0).random((12, 8)) < 0.4)
    return kind(**options).fit(Interactions(cells[:, 0], cells[:, 1], users=USERS, items=ITEMS))


MODEL = fitted()


@pytest.fixture
def journal(tmp_path):
    with Journal(tmp_path / "events.db") as journal:
        yield journal


@pytest.fixture
def narrow(monkeypatch):
    """Leaves places for as many ids as were fitted and three more, instead of a thousand."""
    monkeypatch.setattr(admissions, "LEEWAY", 3)
    monkeypatch.setattr(admissions, "reach", lambda size: 2 * size + 3)


def flood(n, start=0):
    return [(f"new user {i}", f"new item {i}") for i in range(start, start + n)]


def test_one_client_cannot_make_a_model_as_large_as_it_likes(journal, tmp_path):
    versions = Versions(tmp_path / "models")
    versions.publish(MODEL)
    updater = Updater(versions, journal)
    for step in range(4):
        journal.append(flood(5000, step * 5000))
        snapshot = updater.checkpoint()
        updater.trim()
        most = (2 * 12 + 1000 + step * 1000, 2 * 8 + 1000 + step * 1000)
        assert (snapshot.model.seen_.shape[0], snapshot.model.n_features_in_) <= most
    assert snapshot.held_events == 20_000 - snapshot.model.n_features_in_ + 8 - updater.given_up
    assert snapshot.held_users == snapshot.held_events
    assert len(journal) == snapshot.held_events, "what waits is not trimmed"
    restarted = Updater(versions, journal)
    assert restarted.snapshot.held == snapshot.held


def test_an_item_for_which_several_users_speak_is_always_taken_in(journal, narrow):
    updater = Updater(MODEL, journal)
    journal.append([(f"u{n}", f"noise {m}") for n in range(2) for m in range(30)])
    journal.append([(f"u{n}", "wanted") for n in range(5)] + [(f"u{n}", "not yet") for n in range(4)])
    model = updater.checkpoint().model
    assert "wanted" in model.items_
    assert "not yet" not in model.items_
    assert "noise 0" in model.items_
    assert model.n_features_in_ == 2 * 8 + 3 + 1
    journal.append([("u7", "not yet")])
    snapshot = updater.checkpoint()
    assert snapshot.model.item_counts_[snapshot.model.items_.encode(["not yet"])] == 5, "those that waited too"


def test_users_beyond_the_room_are_answered_by_what_they_did_and_taken_in_later(journal, narrow):
    updater = Updater(MODEL, journal)
    journal.append([(f"newcomer {n}", "i1") for n in range(30)])
    before = updater.catch_up().history("newcomer 29")
    snapshot = updater.checkpoint()
    assert snapshot.model.seen_.shape[0] == 2 * 12 + 3
    assert snapshot.held_users == 15
    np.testing.assert_array_equal(snapshot.history("newcomer 29").codes, before.codes)
    assert not snapshot.recommend(["newcomer 29"], 3).fallback[0]
    for step in range(5):
        journal.append([("u1", f"i{step}")])
        snapshot = updater.checkpoint()
    assert snapshot.held_users == 0
    assert "newcomer 29" in snapshot.model.users_
    journal.delete_user("newcomer 29")
    assert not len(updater.checkpoint().history("newcomer 29").codes)


def test_refuse_takes_none_and_take_takes_all(journal, narrow):
    journal.append(flood(50))
    refusing = Updater(MODEL, journal, new_users="take", new_items="refuse")
    assert refusing.refused([Event("u1", "i1"), Event("nobody", "i1"), Event("u1", "nothing")]) == 2
    assert Updater(MODEL, journal).refused([Event("u1", "nothing")]) is None
    snapshot = refusing.checkpoint()
    assert snapshot.model.n_features_in_ == 8
    assert (snapshot.held_events, refusing.given_up) == (0, 50)


def test_only_users_who_are_admitted_speak_for_an_item(narrow):
    noise = [Event("u0", f"noise {n}") for n in range(30)]
    wanted = [*(Event(f"nobody {n}", "wanted") for n in range(5)), Event("u1", "wanted")]
    sizes = FittedSizes(12, 8)
    assert wanted[-1] in Admission("take", "hold", 5).admit(MODEL, sizes, [*noise, *wanted])
    assert wanted[-1] not in Admission("refuse", "hold", 5).admit(MODEL, sizes, [*noise, *wanted])


def test_refused_ids_do_not_wait():
    events = [Event("u1", "nothing"), Event("nobody", "i1"), Event("nobody", "nothing"), Event("u1", "i1")]
    assert Admission("hold", "refuse").waiting(MODEL, events) == [events[1]]
    assert Admission("refuse", "hold").waiting(MODEL, events) == [events[0]]
    assert Admission().waiting(MODEL, events) == events[:3]


def test_take_takes_all(journal, narrow):
    journal.append(flood(50))
    assert Updater(MODEL, journal, new_users="take", new_items="take").checkpoint().model.n_features_in_ == 58


def test_a_checkpoint_is_made_again_by_the_rule_that_it_was_made_by(journal, narrow):
    journal.append(flood(50))
    made = Updater(MODEL, journal, new_items="take", new_users="take").checkpoint()
    assert Updater(MODEL, journal).snapshot.model.items_.ids.tolist() == made.model.items_.ids.tolist()


def test_waiting_ids_are_bounded_and_the_oldest_is_given_up(journal, narrow, monkeypatch):
    monkeypatch.setattr("fastrec.online.updating.LARGEST_HOLD", 10)
    updater = Updater(MODEL, journal)
    journal.append(flood(60))
    snapshot = updater.checkpoint()
    assert [event.item for event in snapshot.held] == [f"new item {n}" for n in range(50, 60)]
    assert updater.given_up == 60 - 10 - (snapshot.model.n_features_in_ - 8)


def test_models_that_know_by_number_take_no_code_beyond_the_room(journal, narrow):
    model = Popularity().fit(MODEL.seen_)
    updater = Updater(model, journal)
    for code in (18, 19, 400):
        journal.append([(code + 8, code)])
    assert updater.checkpoint().model.n_features_in_ == 19
    assert Admission().admit(model, FittedSizes(12, 8), [Event(1, 18), Event(1, 19)]) == [Event(1, 18)]


IDS = st.integers(0, 40)
STEPS = st.lists(
    st.one_of(
        st.lists(st.tuples(IDS, IDS), min_size=1, max_size=12),
        st.sampled_from(["checkpoint", "checkpoint", "refit", "trim", "restart", "reload"]),
    ),
    max_size=14,
)


def told(snapshot):
    model = snapshot.model
    parts = [model.users_.ids, model.items_.ids, model.seen_.indptr, model.seen_.indices, model.seen_.data]
    parts += [model.user_factors_, model.item_factors_]
    histories = [snapshot.history(f"u{n}") for n in range(40)]
    return [part.tobytes() if part.dtype != object else part.tolist() for part in parts] + [
        *(snapshot.held, snapshot.seq, snapshot.model_seq),
        *((row.codes.tolist(), row.values.tolist()) for row in histories),
    ]


ALS = fitted(ImplicitALS, factors=2, iterations=1, random_state=0, n_jobs=1)


@settings(max_examples=25, deadline=None)
@given(STEPS)
def test_the_same_journal_gives_the_same_bits_in_every_process_and_after_any_death(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("replay")
    with pytest.MonkeyPatch.context() as patch, Journal(folder / "events.db") as journal:
        patch.setattr(admissions, "LEEWAY", 2)
        patch.setattr(admissions, "reach", lambda size: size + 4)
        patch.setattr("fastrec.online.updating.LARGEST_HOLD", 9)
        versions = Versions(folder / "models")
        versions.publish(ALS)
        leader, follower = Updater(versions, journal, support=3), Updater(versions, journal, support=3)
        for step in steps:
            if isinstance(step, list):
                journal.append([(f"u{user}", f"i{item}", 1 + user % 3) for user, item in step])
            elif step == "restart":
                leader = Updater(versions, journal, support=3)
            elif step == "reload":
                follower.reload()
            else:
                getattr(leader, step)()
        expected = told(leader.catch_up())
        follower.reload()
        assert told(follower.catch_up()) == expected
        assert told(Updater(versions, journal, support=3).snapshot) == expected
        if not journal.trimmed_seq() and "refit" not in steps:
            replayed = Updater(ALS, journal, support=3).snapshot
            assert told(replayed) == expected


# -- workers that start while another one publishes and trims

PUBLISHER = """
import sys; from fastrec.online import *
with Journal(sys.argv[1]) as journal:
    updater = Updater(Versions(sys.argv[2], keep=2), journal)
    n = 0
    print("go", flush=True)
    while True:
        journal.append([(f"u{n % 12}", f"i{n % 8}")]); n += 1
        updater.checkpoint(); updater.trim()
"""
WORKER = """
import sys; from fastrec.online import *
with Journal(sys.argv[1]) as journal:
    updater = Updater(Versions(sys.argv[2]), journal)
    for _ in range(3): updater.catch_up().recommend(["u1"], 3); updater.reload()
"""


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_workers_begin_while_another_one_publishes_and_trims(tmp_path):
    paths = [str(tmp_path / "events.db"), str(tmp_path / "models")]
    Versions(paths[1]).publish(MODEL)
    publisher = subprocess.Popen([sys.executable, "-c", PUBLISHER, *paths], stdout=subprocess.PIPE)
    try:
        assert publisher.stdout.readline() == b"go\n"
        command = [sys.executable, "-c", WORKER, *paths]
        workers = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
        time.sleep(0.5)
        workers[0].kill()
        ends = [worker.communicate()[1] for worker in workers]
        assert [worker.returncode for worker in workers[1:]] == [0, 0], ends
    finally:
        publisher.kill()
        publisher.communicate()


def test_a_model_that_was_overtaken_while_it_was_loaded_is_loaded_again(journal, tmp_path):
    versions = Versions(tmp_path / "models")
    versions.publish(MODEL)
    leader, overtaken = Updater(versions, journal), []

    class Slow(Versions):
        def load(self, **options):
            published = super().load(**options)
            if len(overtaken) < 3:
                overtaken.append(published.version)
                journal.append([("u1", "i1")])
                leader.checkpoint()
                leader.trim()
            return published

    late = Updater(Slow(tmp_path / "models"), journal)
    assert len(set(overtaken)) == 3
    assert late.snapshot.version == leader.snapshot.version
    overtaken.clear()
    journal.append([("u2", "i2")])
    leader.checkpoint()
    leader.trim()
    assert late.catch_up(wait=False) is None
    assert late.catch_up().version == leader.snapshot.version


def test_a_process_that_is_never_new_enough_says_so_in_the_end(journal, tmp_path, monkeypatch):
    monkeypatch.setattr("fastrec.online.updating.FIRST_PAUSE", 0.0001)
    versions = Versions(tmp_path / "models")
    versions.publish(MODEL)
    journal.append([("u1", "i1")])
    journal.record_published(1)
    journal.trim(1)
    with pytest.raises(JournalTrimmedError, match="none of 8 loaded models was new enough"):
        Updater(versions, journal)


# -- models and journals that do not belong together


def other_model(kind=Popularity, names="x{}", **options):
    return kind(**options).fit(
        Interactions([0, 1, 1], [0, 1, 2], users=["a", "b"], items=[names.format(n) for n in range(3)])
    )


def test_a_model_that_does_not_fit_is_refused_and_the_old_one_goes_on(journal, tmp_path):
    versions = Versions(tmp_path / "models")
    versions.publish(MODEL)
    updater, forced = Updater(versions, journal), Updater(versions, journal, force=True)
    for wrong, words in (
        (other_model(), "it knows 0 of 8 items of the previous model"),
        (Popularity().fit(np.eye(9)), "its users are numbers, those of the previous model are not"),
        (fitted(ImplicitALS, factors=2, iterations=1), None),
    ):
        versions.publish(wrong, force=True)
        if words is None:
            assert updater.reload()
            assert updater.problem is None
        else:
            assert not updater.reload()
            assert words in updater.problem
            assert updater.snapshot.model.n_features_in_ == 8
            with pytest.raises(ValueError, match=r"does not belong to the journal .*--force"):
                Updater(versions, journal)
    versions.publish(other_model(), force=True)
    assert forced.reload()
    assert Updater(versions, journal).snapshot.model.n_features_in_ == 3, "the journal is that model's now"


def test_a_model_that_does_not_fit_the_current_one_is_not_published(tmp_path):
    versions = Versions(tmp_path / "models")
    versions.publish(MODEL)
    for wrong in (other_model(), Popularity().fit(np.eye(9)), other_model(names="{}")):
        with pytest.raises(ValueError, match=r"does not fit v000001 .* give force=True"):
            versions.publish(wrong)
    assert [file.name for file in versions.folder.glob("v*")] == ["v000001.fastrec"]
    assert versions.current() == "v000001"
    assert versions.publish(fitted(ImplicitALS, factors=2, iterations=1)) == "v000002"
    versions.path("v000002").write_bytes(b"damaged")
    assert versions.publish(other_model()) == "v000003", "a damaged model can be replaced"


def test_a_model_that_has_followed_another_journal_is_refused(journal, tmp_path):
    versions = Versions(tmp_path / "models")
    versions.publish(MODEL)
    updater = Updater(versions, journal)
    journal.append([("u1", "i1")])
    updater.checkpoint()
    with Journal(tmp_path / "other.db") as other:
        other.append([("u1", "i1")] * 5)
        with pytest.raises(ValueError, match="it has followed another one, so this is not its journal"):
            Updater(versions, other)
        assert Updater(versions, other, force=True).snapshot.seq == 5


def test_a_model_made_of_the_journals_own_events_is_noticed(journal, tmp_path):
    MODEL.save(tmp_path / "model")
    rows, columns = MODEL.seen_.nonzero()
    journal.append([(f"u{user}", f"i{item}") for user, item in zip(rows, columns, strict=True)] * 3)
    assert "then count twice: publish it with seq=" in Updater(tmp_path / "model", journal).problem
    versions = Versions(tmp_path / "models")
    versions.publish(MODEL, seq=journal.last_seq())
    assert Updater(versions, journal).problem is None
