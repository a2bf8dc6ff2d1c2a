"""The log on a server that is restarted."""

import threading
import time

import pytest

psycopg = pytest.importorskip("psycopg", reason="needs fastrec[postgresql]")

# ruff: noqa: E402
from fastrec.online import JournalDamagedError, JournalError, open_log


@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_a_server_started_anew_is_waited_for_and_nothing_is_lost_or_doubled(postgresql, logs, how):
    told, stop, address = [], threading.Event(), logs.address()

    def write(number):
        with open_log(address) as own:
            n = 0
            while not stop.is_set():
                told.append((number, n, own.append([(number, n)])))
                n += 1

    def wait_for_more(number):
        wanted = len(told) + number
        while len(told) < wanted:
            assert all(writer.is_alive() for writer in writers)
            time.sleep(0.001)

    with logs.open() as log:
        writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
        for writer in writers:
            writer.start()
        for _ in range(2):
            wait_for_more(30)
            postgresql.stop(how)
            postgresql.start()
            wait_for_more(30)
        stop.set()
        for writer in writers:
            writer.join()
        entries = log.read(0, 10**6)
        assert [(event.user, event.item, event.seq) for event in entries] == sorted(told, key=lambda row: row[2])
        while log.last_seq() < len(told):  # it listens again within a second
            time.sleep(0.01)
        assert log.last_seq() == len(told)


def test_an_address_is_told_without_its_password(postgresql, logs):
    address = logs.address().replace("postgres@", "postgres:hush-hush@")
    with open_log(address) as log:
        assert log.address == f"postgresql://postgres@127.0.0.1:{postgresql.port}/postgres"
        assert "hush" not in repr(log)
    with pytest.raises(JournalError) as error:
        open_log(address.replace("/postgres?", "/nowhere?") + "&connect_timeout=2")
    assert "hush" not in str(error.value)


def test_a_journal_of_another_version_is_refused(logs, journal):
    with psycopg.connect(logs.address(), autocommit=True) as session:
        session.execute("UPDATE fastrec_meta SET value = 'i9' WHERE name = 'format'")
    with pytest.raises(JournalDamagedError, match="its record of 'format'"):
        logs.open()


def test_two_that_begin_at_once_make_one_log(logs):
    names, address = [], logs.address("new")

    def begin():
        with open_log(address) as log:
            log.append([("a", 1)])
            names.append(log.id)

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names) == 4
    assert len(set(names)) == 1
    with open_log(address) as log:
        assert log.last_seq() == 4
