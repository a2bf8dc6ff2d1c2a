"""The end of a server's process that failed to start."""

import os
from typing import NoReturn

STARTUP_FAILURE = 3
"""Its exit code."""


def end_in_failure() -> NoReturn:
    """Ends the process at once."""
    os._exit(STARTUP_FAILURE)
