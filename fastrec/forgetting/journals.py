"""The journals that users are taken out of: in files, or in databases of other machines."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from fastrec.online import EventLog, Journal
from fastrec.online.journal import reopen_log

Place = str | os.PathLike[str]


@contextlib.contextmanager
def open_journal(journal: EventLog | Place | None) -> Iterator[EventLog | None]:
    """A journal by its address, closed again; one that is open stays open."""
    if not isinstance(journal, str | os.PathLike):
        yield journal
        return
    with contextlib.closing(reopen_log(journal)) as log:
        yield log


def list_files(log: EventLog | None) -> list[Path]:
    """The files of a journal on this machine."""
    return sorted(log.path.parent.glob(f"{log.path.name}*")) if isinstance(log, Journal) else []


def list_unreached(log: EventLog | None) -> tuple[str, ...]:
    """The places besides its tables in which a database keeps events."""
    if log is None or not log.is_remote:
        return ()
    return (f"the write-ahead log, standbys and backups of {log.address}",)
