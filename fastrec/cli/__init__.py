"""The command line: ``fastrec train | evaluate | compare | search | recommend | similar | explain | export | …``.

Results go to stdout as a table, JSON or CSV; progress, notes and errors go to stderr, progress only on a terminal. Exit
codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted. Each command imports its heavy modules itself, so that
``--help`` is quick.
"""

from fastrec.cli.app import app
from fastrec.cli.program import main

# Each module registers its commands, in the order in which ``--help`` lists them.
# isort: off
from fastrec.cli import demo, train, evaluate, search, list_options, recommend, similar, explain, export  # noqa: F401
from fastrec.cli import compress, strip, info, export_user, forget, serve, warmup  # noqa: F401
# isort: on

__all__ = ["app", "main"]
