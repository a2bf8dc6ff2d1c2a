"""The progress of a training: a bar on a terminal, one live line in a notebook, a line for each epoch elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def epoch_progress(title: str, epochs: int, shown: bool) -> Iterator[Callable[[str], None]]:
    """Returns a function to call after each epoch with the note to show beside it, such as the loss.

    >>> with epoch_progress("ImplicitALS", 15, shown=False) as advance:
    ...     advance("loss 1.25")
    """
    if not shown:
        yield lambda note: None
    elif sys.stderr.isatty():
        with _terminal_bar(title, epochs) as advance:
            yield advance
    else:
        with _lines(title, epochs, live=type(sys.stderr).__module__.startswith("ipykernel.")) as advance:
            yield advance


@contextmanager
def _lines(title: str, epochs: int, live: bool) -> Iterator[Callable[[str], None]]:
    """Prints a line for each epoch; a live line replaces the one before."""
    done, longest = 0, 0

    def advance(note: str) -> None:
        nonlocal done, longest
        done += 1
        text = f"{title} {done}/{epochs} {note}"
        longest = max(longest, len(text))
        shown = f"\r{text:<{longest}}" if live else f"{text}\n"
        print(shown, end="", file=sys.stderr, flush=True)

    try:
        yield advance
    finally:
        if live and done:
            print(file=sys.stderr, flush=True)


@contextmanager
def _terminal_bar(title: str, epochs: int) -> Iterator[Callable[[str], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=epochs, note="")
        yield lambda note: progress.update(task, advance=1, note=note)
