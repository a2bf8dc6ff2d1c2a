"""EventWriter: writes batches as rows exactly once, even if the connection is lost."""

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
    """Writes batches over the session of one thread.

    The database holds the number of each writer's last commit. If the connection is lost during a commit, that number
    shows whether it was done.

    Parameters
    ----------
    database
        The database to write to.
    keys
        The keys of the journal.
    channel
        The channel on which others listen for new entries.
    """

    def __init__(self, database: Database, keys: Keys, channel: str) -> None:
        self._database, self._keys, self._channel = database, keys, channel
        self._name = secrets.token_bytes(16)
        self._commits = 0

    def write(self, batches: list[list[Event]]) -> list[Receipt]:
        """Writes batches as a whole; returns a receipt for each."""
        number = self._commits + 1
        self._commits = number  # even after a failure: no two commits have the same number
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
                f"{error}. It is unknown whether the last events were written: send them again with the same ids"
            ) from error
        raise AssertionError("not reached")

    def _has_committed(self, number: int) -> bool:
        """Tells whether a commit was done, once it is certain that it will not be done later."""
        with transaction(self._database.session()) as session:
            statements.lock_tail(session)  # the lost session holds it until it has ended
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
        """Removes everything of this writer except its events."""
        try:
            statements.drop_writers(self._database.session(), self._name)
        except (psycopg.Error, JournalError):  # the server is gone: a later `trim` forgets the writer
            self._database.drop_session()
