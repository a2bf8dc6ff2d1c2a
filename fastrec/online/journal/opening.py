"""`open_log` and `reopen_log`: open a log by its address."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from fastrec.online.journal.group_commit import LARGEST_QUEUE
from fastrec.online.journal.journal import Journal
from fastrec.online.journal.log import EventLog
from fastrec.permissions import PRIVATE

if TYPE_CHECKING:
    from fastrec.online.journal.postgresql import PostgreSQLJournal

_FILE = "sqlite:"
_SERVER = ("postgresql://", "postgres://")


def open_log(
    address: str | os.PathLike[str],
    *,
    time_unit: str | None = None,
    queue_size: int = LARGEST_QUEUE,
    mode: int = PRIVATE,
    skip_damaged: bool = False,
) -> EventLog:
    """Opens the log of an address, or creates it.

    Parameters
    ----------
    address
        ``sqlite:PATH``, or a path alone: a `Journal`. ``postgresql://…``: a log for several machines.
    time_unit, queue_size, skip_damaged
        As in `Journal`.
    mode
        The permissions of a new file.

    Raises
    ------
    JournalError
        If it cannot be opened or created.
    ValueError
        If a package that it needs is missing.

    Examples
    --------
    >>> import tempfile
    >>> log = open_log(f"sqlite:{tempfile.mkdtemp()}/events.db")
    >>> log.submit([("ann", "Alien")]).result().seq, log.last_seq()
    (1, 1)
    >>> log.close()
    """
    path = os.fspath(address)
    if path.startswith(_SERVER):
        make = _postgresql()
        return make(path, time_unit=time_unit, queue_size=queue_size, skip_damaged=skip_damaged)
    return Journal(
        path.removeprefix(_FILE), time_unit=time_unit, queue_size=queue_size, mode=mode, skip_damaged=skip_damaged
    )


def reopen_log(address: str | os.PathLike[str]) -> EventLog:
    """Opens the log of an address like `open_log`, but never creates a file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    """
    path = os.fspath(address)
    if not path.startswith(_SERVER) and not Path(path.removeprefix(_FILE)).is_file():
        raise FileNotFoundError(f"there is no journal {path}: give the file of the events, or postgresql://…")
    return open_log(path)


def _postgresql() -> "type[PostgreSQLJournal]":
    try:
        from fastrec.online.journal.postgresql import PostgreSQLJournal
    except ModuleNotFoundError as error:
        raise ValueError(f"PostgreSQL needs more packages ({error.name}): pip install 'fastrec[postgresql]'") from None
    return PostgreSQLJournal
