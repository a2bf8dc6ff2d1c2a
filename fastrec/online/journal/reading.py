"""EntryReader: the entries of a journal's file, in order and checked."""

import sqlite3

from fastrec.online.journal.checking import EntryChecks
from fastrec.online.journal.database import Database
from fastrec.online.journal.errors import JournalTrimmedError
from fastrec.online.journal.events import Checkpoint, Entry, Event, Id, select_events
from fastrec.online.journal.item_table import select_items

# The number of entries read at once by default.
ENTRIES_AT_ONCE = 10_000
_EVENTS = "SELECT user, item, value, time, recommendation, crc, seq FROM events"


class EntryReader:
    """Reads the entries of a journal, and checks their checksums and places.

    Parameters
    ----------
    database
        The journal's file.
    checks
        The checks of its rows.
    """

    def __init__(self, database: Database, checks: EntryChecks) -> None:
        self._database, self._checks = database, checks

    def read(self, after: int, n: int, upto: int | None) -> list[Entry]:
        """Returns the first `n` entries after `after` and up to `upto`, in order."""
        entries: list[Entry] = []
        with self._database.errors(), self._database.reading() as connection:
            trimmed = int(self._database.record(connection, "trimmed"))
            if after < trimmed:
                raise JournalTrimmedError(
                    f"{self._database.path} has no entries up to {trimmed} any more; a published model has them"
                )
            last = int(self._database.record(connection, "last"))
            end = last if upto is None else min(upto, last)
            while after < end and len(entries) < n:
                some, after = self._read_some(connection, after, n, end)
                entries += some
        return entries[:n]

    def _read_some(self, connection: sqlite3.Connection, after: int, n: int, end: int) -> tuple[list[Entry], int]:
        """Returns the entries among the first `n` rows of events after a place, and the place up to which they are
        complete.
        """
        rows = connection.execute(
            f"{_EVENTS} WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
            (after, end, n),
        ).fetchall()
        if len(rows) == n:
            end = rows[-1][-1]
        marks = connection.execute(
            "SELECT mark, crc, seq FROM deletions WHERE seq > ? AND seq <= ? ORDER BY seq", (after, end)
        ).fetchall()
        return self._checks.entries(rows, marks, select_items(connection, after, end), after, end), end

    def kept(self, first: int, upto: int) -> list[Event]:
        """Yields the events from one place up to another that are there, among them those that `trim` has kept."""
        with self._database.errors(), self._database.reading() as connection:
            trimmed, kept = (int(self._database.record(connection, name)) for name in ("trimmed", "kept"))
            count = connection.execute("SELECT COUNT(*) FROM events WHERE seq <= ?", (trimmed,)).fetchone()[0]
            self._checks.check_kept(count, kept, trimmed)
            rows = connection.execute(
                f"{_EVENTS} WHERE seq >= ? AND seq <= ? ORDER BY seq",
                (first, upto),
            ).fetchall()
            return list(self._checks.events(rows))

    def history(self, user: Id) -> list[Event]:
        """Returns the events of one user in the journal, in order; the whole journal is read and checked for it."""
        after = int(self._database.read_record("trimmed"))
        found = select_events(user, self.kept(0, after))
        while entries := self.read(after, ENTRIES_AT_ONCE, None):
            found += select_events(user, entries)
            after = entries[-1].seq
        return found

    def checkpoints(self, after: int = 0) -> list[Checkpoint]:
        """The recorded checkpoints after a seq, in order."""
        with self._database.errors(), self._database.reading() as connection:
            rows = connection.execute("SELECT seq, version, rule, crc FROM checkpoints ORDER BY seq").fetchall()
            count = self._database.record(connection, "checkpoints")
        return self._checks.checkpoints(rows, count, after)
