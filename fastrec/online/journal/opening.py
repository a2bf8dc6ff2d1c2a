"""`open_log`: a log by its address."""

import os

from fastrec.online.journal.group_commit import LARGEST_QUEUE
from fastrec.online.journal.journal import Journal
from fastrec.online.journal.log import EventLog
from fastrec.permissions import PRIVATE

_FILE = "sqlite:"


def open_log(
    address: str | os.PathLike[str],
    *,
    time_unit: str | None = None,
    queue_size: int = LARGEST_QUEUE,
    mode: int = PRIVATE,
    skip_damaged: bool = False,
) -> EventLog:
    """Open the log of an address; it is made where there is none.

    Parameters
    ----------
    address
        ``sqlite:PATH``, or a path alone: a `Journal`.
    time_unit, queue_size, skip_damaged
        As of `Journal`.
    mode
        The permissions of a file that is made.

    Examples
    --------
    >>> import tempfile
    >>> log = open_log(f"sqlite:{tempfile.mkdtemp()}/events.db")
    >>> log.submit([("ann", "Alien")]).result().seq, log.last_seq()
    (1, 1)
    >>> log.close()
    """
    path = os.fspath(address)
    return Journal(
        path.removeprefix(_FILE), time_unit=time_unit, queue_size=queue_size, mode=mode, skip_damaged=skip_damaged
    )
