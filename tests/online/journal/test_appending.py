"""Events are written together."""

import queue
import sqlite3
import threading
import time

import pytest

from fastrec.online import Journal, JournalError, JournalFullError


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
