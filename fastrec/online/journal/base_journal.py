"""`BaseJournal`: the part of a journal that does not depend on where its rows are."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any, Protocol, Self

from fastrec.online.journal.events import Checkpoint, Entry, Event, Id, Receipt, check_batch, check_id
from fastrec.online.journal.group_commit import GroupCommit
from fastrec.online.journal.keys import Keys
from fastrec.online.journal.reading import ENTRIES_AT_ONCE
from fastrec.validation import check_integer


class Reader(Protocol):
    """The methods that read the checked entries of a journal."""

    def read(self, after: int, n: int, upto: int | None) -> list[Entry]:
        """Returns the first `n` entries after a place, in order."""
        ...

    def kept(self, first: int, upto: int) -> list[Event]:
        """Returns the events from one place up to another that are there."""
        ...

    def history(self, user: Id) -> list[Event]:
        """Returns the events of one user."""
        ...

    def checkpoints(self, after: int) -> list[Checkpoint]:
        """Returns the recorded checkpoints after a place."""
        ...


class BaseJournal(ABC):
    """A journal whose events wait for a commit together, and whose entries are read by one reader.

    A journal sets these attributes, and writes and erases its rows itself.
    """

    _keys: Keys
    _time_unit: str
    _commits: GroupCommit
    _reader: Reader

    @abstractmethod
    def _read_record(self, name: str) -> Any:
        """Returns a record of the journal, such as "trimmed"."""

    @abstractmethod
    def close(self) -> None:
        """Writes the waiting events, and ends. Closing twice is no error."""

    # -- writing

    def append(self, batch: Iterable[Event | tuple[Any, ...]]) -> int:
        """Appends events; returns once they are on disk.

        Parameters
        ----------
        batch
            Events, or tuples (user, item[, value[, time[, id]]]).

        Returns
        -------
        int
            The seq up to which the journal holds them all.

        Raises
        ------
        ValueError, TypeError
            If an event is invalid; the message names its place and field, and nothing of the batch is kept.
        JournalFullError
            If too many events are waiting.
        JournalError
            If the events cannot be written; nothing of the batch is kept.
        """
        return self.submit(batch).result().seq

    def submit(self, batch: Iterable[Event | tuple[Any, ...]]) -> "Future[Receipt]":
        """Appends like `append`, without waiting: the future's result comes after the commit.

        Cancelling the future before its commit begins withdraws its events; later it cannot be cancelled.
        """
        return self._commits.submit(check_batch(batch, self._time_unit))

    @property
    def waiting(self) -> int:
        """The number of events that wait for a commit."""
        return self._commits.waiting

    # -- reading

    def trimmed_seq(self) -> int:
        """The seq up to which entries have been dropped; 0 if none have."""
        return int(self._read_record("trimmed"))

    def published_seq(self) -> int:
        """The seq up to which a published model has taken in the events."""
        return int(self._read_record("published"))

    def lineage(self) -> str | None:
        """The lineage that `record_lineage` has recorded; None before."""
        text = self._read_record("lineage")
        return None if text is None else str(text)

    @property
    def id(self) -> str:
        """The name of this journal among all others."""
        return self._keys.name

    @property
    def time_unit(self) -> str:
        """The unit of the events' times."""
        return self._time_unit

    def read(self, after: int, n: int = ENTRIES_AT_ONCE, *, upto: int | None = None) -> list[Entry]:
        """The first `n` entries after `after`, in order: events, deletions of users, and updates of items.

        Checksums and places are checked: each entry is the one that was written, and none is missing except those of
        deleted users.

        Parameters
        ----------
        after
            A seq; 0 is the beginning.
        n
            The maximum number of entries.
        upto
            The last seq to read; None is no limit.

        Raises
        ------
        JournalTrimmedError
            If entries after `after` have been dropped.
        JournalDamagedError
            If an entry is damaged or missing; with `skip_damaged` it is left out.
        """
        check_integer("after", after, minimum=0)
        check_integer("n", n, minimum=1)
        return self._reader.read(after, n, upto)

    def kept(self, first: int, upto: int) -> list[Event]:
        """Yields the events from one place up to another that are there, among them those that `trim` has kept."""
        return self._reader.kept(first, upto)

    def history(self, user: Id) -> list[Event]:
        """Returns the events of one user in the journal, in order; the whole journal is read and checked for it."""
        return self._reader.history(check_id("user", user))

    def checkpoints(self, after: int = 0) -> list[Checkpoint]:
        """The recorded checkpoints after a seq, in order."""
        return self._reader.checkpoints(after)

    def mark(self, user: Id) -> bytes:
        """Returns the mark of a user in a `Deletion`: a keyed hash of the id and its type."""
        return self._keys.hash_user(user)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
