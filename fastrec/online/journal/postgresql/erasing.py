"""Erases a deleted user's events, and rewrites the table of events without them."""

import psycopg

from fastrec.online.journal.checksums import sum_erased, sum_row
from fastrec.online.journal.errors import JournalError
from fastrec.online.journal.events import Id
from fastrec.online.journal.keys import Keys
from fastrec.online.journal.postgresql import statements
from fastrec.online.journal.postgresql.connecting import Database
from fastrec.online.journal.postgresql.statements import Session


def delete_user(database: Database, keys: Keys, user: Id, channel: str) -> int:
    """Erases all events of a user; returns the place of the deletion."""

    def erase(session: Session) -> int:
        statements.lock_tail(session)
        seq, mark = database.number(session, "last") + 1, keys.hash_user(user)
        places = statements.find_events_of(session, user, seq)
        statements.erase_events(session, places, [sum_erased(keys.seed, place) for place in places])
        statements.insert_deletion(session, seq, mark, sum_row(keys.seed, "deletions", seq, mark))
        statements.write_record(session, "last", seq)
        statements.write_record(session, "unscrubbed", 1)
        statements.notify(session, channel, seq)
        return seq

    seq = database.write(erase)
    scrub(database)
    return seq


def scrub(database: Database) -> None:
    """Rewrites the table of events if that is due: its file would otherwise keep old versions of changed rows."""
    if not database.read(lambda session: database.number(session, "unscrubbed")):
        return
    with database.errors():
        try:
            statements.write_anew(database.session())
        except psycopg.errors.LockNotAvailable as error:
            raise JournalError(
                f"{database.place}: the deletion is done, but a reader keeps the table from being written anew"
            ) from error
    database.write(lambda session: statements.write_record(session, "unscrubbed", 0))
