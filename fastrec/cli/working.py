"""The progress line of a long command: a new line every ten seconds, or a turning sign on a terminal."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from fastrec.cli.output import note

FIRST, BETWEEN = 2.0, 10.0  # seconds before the first line, and before each further one


@contextmanager
def working(text: str, *, bar: bool = False) -> Iterator[None]:
    """Reports on stderr the work being done, if it takes longer than two seconds.

    Parameters
    ----------
    text
        The work, such as "reading ratings.csv".
    bar
        Whether the work shows a bar of its own on a terminal.
    """
    if bar and sys.stderr.isatty():
        yield
        return
    over = threading.Event()
    teller = threading.Thread(target=_turn if sys.stderr.isatty() else _tell, args=(text, over), daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def _tell(text: str, over: threading.Event) -> None:
    """Prints a line after two seconds, and one for every ten more."""
    began, pause = time.monotonic(), FIRST
    while not over.wait(pause):
        note(f"{text}: {time.monotonic() - began:.0f} s")
        pause = BETWEEN


def _turn(text: str, over: threading.Event) -> None:
    """Shows a turning sign, and removes it at the end."""
    if over.wait(FIRST):
        return
    from rich.console import Console

    with Console(stderr=True).status(text):
        over.wait()
