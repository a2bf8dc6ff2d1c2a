"""The journals that users are removed from: files, or databases on other machines."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from fastrec.online import EventLog, Journal
from fastrec.online.journal import reopen_log

Place = str | os.PathLike[str]


@contextlib.contextmanager
def open_journal(journal: EventLog | Place | None) -> Iterator[EventLog | None]:
    """Opens a journal by its address, and closes it again; an open journal stays open."""
    if not isinstance(journal, str | os.PathLike):
        yield journal
        return
    with contextlib.closing(reopen_log(journal)) as log:
        yield log


def list_files(log: EventLog | None) -> list[Path]:
    """The files of a journal on this machine."""
    return sorted(log.path.parent.glob(f"{log.path.name}*")) if isinstance(log, Journal) else []


def list_unreached(log: EventLog | None) -> tuple[str, ...]:
    """Lists the places other than its tables in which a database keeps events."""
    if log is None or not log.is_remote:
        return ()
    return (f"the write-ahead log, standbys and backups of {log.address}",)
