"""Eraser: erases a deleted user's events so that no copy is left on the disk."""

import shutil
import sqlite3

from fastrec.online.journal.checksums import sum_erased, sum_row
from fastrec.online.journal.database import Database
from fastrec.online.journal.errors import is_full
from fastrec.online.journal.events import Id
from fastrec.online.journal.keys import Keys
from fastrec.online.journal.room import DiskRoom

# The maximum number of events erased in one commit: what is written at once must find room.
_ERASED_A_COMMIT = 1_000


class Eraser:
    """Takes users out of a journal.

    Parameters
    ----------
    database
        The journal's file.
    room
        The reserve that lets a deletion be written on a full disk.
    keys
        The keys of the journal.
    """

    def __init__(self, database: Database, room: DiskRoom, keys: Keys) -> None:
        self._database, self._room, self._keys = database, room, keys

    def delete_user(self, user: Id) -> int:
        """Removes all events of a user; returns the place of the deletion."""
        with self._database.errors():
            seq = self._room.with_reserve(lambda: self._mark_deleted(user))
            self._room.with_reserve(lambda: self._erase(user, seq))
            self._room.with_reserve(self._database.truncate_log)
            self.scrub()
            self._room.make_reserve()
        return seq

    def _mark_deleted(self, user: Id) -> int:
        """Marks the user as deleted, for every reader of the journal from here on."""
        with self._database.transaction() as connection:
            seq, mark = int(self._database.record(connection, "last")) + 1, self._keys.hash_user(user)
            crc = sum_row(self._keys.seed, "deletions", seq, mark)
            connection.execute("INSERT INTO deletions VALUES (?, ?, ?)", (seq, mark, crc))
            self._database.set_record(connection, "last", seq)
            self._database.set_record(connection, "unscrubbed", 1)
        return seq

    def _erase(self, user: Id, upto: int) -> None:
        """Erases a user's events except their places, some at a time, so that little room is needed.

        If the process is killed in between, the deletion follows the remaining events, so nobody uses them.
        """
        after: int | None = -1
        while after is not None:
            after = self._erase_some(user, after, upto)
            self._database.connection().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def _erase_some(self, user: Id, after: int, upto: int) -> int | None:
        """Erases the first events after a place; returns the last one's place, or None if these were all."""
        with self._database.transaction() as connection:
            found = connection.execute(
                "SELECT seq FROM events WHERE user = ? AND seq > ? AND seq < ? ORDER BY seq LIMIT ?",
                (user, after, upto, _ERASED_A_COMMIT),
            ).fetchall()
            connection.executemany(
                "UPDATE events SET user = NULL, item = NULL, value = 0, time = NULL, recommendation = NULL, crc = ? "
                "WHERE seq = ?",
                [(sum_erased(self._keys.seed, seq), seq) for (seq,) in found],
            )
        return found[-1][0] if len(found) == _ERASED_A_COMMIT else None

    def scrub(self) -> None:
        """Rewrites the file, if that is due and there is room for it.

        Split or joined pages keep copies of moved rows in their unused parts, which secure_delete does not reach.
        """
        connection = self._database.connection()
        if not int(self._database.record(connection, "unscrubbed")):
            return
        if shutil.disk_usage(self._database.path.parent).free < 3 * self._database.count_bytes():
            return
        try:
            connection.execute("VACUUM")
            self._database.truncate_log()
            with self._database.transaction():
                self._database.set_record(connection, "unscrubbed", 0)
        except sqlite3.Error as error:
            if not is_full(error):
                raise
