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
    Entry,
    Event,
    Fact,
    Id,
    ItemUpdate,
    Receipt,
    check_event,
    clock_time,
    select_events,
)
from fastrec.online.journal.journal import Journal
from fastrec.online.journal.log import EventLog, Leader
from fastrec.online.journal.opening import open_log, reopen_log

__all__ = [
    "Checkpoint",
    "Deletion",
    "Entry",
    "Event",
    "EventLog",
    "Fact",
    "Id",
    "ItemUpdate",
    "Journal",
    "JournalDamagedError",
    "JournalDiskFullError",
    "JournalError",
    "JournalFullError",
    "JournalTrimmedError",
    "Leader",
    "Receipt",
    "check_event",
    "clock_time",
    "open_log",
    "reopen_log",
    "select_events",
]
