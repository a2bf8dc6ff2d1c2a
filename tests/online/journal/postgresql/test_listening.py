"""The end of the log is known from notifications, and from regular looks."""

import time

import pytest

pytest.importorskip("psycopg", reason="needs fastrec[postgresql]")

from fastrec.online import JournalError, open_log
from fastrec.online.journal.postgresql import listening, statements
from fastrec.online.journal.postgresql.listening import Listener


def wait_until(true, seconds=15):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_commits_without_a_notification_are_seen_all_the_same(journal, logs, monkeypatch):
    monkeypatch.setattr(statements, "notify", lambda *arguments: None)  # each notification is lost
    with logs.open() as other:
        other.append([("a", 1)])
        wait_until(lambda: journal.last_seq() == 1)


def test_notifications_are_heard_where_a_look_tells_nothing(database):
    listener = Listener(database.connect, lambda session: 0, "a channel", "the log")
    listener.start(3)
    assert listener.last() == 3
    for seq in (4, 9, 5):
        while listener.last() < seq:  # again and again, since no message says that it listens
            database.write(lambda session, seq=seq: statements.notify(session, "a channel", seq))
    assert listener.last() == 9
    listener.close()


def test_a_server_out_of_reach_is_told_and_once_it_is_back_all_is_well(journal, cut_address, proxy, monkeypatch):
    monkeypatch.setattr(listening, "SILENT_SECONDS", 0.7)
    with open_log(cut_address) as log:
        proxy.cut()
        journal.append([("a", 1)])

        def is_told():
            try:
                log.last_seq()
            except JournalError as error:
                return "out of reach" in str(error)
            return False

        wait_until(is_told)
        proxy.mend()
        wait_until(lambda: not is_told())
        wait_until(lambda: log.last_seq() == 1)
    with pytest.raises(JournalError, match="closed"):
        log.last_seq()
