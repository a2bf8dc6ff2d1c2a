"""Reads the contents of a journal's file."""

import sqlite3

from fastrec.online import (
    Journal,
)

PAGE = 4096


def everything(path, **options):
    """Returns all that a journal tells a follower."""
    with Journal(path, **options) as journal:
        entries, after = [], journal.trimmed_seq()
        kept = journal.kept(0, after)
        while some := journal.read(after, 100):
            entries += some
            after = some[-1].seq
        followed = journal.items(), journal.checkpoints(), journal.published_seq()
        return kept, entries, *followed, journal.mark("x"), journal.time_unit


def run_sql(path, *statements):
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()
