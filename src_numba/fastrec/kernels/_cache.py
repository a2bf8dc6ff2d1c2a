"""Folders of this user for what can be made again; imported by what needs no Numba, too."""

import os
from pathlib import Path


def user_cache() -> Path | None:
    """The folder in which the user's programs keep what can be made again; None for a user who has no home.

    A container's user often has neither HOME nor an entry in the system's list of users. As the XDG specification
    wants it, a folder that is not absolute counts as not given.
    """
    given = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME", "")
    if os.path.isabs(given):
        return Path(given)
    home = os.path.expanduser("~")  # which stays "~" where nobody knows it
    if not os.path.isabs(home):
        return None
    return Path(home, "AppData", "Local") if os.name == "nt" else Path(home, ".cache")
