"""`SessionLeader`: of several machines the one process that leads, by an advisory lock that ends with its session."""

import threading
from collections.abc import Callable
from typing import TypeVar

import psycopg

from fastrec.online.journal.errors import JournalError
from fastrec.online.journal.postgresql.connecting import transaction
from fastrec.online.journal.postgresql.statements import Session, ping, try_lock

Result = TypeVar("Result")


class SessionLeader:
    """A lock that one session at a time can have.

    Who has lost the session has lost the lock, perhaps without knowing it. What a leader alone may write is therefore
    written by that session (`run`): it cannot be written any more once somebody else may lead.

    Parameters
    ----------
    connect
        Makes a session.
    key
        The lock's number.
    place
        What errors call the log.
    """

    def __init__(self, connect: Callable[[], Session], key: int, place: str) -> None:
        self._connect, self._key, self._place = connect, key, place
        self._session: Session | None = None
        self._using = threading.RLock()
        self.has_led = False  # since the last release: whoever has, writes as a leader or not at all

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
        """Raises an error where this process has led and does so no more."""
        with self._using:
            if self.has_led and not self._lives():
                raise JournalError(
                    f"{self._place}: the connection by which this process led was lost; another may lead"
                )

    def run(self, work: Callable[[Session], Result]) -> Result:
        """Does as a whole what only a leader may do."""
        with self._using:
            self.check()
            assert self._session is not None
            with transaction(self._session) as session:
                return work(session)

    def release(self) -> None:
        """Lets others have it."""
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
