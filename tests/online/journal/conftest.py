"""Provides a journal."""

import contextlib

import pytest

from fastrec.online import Event, ItemUpdate, Journal
from tests.online.journal.files import everything
from tests.online.journal.logs import FileLogs, ServerLogs


@pytest.fixture
def journal(tmp_path):
    with Journal(tmp_path / "events.db") as journal:
        yield journal


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Writes a journal of several pages in every table, some of it trimmed, kept and deleted; returns its contents."""
    path = tmp_path_factory.mktemp("damage") / "events.db"
    with Journal(path) as journal:
        for block in range(6):
            rows = [(f"user {n % 50}", n % 97 - 9, n / 7, n if n % 3 else None, f"{block}-{n}") for n in range(300)]
            journal.append(rows)
            journal.record_checkpoint(journal.last_seq(), f"v{block}")
        journal.delete_user("user 7")
        journal.update_items([ItemUpdate(n % 9, {"price": n, "tags": ["a", "é"]}, n == 2) for n in range(12)])
        journal.append([Event(n, "é" * n, recommendation=f"r{n}") for n in range(40)])
        journal.record_published(500)
        journal.trim(500, keep=[3, 77, 78])
        journal.delete_user("user 8")
    return path.read_bytes(), everything(path)


@pytest.fixture(params=["sqlite", "postgresql"])
def logs(request, tmp_path):
    """Returns logs of each kind."""
    return FileLogs(tmp_path) if request.param == "sqlite" else ServerLogs(request.getfixturevalue("postgresql"))


@pytest.fixture
def log(logs):
    with contextlib.closing(logs.open()) as log:
        yield log
