"""`EventLog`: what every store of events does for the updater and the server, and no more."""

from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from fastrec.online.journal.events import Checkpoint, Entry, Event, Id, ItemUpdate, Receipt


class Leader(Protocol):
    """The one place, among all processes that use a log, of who makes its models and trims it."""

    def acquire(self) -> bool:
        """Tells whether this process has the place now; it is asked again and again, and stays the leader's
        own.
        """
        ...

    def check(self) -> None:
        """Raises a `JournalError` where the place was this process's and is not any more."""
        ...

    def release(self) -> None:
        """Lets others have it."""
        ...


class EventLog(Protocol):
    """The methods of a store of events for `Updater` and the server; `Journal` is the one in a file.

    Entries have places, `seq`: 1, 2, 3 …, without gaps, in the order in which they become durable. An entry is an
    `Event`, a `Deletion` or an `ItemUpdate`; of a deleted user's events only the places are left.
    """

    @property
    def id(self) -> str:
        """The name of this log among all others, for as long as it lives."""
        ...

    @property
    def address(self) -> str:
        """The address of the log, for people to read: no password is in it."""
        ...

    @property
    def time_unit(self) -> str:
        """The unit of the events' times: "s", "ms", "us" or "ns"."""
        ...

    @property
    def is_remote(self) -> bool:
        """Tells whether reading may wait for another machine."""
        ...

    @property
    def waiting(self) -> int:
        """The number of events that wait for a commit."""
        ...

    @property
    def leader(self) -> Leader:
        """The place of the one process that makes models of the log and trims it."""
        ...

    # -- writing

    def submit(self, batch: Iterable[Event | tuple[Any, ...]]) -> "Future[Receipt]":
        """Appends soon; the future is done once the events are durable. An event with an id counts once."""
        ...

    def delete_user(self, user: Id) -> int:
        """Erases all events of a user; returns the place of the deletion."""
        ...

    def update_items(self, updates: Iterable[ItemUpdate]) -> int:
        """Notes what is so of items from here on; returns the place of the last update."""
        ...

    def trim(self, upto: int, keep: Sequence[int] = ()) -> int:
        """Drops events up to a place that a published model has taken in, but for those at the places to keep.

        The last update of each item stays.
        """
        ...

    def record_checkpoint(self, seq: int, version: str, rule: str | None = None) -> None:
        """Notes that a model's items were updated with the events up to a place: who replays does it there again."""
        ...

    def record_published(self, seq: int) -> None:
        """Notes that a published model has taken in the events up to a place, which `trim` may now drop."""
        ...

    def record_lineage(self, text: str) -> None:
        """Notes what models the log's events belong to."""
        ...

    # -- reading

    def last_seq(self) -> int:
        """The place of the newest durable entry that this process knows of, its own among them; cheap to ask."""
        ...

    def trimmed_seq(self) -> int:
        """The place up to which entries have been dropped; 0 where all are there."""
        ...

    def published_seq(self) -> int:
        """The place up to which a published model has taken in the events."""
        ...

    def deleted_seq(self) -> int:
        """The place of the last deletion that has not been trimmed; 0 if there is none."""
        ...

    def lineage(self) -> str | None:
        """The lineage that `record_lineage` has noted; None before."""
        ...

    def read(self, after: int, n: int = ..., *, upto: int | None = None) -> list[Entry]:
        """The first `n` entries after a place, in order; a `JournalTrimmedError` where they have been dropped."""
        ...

    def kept(self, first: int, upto: int) -> list[Event]:
        """The events from one place up to another that are there, those among them that `trim` was told to keep."""
        ...

    def items(self, upto: int | None = None) -> list[ItemUpdate]:
        """The last update of each item, in order; `upto` leaves out those after a place that is not trimmed."""
        ...

    def history(self, user: Id) -> list[Event]:
        """The events of one user that the log holds, in order."""
        ...

    def checkpoints(self, after: int = 0) -> list[Checkpoint]:
        """The recorded checkpoints after a place, in order."""
        ...

    def mark(self, user: Id) -> bytes:
        """The mark that stands for a user in a `Deletion`."""
        ...

    def close(self) -> None:
        """Writes what waits, and end. Closing twice is no error."""
        ...
