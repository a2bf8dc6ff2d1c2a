"""`GroupCommit`: the next commit writes all events that arrive while the disk is busy."""

import contextlib
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple, TypeAlias

from fastrec.online.journal.errors import JournalError, JournalFullError
from fastrec.online.journal.events import Event, Receipt

# The number of events that may wait for the next commit, over all callers.
LARGEST_QUEUE = 100_000
# The maximum numbers of events and of batches in one commit: what is written at once must find room.
_EVENTS_A_COMMIT = 20_000
_BATCHES_A_COMMIT = 10_000

Write: TypeAlias = Callable[[list[list[Event]]], list[Receipt]]


class EventBatch(NamedTuple):
    """Events that are written together, and the future of their receipt."""

    events: list[Event]
    done: "Future[Receipt]"


class GroupCommit:
    """A thread that writes, and the events that wait for it.

    Parameters
    ----------
    place
        The name of the log in errors.
    write
        Writes batches as a whole or not at all; returns a receipt for each.
    largest_queue
        The number of events that may wait.
    """

    def __init__(self, place: str, write: Write, largest_queue: int) -> None:
        self._place, self._write = place, write
        self._largest_queue = largest_queue
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[EventBatch | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False
        self.waiting = 0  # events that wait for a commit

    def submit(self, events: list[Event]) -> "Future[Receipt]":
        """Appends checked events; the future's result comes after the commit."""
        done: Future[Receipt] = Future()
        with self._lock:
            if self._closed:
                raise JournalError(f"{self._place} is closed")
            if self.waiting and self.waiting + len(events) > self._largest_queue:
                raise JournalFullError(
                    f"{self.waiting} events wait to be written to {self._place}; try again in a moment"
                )
            self.waiting += len(events)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="fastrec-journal", daemon=True)
                self._thread.start()
            self._queue.put(EventBatch(events, done))
        return done

    def close(self) -> None:
        """Writes the waiting events, and takes no more."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._closed = True
            if thread is not None:
                self._queue.put(None)
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        ended = False
        while not ended:
            group, ended = self._next_group()
            if group:
                self._commit_group(group)

    def _next_group(self) -> tuple[list[EventBatch], bool]:
        """Returns the batches of the next commit, once there is one; and whether these are the last."""
        group: list[EventBatch] = []
        size = 0
        with contextlib.suppress(queue.Empty):
            while len(group) < _BATCHES_A_COMMIT and size < _EVENTS_A_COMMIT:
                batch = self._queue.get(block=not group)
                if batch is None:
                    return group, True
                group.append(batch)
                size += len(batch.events)
        return group, False

    def _commit_group(self, group: list[EventBatch]) -> None:
        # From here on a future cannot be cancelled; events cancelled while they waited are not written.
        wanted = [batch for batch in group if batch.done.set_running_or_notify_cancel()]
        failure: BaseException | None = None
        receipts: list[Receipt] = []
        try:
            receipts = self._write([batch.events for batch in wanted])
        except BaseException as error:
            failure = error
        with self._lock:
            self.waiting -= sum(len(batch.events) for batch in group)
        for number, batch in enumerate(wanted):
            if failure is not None:
                batch.done.set_exception(failure)
            else:
                batch.done.set_result(receipts[number])
