"""The journal: what it has acknowledged is there, once, with its type, until it is deleted, and then nowhere."""

import os
import queue
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.online import Deletion, Event, Journal, JournalError, JournalFullError, JournalTrimmedError

IDS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.text(max_size=20))


@pytest.fixture
def journal(tmp_path):
    with Journal(tmp_path / "events.db") as journal:
        yield journal


def test_events_come_back_as_they_were(journal):
    events = [Event("ann", "Alien", 2.5, 17, "a"), Event(42, 7), Event("42", "7"), Event("ann", "Brazil")]
    assert journal.append(events) == 4
    assert journal.read(0) == [event._replace(id=None, seq=seq) for seq, event in enumerate(events, 1)]
    assert [event.item for event in journal.history("ann")] == ["Alien", "Brazil"]
    assert [event.item for event in journal.history(42)] == [7]
    assert [event.item for event in journal.history("42")] == ["7"]
    assert journal.read(1, 2) == journal.read(0)[1:3]
    assert journal.read(0, upto=2) == journal.read(0)[:2]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(IDS, IDS, st.floats(-3.4e38, 3.4e38)), max_size=8))
def test_ids_of_every_kind_survive_reopening(tmp_path_factory, triples):
    path = tmp_path_factory.mktemp("journal") / "events.db"
    with Journal(path) as journal:
        journal.append(triples)
    with Journal(path) as journal:
        back = [(event.user, event.item, event.value) for event in journal.read(0)]
        assert back == triples
        assert [type(part) for row in back for part in row] == [type(part) for row in triples for part in row]
        for user, _, _ in triples:
            assert [e.item for e in journal.history(user)] == [
                t[1] for t in triples if (t[0], type(t[0])) == (user, type(user))
            ]


def test_an_event_id_counts_once(journal):
    assert journal.append([("a", 1, 1.0, None, "x"), ("a", 2, 1.0, None, "y"), ("a", 1, 1.0, None, "x")]) == 2
    assert journal.append([("a", 2, 1.0, None, "y")]) == 2
    receipt = journal.submit([("a", 1, 1.0, None, "x"), ("a", 3, 1.0, None, "z")]).result()
    assert receipt == (3, 1, 1)
    journal.delete_user("a")
    assert journal.submit([("a", 1, 1.0, None, "x")]).result().added == 0, "sent again after the deletion"


def test_batches_of_one_commit_have_receipts_of_their_own(journal):
    other = sqlite3.connect(journal.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # so that what comes in now waits, and is committed together
    batches = [
        [("ann", n, 1.0, None, f"a{n}") for n in range(250)],
        [("bob", n, 1.0, None, f"b{n % 90}") for n in range(120)],
        [("bob", 1, 1.0, None, "b1"), ("cleo", 1, 1.0, None, "a7")],
        [],
        [("cleo", 2), ("cleo", 3, 1.0, None, "a249"), ("cleo", 4)],
    ]
    waiting = [journal.submit(batch) for batch in batches]
    other.execute("COMMIT")
    other.close()
    assert [future.result() for future in waiting] == [
        (250, 250, 0),
        (340, 90, 30),
        (252, 0, 2),
        (340, 0, 0),
        (342, 2, 1),
    ]
    assert [event.seq for event in journal.read(0)] == list(range(1, 343))
    assert [event.item for event in journal.history("bob")] == list(range(90))
    assert [event.item for event in journal.history("cleo")] == [2, 4]
    assert journal.history("a") == []


def test_reopening_remembers_ids_and_places(tmp_path):
    for run in range(3):
        with Journal(tmp_path / "events.db") as journal:
            journal.append([("a", run, 1.0, None, "same"), ("b", run)])
    with Journal(tmp_path / "events.db") as journal:
        assert [(event.user, event.item) for event in journal.read(0)] == [("a", 0), ("b", 0), ("b", 1), ("b", 2)]
        assert journal.last_seq() == 4


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (("a",), r"events\[1\] must be an Event"),
        (("a", None), r"events\[1\].item must be a 64-bit integer or a string"),
        ((True, 1), r"events\[1\].user"),
        ((1.0, 1), r"events\[1\].user"),
        ((2**63, 1), r"events\[1\].user"),
        (("x" * 1025, 1), r"events\[1\].user"),
        (("\ud800", 1), r"events\[1\].user"),
        (("a", 1, float("nan")), r"events\[1\].value must be a finite number"),
        (("a", 1, "much"), r"events\[1\].value"),
        (("a", 1, 1.0, 2**63), r"events\[1\].time"),
        (("a", 1, 1.0, 1, 5), r"events\[1\].id must be a string"),
    ],
)
def test_a_bad_event_is_named_and_nothing_is_kept(journal, event, words):
    with pytest.raises((TypeError, ValueError), match=words):
        journal.append([("good", 1), event])
    assert journal.last_seq() == 0


def test_a_deleted_user_leaves_no_copy_on_disk(tmp_path):
    secret = "somebody-who-wants-to-be-forgotten"
    with Journal(tmp_path / "events.db") as journal:
        for start in range(0, 3000, 300):
            journal.append(
                [(secret if n % 7 == 0 else f"user{n}", n, 1.0, None, f"{n}") for n in range(start, start + 300)]
            )
        assert secret.encode() in b"".join(path.read_bytes() for path in tmp_path.iterdir())
        seq = journal.delete_user(secret)
        assert secret.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert journal.history(secret) == []
        assert journal.read(seq - 1) == [Deletion(journal.mark(secret), seq)]
        assert len(journal) == 3000 - len(range(0, 3000, 7))


def test_no_copy_is_left_in_unused_parts_of_pages(tmp_path):
    rng = random.Random(2)
    users = [f"{'LEAVING' if n % 4 == 0 else 'staying'} {n} {'x' * rng.randrange(60)}" for n in range(200)]
    with Journal(tmp_path / "events.db") as journal:
        for _ in range(20):  # rows come and go, so that pages are split and joined
            journal.append(
                [(rng.choice(users), f"item {rng.randrange(99)} {'z' * rng.randrange(99)}") for _ in range(400)]
            )
            journal.record_published(journal.last_seq() - 3000)
            journal.trim(max(0, journal.last_seq() - 3000))
        for user in users[::4]:
            journal.delete_user(user)
        assert all(b"LEAVING" not in path.read_bytes() for path in tmp_path.iterdir())
        assert b"staying" in (tmp_path / "events.db").read_bytes()


def test_marks_tell_types_apart_and_journals_too(journal, tmp_path):
    assert journal.mark(42) != journal.mark("42")
    with Journal(tmp_path / "other.db") as other:
        assert other.mark(42) != journal.mark(42)


def test_trim_stops_at_what_a_published_model_has(journal):
    journal.append([("a", n) for n in range(10)])
    assert journal.trim(10) == 0
    assert len(journal) == 10
    journal.record_published(6)
    assert journal.trim(10) == 6
    assert [event.seq for event in journal.read(6)] == [7, 8, 9, 10]
    with pytest.raises(JournalTrimmedError, match="up to 6"):
        journal.read(5)
    journal.record_published(3)
    assert journal.published_seq() == 6
    assert journal.append([("a", 1)]) == 11


def test_checkpoints_are_remembered_in_order(journal):
    journal.record_checkpoint(5, "v1")
    journal.record_checkpoint(9, "v2")
    assert journal.checkpoints() == [(5, "v1", None), (9, "v2", None)]
    assert journal.checkpoints(5) == [(9, "v2", None)]


def test_a_full_queue_refuses(tmp_path):
    with Journal(tmp_path / "events.db", queue_size=5) as journal:
        blocker = sqlite3.connect(tmp_path / "events.db", isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")  # no commit gets through
        first = journal.submit([("a", 1)] * 4)
        with pytest.raises(JournalFullError, match="4 events wait"):
            journal.submit([("a", 1)] * 4)
        blocker.execute("ROLLBACK")
        blocker.close()
        assert first.result().added == 4
        assert journal.append([("a", 1)] * 9) == 13, "a batch above the queue's size gets through when nothing waits"


def test_threads_share_commits(journal):
    def work(number):
        for n in range(50):
            seqs.put(journal.append([(number, n)]))

    seqs = queue.SimpleQueue()
    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seqs.get() for _ in range(400)) == list(range(1, 401))
    for number in range(8):
        assert [event.item for event in journal.history(number)] == list(range(50))


def test_two_processes_on_one_journal(tmp_path):
    path = str(tmp_path / "events.db")
    code = (
        "import sys; from fastrec.online import Journal\n"
        "with Journal(sys.argv[1]) as j:\n"
        "    for n in range(60): j.append([(int(sys.argv[2]), n, 1.0, None, f'both-{n % 20}' if n < 20 else None)])\n"
    )
    runs = [subprocess.Popen([sys.executable, "-c", code, path, str(user)]) for user in (1, 2)]
    assert [run.wait(60) for run in runs] == [0, 0]
    with Journal(path) as journal:
        assert len(journal) == 100, "the twenty ids that both sent count once"
        assert journal.last_seq() == 100


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_killed_while_writing_loses_nothing_that_was_acknowledged(tmp_path):
    path = str(tmp_path / "events.db")
    code = (
        "import sys; from fastrec.online import Journal\n"
        "j = Journal(sys.argv[1]); n = 0\n"
        "while True:\n"
        "    j.append([('u', n, 1.0, None, str(n))]); print(n, flush=True); n += 1\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True) as run:
        for _ in range(20):
            run.stdout.readline()
        run.send_signal(signal.SIGKILL)
        acknowledged = 20 + len(run.stdout.read().split())
    with Journal(path) as journal:
        items = [event.item for event in journal.read(0)]
        assert items == list(range(len(items)))
        assert acknowledged <= len(items) <= acknowledged + 1


def test_who_gives_up_waiting_takes_the_events_back_and_stops_nobody_else(tmp_path):
    with Journal(tmp_path / "events.db") as journal:
        journal.append([("a", 0)])
        lock = sqlite3.connect(tmp_path / "events.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        under_way = journal.submit([("a", 1)])
        while not under_way.running():
            time.sleep(0.001)
        given_up, other = journal.submit([("a", 2)]), journal.submit([("a", 3)])
        assert given_up.cancel()
        assert not under_way.cancel()
        lock.execute("ROLLBACK")
        lock.close()
        assert (under_way.result(10).seq, other.result(10).seq) == (2, 3)
        assert [event.item for event in journal.history("a")] == [0, 1, 3]
        assert journal.waiting == 0
        assert journal.append([("a", 4)]) == 4


def test_closing_writes_what_waits_and_then_refuses(tmp_path):
    journal = Journal(tmp_path / "events.db")
    waiting = [journal.submit([("a", n)]) for n in range(50)]
    journal.close()
    journal.close()
    assert [done.result().seq for done in waiting] == list(range(1, 51))
    with pytest.raises(JournalError, match="closed"):
        journal.append([("a", 1)])
    with pytest.raises(JournalError, match="closed"):
        journal.last_seq()


def test_what_is_no_journal_is_refused(tmp_path, monkeypatch):
    (tmp_path / "text.db").write_text("no database at all, but long enough to be looked at as one" * 20)
    with pytest.raises(JournalError, match="not a database"):
        Journal(tmp_path / "text.db")
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE films (title)")
    other.close()
    with pytest.raises(JournalError, match="no journal of fastrec"):
        Journal(tmp_path / "other.db")
    with Journal(tmp_path / "events.db"):
        pass
    newer = sqlite3.connect(tmp_path / "events.db")
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(JournalError, match="version 99"):
        Journal(tmp_path / "events.db")
    with pytest.raises(JournalError, match="there is no folder"):
        Journal(tmp_path / "missing" / "events.db")
    with pytest.raises(JournalError, match="is a folder: give a file in it"):
        Journal(tmp_path)
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(JournalError, match="its folder cannot be written to"):
        Journal(tmp_path / "another.db")


def test_a_foreign_database_is_left_as_it_was(tmp_path):
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE films (title)")
    other.close()
    before = (tmp_path / "other.db").read_bytes()
    with pytest.raises(JournalError, match="give another file"):
        Journal(tmp_path / "other.db")
    assert (tmp_path / "other.db").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["other.db"]
    with pytest.raises(JournalError, match="a journal is a file"):
        Journal(":memory:")


@pytest.mark.skipif(os.name == "nt", reason="a file that is open cannot be removed there")
@pytest.mark.parametrize("replaced", [False, True])
def test_nothing_is_written_into_a_file_that_was_removed(tmp_path, replaced):
    with Journal(tmp_path / "events.db") as journal:
        journal.append([("a", 1)])
        (tmp_path / "events.db").unlink()
        if replaced:
            (tmp_path / "events.db").write_bytes(b"")
        for write in (lambda: journal.append([("a", 2)]), lambda: journal.delete_user("a")):
            with pytest.raises(JournalError, match="removed or replaced while it was open"):
                write()


def test_times_of_another_unit_are_refused(tmp_path):
    with Journal(tmp_path / "events.db") as journal:
        now = journal.now()
        for moment in (now * 1000, -(2**63), 2**63 - 1):
            with pytest.raises(ValueError, match=r"events\[1\].time must be at most a year ahead .* in 'ms'"):
                journal.append([("a", 1, 1.0, now), ("a", 1, 1.0, moment)])
        journal.append([("a", 1, 1.0, 0), ("a", 1, 1.0, -5), ("a", 1, 1.0, now + 10**10)])
        assert len(journal) == 3


def test_the_unit_of_times_is_fixed(tmp_path):
    with Journal(tmp_path / "events.db", time_unit="s") as journal:
        assert abs(journal.now() - time.time()) < 5
    with pytest.raises(JournalError, match="in 's', not in 'ms'"):
        Journal(tmp_path / "events.db", time_unit="ms")


def test_a_failed_commit_is_told_and_the_next_one_works(tmp_path):
    with Journal(tmp_path / "events.db") as journal:
        journal.append([("a", 1)])
        full = sqlite3.connect(tmp_path / "events.db")
        full.execute("CREATE TRIGGER no BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        with pytest.raises(JournalError, match="disk full"):
            journal.append([("a", 2)])
        full.execute("DROP TRIGGER no")
        full.close()
        assert journal.append([("a", 3)]) == 2
        assert [event.item for event in journal.read(0)] == [1, 3]
