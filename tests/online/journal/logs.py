"""Provides logs of each kind: one log is opened as often as it is asked for, and its commits can be held up."""

import contextlib
import itertools
import sqlite3

from fastrec.online import Journal, open_log

_NUMBERS = itertools.count()


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
        """Holds up all commits of that log for the time of the context."""
        other = sqlite3.connect(self._folder / f"{name}.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")
            other.close()


class ServerLogs:
    """Logs in schemas of a PostgreSQL server."""

    def __init__(self, server):
        self._server = server
        self._run = f"t{next(_NUMBERS)}"

    def address(self, name="events"):
        import psycopg

        schema = f"{self._run}_{name}"
        with psycopg.connect(self._server.address(), autocommit=True) as session:
            session.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        return self._server.address(schema)

    def open(self, name="events", **options):
        return open_log(self.address(name), **options)

    @contextlib.contextmanager
    def held_up(self, name="events"):
        """Holds up all commits of that log for the time of the context."""
        import psycopg

        with psycopg.connect(self.address(name)) as session:
            session.execute("SELECT 1 FROM fastrec_meta WHERE name = 'last' FOR UPDATE")
            yield
