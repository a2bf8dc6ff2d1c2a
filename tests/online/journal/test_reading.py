"""Entries as they were written."""

import pytest

from fastrec.online import JournalDamagedError
from tests.online.journal.files import everything, run_sql


def test_a_reader_that_skips_damage_reads_on_past_it(written, tmp_path, caplog):
    path = tmp_path / "events.db"
    path.write_bytes(written[0])
    run_sql(path, "UPDATE events SET value = 9 WHERE seq = 600", "DELETE FROM events WHERE seq = 700")
    with pytest.raises(JournalDamagedError, match="Replace the journal by a sound copy, or begin a new one"):
        everything(path)
    kept, entries, *rest = everything(path, skip_damaged=True)
    assert [kept, *rest] == [written[1][0], *written[1][2:]]
    assert entries == [entry for entry in written[1][1] if entry.seq not in (600, 700)]
    assert "seq 600 is left out" in caplog.text
    assert "seq 700" in caplog.text
