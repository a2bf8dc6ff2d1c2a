"""The durable event log: SQLite in one file, safe to kill at any moment, shared by processes."""

import contextlib
import errno
import logging
import os
import queue
import secrets
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self, TypeAlias, TypeVar
from zlib import crc32

from fastrec.data.durations import UNITS_PER_SECOND
from fastrec.online.checksums import sum_erased, sum_event, sum_row
from fastrec.online.reserve import Reserve, largest_file
from fastrec.permissions import PRIVATE, check_mode, open_new
from fastrec.validation import check_choice, check_integer, check_number

Id: TypeAlias = int | str

FORMAT_VERSION = 2  # 1 had no checksums: such a file is taken on
APPLICATION_ID = 0x66726563  # "frec", by which the `file` command and we ourselves know a journal

# An event id sent again counts as known while it is among so many last events; then its hash is dropped by `trim`.
REMEMBERED_IDS = 10_000_000
# Events that may wait for the next commit, all callers together.
LARGEST_QUEUE = 100_000
# So long a commit waits for other processes that write.
BUSY_SECONDS = 10.0

_INT64 = range(-(2**63), 2**63)
LARGEST_VALUE = 3.4e38  # which float32, in which models count, can hold
_LARGEST_TEXT = 1024
# Seconds that an event may be ahead of the clock. One of a wrong unit would make all others seem ages old, to what
# counts by time; and as far before 1970 is no time either.
_AHEAD = 366 * 86400
# SQLite takes at least 999 parameters in one statement, whatever the build.
_PARAMETERS = 500
# The writer's pages: ids and users come in no order, so that a batch touches pages all over the file. With SQLite's own
# 2 MB, and its log moved into the file at every 1000 pages, a journal of 300 000 events costs the kernel four times as
# much a batch.
_WRITER_CACHE_KIB = 32_000
_WRITER_LOG_PAGES = 8_000

_LAST = "SELECT value, crc FROM meta WHERE name = 'last'"
# Events of one commit at most, and events that a deletion erases by one: what is written at once must find room.
_EVENTS_A_COMMIT = 20_000
_ERASED_A_COMMIT = 1_000
_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value, crc INTEGER) WITHOUT ROWID;
CREATE TABLE events (seq INTEGER PRIMARY KEY, user, item, value REAL NOT NULL, time INTEGER, crc INTEGER);
CREATE TABLE ids (hash BLOB PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE deletions (seq INTEGER PRIMARY KEY, mark BLOB NOT NULL, crc INTEGER);
CREATE TABLE checkpoints (seq INTEGER PRIMARY KEY, version TEXT NOT NULL, rule TEXT, crc INTEGER)
"""
# What makes a file of version 1 one of today's. The index found a user's events, for which nobody asks often.
_UPGRADE = """
DROP INDEX events_by_user;
ALTER TABLE meta ADD COLUMN crc INTEGER;
ALTER TABLE events ADD COLUMN crc INTEGER;
ALTER TABLE deletions ADD COLUMN crc INTEGER;
ALTER TABLE checkpoints ADD COLUMN rule TEXT;
ALTER TABLE checkpoints ADD COLUMN crc INTEGER
"""
# Errors of SQLite that a disk without room ends in; a limit on the size of files is one to it, too.
_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)  # of the file as a whole, before any row is read


# What version 1 had no record of: up to where rows have no checksum, how many events `trim` has kept, how many
# checkpoints there are, whether the file is to be written anew, and whose models follow it.
_NEWER = {"unchecked": 0, "kept": 0, "checkpoints": 0, "unscrubbed": 0, "lineage": None}

Result = TypeVar("Result")
log = logging.getLogger(__name__)


class JournalError(RuntimeError):
    """The journal cannot do what was asked now: a full disk, a read-only folder, a file that is no journal."""


class JournalFullError(JournalError):
    """More events wait to be committed than may: try again a moment later."""


class JournalTrimmedError(JournalError):
    """The events asked for are gone, since a published model has them: load that model."""


class JournalDiskFullError(JournalError):
    """The disk has no room: events are refused, deletions are not, and what is there can be read."""


class JournalDamagedError(JournalError):
    """The file does not hold what was written to it: a row's checksum is wrong, or rows are missing."""


class Event(NamedTuple):
    """A user met an item; `seq` is its place in the journal, 0 as long as it has none.

    >>> Event("ann", "Alien", 4.0, time=1700000000000, id="click-17")
    Event(user='ann', item='Alien', value=4.0, time=1700000000000, id='click-17', seq=0)
    """

    user: Id
    item: Id
    value: float = 1.0
    time: int | None = None
    id: str | None = None
    seq: int = 0


class Deletion(NamedTuple):
    """A user was deleted: all that came before `seq` is not to be used. `mark` names the user to who knows the id."""

    mark: bytes
    seq: int


class Receipt(NamedTuple):
    """What became of a batch: the journal has all of its events up to `seq`; so many are new, so many it had before."""

    seq: int
    added: int
    known: int


class Checkpoint(NamedTuple):
    """The items of the model were updated with all events up to `seq`; `version` names the file where there is one.

    `rule` says how new ids were admitted; None where all of them were, by a fastrec that knew no other way.
    """

    seq: int
    version: str
    rule: str | None = None


class EventLog(Protocol):
    """What a store of events must do for `Updater` and the server; `Journal` is the one that comes with fastrec."""

    def submit(self, batch: Iterable[Event]) -> "Future[Receipt]":
        """Append soon; the future is done once the events are durable."""
        ...

    def last_seq(self) -> int:
        """The place of the newest event that is durable."""
        ...

    def read(self, after: int, n: int = ...) -> list[Event | Deletion]:
        """The first `n` entries after a place, in order."""
        ...

    def history(self, user: Id) -> list[Event]:
        """The events of one user."""
        ...

    def delete_user(self, user: Id) -> int:
        """Remove all events of a user; returns the place of the deletion."""
        ...

    def trim(self, upto: int, keep: Sequence[int] = ()) -> int:
        """Drop events up to a place that a published model has taken in, but for those at the places to keep."""
        ...


class Journal:
    """Events in one SQLite file (write-ahead log, synchronous=FULL), appended by any number of threads and processes.

    What `append` has returned for is on disk: a process killed at any moment, or a power cut, loses nothing of it.
    Batches that arrive while the disk is busy are committed together. An event with an id counts once, however often
    it is sent. Ids keep their type: 42 and "42" are two users.

    Parameters
    ----------
    path
        The file; made where there is none.
    time_unit : {"s", "ms", "us", "ns"}
        The unit of the events' times, fixed when the file is made.
    queue_size
        Events that may wait for the next commit, before `append` raises `JournalFullError`.
    mode
        The permissions of a file that is made, and of those beside it: its owner's alone, unless 0o660, say, lets a
        group share it.
    skip_damaged
        Read on past rows that are damaged or missing, which are lost, instead of raising `JournalDamagedError`.

    Raises
    ------
    JournalError
        Where the file is no journal, of a newer version, or cannot be opened or made.

    Examples
    --------
    >>> import tempfile
    >>> with Journal(tempfile.mkdtemp() + "/events.db") as journal:
    ...     journal.append([Event("ann", "Alien"), Event("bob", "Brazil", id="e1")])
    ...     journal.append([Event("bob", "Brazil", id="e1")])  # sent again: counted once
    ...     [event.item for event in journal.history("bob")]
    2
    2
    ['Brazil']
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        time_unit: str | None = None,
        queue_size: int = LARGEST_QUEUE,
        mode: int = PRIVATE,
        skip_damaged: bool = False,
    ) -> None:
        self.path = Path(path)
        if os.fspath(path) in ("", ":memory:"):
            raise JournalError(f"a journal is a file, which {os.fspath(path)!r} is not: give its path")
        check_choice("time_unit", time_unit, (None, *UNITS_PER_SECOND))
        self._mode = check_mode(mode)
        self._skip_damaged = skip_damaged
        self._reserve = Reserve(self.path.with_name(f"{self.path.name}-reserve"), mode)
        self._queue_size = check_integer("queue_size", queue_size, minimum=1)
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[tuple[list[Event], Future[Receipt]] | None] = queue.SimpleQueue()
        self._waiting = 0
        self._writer: threading.Thread | None = None
        self._closed = False  # nothing more is taken
        self._ended = False  # all is written, and no connection left
        self._inode: int | None = None  # of the file, once it is open
        self._told: set[str] = set()  # what damage has been noted
        try:
            with self._errors():
                self._prepare(time_unit)
        except BaseException:
            self.close()
            raise

    # -- writing

    def append(self, batch: Iterable[Event | tuple[Any, ...]]) -> int:
        """Append events; returns once they are on disk.

        Parameters
        ----------
        batch
            Events, or tuples (user, item[, value[, time[, id]]]).

        Returns
        -------
        int
            The seq up to which the journal holds them all.

        Raises
        ------
        ValueError, TypeError
            Where an event is not what it must be: its place and field are named, and nothing of the batch is kept.
        JournalFullError
            Where too many events wait already.
        JournalError
            Where they cannot be written. Nothing of the batch is kept.
        """
        return self.submit(batch).result().seq

    def submit(self, batch: Iterable[Event | tuple[Any, ...]]) -> "Future[Receipt]":
        """As `append`, without waiting: the future's result comes after the commit.

        A future that is cancelled before its commit has begun takes its events back; later it cannot be cancelled.
        """
        events = [check_event(event, place) for place, event in enumerate(batch)]
        latest = self.now() + _AHEAD * UNITS_PER_SECOND[self._time_unit]
        for place, event in enumerate(events):
            if event.time is not None and not -latest <= event.time <= latest:
                raise ValueError(
                    f"events[{place}].time must be at most a year ahead of this machine's clock, in {self._time_unit!r}"
                    f", got {event.time}: is it in another unit?"
                )
        done: Future[Receipt] = Future()
        with self._lock:
            if self._closed:
                raise JournalError(f"{self.path} is closed")
            if self._waiting and self._waiting + len(events) > self._queue_size:
                raise JournalFullError(
                    f"{self._waiting} events wait to be written to {self.path}; try again in a moment"
                )
            self._waiting += len(events)
            if self._writer is None:
                self._writer = threading.Thread(target=self._write, name="fastrec-journal", daemon=True)
                self._writer.start()
            self._queue.put((events, done))
        return done

    @property
    def waiting(self) -> int:
        """How many events wait for a commit."""
        return self._waiting

    def _write(self) -> None:
        """The writer's thread: all that has come in while the disk was busy goes into one commit."""
        with contextlib.suppress(sqlite3.Error, JournalError):  # the first commit will say what is wrong
            self._connection().execute(f"PRAGMA cache_size = -{_WRITER_CACHE_KIB}")
            self._connection().execute(f"PRAGMA wal_autocheckpoint = {_WRITER_LOG_PAGES}")
        while True:
            first = self._queue.get()
            group = [] if first is None else [first]
            ended, size = first is None, 0 if first is None else len(first[0])
            while not ended and len(group) < 10_000 and size < _EVENTS_A_COMMIT:
                try:
                    following = self._queue.get_nowait()
                except queue.Empty:
                    break
                ended = following is None
                if following is not None:
                    group.append(following)
                    size += len(following[0])
            if group:
                self._commit_group(group)
            if ended:
                return

    def _commit_group(self, group: list[tuple[list[Event], "Future[Receipt]"]]) -> None:
        # From here on a future cannot be cancelled any more; what was cancelled while it waited is not written.
        wanted = [(events, done) for events, done in group if done.set_running_or_notify_cancel()]
        failure: BaseException | None = None
        receipts: list[Receipt] = []
        try:
            with self._errors():
                self._keep_room()
                receipts = self._with_shorter_log(lambda: self._commit([events for events, _ in wanted]))
        except BaseException as error:
            failure = error
        with self._lock:
            self._waiting -= sum(len(events) for events, _ in group)
        for number, (_, done) in enumerate(wanted):
            if failure is not None:
                done.set_exception(failure)
            else:
                done.set_result(receipts[number])

    def _commit(self, batches: list[list[Event]]) -> list[Receipt]:
        with self._transaction() as connection:
            return self._insert(connection, batches)

    def _insert(self, connection: sqlite3.Connection, batches: list[list[Event]]) -> list[Receipt]:
        last = int(self._meta(connection, "last"))
        hashes = [[None if event.id is None else self._hash(b"event", event.id) for event in some] for some in batches]
        known = self._find_known(connection, [given for some in hashes for given in some if given is not None])
        rows: list[Any] = []
        new_ids: list[tuple[bytes, int]] = []
        receipts: list[Receipt] = []
        seed = self._seed
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
            self._set_meta(connection, "last", last)
        return receipts

    def _keep_room(self) -> None:
        """See to it that a deletion finds room, should there be none left for events.

        It needs the reserve, and that the file can take what is in the log: so much may it have yet to grow.
        """
        self._check_file()
        reserved = self._reserve.size() or self._reserve.make()
        if not reserved:
            raise JournalDiskFullError(f"the journal {self.path}: the disk has no room for more events")
        connection = self._connection()
        size = connection.execute("PRAGMA page_count").fetchone()[0] * self._page_size
        if size + reserved // 4 > largest_file():
            raise JournalDiskFullError(f"the journal {self.path}: files of this process may not be larger")
        if size - os.stat(self.path).st_size > reserved // 4:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def _with_shorter_log(self, work: Callable[[], Result]) -> Result:
        """The result of work for which the log is moved into the file, where the disk has no room for a longer one."""
        try:
            return work()
        except sqlite3.Error as error:
            if not _is_full(error):
                raise
        with contextlib.suppress(sqlite3.Error):
            self._connection().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return work()

    @staticmethod
    def _find_known(connection: sqlite3.Connection, hashes: list[bytes]) -> dict[bytes, int]:
        known: dict[bytes, int] = {}
        for start in range(0, len(hashes), _PARAMETERS):
            part = hashes[start : start + _PARAMETERS]
            places = ",".join("?" * len(part))
            known.update(connection.execute(f"SELECT hash, seq FROM ids WHERE hash IN ({places})", part))
        return known

    def delete_user(self, user: Id) -> int:
        """Remove all events of a user from the disk: from the file, its free pages and the write-ahead log.

        What remains is a keyed hash of the id, by which models that have learned from the user know not to use it, and
        the places of the events. The whole file is written anew for it, which takes as long as it is large: a second
        for some hundred thousand events, while others wait to write. On a full disk it is possible, too: room is kept
        for it. The file is then written anew by a later `trim` or deletion, once there is room for that; until then
        copies of rows that were moved may be left in unused parts of pages.

        Returns
        -------
        int
            The seq of the deletion: snapshots from there on do not know the user's history any more.

        Raises
        ------
        JournalError
            Where it cannot be written, or where a reader kept the old log from being emptied for ten seconds.
        """
        user = _check_id("user", user)
        with self._errors():
            seq = self._with_reserve(lambda: self._mark_deleted(user))
            self._with_reserve(lambda: self._erase(user, seq))
            self._with_reserve(self._truncate_log)
            self._scrub()
            self._reserve.make()
        return seq

    def _with_reserve(self, work: Callable[[], Result]) -> Result:
        """The result of work that may have what was kept in reserve, where the disk has nothing else."""
        try:
            return self._with_shorter_log(work)
        except sqlite3.Error as error:
            if not _is_full(error):
                raise
        self._reserve.give_up()
        return self._with_shorter_log(work)

    def _mark_deleted(self, user: Id) -> int:
        """From here on whoever reads the journal knows that the user is gone."""
        with self._transaction() as connection:
            seq, mark = int(self._meta(connection, "last")) + 1, self.mark(user)
            crc = sum_row(self._seed, "deletions", seq, mark)
            connection.execute("INSERT INTO deletions VALUES (?, ?, ?)", (seq, mark, crc))
            self._set_meta(connection, "last", seq)
            self._set_meta(connection, "unscrubbed", 1)
        return seq

    def _erase(self, user: Id, upto: int) -> None:
        """Leave nothing but their places of a user's events, some at a time, so that little room is needed for it.

        Killed in between, the events that are left are followed by the deletion, and so used by nobody.
        """
        after: int | None = -1
        while after is not None:
            after = self._erase_some(user, after, upto)
            self._connection().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def _erase_some(self, user: Id, after: int, upto: int) -> int | None:
        """Erase the first events after a place; returns the last one's, or None where these were all."""
        with self._transaction() as connection:
            found = connection.execute(
                "SELECT seq FROM events WHERE user = ? AND seq > ? AND seq < ? ORDER BY seq LIMIT ?",
                (user, after, upto, _ERASED_A_COMMIT),
            ).fetchall()
            connection.executemany(
                "UPDATE events SET user = NULL, item = NULL, value = 0, time = NULL, crc = ? WHERE seq = ?",
                [(sum_erased(self._seed, seq), seq) for (seq,) in found],
            )
        return found[-1][0] if len(found) == _ERASED_A_COMMIT else None

    def _scrub(self) -> None:
        """Write the file anew, where that is due and there is room for it.

        Pages that were split or joined keep copies of what was moved to another, in their unused parts, which
        secure_delete does not reach.
        """
        connection = self._connection()
        if not int(self._meta(connection, "unscrubbed")):
            return
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        if shutil.disk_usage(self.path.parent).free < 3 * pages * self._page_size:
            return
        try:
            connection.execute("VACUUM")
            self._truncate_log()
            with self._transaction():
                self._set_meta(connection, "unscrubbed", 0)
        except sqlite3.Error as error:
            if not _is_full(error):
                raise

    def trim(self, upto: int, keep: Sequence[int] = ()) -> int:
        """Drop the events up to `upto`, but never past what a published model has taken in.

        Parameters
        ----------
        upto
            A seq.
        keep
            The seqs of events that are kept all the same, and can be read by `kept`.

        Returns
        -------
        int
            The seq up to which events are gone now.
        """
        check_integer("upto", upto, minimum=0)
        with self._errors():
            with self._transaction() as connection:
                upto = self._trim(connection, upto, keep)
            self._scrub()
        return upto

    def _trim(self, connection: sqlite3.Connection, upto: int, keep: Sequence[int]) -> int:
        trimmed, published = (int(self._meta(connection, name)) for name in ("trimmed", "published"))
        upto = min(upto, published)
        if upto <= trimmed:
            return trimmed
        connection.execute("CREATE TEMP TABLE IF NOT EXISTS wanted (seq INTEGER PRIMARY KEY)")
        connection.execute("DELETE FROM temp.wanted")
        connection.executemany("INSERT OR IGNORE INTO temp.wanted VALUES (?)", [(int(seq),) for seq in keep])
        connection.execute("DELETE FROM events WHERE seq <= ? AND seq NOT IN (SELECT seq FROM temp.wanted)", (upto,))
        connection.execute("DELETE FROM deletions WHERE seq <= ?", (upto,))
        connection.execute("DELETE FROM checkpoints WHERE seq < ?", (upto,))
        self._count_checkpoints(connection)
        kept = connection.execute("SELECT COUNT(*) FROM events WHERE seq <= ?", (upto,)).fetchone()[0]
        self._set_meta(connection, "kept", kept)
        forgotten = min(upto, int(self._meta(connection, "last")) - REMEMBERED_IDS)
        if forgotten > int(self._meta(connection, "forgotten")) + REMEMBERED_IDS // 10:
            connection.execute("DELETE FROM ids WHERE seq <= ?", (forgotten,))
            self._set_meta(connection, "forgotten", forgotten)
        self._set_meta(connection, "trimmed", upto)
        return upto

    def record_checkpoint(self, seq: int, version: str, rule: str | None = None) -> None:
        """Note that the model's items were updated with the events up to `seq`: who replays does it there again."""
        with self._errors(), self._transaction() as connection:
            crc = sum_row(self._seed, "checkpoints", seq, version, rule)
            connection.execute("INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?)", (seq, version, rule, crc))
            self._count_checkpoints(connection)

    def _count_checkpoints(self, connection: sqlite3.Connection) -> None:
        count = connection.execute("SELECT COUNT(*) FROM checkpoints").fetchone()[0]
        self._set_meta(connection, "checkpoints", count)

    def record_published(self, seq: int) -> None:
        """Note that a published model has taken in the events up to `seq`, which `trim` may now drop."""
        with self._errors(), self._transaction() as connection:
            if seq > int(self._meta(connection, "published")):
                self._set_meta(connection, "published", seq)

    def record_lineage(self, text: str) -> None:
        """Note what models this journal's events belong to."""
        with self._errors(), self._transaction() as connection:
            self._set_meta(connection, "lineage", text)

    # -- reading

    def last_seq(self) -> int:
        """The seq of the newest entry on disk, by whichever process; 0 where there is none."""
        try:  # as `_errors`, without its cost: a server asks before each answer
            value, crc = self._connection().execute(_LAST).fetchone()
        except sqlite3.Error as error:
            raise self._error_of(error) from error
        if crc != sum_row(0, "meta", "last", value):
            raise self._damaged("its record of 'last'")
        return int(value)

    def trimmed_seq(self) -> int:
        """The seq up to which entries have been dropped; 0 where all are there."""
        return int(self._read_meta("trimmed"))

    def published_seq(self) -> int:
        """The seq up to which a published model has taken in the events."""
        return int(self._read_meta("published"))

    def unchecked_seq(self) -> int:
        """The seq up to which entries have no checksum: an older fastrec wrote them."""
        return int(self._read_meta("unchecked"))

    def lineage(self) -> str | None:
        """What `record_lineage` has noted; None before."""
        text = self._read_meta("lineage")
        return None if text is None else str(text)

    @property
    def id(self) -> str:
        """What names this journal among all others."""
        return self._id

    def read(self, after: int, n: int = 10_000, *, upto: int | None = None) -> list[Event | Deletion]:
        """The first `n` entries after `after`, in order: events, and deletions of users.

        Each is as it was written, and none is missing but those whose user was deleted: checksums and places are
        looked at.

        Parameters
        ----------
        after
            A seq; 0 is the beginning.
        n
            How many at most.
        upto
            The last seq to read; None is no limit.

        Raises
        ------
        JournalTrimmedError
            Where entries after `after` have been dropped.
        JournalDamagedError
            Where an entry is damaged or missing; with `skip_damaged` it is left out.
        """
        check_integer("after", after, minimum=0)
        check_integer("n", n, minimum=1)
        entries: list[Event | Deletion] = []
        with self._errors(), self._reading() as connection:
            trimmed = int(self._meta(connection, "trimmed"))
            if after < trimmed:
                raise JournalTrimmedError(
                    f"{self.path} has no entries up to {trimmed} any more; a published model has them"
                )
            last = int(self._meta(connection, "last"))
            end = last if upto is None else min(upto, last)
            while after < end and len(entries) < n:
                some, after = self._read_some(connection, after, n, end)
                entries += some
        return entries[:n]

    def _read_some(
        self, connection: sqlite3.Connection, after: int, n: int, end: int
    ) -> tuple[list[Event | Deletion], int]:
        """The entries among the first `n` rows of events after a place, and the place up to which these are all."""
        rows = connection.execute(
            "SELECT user, item, value, time, crc, seq FROM events WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
            (after, end, n),
        ).fetchall()
        if len(rows) == n:
            end = rows[-1][-1]
        marks = connection.execute(
            "SELECT mark, crc, seq FROM deletions WHERE seq > ? AND seq <= ? ORDER BY seq", (after, end)
        ).fetchall()
        self._check_places([row[-1] for row in rows], [row[-1] for row in marks], after, end)
        entries: list[Event | Deletion] = list(self._events_of(rows))
        if marks:
            entries += [
                Deletion(mark, seq)
                for mark, crc, seq in marks
                if self._is_right(crc, sum_row(self._seed, "deletions", seq, mark), seq)
            ]
            entries.sort(key=lambda entry: entry.seq)
        return entries, end

    def _events_of(self, rows: list[tuple[Any, ...]]) -> Iterator[Event]:
        """Rows as events, those erased left out, each with its checksum looked at."""
        seed, is_right = self._seed, self._is_right
        for user, item, value, moment, crc, seq in rows:
            right = crc == sum_event(seed, seq, user, item, value, moment) or is_right(crc, None, seq)
            if right and user is not None:
                yield Event(user, item, value, moment, None, seq)

    def _is_right(self, crc: int | None, wanted: int | None, seq: int) -> bool:
        """Whether a row has the checksum that it must have, or is of a time before there were any."""
        if crc == wanted and crc is not None:
            return True
        if crc is None and seq <= self._unchecked:
            return True
        if not self._skip_damaged:
            raise self._damaged(f"the entry of seq {seq}")
        self._note_damage(f"the entry of seq {seq}")
        return False

    def _check_places(self, events: list[int], marks: list[int], after: int, end: int) -> None:
        """See that there is a row for each place: only before there were checksums deletions have left gaps."""
        wanted = range(max(after, self._unchecked) + 1, end + 1)
        places = sorted(events + marks) if marks else events
        if places[:1] and places[0] < wanted.start:
            places = [place for place in places if place >= wanted.start]
        if len(places) == len(wanted) and places == list(wanted):
            return
        missing = sorted(set(wanted) - set(places))
        what = f"the entry of seq {missing[0]} ({len(missing)} are missing)" if missing else "the order of its entries"
        if not self._skip_damaged or not missing:
            raise self._damaged(what)
        self._note_damage(what)

    def kept(self, first: int, upto: int) -> list[Event]:
        """The events from one place up to another that are there, those among them that `trim` was told to keep."""
        with self._errors(), self._reading() as connection:
            trimmed, kept = (int(self._meta(connection, name)) for name in ("trimmed", "kept"))
            count = connection.execute("SELECT COUNT(*) FROM events WHERE seq <= ?", (trimmed,)).fetchone()[0]
            if count != kept:
                what = f"of {kept} entries kept up to seq {trimmed} there are {count}: one"
                if not self._skip_damaged:
                    raise self._damaged(what)
                self._note_damage(what)
            rows = connection.execute(
                "SELECT user, item, value, time, crc, seq FROM events WHERE seq >= ? AND seq <= ? ORDER BY seq",
                (first, upto),
            ).fetchall()
            return list(self._events_of(rows))

    def history(self, user: Id) -> list[Event]:
        """The events of one user that the journal holds, in order; all of it is read for them, and checked."""
        user = _check_id("user", user)
        after = self.trimmed_seq()
        found = _events_by(user, self.kept(0, after))
        while entries := self.read(after):
            found += _events_by(user, entries)
            after = entries[-1].seq
        return found

    def checkpoints(self, after: int = 0) -> list[Checkpoint]:
        """The recorded checkpoints after a seq, in order."""
        with self._errors(), self._reading() as connection:
            rows = connection.execute("SELECT seq, version, rule, crc FROM checkpoints ORDER BY seq").fetchall()
            count = self._meta(connection, "checkpoints")
        for seq, version, rule, crc in rows:
            self._is_right(crc, sum_row(self._seed, "checkpoints", seq, version, rule), seq)
        if len(rows) != count:
            raise self._damaged(f"of {count} checkpoints there are {len(rows)}: one")
        return [Checkpoint(seq, version, rule) for seq, version, rule, _ in rows if seq > after]

    def mark(self, user: Id) -> bytes:
        """What stands for a user in a `Deletion`: a keyed hash of the id and its type."""
        return self._hash(b"user", user)

    @property
    def time_unit(self) -> str:
        """The unit of the events' times."""
        return self._time_unit

    def now(self) -> int:
        """The time of the system's clock, in the journal's unit."""
        return time.time_ns() // (UNITS_PER_SECOND["ns"] // UNITS_PER_SECOND[self._time_unit])

    def __len__(self) -> int:
        with self._errors():
            connection = self._connection()
            return int(connection.execute("SELECT COUNT(*) FROM events WHERE user IS NOT NULL").fetchone()[0])

    def __repr__(self) -> str:
        return f"Journal({os.fspath(self.path)!r})"

    # -- opening and closing

    def close(self) -> None:
        """Write what waits, then close the file. Closing twice is no error."""
        with self._lock:
            writer, self._writer = self._writer, None
            self._closed = True
            if writer is not None:
                self._queue.put(None)
        if writer is not None:
            writer.join()
        with self._lock:
            connections, self._connections = self._connections, []
            self._ended = True
        for connection in connections:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _connection(self) -> sqlite3.Connection:
        """The thread's own connection."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            if self._ended:
                raise JournalError(f"{self.path} is closed")
            connection = sqlite3.connect(
                self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=32
            )
            with self._lock:
                self._connections.append(connection)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("PRAGMA temp_store = MEMORY")
            self._local.connection = connection
        return connection

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """What is read in here is of one moment."""
        connection = self._connection()
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            if connection.in_transaction:
                connection.execute("COMMIT")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            self._check_file()
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _check_file(self) -> None:
        """Refuse to write into a file that has no name any more: all would be lost when it is closed."""
        if self._inode is None:
            return
        try:
            inode = os.stat(self.path).st_ino
        except FileNotFoundError:
            inode = -1
        if inode != self._inode:
            raise JournalError(f"{self.path} was removed or replaced while it was open: open it anew")

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise self._error_of(error) from error

    def _error_of(self, error: Exception) -> JournalError:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
            return JournalDamagedError(
                f"the journal {self.path}: {error}. Put a sound copy in its place, or begin a new journal from the "
                "published model"
            )
        kind = JournalDiskFullError if _is_full(error) else JournalError
        return kind(f"the journal {self.path}: {error}")

    def _prepare(self, time_unit: str | None) -> None:
        if not self.path.parent.is_dir():
            raise JournalError(f"the journal {self.path}: there is no folder {self.path.parent}")
        if self.path.is_dir():
            raise JournalError(f"the journal {self.path} is a folder: give a file in it")
        if not os.access(self.path.parent, os.W_OK):  # SQLite has files of its own beside it
            raise JournalError(f"the journal {self.path}: its folder cannot be written to")
        with contextlib.suppress(FileExistsError):
            os.close(open_new(self.path, self._mode))  # SQLite gives its log the same permissions
        connection = self._connection()
        self._check_kind(connection)  # before anything of a foreign file is changed
        connection.execute("PRAGMA journal_mode = WAL")
        with self._transaction() as connection:
            if _is_empty(connection):
                self._make(connection, time_unit or "ms")
            elif connection.execute("PRAGMA user_version").fetchone()[0] == 1:
                self._upgrade(connection)
        self._check_kind(connection)
        self._inode = os.stat(self.path).st_ino
        self._page_size = int(connection.execute("PRAGMA page_size").fetchone()[0])
        key = bytes(self._meta(connection, "key"))
        self._seed = crc32(key)
        self._id = blake2b(digest_size=16, key=key, person=b"journal").hexdigest()
        self._unchecked = int(self._meta(connection, "unchecked"))
        self._keyed = {
            (purpose, kind == b"/str"): blake2b(digest_size=16, key=key, person=purpose + kind)
            for purpose in (b"event", b"user")
            for kind in (b"/str", b"/int")
        }
        self._time_unit = str(self._meta(connection, "time_unit"))
        if time_unit not in (None, self._time_unit):
            raise JournalError(f"{self.path} has its times in {self._time_unit!r}, not in {time_unit!r}")
        self._reserve.make()

    def _check_kind(self, connection: sqlite3.Connection) -> None:
        """Refuse a file that is no journal, or one of another version; an empty one may become a journal."""
        if _is_empty(connection):
            return
        if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise JournalError(f"{self.path} is a database, but no journal of fastrec: give another file")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in (1, FORMAT_VERSION):
            raise JournalError(
                f"{self.path} is a journal of version {version}, this fastrec reads up to {FORMAT_VERSION}: use the "
                "fastrec that made it"
            )

    @staticmethod
    def _make(connection: sqlite3.Connection, time_unit: str) -> None:
        for statement in _SCHEMA.split(";"):
            connection.execute(statement)
        start = {"last": 0, "trimmed": 0, "published": 0, "forgotten": 0}
        values = {**start, **_NEWER, "time_unit": time_unit, "key": secrets.token_bytes(32)}
        connection.executemany("INSERT INTO meta VALUES (?, ?, ?)", map(_meta_row, values, values.values()))
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")

    @staticmethod
    def _upgrade(connection: sqlite3.Connection) -> None:
        """Make a file of version 1 one of today's; its rows stay without checksums, and are known by their places."""
        for statement in _UPGRADE.split(";"):
            connection.execute(statement)
        values = dict(connection.execute("SELECT name, value FROM meta"))
        checkpoints = connection.execute("SELECT COUNT(*) FROM checkpoints").fetchone()[0]
        values |= {**_NEWER, "unchecked": values["last"], "checkpoints": checkpoints}
        connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", map(_meta_row, values, values.values()))
        connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")

    def _meta(self, connection: sqlite3.Connection, name: str) -> Any:
        row = connection.execute("SELECT value, crc FROM meta WHERE name = ?", (name,)).fetchone()
        if row is None or row[1] != sum_row(0, "meta", name, row[0]):
            raise self._damaged(f"its record of {name!r}")
        return row[0]

    def _read_meta(self, name: str) -> Any:
        with self._errors():
            return self._meta(self._connection(), name)

    @staticmethod
    def _set_meta(connection: sqlite3.Connection, name: str, value: Any) -> None:
        connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", _meta_row(name, value))

    def _damaged(self, what: str) -> JournalDamagedError:
        return JournalDamagedError(
            f"the journal {self.path} is damaged: {what} is not what was written. Put a sound copy in its place, or "
            "begin a new journal from the published model; skip_damaged=True (--skip-damaged) goes on without what is "
            "damaged"
        )

    def _note_damage(self, what: str) -> None:
        if what not in self._told:
            self._told.add(what)
            log.warning("the journal %s is damaged: %s is left out", self.path, what)

    def _truncate_log(self) -> None:
        """Move the write-ahead log into the file and empty it, so that no old page is left in it."""
        connection, end = self._connection(), time.monotonic() + BUSY_SECONDS
        while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            if time.monotonic() > end:
                raise JournalError(
                    f"{self.path}: the deletion is done, but a reader keeps the old log from being emptied"
                )
            time.sleep(0.005)

    def _hash(self, purpose: bytes, given: Id) -> bytes:
        is_text = isinstance(given, str)
        keyed = self._keyed[purpose, is_text].copy()
        keyed.update(given.encode("utf-8", "surrogatepass") if isinstance(given, str) else b"%d" % given)
        return keyed.digest()


def check_event(event: Any, place: int = 0) -> Event:
    """An event with all its fields checked, or an error that names the place and the field.

    >>> check_event(("ann", "Alien", float("nan")), 3)
    Traceback (most recent call last):
    ...
    ValueError: events[3].value must be a finite number from -3.4e+38 to 3.4e+38, got nan
    """
    if type(event) is Event and _is_usual(event):
        return event
    if not isinstance(event, tuple) or not 2 <= len(event) <= len(Event._fields):
        raise TypeError(f"events[{place}] must be an Event or (user, item[, value[, time[, id]]]), got {event!r}")
    user, item, value, moment, key, _ = event if type(event) is Event else Event(*event)
    name = f"events[{place}]"
    value = check_number(f"{name}.value", value, minimum=-LARGEST_VALUE, maximum=LARGEST_VALUE)
    if moment is not None and (type(moment) is not int or moment not in _INT64):
        moment = check_integer(f"{name}.time", moment, minimum=_INT64[0], maximum=_INT64[-1])
    if key is not None and (type(key) is not str or len(key) > _LARGEST_TEXT):
        raise _not_an_id(f"{name}.id", key, "a string")
    return Event(_check_id(f"{name}.user", user), _check_id(f"{name}.item", item), value, moment, key)


def _is_usual(event: Event) -> bool:
    """Whether an event needs no other look: a batch may have a hundred thousand of them."""
    user, item, value, moment, key, _ = event
    return (
        _is_usual_id(user)
        and _is_usual_id(item)
        and type(value) is float
        and abs(value) <= LARGEST_VALUE
        and (moment is None or (type(moment) is int and moment in _INT64))
        and (key is None or (type(key) is str and len(key) <= _LARGEST_TEXT))
    )


def _is_usual_id(given: Any) -> bool:
    kind = type(given)
    return (kind is int and given in _INT64) or (kind is str and len(given) <= _LARGEST_TEXT and given.isascii())


def _check_id(name: str, given: Any) -> Id:
    if _is_usual_id(given):
        return given  # type: ignore[no-any-return]
    kind = type(given)
    if kind is not bool and hasattr(given, "__index__"):  # NumPy's integers
        number = int(given)
        if number in _INT64:
            return number
    if isinstance(given, str) and len(given) <= _LARGEST_TEXT:
        try:
            given.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{name} must be a string of Unicode characters, got {given!r}") from None
        return str(given)
    raise _not_an_id(name, given, "a 64-bit integer or a string")


def _not_an_id(name: str, given: Any, wanted: str) -> Exception:
    kind = ValueError if isinstance(given, str | int) and not isinstance(given, bool) else TypeError
    shown = repr(given)
    return kind(
        f"{name} must be {wanted} of at most {_LARGEST_TEXT} characters, "
        f"got {shown if len(shown) < 80 else shown[:60] + '…'}"
    )


def _insert_rows(connection: sqlite3.Connection, table: str, columns: int, flat: list[Any]) -> None:
    """Insert rows that lie one after the other, a hundred by one statement, during which other threads can run."""
    row = "(" + ",".join("?" * columns) + ")"
    step = _PARAMETERS // columns * columns
    for start in range(0, len(flat), step):
        part = flat[start : start + step]
        rows = ",".join([row] * (len(part) // columns))
        connection.execute(f"INSERT INTO {table} VALUES {rows}", part)


def _is_full(error: Exception) -> bool:
    """Whether an error says that the disk has no room."""
    return getattr(error, "sqlite_errorcode", None) in _FULL or getattr(error, "errno", None) == errno.ENOSPC


def _events_by(user: Id, entries: Sequence[Event | Deletion]) -> list[Event]:
    """The events of one user among entries; 1 and "1" are two."""
    return [e for e in entries if isinstance(e, Event) and e.user == user and type(e.user) is type(user)]


def _is_empty(connection: sqlite3.Connection) -> bool:
    return not connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]


def _meta_row(name: str, value: Any) -> tuple[str, Any, int]:
    return name, value, sum_row(0, "meta", name, value)
