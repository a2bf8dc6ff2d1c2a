"""`Journal`: the durable event log, a SQLite file shared by processes and safe to kill at any moment."""

import os
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from fastrec.data.durations import UNITS_PER_SECOND
from fastrec.online.journal.appending import EventWriter
from fastrec.online.journal.base_journal import BaseJournal
from fastrec.online.journal.checking import EntryChecks
from fastrec.online.journal.checksums import sum_row
from fastrec.online.journal.damage import Damage
from fastrec.online.journal.database import Database
from fastrec.online.journal.erasing import Eraser
from fastrec.online.journal.errors import JournalError
from fastrec.online.journal.events import (
    Id,
    ItemUpdate,
    check_id,
    clock_time,
)
from fastrec.online.journal.file_leader import FileLeader
from fastrec.online.journal.group_commit import LARGEST_QUEUE, GroupCommit
from fastrec.online.journal.item_table import ItemTable
from fastrec.online.journal.items import check_updates
from fastrec.online.journal.keys import Keys
from fastrec.online.journal.reading import EntryReader
from fastrec.online.journal.reserve import Reserve
from fastrec.online.journal.room import DiskRoom
from fastrec.online.journal.trimming import drop_events, record_checkpoint
from fastrec.permissions import PRIVATE, check_mode
from fastrec.validation import check_choice, check_integer

_LAST = "SELECT value, crc FROM meta WHERE name = 'last'"


class Journal(BaseJournal):
    """Events in one SQLite file (write-ahead log, synchronous=FULL), appended by any number of threads and processes.

    Events are on disk when `append` returns: a kill or a power cut at any moment loses none of them.
    Batches that arrive while the disk is busy are committed together. An event with an id counts once, however often
    it is sent. Ids keep their type: 42 and "42" are two users.

    Parameters
    ----------
    path
        The file, created if there is none.
    time_unit : {"s", "ms", "us", "ns"}
        The unit of the events' times, fixed when the file is created.
    queue_size
        Events that may wait for the next commit, before `append` raises `JournalFullError`.
    mode
        The permissions of a new file, and of those beside it: by default only the owner has access; 0o660 lets a group
        share it.
    skip_damaged
        Skip damaged or missing rows, which are lost, instead of raising `JournalDamagedError`.

    Raises
    ------
    JournalError
        If the file is no journal, has a newer version, or cannot be opened or created.

    Examples
    --------
    >>> import tempfile
    >>> from fastrec.online import Event
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
            raise JournalError(f"the path of a journal must be that of a file, got {os.fspath(path)!r}")
        check_choice("time_unit", time_unit, (None, *UNITS_PER_SECOND))
        reserve = Reserve(self.path.with_name(f"{self.path.name}-reserve"), check_mode(mode))
        largest_queue = check_integer("queue_size", queue_size, minimum=1)
        self._database = Database(self.path, Damage(str(self.path), skip_damaged))
        try:
            with self._database.errors():
                self._database.open(mode, time_unit)
                self._time_unit = self._check_time_unit(time_unit)
                reserve.make()
                self._keys = Keys(bytes(self._database.read_record("key")))
                unchecked = int(self._database.read_record("unchecked"))
        except BaseException:
            self._database.close()
            raise
        self._last: tuple[bytes | None, int] = None, 0  # the newest entry, and the database's mark when it was read
        room = DiskRoom(self._database, reserve)
        checks = EntryChecks(self._database.damage, self._keys.seed, unchecked)
        self._reader = EntryReader(self._database, checks)
        self._items = ItemTable(self._database, room, self._keys, checks)
        writer = EventWriter(self._database, room, self._keys)
        self._commits = GroupCommit(str(self.path), writer.write, largest_queue)
        self._eraser = Eraser(self._database, room, self._keys)
        self.leader = FileLeader(self.path.with_name(f"{self.path.name}-leader"), mode)

    def _check_time_unit(self, given: str | None) -> str:
        time_unit = str(self._database.read_record("time_unit"))
        if given not in (None, time_unit):
            raise JournalError(f"{self.path} has its times in {time_unit!r}, not in {given!r}")
        return time_unit

    # -- writing

    def update_items(self, updates: Iterable[ItemUpdate]) -> int:
        """Records the state of items from here on: their facts, and whether they are hidden or removed.

        Each update replaces the item's state except the parts that it leaves unchanged. Trimming never drops the last
        update of an item.

        Parameters
        ----------
        updates
            The updates; all of them are written, or none.

        Returns
        -------
        int
            The seq of the last update.

        Raises
        ------
        ValueError, TypeError
            If an update is invalid; the message names its place and field.
        JournalError
            If the updates cannot be written.

        Examples
        --------
        >>> import tempfile
        >>> with Journal(tempfile.mkdtemp() + "/events.db") as journal:
        ...     journal.update_items([ItemUpdate("Alien", {"price": 9.5}), ItemUpdate("Brazil", {}, hidden=True)])
        ...     journal.items()[0]
        2
        ItemUpdate(item='Alien', facts={'price': 9.5}, hidden=False, removed=False, seq=1)
        """
        return self._items.write(check_updates(updates))

    def delete_user(self, user: Id) -> int:
        """Removes all events of a user from the disk: from the file, its free pages and the write-ahead log.

        A keyed hash of the id remains, by which models that have learned from the user know not to use it, and the
        places of the events. The whole file is rewritten, which takes a second for some hundred thousand events; other
        writers wait. A deletion works on a full disk, too, since room is reserved for it. Then a later `trim` or
        deletion rewrites the file, once there is room; until then unused parts of pages may hold copies of moved rows.

        Returns
        -------
        int
            The seq of the deletion: later snapshots do not know the user's history.

        Raises
        ------
        JournalError
            If it cannot be written, or a reader kept the old log from being emptied for ten seconds.
        """
        return self._eraser.delete_user(check_id("user", user))

    def trim(self, upto: int, keep: Sequence[int] = ()) -> int:
        """Drops the events up to `upto`, but only those that a published model has taken in.

        Parameters
        ----------
        upto
            A seq.
        keep
            The seqs of events to keep; `kept` reads them.

        Returns
        -------
        int
            The seq up to which events are dropped now.
        """
        check_integer("upto", upto, minimum=0)
        with self._database.errors():
            with self._database.transaction() as connection:
                upto = drop_events(self._database, connection, upto, keep)
            self._eraser.scrub()
        return upto

    def record_checkpoint(self, seq: int, version: str, rule: str | None = None) -> None:
        """Records that the model's items were updated with the events up to `seq`: a replay repeats the update
        there.
        """
        with self._database.errors(), self._database.transaction() as connection:
            record_checkpoint(self._database, connection, self._keys.seed, seq, version, rule)

    def record_published(self, seq: int) -> None:
        """Records that a published model has taken in the events up to `seq`, which `trim` may now drop."""
        with self._database.errors(), self._database.transaction() as connection:
            if seq > int(self._database.record(connection, "published")):
                self._database.set_record(connection, "published", seq)

    def record_lineage(self, text: str) -> None:
        """Records the lineage of models that this journal belongs to."""
        with self._database.errors(), self._database.transaction() as connection:
            self._database.set_record(connection, "lineage", text)

    # -- reading

    def last_seq(self) -> int:
        """The seq of the newest entry on disk, of any process; 0 if there is none."""
        mark = self._database.read_mark()  # before the query: an entry written between the two is read again
        before, seq = self._last
        if mark is not None and mark == before:
            return seq
        try:  # like `Database.errors`, but cheaper: a server asks before each answer
            value, crc = self._database.connection().execute(_LAST).fetchone()
        except sqlite3.Error as error:
            raise self._database.error_of(error) from error
        if crc != sum_row(0, "meta", "last", value):
            raise self._database.damage.error("its record of 'last'")
        self._last = mark, int(value)
        return int(value)

    def _read_record(self, name: str) -> Any:
        return self._database.read_record(name)

    def deleted_seq(self) -> int:
        """The seq of the last deletion that has not been trimmed; 0 if there is none."""
        with self._database.errors():
            return int(self._database.connection().execute("SELECT MAX(seq) FROM deletions").fetchone()[0] or 0)

    def unchecked_seq(self) -> int:
        """The seq up to which entries have no checksum: an older fastrec wrote them."""
        return int(self._read_record("unchecked"))

    def items(self, upto: int | None = None) -> list[ItemUpdate]:
        """The last update of each item, in order; `upto` leaves out those after a place that is not trimmed."""
        return self._items.latest(upto)

    @property
    def is_remote(self) -> bool:
        """Tells whether reading may wait for another machine: never, since it is a file."""
        return False

    @property
    def address(self) -> str:
        """The path of the file."""
        return str(self.path)

    def now(self) -> int:
        """The time of the system's clock, in the journal's unit."""
        return clock_time(self._time_unit)

    def __len__(self) -> int:
        with self._database.errors():
            connection = self._database.connection()
            return int(connection.execute("SELECT COUNT(*) FROM events WHERE user IS NOT NULL").fetchone()[0])

    def __repr__(self) -> str:
        return f"Journal({os.fspath(self.path)!r})"

    # -- closing

    def close(self) -> None:
        """Writes the waiting events, then closes the file. Closing twice is no error."""
        self._commits.close()
        self.leader.release()
        self._database.close()
