"""Entries as they were written."""

import pytest

from fastrec.online import (
    Journal,
    JournalDamagedError,
    JournalTrimmedError,
)
from tests.online.journal.files import everything, run_sql


def test_who_says_so_reads_on_past_what_is_damaged(written, tmp_path, caplog):
    path = tmp_path / "events.db"
    path.write_bytes(written[0])
    run_sql(path, "UPDATE events SET value = 9 WHERE seq = 600", "DELETE FROM events WHERE seq = 700")
    with pytest.raises(JournalDamagedError, match="Put a sound copy in its place, or begin a new journal"):
        everything(path)
    kept, entries, *rest = everything(path, skip_damaged=True)
    assert [kept, *rest] == [written[1][0], *written[1][2:]]
    assert entries == [entry for entry in written[1][1] if entry.seq not in (600, 700)]
    assert "seq 600 is left out" in caplog.text
    assert "seq 700" in caplog.text


def test_what_is_kept_is_there_after_a_trim_until_its_user_is_deleted(tmp_path):
    with Journal(tmp_path / "events.db") as journal:
        journal.append([(f"u{n % 4}", n) for n in range(20)])
        journal.record_published(12)
        assert journal.trim(12, keep=[2, 5, 6]) == 12
        assert [event.seq for event in journal.kept(0, 12)] == [2, 5, 6]
        assert [event.seq for event in journal.kept(3, 14)] == [5, 6, 13, 14]
        assert [event.item for event in journal.history("u1")] == [1, 5, 13, 17]
        with pytest.raises(JournalTrimmedError):
            journal.read(5)
        journal.delete_user("u1")
        assert [event.seq for event in journal.kept(0, 12)] == [5]
        assert journal.trim(12) == 12
        assert [event.seq for event in journal.kept(0, 12)] == [5], "nothing more to trim"
