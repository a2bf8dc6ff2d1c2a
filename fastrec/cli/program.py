"""The command line as a program: its entry point and its exit codes."""

import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Any

import typer

from fastrec.cli.app import app
from fastrec.cli.output import note
from fastrec.cli.wording import in_options
from fastrec.notices import warn_once_of_a_kind

_UsageError: Any = typer.BadParameter.__mro__[1]  # click's class, which newer versions of Typer carry a copy of
_ClickException: Any = typer.BadParameter.__mro__[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    with warnings.catch_warnings(), warn_once_of_a_kind():
        warnings.showwarning = _show_warning
        return _run(given)


def _run(given: Sequence[str]) -> int:
    try:
        result = app(args=given, prog_name="fastrec", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        # The reader of the output has gone: print nothing more, not even by the flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except _UsageError as error:
        return _fail(_usage(error), 2)
    except _ClickException as error:
        return _fail(error.format_message(), 1)
    except Exception as error:
        if "--debug" in given:
            traceback.print_exc()
            return 1
        return _fail(_in_one_line(error), 1)


def _show_warning(message: Warning | str, *where: Any, **more: Any) -> None:
    """Prints a warning as a line of its own, without the place in the code that Python shows."""
    note(f"fastrec: warning: {in_options(' '.join(str(message).split()))}")


def _usage(error: Any) -> str:
    path = error.ctx.command_path if getattr(error, "ctx", None) else "fastrec"
    text = error.format_message().replace(": Value error, ", ": ").replace(": Input should be ", ": must be ")
    return f"{text} (see {path} --help)"


def _in_one_line(error: Exception) -> str:
    said = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.strerror else str(error)
    text = in_options(" ".join(said.split())) or type(error).__name__
    known = isinstance(error, ValueError | TypeError | OSError | ImportError | LookupError)
    return text if known else f"{type(error).__name__}: {text} (--debug shows where)"


def _fail(text: str, code: int) -> int:
    note(f"fastrec: {' '.join(text.split())}")
    return code
