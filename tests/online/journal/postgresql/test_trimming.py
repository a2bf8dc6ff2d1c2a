"""Dropped events, and the facts that are remembered of them, beside the tests of every log."""

import pytest

pytest.importorskip("psycopg", reason="needs fastrec[postgresql]")

from fastrec.online.journal.postgresql import trimming


def test_old_ids_are_forgotten_some_at_a_time(journal, monkeypatch):
    monkeypatch.setattr(trimming, "REMEMBERED_IDS", 20)
    for start in (0, 20, 40):
        journal.append([("a", n, 1.0, None, f"{n}") for n in range(start, start + 20)])
        journal.record_published(start + 20)
        journal.trim(start + 20)
    assert journal.submit([("a", 1, 1.0, None, "59"), ("a", 1, 1.0, None, "1")]).result()[1:] == (1, 1)
