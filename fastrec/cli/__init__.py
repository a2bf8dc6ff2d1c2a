"""The command line: ``fastrec demo | train | evaluate | search | compress | recommend | similar | info | serve | …``.

Results go to stdout as a table, JSON or CSV; progress, notes and errors go to stderr, progress only on a terminal.
Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted. Everything heavy is imported by the command that needs it,
so that ``--help`` is quick.
"""

from fastrec.cli.app import app
from fastrec.cli.program import main

# Each registers its commands, in the order in which ``--help`` lists them.
from fastrec.cli import demo, train, evaluate, search, list_options, compress, recommend, info, serve, warmup  # isort: skip # noqa: F401

__all__ = ["app", "main"]
