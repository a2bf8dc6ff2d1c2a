"""Events wait for the next commit, together."""

import threading

import pytest

from fastrec.online import Event, JournalError, JournalFullError
from fastrec.online.journal import Receipt
from fastrec.online.journal.group_commit import GroupCommit


def receipts(batches):
    return [Receipt(1, len(batch), 0) for batch in batches]


def test_a_full_queue_refuses_and_a_batch_above_its_size_gets_through_when_nothing_waits():
    go, events = threading.Event(), [Event("a", 1)]

    def write(batches):
        assert go.wait(10)
        return receipts(batches)

    commits = GroupCommit("the log", write, 5)
    first = commits.submit(events * 4)
    with pytest.raises(JournalFullError, match="4 events wait to be written to the log"):
        commits.submit(events * 4)
    go.set()
    assert first.result(10).added == 4
    assert commits.submit(events * 9).result(10).added == 9
    commits.close()


def test_a_failure_is_that_of_all_who_waited_for_it_and_of_nobody_after():
    go, sizes = threading.Event(), []

    def write(batches):
        sizes.append(len(batches))
        if len(sizes) == 1:
            assert go.wait(10)
        if len(sizes) == 2:
            raise OSError("no room")
        return receipts(batches)

    commits = GroupCommit("the log", write, 100)
    first = commits.submit([Event("a", 1)])
    while not sizes:
        pass
    waiting = [commits.submit([Event("a", n)]) for n in range(3)]
    go.set()
    assert first.result(10).added == 1
    for done in waiting:
        with pytest.raises(OSError, match="no room"):
            done.result(10)
    assert commits.submit([Event("a", 1)]).result(10).added == 1
    assert (sizes, commits.waiting) == ([1, 3, 1], 0)
    commits.close()


def test_each_batch_has_its_own_receipt_and_cancelled_ones_make_room():
    go, begun = threading.Event(), threading.Event()

    def write(batches):
        begun.set()
        assert go.wait(10)
        return receipts(batches)

    commits = GroupCommit("the log", write, 9)
    first = commits.submit([Event("a", 1)])
    assert begun.wait(10)
    waiting = [commits.submit([Event("a", 1)] * n) for n in (2, 3, 1)]
    assert waiting[1].cancel()
    go.set()
    assert [done.result(10).added for done in (first, waiting[0], waiting[2])] == [1, 2, 1]
    assert commits.submit([Event("a", 1)] * 2).result(10).added == 2
    assert commits.waiting == 0
    commits.close()
    with pytest.raises(JournalError, match="the log is closed"):
        commits.submit([Event("a", 1)])
