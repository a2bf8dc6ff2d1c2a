"""`SessionLeader`: elects the leader among machines, with an advisory lock that ends with its session."""

import threading
from collections.abc import Callable
from typing import TypeVar

import psycopg

from fastrec.online.journal.errors import JournalError
from fastrec.online.journal.postgresql.connecting import transaction
from fastrec.online.journal.postgresql.statements import Session, ping, try_lock

Result = TypeVar("Result")


class SessionLeader:
    """A lock that one session at a time can hold.

    A lost session has lost the lock, perhaps unnoticed. So that session itself writes what only a leader may write
    (`run`): that is impossible once another process may lead.

    Parameters
    ----------
    connect
        The function that opens a session.
    key
        The lock's number.
    place
        The name of the log in errors.
    """

    def __init__(self, connect: Callable[[], Session], key: int, place: str) -> None:
        self._connect, self._key, self._place = connect, key, place
        self._session: Session | None = None
        self._using = threading.RLock()
        self.has_led = False  # since the last release: a process that has led writes as a leader or not at all

    def acquire(self) -> bool:
        """Tells whether this process leads now."""
        with self._using:
            if self._lives():
                return True
            try:
                return self._try()
            except psycopg.Error as error:
                raise JournalError(f"the journal {self._place}: {error}") from error

    def _try(self) -> bool:
        session = self._connect()
        try:
            if try_lock(session, self._key):
                self._session, self.has_led = session, True
        finally:
            if self._session is not session:
                session.close()
        return self._session is session

    def check(self) -> None:
        """Raises an error if this process has led and no longer does."""
        with self._using:
            if self.has_led and not self._lives():
                raise JournalError(
                    f"{self._place}: the connection by which this process led was lost; another may lead"
                )

    def run(self, work: Callable[[Session], Result]) -> Result:
        """Runs a transaction that only a leader may run."""
        with self._using:
            self.check()
            assert self._session is not None
            with transaction(self._session) as session:
                return work(session)

    def release(self) -> None:
        """Gives up the lead."""
        with self._using:
            self.has_led = False
            self._drop()

    def _lives(self) -> bool:
        if self._session is None:
            return False
        try:
            ping(self._session)
        except psycopg.Error:
            self._drop()
        return self._session is not None

    def _drop(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None
