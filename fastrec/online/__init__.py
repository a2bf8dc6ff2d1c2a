"""Kept up to date: a durable journal of events, and models that follow it while they are asked."""

from fastrec.online.journal import (
    Deletion,
    Event,
    EventLog,
    Journal,
    JournalError,
    JournalFullError,
    JournalTrimmedError,
)

__all__ = ["Deletion", "Event", "EventLog", "Journal", "JournalError", "JournalFullError", "JournalTrimmedError"]
