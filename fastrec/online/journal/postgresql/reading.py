"""EntryReader: the entries of the tables, in order and checked."""

from fastrec.online.journal.checking import EntryChecks
from fastrec.online.journal.errors import JournalTrimmedError
from fastrec.online.journal.events import Checkpoint, Entry, Event, Id
from fastrec.online.journal.events import select_events as select_events_of
from fastrec.online.journal.postgresql.connecting import Database
from fastrec.online.journal.postgresql.statements import (
    Session,
    count_events,
    select_checkpoints,
    select_deletions,
    select_events,
    select_items,
)
from fastrec.online.journal.reading import ENTRIES_AT_ONCE


class EntryReader:
    """Reads entries; each answer shows one moment.

    Parameters
    ----------
    database
        The journal's database.
    checks
        The checks of its rows.
    """

    def __init__(self, database: Database, checks: EntryChecks) -> None:
        self._database, self._checks = database, checks

    def read(self, after: int, n: int, upto: int | None) -> list[Entry]:
        """Returns the first `n` entries after `after` and up to `upto`, in order."""
        return self._database.read(lambda session: self._read(session, after, n, upto))

    def _read(self, session: Session, after: int, n: int, upto: int | None) -> list[Entry]:
        trimmed = self._database.number(session, "trimmed")
        if after < trimmed:
            raise JournalTrimmedError(
                f"{self._database.place} has no entries up to {trimmed} any more; a published model has them"
            )
        last = self._database.number(session, "last")
        end = last if upto is None else min(upto, last)
        entries: list[Entry] = []
        while after < end and len(entries) < n:
            rows = select_events(session, after + 1, end, n)
            upto_here = rows[-1][-1] if len(rows) == n else end
            marks, items = (select(session, after + 1, upto_here) for select in (select_deletions, select_items))
            entries += self._checks.entries(rows, marks, items, after, upto_here)
            after = upto_here
        return entries[:n]

    def kept(self, first: int, upto: int) -> list[Event]:
        """The events from one place up to another that are there."""

        def read(session: Session) -> list[Event]:
            trimmed, kept = (self._database.number(session, name) for name in ("trimmed", "kept"))
            self._checks.check_kept(count_events(session, trimmed), kept, trimmed)
            return list(self._checks.events(select_events(session, first, upto)))

        return self._database.read(read)

    def history(self, user: Id) -> list[Event]:
        """The events of one user, in order."""
        after = self._database.read(lambda session: self._database.number(session, "trimmed"))
        found = select_events_of(user, self.kept(0, after))
        while entries := self.read(after, ENTRIES_AT_ONCE, None):
            found += select_events_of(user, entries)
            after = entries[-1].seq
        return found

    def checkpoints(self, after: int) -> list[Checkpoint]:
        """The recorded checkpoints after a seq, in order."""

        def read(session: Session) -> list[Checkpoint]:
            count = self._database.number(session, "checkpoints")
            return self._checks.checkpoints(select_checkpoints(session), count, after)

        return self._database.read(read)
