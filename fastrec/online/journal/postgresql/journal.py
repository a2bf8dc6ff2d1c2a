"""`PostgreSQLJournal`: the event log in a PostgreSQL database, for any number of machines."""

import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from fastrec.data.durations import UNITS_PER_SECOND
from fastrec.online.journal.base_journal import BaseJournal
from fastrec.online.journal.checking import EntryChecks
from fastrec.online.journal.errors import JournalError
from fastrec.online.journal.events import Event, Id, ItemUpdate, Receipt, check_id
from fastrec.online.journal.group_commit import LARGEST_QUEUE, GroupCommit
from fastrec.online.journal.items import check_updates
from fastrec.online.journal.keys import Keys
from fastrec.online.journal.postgresql import statements
from fastrec.online.journal.postgresql.appending import EventWriter
from fastrec.online.journal.postgresql.connecting import Database
from fastrec.online.journal.postgresql.erasing import delete_user, scrub
from fastrec.online.journal.postgresql.items import read_latest, write_updates
from fastrec.online.journal.postgresql.leading import SessionLeader
from fastrec.online.journal.postgresql.listening import Listener
from fastrec.online.journal.postgresql.reading import EntryReader
from fastrec.online.journal.postgresql.statements import FORMAT, Session
from fastrec.online.journal.postgresql.trimming import drop_events, record_checkpoint
from fastrec.validation import check_choice, check_integer

Result = TypeVar("Result")

_NEW = dict.fromkeys(
    ("last", "trimmed", "published", "forgotten", "kept", "kept_items", "checkpoints", "unscrubbed"), 0
)


class PostgreSQLJournal(BaseJournal):
    """Events in a PostgreSQL database, appended by any number of threads, processes and machines.

    Events are committed when `append` returns, as durably as the server is set up; an event with an id counts once,
    however often it is sent. The order is that of the commits. If the server restarts, calls wait for it up to ten
    seconds.

    Parameters
    ----------
    address
        ``postgresql://user@host/database``, in the form of libpq. Keep passwords in ``~/.pgpass`` or ``PGPASSWORD``
        rather than in a command that others can see. The tables ``fastrec_…`` are created in the first existing schema
        of the search path: one log per schema.
    time_unit, queue_size, skip_damaged
        As in `Journal`.

    Raises
    ------
    JournalError
        If the database cannot be reached, or its tables have another version.
    """

    def __init__(
        self,
        address: str,
        *,
        time_unit: str | None = None,
        queue_size: int = LARGEST_QUEUE,
        skip_damaged: bool = False,
    ) -> None:
        check_choice("time_unit", time_unit, (None, *UNITS_PER_SECOND))
        check_integer("queue_size", queue_size, minimum=1)
        database = self._database = Database(address, skip_damaged)
        records = {
            **_NEW,
            "lineage": None,
            "format": FORMAT,
            "time_unit": time_unit or "ms",
            "key": secrets.token_bytes(32),
        }
        try:
            database.write(lambda session: statements.make_tables(session, records))
            self._time_unit, key, last = database.read(lambda session: self._check_format(session, time_unit))
        except BaseException:
            database.close()
            raise
        self._keys = keys = Keys(key)
        channel = self._channel = f"fastrec_{keys.name}"
        self._checks = EntryChecks(database.damage, keys.seed)
        self._reader = EntryReader(database, self._checks)
        self.leader = SessionLeader(database.connect, int(keys.name[:15], 16), database.place)
        self._writer = EventWriter(database, keys, channel)
        self._commits = GroupCommit(database.place, self._write, queue_size)
        self._listener = Listener(
            database.connect, lambda session: database.number(session, "last"), channel, database.place
        )
        self._listener.start(last)

    def _check_format(self, session: Session, given: str | None) -> tuple[str, bytes, int]:
        """Returns the unit of times, the key and the last place of the tables; an error if the tables belong to
        others.
        """
        database = self._database
        if database.record(session, "format") != FORMAT:
            raise JournalError(f"{database.place} has a journal of another version: use the fastrec that made it")
        time_unit, key = str(database.record(session, "time_unit")), database.record(session, "key")
        if given not in (None, time_unit):
            raise JournalError(f"{database.place} has its times in {time_unit!r}, not in {given!r}")
        assert isinstance(key, bytes)
        return time_unit, key, database.number(session, "last")

    # -- writing

    def _write(self, batches: list[list[Event]]) -> list[Receipt]:
        receipts = self._writer.write(batches)
        self._listener.advance(max((receipt.seq for receipt in receipts), default=0))
        return receipts

    def update_items(self, updates: Iterable[ItemUpdate]) -> int:
        """Records the state of items from here on, all or nothing; returns the seq of the last update."""
        seq = write_updates(self._database, self._checks, self._keys.seed, self._channel, check_updates(updates))
        self._listener.advance(seq)
        return seq

    def delete_user(self, user: Id) -> int:
        """Erases all events of a user; returns the seq of the deletion.

        The table of events is rewritten for it, while others wait. The server's write-ahead log, standbys and backups
        keep the events until they are dropped there.
        """
        seq = delete_user(self._database, self._keys, check_id("user", user), self._channel)
        self._listener.advance(seq)
        return seq

    def trim(self, upto: int, keep: Sequence[int] = ()) -> int:
        """Drops the events up to a place that a published model has taken in, except those at the places to keep."""
        check_integer("upto", upto, minimum=0)
        upto = self._lead(lambda session: drop_events(self._database, session, upto, keep))
        scrub(self._database)
        return upto

    def record_checkpoint(self, seq: int, version: str, rule: str | None = None) -> None:
        """Records that the model's items were updated with the events up to `seq`: a replay repeats the update
        there.
        """
        self._lead(lambda session: record_checkpoint(session, self._keys.seed, seq, version, rule))

    def record_published(self, seq: int) -> None:
        """Records that a published model has taken in the events up to `seq`, which `trim` may now drop."""

        def write(session: Session) -> None:
            if seq > self._database.number(session, "published"):
                statements.write_record(session, "published", seq)

        self._lead(write)

    def record_lineage(self, text: str) -> None:
        """Records the lineage of models that this journal belongs to."""
        self._database.write(lambda session: statements.write_record(session, "lineage", text))

    def _lead(self, work: Callable[[Session], Result]) -> Result:
        """Runs work for which leaders need to lead; without leaders, it just runs."""
        if not self.leader.has_led:
            return self._database.write(work)
        with self._database.errors():
            return self.leader.run(work)

    # -- reading

    def last_seq(self) -> int:
        """The seq of the newest entry known here: this process's own at once, others' after their notification."""
        return self._listener.last()

    def _read_record(self, name: str) -> Any:
        return self._database.read(lambda session: self._database.record(session, name))

    def deleted_seq(self) -> int:
        """The seq of the last deletion that has not been trimmed; 0 if there is none."""
        return self._database.read(statements.last_deletion)

    @property
    def is_remote(self) -> bool:
        """Tells whether reading may wait for another machine: always."""
        return True

    @property
    def address(self) -> str:
        """The address, without a password."""
        return self._database.place

    def items(self, upto: int | None = None) -> list[ItemUpdate]:
        """The last update of each item, in order; `upto` leaves out those after a place that is not trimmed."""
        return read_latest(self._database, self._checks, upto)

    def __repr__(self) -> str:
        return f"PostgreSQLJournal({self.address!r})"

    # -- closing

    def close(self) -> None:
        """Writes the waiting events, then ends all sessions. Closing twice is no error."""
        self._commits.close()
        self._listener.close()
        self.leader.release()
        self._writer.close()
        self._database.close()
