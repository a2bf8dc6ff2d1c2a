"""The progress of a training: a bar on a terminal, a line for each epoch elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def epoch_progress(title: str, epochs: int, shown: bool) -> Iterator[Callable[[str], None]]:
    """A function to call after each epoch with what is to be shown beside it, such as the loss.

    >>> with epoch_progress("ImplicitALS", 15, shown=False) as advance:
    ...     advance("loss 1.25")
    """
    if not shown:
        yield lambda note: None
    elif sys.stderr.isatty():
        with _terminal_bar(title, epochs) as advance:
            yield advance
    else:
        done = 0

        def advance_line(note: str) -> None:
            nonlocal done
            done += 1
            print(f"{title} {done}/{epochs} {note}", file=sys.stderr, flush=True)

        yield advance_line


@contextmanager
def _terminal_bar(title: str, epochs: int) -> Iterator[Callable[[str], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=epochs, note="")
        yield lambda note: progress.update(task, advance=1, note=note)
