"""Appender: all events that arrive while the disk is busy are written by the next commit."""

import contextlib
import queue
import sqlite3
import threading
from concurrent.futures import Future
from itertools import chain
from typing import Any, NamedTuple

from fastrec.online.journal.checksums import sum_event
from fastrec.online.journal.database import Database
from fastrec.online.journal.errors import JournalError, JournalFullError
from fastrec.online.journal.events import Event, Receipt
from fastrec.online.journal.keys import Keys
from fastrec.online.journal.room import DiskRoom

# SQLite takes at least 999 parameters in one statement, whatever the build.
_PARAMETERS = 500
# The writer's pages: ids and users come in no order, so that a batch touches pages all over the file. With SQLite's own
# 2 MB, and its log moved into the file at every 1000 pages, a journal of 300 000 events costs the kernel four times as
# much a batch.
_WRITER_CACHE_KIB = 32_000
_WRITER_LOG_PAGES = 8_000
# Events of one commit at most: what is written at once must find room. And batches.
_EVENTS_A_COMMIT = 20_000
_BATCHES_A_COMMIT = 10_000


class EventBatch(NamedTuple):
    """Events that are written together, and what is told once they are."""

    events: list[Event]
    done: "Future[Receipt]"


class Appender:
    """A thread that writes, and the events that wait for it.

    Parameters
    ----------
    database
        Where to write.
    room
        What is asked before each commit.
    keys
        Of the journal.
    largest_queue
        Events that may wait.
    """

    def __init__(self, database: Database, room: DiskRoom, keys: Keys, largest_queue: int) -> None:
        self._database, self._room, self._keys = database, room, keys
        self._largest_queue = largest_queue
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[EventBatch | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False
        self.waiting = 0  # events that wait for a commit

    def submit(self, events: list[Event]) -> "Future[Receipt]":
        """Append events that are checked; the future's result comes after the commit."""
        done: Future[Receipt] = Future()
        with self._lock:
            if self._closed:
                raise JournalError(f"{self._database.path} is closed")
            if self.waiting and self.waiting + len(events) > self._largest_queue:
                raise JournalFullError(
                    f"{self.waiting} events wait to be written to {self._database.path}; try again in a moment"
                )
            self.waiting += len(events)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="fastrec-journal", daemon=True)
                self._thread.start()
            self._queue.put(EventBatch(events, done))
        return done

    def close(self) -> None:
        """Write what waits, and take nothing more."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._closed = True
            if thread is not None:
                self._queue.put(None)
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        with contextlib.suppress(sqlite3.Error, JournalError):  # the first commit will say what is wrong
            self._database.connection().execute(f"PRAGMA cache_size = -{_WRITER_CACHE_KIB}")
            self._database.connection().execute(f"PRAGMA wal_autocheckpoint = {_WRITER_LOG_PAGES}")
        ended = False
        while not ended:
            group, ended = self._next_group()
            if group:
                self._commit_group(group)

    def _next_group(self) -> tuple[list[EventBatch], bool]:
        """The batches of the next commit, once there is one; and whether these are the last."""
        group: list[EventBatch] = []
        size = 0
        with contextlib.suppress(queue.Empty):
            while len(group) < _BATCHES_A_COMMIT and size < _EVENTS_A_COMMIT:
                batch = self._queue.get(block=not group)
                if batch is None:
                    return group, True
                group.append(batch)
                size += len(batch.events)
        return group, False

    def _commit_group(self, group: list[EventBatch]) -> None:
        # From here on a future cannot be cancelled any more; what was cancelled while it waited is not written.
        wanted = [batch for batch in group if batch.done.set_running_or_notify_cancel()]
        failure: BaseException | None = None
        receipts: list[Receipt] = []
        try:
            with self._database.errors():
                self._room.keep()
                receipts = self._room.with_shorter_log(lambda: self._commit([batch.events for batch in wanted]))
        except BaseException as error:
            failure = error
        with self._lock:
            self.waiting -= sum(len(batch.events) for batch in group)
        for number, batch in enumerate(wanted):
            if failure is not None:
                batch.done.set_exception(failure)
            else:
                batch.done.set_result(receipts[number])

    def _commit(self, batches: list[list[Event]]) -> list[Receipt]:
        with self._database.transaction() as connection:
            return self._insert(connection, batches)

    def _insert(self, connection: sqlite3.Connection, batches: list[list[Event]]) -> list[Receipt]:
        last = int(self._database.record(connection, "last"))
        hashes = [[None if event.id is None else self._keys.hash_event(event.id) for event in some] for some in batches]
        known = _find_known(connection, [given for some in hashes for given in some if given is not None])
        rows: list[Any] = []
        new_ids: list[tuple[bytes, int]] = []
        receipts: list[Receipt] = []
        seed = self._keys.seed
        for events, some in zip(batches, hashes, strict=True):
            before, greatest = last, 0
            for event, given in zip(events, some, strict=True):
                if given is not None:
                    if given in known:
                        greatest = max(greatest, known[given])
                        continue
                    known[given] = last + 1
                    new_ids.append((given, last + 1))
                last += 1
                user, item, value, moment, _, _ = event
                value += 0.0  # SQLite knows no -0.0
                rows += (last, user, item, value, moment, sum_event(seed, last, user, item, value, moment))
            added = last - before
            receipts.append(Receipt(last if added or not events else greatest, added, len(events) - added))
        _insert_rows(connection, "events", 6, rows)
        _insert_rows(connection, "ids", 2, list(chain.from_iterable(sorted(new_ids))))
        if rows:
            self._database.set_record(connection, "last", last)
        return receipts


def _find_known(connection: sqlite3.Connection, hashes: list[bytes]) -> dict[bytes, int]:
    known: dict[bytes, int] = {}
    for start in range(0, len(hashes), _PARAMETERS):
        part = hashes[start : start + _PARAMETERS]
        places = ",".join("?" * len(part))
        known.update(connection.execute(f"SELECT hash, seq FROM ids WHERE hash IN ({places})", part))
    return known


def _insert_rows(connection: sqlite3.Connection, table: str, columns: int, flat: list[Any]) -> None:
    """Insert rows that lie one after the other, a hundred by one statement, during which other threads can run."""
    row = "(" + ",".join("?" * columns) + ")"
    step = _PARAMETERS // columns * columns
    for start in range(0, len(flat), step):
        part = flat[start : start + step]
        rows = ",".join([row] * (len(part) // columns))
        connection.execute(f"INSERT INTO {table} VALUES {rows}", part)
