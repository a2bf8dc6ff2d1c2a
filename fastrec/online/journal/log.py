"""`EventLog`: the interface of every store of events for the updater and the server."""

from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from fastrec.online.journal.events import Checkpoint, Entry, Event, Id, ItemUpdate, Receipt


class Leader(Protocol):
    """The role of leader, which one process has among all that use a log: it makes the models and trims the log."""

    def acquire(self) -> bool:
        """Tells whether this process leads now; it may be called repeatedly, and a leader stays the leader."""
        ...

    def check(self) -> None:
        """Raises a `JournalError` if this process was the leader and no longer is."""
        ...

    def release(self) -> None:
        """Gives up the lead."""
        ...


class EventLog(Protocol):
    """The methods of a store of events for `Updater` and the server; `Journal` is a store in a file.

    Entries have places, `seq`: 1, 2, 3 …, without gaps, in the order in which they become durable. An entry is an
    `Event`, a `Deletion` or an `ItemUpdate`; only the places of a deleted user's events are left.
    """

    @property
    def id(self) -> str:
        """The name of this log, unique and permanent."""
        ...

    @property
    def address(self) -> str:
        """The address of the log for people to read, without a password."""
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
        """The role of the one process that makes models of the log and trims it."""
        ...

    # -- writing

    def submit(self, batch: Iterable[Event | tuple[Any, ...]]) -> "Future[Receipt]":
        """Appends events soon; the future is done once they are durable. An event with an id counts once."""
        ...

    def delete_user(self, user: Id) -> int:
        """Erases all events of a user; returns the place of the deletion."""
        ...

    def update_items(self, updates: Iterable[ItemUpdate]) -> int:
        """Records the state of items from here on; returns the place of the last update."""
        ...

    def trim(self, upto: int, keep: Sequence[int] = ()) -> int:
        """Drops events up to a place that a published model has taken in, except those at the places to keep.

        The last update of each item is kept.
        """
        ...

    def record_checkpoint(self, seq: int, version: str, rule: str | None = None) -> None:
        """Records that a model's items were updated with the events up to a place: a replay repeats the update
        there.
        """
        ...

    def record_published(self, seq: int) -> None:
        """Records that a published model has taken in the events up to a place, which `trim` may now drop."""
        ...

    def record_lineage(self, text: str) -> None:
        """Records the lineage of models that the log belongs to."""
        ...

    # -- reading

    def last_seq(self) -> int:
        """The place of the newest durable entry that this process knows, its own included; cheap to ask."""
        ...

    def trimmed_seq(self) -> int:
        """The place up to which entries have been dropped; 0 if none have."""
        ...

    def published_seq(self) -> int:
        """The place up to which a published model has taken in the events."""
        ...

    def deleted_seq(self) -> int:
        """The place of the last deletion that has not been trimmed; 0 if there is none."""
        ...

    def lineage(self) -> str | None:
        """The lineage that `record_lineage` has recorded; None before."""
        ...

    def read(self, after: int, n: int = ..., *, upto: int | None = None) -> list[Entry]:
        """Returns the first `n` entries after a place, in order; a `JournalTrimmedError` if they have been dropped."""
        ...

    def kept(self, first: int, upto: int) -> list[Event]:
        """Yields the events from one place up to another that are there, among them those that `trim` has kept."""
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
        """Writes the waiting events, and ends. Closing twice is no error."""
        ...
