"""EventWriter: batches of events become rows, once, whatever becomes of the connection."""

import secrets

import psycopg

from fastrec.online.journal.errors import JournalError
from fastrec.online.journal.events import Event, Receipt
from fastrec.online.journal.keys import Keys
from fastrec.online.journal.numbering import hash_ids, number_events
from fastrec.online.journal.postgresql import connecting, statements
from fastrec.online.journal.postgresql.connecting import Database, transaction
from fastrec.online.journal.postgresql.statements import Session


class EventWriter:
    """Writes batches by the session of one thread.

    Each commit has a number of this writer's own, which is in the database once it is committed: where the connection
    is lost during a commit, a look at it says whether that has been done.

    Parameters
    ----------
    database
        Where to write.
    keys
        Of the journal.
    channel
        Where others listen for new entries.
    """

    def __init__(self, database: Database, keys: Keys, channel: str) -> None:
        self._database, self._keys, self._channel = database, keys, channel
        self._name = secrets.token_bytes(16)
        self._commits = 0

    def write(self, batches: list[list[Event]]) -> list[Receipt]:
        """Writes batches as a whole; returns a receipt for each."""
        number = self._commits + 1
        self._commits = number  # whatever comes of it: no two commits have one number
        receipts: list[Receipt] | None = None
        try:
            with self._database.errors():
                for _ in self._database.tries(connecting.BUSY_SECONDS):
                    with self._database.lost_sessions():
                        if receipts is not None and self._has_committed(number):
                            return receipts
                        receipts = None
                        with transaction(self._database.session()) as session:
                            receipts = self._insert(session, batches, number)
                        return receipts
        except JournalError as error:
            if receipts is None:
                raise
            raise JournalError(
                f"{error}. It is not known whether the last events were written: send them again, with the same ids"
            ) from error
        raise AssertionError("not reached")

    def _has_committed(self, number: int) -> bool:
        """Tells whether a commit was done, once it is certain that it will not be done any more."""
        with transaction(self._database.session()) as session:
            statements.lock_tail(session)  # which the lost session holds until it has ended
            return statements.read_commits(session, self._name) == number

    def _insert(self, session: Session, batches: list[list[Event]], number: int) -> list[Receipt]:
        statements.lock_tail(session)
        last = self._database.number(session, "last")
        hashes = hash_ids(batches, self._keys)
        known = statements.find_ids(session, [given for some in hashes for given in some if given is not None])
        rows, ids, receipts, last = number_events(batches, hashes, known, last, self._keys.seed)
        if rows:
            statements.insert_events(session, rows, ids)
            statements.write_record(session, "last", last)
            statements.notify(session, self._channel, last)
        statements.count_commit(session, self._name, number)
        return receipts

    def close(self) -> None:
        """Leaves nothing of this writer but what it has written."""
        try:
            statements.drop_writers(self._database.session(), self._name)
        except (psycopg.Error, JournalError):  # a server that is gone: a later `trim` forgets it
            self._database.drop_session()
