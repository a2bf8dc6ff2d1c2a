"""EntryReader: entries as they were written, and none missing, or an error that says which."""

import sqlite3
from collections.abc import Iterator
from typing import Any

from fastrec.online.journal.checksums import sum_event, sum_row
from fastrec.online.journal.database import Database
from fastrec.online.journal.errors import JournalTrimmedError
from fastrec.online.journal.events import Checkpoint, Deletion, Event, Id, select_events

# Entries that are read at once where nobody says how many.
ENTRIES_AT_ONCE = 10_000


class EntryReader:
    """Reads the entries of a journal, and looks at their checksums and places.

    Parameters
    ----------
    database
        The journal's file.
    seed
        Of its checksums.
    """

    def __init__(self, database: Database, seed: int) -> None:
        self._database, self._seed = database, seed
        self._unchecked = int(database.read_record("unchecked"))

    def read(self, after: int, n: int, upto: int | None) -> list[Event | Deletion]:
        """The first `n` entries after `after` and up to `upto`, in order."""
        entries: list[Event | Deletion] = []
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
        entries: list[Event | Deletion] = list(self._as_events(rows))
        if marks:
            entries += [
                Deletion(mark, seq)
                for mark, crc, seq in marks
                if self._is_right(crc, sum_row(self._seed, "deletions", seq, mark), seq)
            ]
            entries.sort(key=lambda entry: entry.seq)
        return entries, end

    def _as_events(self, rows: list[tuple[Any, ...]]) -> Iterator[Event]:
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
        self._database.damage.report(f"the entry of seq {seq}")
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
        if not missing:
            raise self._database.damage.error("the order of its entries")
        self._database.damage.report(f"the entry of seq {missing[0]} ({len(missing)} are missing)")

    def kept(self, first: int, upto: int) -> list[Event]:
        """The events from one place up to another that are there, those among them that `trim` was told to keep."""
        with self._database.errors(), self._database.reading() as connection:
            trimmed, kept = (int(self._database.record(connection, name)) for name in ("trimmed", "kept"))
            count = connection.execute("SELECT COUNT(*) FROM events WHERE seq <= ?", (trimmed,)).fetchone()[0]
            if count != kept:
                self._database.damage.report(f"of {kept} entries kept up to seq {trimmed} there are {count}: one")
            rows = connection.execute(
                "SELECT user, item, value, time, crc, seq FROM events WHERE seq >= ? AND seq <= ? ORDER BY seq",
                (first, upto),
            ).fetchall()
            return list(self._as_events(rows))

    def history(self, user: Id) -> list[Event]:
        """The events of one user that the journal holds, in order; all of it is read for them, and checked."""
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
        for seq, version, rule, crc in rows:
            self._is_right(crc, sum_row(self._seed, "checkpoints", seq, version, rule), seq)
        if len(rows) != count:
            raise self._database.damage.error(f"of {count} checkpoints there are {len(rows)}: one")
        return [Checkpoint(seq, version, rule) for seq, version, rule, _ in rows if seq > after]
