"""Finds the user's folder for files that can be made again; modules that need no Numba import it, too."""

import os
from pathlib import Path


def user_cache() -> Path | None:
    """Returns the folder where the user's programs keep files that can be made again; None for a user without a home.

    A container's user often has neither HOME nor an entry in the system's list of users. As the XDG specification
    wants it, a folder that is not absolute counts as not given.
    """
    given = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME", "")
    if os.path.isabs(given):
        return Path(given)
    home = os.path.expanduser("~")  # it stays "~" if the system knows no home
    if not os.path.isabs(home):
        return None
    return Path(home, "AppData", "Local") if os.name == "nt" else Path(home, ".cache")
