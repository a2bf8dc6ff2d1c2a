"""`Listener`: the end of the log, kept up to date by notifications, and by polling if one is lost."""

import threading
import time
from collections.abc import Callable

import psycopg

from fastrec.online.journal.errors import JournalError
from fastrec.online.journal.postgresql.statements import Session, listen

# The seconds between polls without notification, and those after which the server counts as unreachable.
LOOK_SECONDS, SILENT_SECONDS = 0.5, 3.0


class Listener:
    """A thread that listens for new entries.

    Parameters
    ----------
    connect
        The function that opens a session.
    look
        The function that reads the place of the last entry over a session.
    channel
        The channel to listen on.
    place
        The name of the log in errors.
    """

    def __init__(
        self, connect: Callable[[], Session], look: Callable[[Session], int], channel: str, place: str
    ) -> None:
        self._connect, self._look, self._channel, self._place = connect, look, channel, place
        self._last = 0
        self._heard_at = time.monotonic()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fastrec-listen", daemon=True)

    def start(self, last: int) -> None:
        """Starts, with the place of the last known entry."""
        self.advance(last)
        self._thread.start()

    def close(self) -> None:
        """Stops."""
        self._stop.set()
        self._thread.join()

    def advance(self, seq: int) -> None:
        """Records that the server has just reported this end of the log."""
        with self._lock:
            self._last = max(self._last, seq)
            self._heard_at = time.monotonic()

    def last(self) -> int:
        """Returns the end of the log; raises an error if it could not be read for some seconds."""
        if self._stop.is_set():
            raise JournalError(f"{self._place} is closed")
        silent = time.monotonic() - self._heard_at
        if silent > SILENT_SECONDS:
            raise JournalError(f"the journal {self._place} has been out of reach for {silent:.0f} seconds")
        return self._last

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with self._connect() as session:
                    listen(session, self._channel)
                    self._follow(session)
            except (psycopg.Error, JournalError):  # `last` reports it after some seconds
                self._stop.wait(LOOK_SECONDS)

    def _follow(self, session: Session) -> None:
        while not self._stop.is_set():
            self.advance(self._look(session))
            for notification in session.notifies(timeout=LOOK_SECONDS, stop_after=1):
                self.advance(int(notification.payload))
