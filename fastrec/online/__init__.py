"""Kept up to date: a durable journal of events, and models that follow it while they are asked."""

from fastrec.online.drift import Drift
from fastrec.online.journal import (
    Deletion,
    Event,
    EventLog,
    Journal,
    JournalDamagedError,
    JournalDiskFullError,
    JournalError,
    JournalFullError,
    JournalTrimmedError,
)
from fastrec.online.snapshot import Snapshot
from fastrec.online.updating import Schedule, Updater
from fastrec.online.versions import Versions

__all__ = [
    "Deletion",
    "Drift",
    "Event",
    "EventLog",
    "Journal",
    "JournalDamagedError",
    "JournalDiskFullError",
    "JournalError",
    "JournalFullError",
    "JournalTrimmedError",
    "Schedule",
    "Snapshot",
    "Updater",
    "Versions",
]
