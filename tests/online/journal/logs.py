"""Logs to test: each kind opens one log as often as it is asked, and can hold up its commits."""

import contextlib
import sqlite3

from fastrec.online import Journal


class FileLogs:
    """Logs in SQLite files of a folder."""

    def __init__(self, folder):
        self._folder = folder

    def open(self, name="events", **options):
        return Journal(self._folder / f"{name}.db", **options)

    def address(self, name="events"):
        return f"sqlite:{self._folder / name}.db"

    @contextlib.contextmanager
    def held_up(self, name="events"):
        """No commit of that log gets through in here."""
        other = sqlite3.connect(self._folder / f"{name}.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")
            other.close()
