"""Every log holds each acknowledged event once, in order, with its type, until it is deleted."""

import contextlib
import queue
import threading
import time

import pytest

from fastrec.online import Deletion, Event, ItemUpdate, JournalError, JournalTrimmedError


def append(log, events):
    """Appends events; returns the place up to which the log has them."""
    return log.submit(events).result(30).seq


def items(entries):
    return [entry.item for entry in entries]


def test_events_come_back_as_they_were(log):
    events = [Event("ann", "Alien", 2.5, 17, "a"), Event(42, 7), Event("42", "7", -1e-300), Event("ann", "é\0ü", 0.1)]
    assert append(log, events) == 4
    assert log.read(0) == [event._replace(id=None, seq=seq) for seq, event in enumerate(events, 1)]
    assert items(log.history("ann")) == ["Alien", "é\0ü"]
    assert items(log.history(42)) == [7]
    assert items(log.history("42")) == ["7"]
    assert log.read(1, 2) == log.read(0)[1:3]
    assert log.read(0, upto=2) == log.read(0)[:2]
    assert log.read(4) == []
    assert log.kept(2, 3) == log.read(0)[1:3]


def test_the_largest_ids_times_and_values_come_back(log):
    events = [Event(-(2**63), 2**63 - 1, 3.4e38, 0), Event("x" * 1024, "\U0001f600" * 1024, 5e-324, -1), Event("", 0)]
    append(log, events)
    assert [entry._replace(seq=0) for entry in log.read(0)] == events


def test_a_bad_event_is_named_and_nothing_of_its_batch_is_kept(log):
    with pytest.raises(ValueError, match=r"events\[1\].value"):
        log.submit([("good", 1), ("a", 1, float("nan"))])
    with pytest.raises(ValueError, match=r"events\[0\].time must be at most a year ahead"):
        log.submit([("a", 1, 1.0, 2**62)])
    assert append(log, [("good", 2)]) == 1


def test_an_event_id_counts_once(log):
    assert append(log, [("a", 1, 1.0, None, "x"), ("a", 2, 1.0, None, "y"), ("a", 1, 1.0, None, "x")]) == 2
    assert append(log, [("a", 2, 1.0, None, "y")]) == 2
    receipt = log.submit([("a", 1, 1.0, None, "x"), ("a", 3, 1.0, None, "z")]).result()
    assert receipt == (3, 1, 1)
    log.delete_user("a")
    assert log.submit([("a", 1, 1.0, None, "x")]).result().added == 0, "sent again after the deletion"


def test_reopening_remembers_ids_and_places(logs):
    for run in range(3):
        with contextlib.closing(logs.open()) as log:
            append(log, [("a", run, 1.0, None, "same"), ("b", run)])
            name = log.id
    with contextlib.closing(logs.open()) as log:
        assert [(event.user, event.item) for event in log.read(0)] == [("a", 0), ("b", 0), ("b", 1), ("b", 2)]
        assert (log.last_seq(), log.id) == (4, name)


def test_batches_of_one_commit_have_receipts_of_their_own(logs, log):
    batches = [
        [("ann", n, 1.0, None, f"a{n}") for n in range(250)],
        [("bob", n, 1.0, None, f"b{n % 90}") for n in range(120)],
        [("bob", 1, 1.0, None, "b1"), ("cleo", 1, 1.0, None, "a7")],
        [],
        [("cleo", 2), ("cleo", 3, 1.0, None, "a249"), ("cleo", 4)],
    ]
    with logs.held_up():  # so that new events wait, and are committed together
        waiting = [log.submit(batch) for batch in batches]
    assert [future.result(30) for future in waiting] == [
        (250, 250, 0),
        (340, 90, 30),
        (252, 0, 2),
        (340, 0, 0),
        (342, 2, 1),
    ]
    assert [event.seq for event in log.read(0)] == list(range(1, 343))
    assert items(log.history("bob")) == list(range(90))
    assert items(log.history("cleo")) == [2, 4]
    assert log.history("a") == []


def test_threads_share_commits(log):
    def work(number):
        for n in range(20):
            seqs.put(append(log, [(number, n)]))

    seqs = queue.SimpleQueue()
    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seqs.get() for _ in range(160)) == list(range(1, 161))
    for number in range(8):
        assert items(log.history(number)) == list(range(20))


def test_eight_writers_leave_no_gaps_and_are_read_in_the_order_of_their_commits(logs, log):
    def write(number):
        with contextlib.closing(logs.open()) as own:
            for n in range(30):
                batch = [(number, n, 1.0, None, f"{n}" if n < 10 else None), (number, 100 + n)]
                receipts.append(own.submit(batch).result(60))

    receipts, seen = [], []
    writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):  # a reader meanwhile sees each place once and in order
        seen += log.read(seen[-1].seq if seen else 0)
        time.sleep(0.01)
    seen += log.read(seen[-1].seq if seen else 0)
    assert [event.seq for event in seen] == list(range(1, 8 * 60 - 7 * 10 + 1)), "the ten ids of all count once"
    assert len(receipts) == 8 * 30
    assert sum(receipt.added for receipt in receipts) == len(seen) == max(receipt.seq for receipt in receipts)
    for user in range(8):
        own = items(event for event in seen if event.user == user)
        assert [item for item in own if item >= 10] == [
            item for n in range(30) for item in ((n, 100 + n) if n >= 10 else (100 + n,))
        ]


def test_another_reader_learns_of_new_entries(logs, log):
    with contextlib.closing(logs.open()) as other:
        for n in range(5):
            seq = append(log, [("a", n)])
            assert log.last_seq() == seq, "who has written knows at once"
            end = time.monotonic() + 10
            while other.last_seq() < seq and time.monotonic() < end:
                time.sleep(0.002)
            assert other.last_seq() == seq
            assert items(other.read(seq - 1)) == [n]


def test_a_writer_that_gives_up_waiting_takes_its_events_back_and_stops_no_other(logs, log):
    append(log, [("a", 0)])
    with logs.held_up():
        under_way = log.submit([("a", 1)])
        while not under_way.running():
            time.sleep(0.001)
        given_up, other = log.submit([("a", 2)]), log.submit([("a", 3)])
        assert log.waiting == 3
        assert given_up.cancel()
        assert not under_way.cancel()
    assert (under_way.result(10).seq, other.result(10).seq) == (2, 3)
    assert items(log.history("a")) == [0, 1, 3]
    assert log.waiting == 0
    assert append(log, [("a", 4)]) == 4


def test_a_deletion_leaves_the_places_and_a_mark(log):
    append(log, [("a", 1, 1.0, 5, "x"), ("b", 1), ("a", 2), (1, 3), ("1", 4)])
    seq = log.delete_user("a")
    assert seq == 6
    assert log.read(0) == [Event("b", 1, seq=2), Event(1, 3, seq=4), Event("1", 4, seq=5), Deletion(log.mark("a"), 6)]
    assert log.history("a") == []
    assert (log.last_seq(), log.deleted_seq()) == (6, 6)
    assert log.delete_user(1) == 7
    assert items(log.history("1")) == [4]
    append(log, [("a", 9)])
    assert items(log.history("a")) == [9]
    log.record_published(8)
    log.trim(8)
    assert log.deleted_seq() == 0


def test_marks_tell_types_apart_and_logs_too(logs, log):
    assert log.mark(42) != log.mark("42")
    with contextlib.closing(logs.open("other")) as other:
        assert other.mark(42) != log.mark(42)
        assert other.id != log.id


def test_trim_stops_at_what_a_published_model_has(log):
    append(log, [("a", n) for n in range(10)])
    assert log.trim(10) == 0
    log.record_published(6)
    assert log.trim(10) == log.trimmed_seq() == 6
    assert [event.seq for event in log.read(6)] == [7, 8, 9, 10]
    with pytest.raises(JournalTrimmedError, match="up to 6"):
        log.read(5)
    log.record_published(3)
    assert log.published_seq() == 6
    assert append(log, [("a", 1)]) == 11


def test_kept_events_are_there_after_a_trim_until_their_user_is_deleted(log):
    append(log, [(f"u{n % 4}", n) for n in range(20)])
    log.record_published(12)
    assert log.trim(12, keep=[2, 5, 6]) == 12
    assert [event.seq for event in log.kept(0, 12)] == [2, 5, 6]
    assert [event.seq for event in log.kept(3, 14)] == [5, 6, 13, 14]
    assert items(log.history("u1")) == [1, 5, 13, 17]
    log.delete_user("u1")
    assert [event.seq for event in log.kept(0, 12)] == [5]
    assert log.trim(12) == 12
    log.record_published(20)
    assert log.trim(20, keep=[5, 19]) == 20
    assert [event.seq for event in log.kept(0, 20)] == [5, 19]


def test_events_name_the_recommendation_that_they_follow(log):
    append(log, [Event("ann", 1, recommendation="é\0"), Event("ann", 2), Event("bob", 1, 2.0, recommendation="b")])
    assert [event.recommendation for event in log.read(0)] == ["é\0", None, "b"]
    with pytest.raises(ValueError, match=r"events\[0\].recommendation"):
        log.submit([Event("ann", 1, recommendation="x" * 1025)])
    log.delete_user("ann")
    assert [event.recommendation for event in log.kept(0, 3)] == ["b"]


def test_updates_of_items_are_entries_and_the_last_of_each_counts(logs, log):
    facts = {"title": "é\0", "price": 9.5, "stock": 3, "new": True, "tags": ["a", ""], "gone": None}
    append(log, [("a", 1)])
    assert log.update_items([ItemUpdate(42, facts), ItemUpdate("42", {}, hidden=True)]) == 3
    append(log, [("a", 2)])
    assert log.update_items([ItemUpdate(42, removed=True)]) == log.last_seq() == 5
    assert log.read(1) == [
        ItemUpdate(42, facts, False, seq=2),
        ItemUpdate("42", {}, True, seq=3),
        Event("a", 2, seq=4),
        ItemUpdate(42, {}, False, True, seq=5),
    ]
    assert log.read(1, 2) == log.read(1)[:2]
    assert log.items() == [ItemUpdate("42", {}, True, seq=3), ItemUpdate(42, {}, False, True, 5)]
    assert log.items(2) == [ItemUpdate(42, facts, False, seq=2)]
    assert log.update_items([]) == 5
    log.delete_user(42)
    assert len(log.items()) == 2, "an item is no user"
    with contextlib.closing(logs.open()) as again:
        assert again.items() == log.items()
        assert again.update_items([ItemUpdate(1, {})]) == 7


def test_an_update_leaves_as_it_was_what_it_does_not_say(log):
    log.update_items([ItemUpdate(1, {"price": 5}), ItemUpdate(1, hidden=True), ItemUpdate(2, hidden=True)])
    log.update_items([ItemUpdate(1, {"price": 6}), ItemUpdate(2, {"price": 1}, hidden=False)])
    assert log.items() == [ItemUpdate(1, {"price": 6}, True, seq=4), ItemUpdate(2, {"price": 1}, False, seq=5)]
    assert log.read(1, 1) == [ItemUpdate(1, {"price": 5}, True, seq=2)]
    log.update_items([ItemUpdate(1, removed=True), ItemUpdate(1)])
    assert log.items()[1] == ItemUpdate(1, {}, False, seq=7), "of what was removed nothing is left"


def test_a_bad_update_is_named_and_nothing_of_its_batch_is_kept(log):
    for facts in ({"price": float("inf")}, {"": 1}, {"x": ["a", 1]}, {"x": {}}, {"x": "\ud800"}, {"x": 2**60}, 7):
        with pytest.raises((ValueError, TypeError), match=r"items\[1\].facts"):
            log.update_items([ItemUpdate(1, {}), ItemUpdate(2, facts)])
    assert log.last_seq() == 0


def test_the_last_update_of_each_item_stays_after_a_trim(log):
    log.update_items([ItemUpdate(n, {"n": n}) for n in range(4)])
    log.update_items([ItemUpdate(1, {"n": 10}), ItemUpdate(2, removed=True)])
    append(log, [("a", 1)])
    log.update_items([ItemUpdate(3, {"n": 30}), ItemUpdate(1, {"n": 100})])
    before, earlier = log.items(), log.items(7)
    log.record_published(7)
    assert log.trim(7) == 7
    assert log.items() == before
    assert log.items(7) == earlier == log.items(0)
    assert [update.seq for update in log.items(7)] == [1, 4, 5, 6]
    assert [entry.seq for entry in log.read(7)] == [8, 9]


def test_checkpoints_are_remembered_in_order_and_dropped_by_a_trim(log):
    log.record_checkpoint(5, "v1")
    log.record_checkpoint(9, "v2", "hold hold 5")
    assert log.checkpoints() == [(5, "v1", None), (9, "v2", "hold hold 5")]
    log.record_checkpoint(9, "v3")
    assert log.checkpoints(5) == [(9, "v3", None)]
    append(log, [("a", n) for n in range(12)])
    log.record_published(9)
    log.trim(9)
    assert log.checkpoints() == [(9, "v3", None)]


def test_lineage_is_what_was_noted_last(logs, log):
    assert log.lineage() is None
    log.record_lineage("ratings of films")
    log.record_lineage("ratings of books")
    with contextlib.closing(logs.open()) as again:
        assert again.lineage() == "ratings of books"


def test_the_unit_of_times_is_fixed(logs):
    with contextlib.closing(logs.open(time_unit="s")) as log:
        assert log.time_unit == "s"
    with pytest.raises(JournalError, match="in 's', not in 'ms'"):
        logs.open(time_unit="ms")
    with contextlib.closing(logs.open("other")) as log:
        assert log.time_unit == "ms"


def test_one_leads_at_a_time_and_another_one_once_it_has_ended(logs, log):
    with contextlib.closing(logs.open()) as other:
        log.leader.check()  # no user has lost anything
        assert log.leader.acquire()
        assert log.leader.acquire()
        assert not other.leader.acquire()
        log.leader.check()
        log.leader.release()
        assert other.leader.acquire()
        assert not log.leader.acquire()
    assert log.leader.acquire(), "who closes a log leads it no longer"


def test_closing_writes_what_waits_and_then_refuses(logs):
    log = logs.open()
    waiting = [log.submit([("a", n)]) for n in range(50)]
    log.close()
    log.close()
    assert [done.result().seq for done in waiting] == list(range(1, 51))
    with pytest.raises(JournalError, match="closed"):
        log.submit([("a", 1)])
    with pytest.raises(JournalError, match="closed"):
        log.last_seq()


def test_its_address_opens_it_again(logs, log):
    append(log, [("a", 1)])
    assert log.address in logs.address()
