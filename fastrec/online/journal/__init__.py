"""The journal: a durable log of events, written by many threads and processes, read by models that follow it."""

from fastrec.online.journal.errors import (
    JournalDamagedError,
    JournalDiskFullError,
    JournalError,
    JournalFullError,
    JournalTrimmedError,
)
from fastrec.online.journal.events import (
    Checkpoint,
    Deletion,
    Event,
    EventLog,
    Id,
    Receipt,
    check_event,
    select_events,
)
from fastrec.online.journal.journal import Journal

__all__ = [
    "Checkpoint",
    "Deletion",
    "Event",
    "EventLog",
    "Id",
    "Journal",
    "JournalDamagedError",
    "JournalDiskFullError",
    "JournalError",
    "JournalFullError",
    "JournalTrimmedError",
    "Receipt",
    "check_event",
    "select_events",
]
