"""The durable event log: SQLite in one file, safe to kill at any moment, shared by processes."""

import contextlib
import os
import queue
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self, TypeAlias

from fastrec.data.durations import UNITS_PER_SECOND
from fastrec.permissions import PRIVATE, check_mode, open_new
from fastrec.validation import check_choice, check_integer, check_number

Id: TypeAlias = int | str

FORMAT_VERSION = 1
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

_LAST = "SELECT value FROM meta WHERE name = 'last'"
_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE events (seq INTEGER PRIMARY KEY, user, item, value REAL NOT NULL, time INTEGER);
CREATE INDEX events_by_user ON events (user);
CREATE TABLE ids (hash BLOB PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE deletions (seq INTEGER PRIMARY KEY, mark BLOB NOT NULL);
CREATE TABLE checkpoints (seq INTEGER PRIMARY KEY, version TEXT NOT NULL);
"""


class JournalError(RuntimeError):
    """The journal cannot do what was asked now: a full disk, a read-only folder, a file that is no journal."""


class JournalFullError(JournalError):
    """More events wait to be committed than may: try again a moment later."""


class JournalTrimmedError(JournalError):
    """The events asked for are gone, since a published model has them: load that model."""


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
    """The items of the model were updated with all events up to `seq`; `version` names the file where there is one."""

    seq: int
    version: str


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

    def trim(self, upto: int) -> int:
        """Drop events up to a place that a published model has taken in."""
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
        The permissions of a file that is made, and of the log beside it: its owner's alone, unless 0o660, say, lets a
        group share it.

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
    ) -> None:
        self.path = Path(path)
        if os.fspath(path) in ("", ":memory:"):
            raise JournalError(f"a journal is a file, which {os.fspath(path)!r} is not: give its path")
        check_choice("time_unit", time_unit, (None, *UNITS_PER_SECOND))
        self._mode = check_mode(mode)
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
            ended = first is None
            while not ended and len(group) < 10_000:
                try:
                    following = self._queue.get_nowait()
                except queue.Empty:
                    break
                ended = following is None
                if following is not None:
                    group.append(following)
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
            with self._errors(), self._transaction() as connection:
                receipts = self._insert(connection, [events for events, _ in wanted])
        except BaseException as error:
            failure = error
        with self._lock:
            self._waiting -= sum(len(events) for events, _ in group)
        for number, (_, done) in enumerate(wanted):
            if failure is not None:
                done.set_exception(failure)
            else:
                done.set_result(receipts[number])

    def _insert(self, connection: sqlite3.Connection, batches: list[list[Event]]) -> list[Receipt]:
        last = int(_meta(connection, "last"))
        hashes = [[None if event.id is None else self._hash(b"event", event.id) for event in some] for some in batches]
        known = self._find_known(connection, [given for some in hashes for given in some if given is not None])
        rows: list[Any] = []
        new_ids: list[tuple[bytes, int]] = []
        receipts: list[Receipt] = []
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
                rows += (last, event.user, event.item, event.value, event.time)
            added = last - before
            receipts.append(Receipt(last if added or not events else greatest, added, len(events) - added))
        _insert_rows(connection, "events", 5, rows)
        _insert_rows(connection, "ids", 2, list(chain.from_iterable(sorted(new_ids))))
        if rows:
            _set_meta(connection, "last", last)
        return receipts

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

        What remains is a keyed hash of the id, by which models that have learned from the user know not to use it. The
        whole file is written anew for it, which takes as long as it is large: a second for some hundred thousand
        events, while others wait to write.

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
            with self._transaction() as connection:
                connection.execute("DELETE FROM events WHERE user = ?", (user,))
                seq = int(_meta(connection, "last")) + 1
                connection.execute("INSERT INTO deletions VALUES (?, ?)", (seq, self.mark(user)))
                _set_meta(connection, "last", seq)
            # Pages that were split or joined keep copies of what was moved to another, in their unused parts, which
            # secure_delete does not reach.
            self._connection().execute("VACUUM")
            self._truncate_log()
        return seq

    def trim(self, upto: int) -> int:
        """Drop the events up to `upto`, but never past what a published model has taken in.

        Returns
        -------
        int
            The seq up to which events are gone now.
        """
        check_integer("upto", upto, minimum=0)
        with self._errors(), self._transaction() as connection:
            upto = max(min(upto, int(_meta(connection, "published"))), int(_meta(connection, "trimmed")))
            connection.execute("DELETE FROM events WHERE seq <= ?", (upto,))
            connection.execute("DELETE FROM deletions WHERE seq <= ?", (upto,))
            connection.execute("DELETE FROM checkpoints WHERE seq < ?", (upto,))
            forgotten = min(upto, int(_meta(connection, "last")) - REMEMBERED_IDS)
            if forgotten > int(_meta(connection, "forgotten")) + REMEMBERED_IDS // 10:
                connection.execute("DELETE FROM ids WHERE seq <= ?", (forgotten,))
                _set_meta(connection, "forgotten", forgotten)
            _set_meta(connection, "trimmed", upto)
        return upto

    def record_checkpoint(self, seq: int, version: str) -> None:
        """Note that the model's items were updated with the events up to `seq`: who replays does it there again."""
        with self._errors(), self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO checkpoints VALUES (?, ?)", (seq, version))

    def record_published(self, seq: int) -> None:
        """Note that a published model has taken in the events up to `seq`, which `trim` may now drop."""
        with self._errors(), self._transaction() as connection:
            if seq > int(_meta(connection, "published")):
                _set_meta(connection, "published", seq)

    # -- reading

    def last_seq(self) -> int:
        """The seq of the newest entry on disk, by whichever process; 0 where there is none."""
        try:  # as `_errors`, without its cost: a server asks before each answer
            return int(self._connection().execute(_LAST).fetchone()[0])
        except sqlite3.Error as error:
            raise JournalError(f"the journal {self.path}: {error}") from error

    def trimmed_seq(self) -> int:
        """The seq up to which entries have been dropped; 0 where all are there."""
        with self._errors():
            return int(_meta(self._connection(), "trimmed"))

    def published_seq(self) -> int:
        """The seq up to which a published model has taken in the events."""
        with self._errors():
            return int(_meta(self._connection(), "published"))

    def read(self, after: int, n: int = 10_000, *, upto: int | None = None) -> list[Event | Deletion]:
        """The first `n` entries after `after`, in order: events, and deletions of users.

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
        """
        check_integer("after", after, minimum=0)
        check_integer("n", n, minimum=1)
        last = _INT64[-1] if upto is None else upto
        with self._errors():
            connection = self._connection()
            rows = connection.execute(
                "SELECT user, item, value, time, NULL, seq FROM events WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
                (after, last, n),
            ).fetchall()
            if len(rows) == n:
                last = rows[-1][-1]
            marks = connection.execute(
                "SELECT mark, seq FROM deletions WHERE seq > ? AND seq <= ?", (after, last)
            ).fetchall()
            trimmed = int(_meta(connection, "trimmed"))  # read last: what was dropped meanwhile is noticed
        if after < trimmed:
            raise JournalTrimmedError(
                f"{self.path} has no entries up to {trimmed} any more; a published model has them"
            )
        entries: list[Event | Deletion] = [Event._make(row) for row in rows]
        if marks:
            entries += [Deletion._make(row) for row in marks]
            entries.sort(key=lambda entry: entry.seq)
        return entries[:n]

    def history(self, user: Id) -> list[Event]:
        """The events of one user that the journal holds, in order."""
        with self._errors():
            rows = self._connection().execute(
                "SELECT user, item, value, time, NULL, seq FROM events WHERE user = ? ORDER BY seq",
                (_check_id("user", user),),
            )
            return [Event._make(row) for row in rows]

    def checkpoints(self, after: int = 0) -> list[Checkpoint]:
        """The recorded checkpoints after a seq, in order."""
        with self._errors():
            rows = self._connection().execute(
                "SELECT seq, version FROM checkpoints WHERE seq > ? ORDER BY seq", (after,)
            )
            return [Checkpoint._make(row) for row in rows]

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
            return int(self._connection().execute("SELECT COUNT(*) FROM events").fetchone()[0])

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
            raise JournalError(f"the journal {self.path}: {error}") from error

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
        self._check_kind(connection)
        self._inode = os.stat(self.path).st_ino
        key = bytes(_meta(connection, "key"))
        self._keyed = {
            (purpose, kind == b"/str"): blake2b(digest_size=16, key=key, person=purpose + kind)
            for purpose in (b"event", b"user")
            for kind in (b"/str", b"/int")
        }
        self._time_unit = str(_meta(connection, "time_unit"))
        if time_unit not in (None, self._time_unit):
            raise JournalError(f"{self.path} has its times in {self._time_unit!r}, not in {time_unit!r}")

    def _check_kind(self, connection: sqlite3.Connection) -> None:
        """Refuse a file that is no journal, or one of another version; an empty one may become a journal."""
        if _is_empty(connection):
            return
        if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise JournalError(f"{self.path} is a database, but no journal of fastrec: give another file")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version != FORMAT_VERSION:
            raise JournalError(
                f"{self.path} is a journal of version {version}, this fastrec reads {FORMAT_VERSION}: use the fastrec "
                "that made it"
            )

    @staticmethod
    def _make(connection: sqlite3.Connection, time_unit: str) -> None:
        for statement in _SCHEMA.split(";"):
            connection.execute(statement)
        start = {"last": 0, "trimmed": 0, "published": 0, "forgotten": 0}
        for name, value in {**start, "time_unit": time_unit, "key": secrets.token_bytes(32)}.items():
            connection.execute("INSERT INTO meta VALUES (?, ?)", (name, value))
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")

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


def _is_empty(connection: sqlite3.Connection) -> bool:
    return not connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]


def _meta(connection: sqlite3.Connection, name: str) -> Any:
    return connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()[0]


def _set_meta(connection: sqlite3.Connection, name: str, value: Any) -> None:
    connection.execute("UPDATE meta SET value = ? WHERE name = ?", (value, name))
