"""Each event is written once, whatever happens to the connection."""

import pytest

pytest.importorskip("psycopg", reason="needs fastrec[postgresql]")

from fastrec.online import JournalError, open_log
from fastrec.online.journal.postgresql import connecting


@pytest.mark.parametrize("how", ["before", "after"])
def test_a_connection_lost_around_a_commit_loses_and_doubles_nothing(journal, cut_address, proxy, how):
    with open_log(cut_address) as log:
        log.append([("a", 0)])
        proxy.at_commit = how
        assert log.submit([("a", 1), ("a", 2, 1.0, None, "x")]).result(30) == (3, 2, 0)
        assert proxy.at_commit is None
        assert log.append([("a", 3), ("a", 2, 1.0, None, "x")]) == 4
    assert [event.item for event in journal.read(0)] == [0, 1, 2, 3]


def test_an_unknown_outcome_is_reported_and_ids_sent_again_count_once(journal, cut_address, proxy, monkeypatch):
    monkeypatch.setattr(connecting, "BUSY_SECONDS", 0.5)
    with open_log(cut_address) as log:
        log.append([("a", 0)])
        proxy.at_commit, proxy.is_cut = "after", True
        with pytest.raises(JournalError, match="unknown whether the last events were written: send them again"):
            log.append([("a", 1, 1.0, None, "x")])
        proxy.mend()
        assert log.submit([("a", 1, 1.0, None, "x")]).result(30) == (2, 0, 1)
    assert [event.item for event in journal.read(0)] == [0, 1]


def test_events_that_cannot_be_written_are_refused_and_not_kept(journal, cut_address, proxy, monkeypatch):
    monkeypatch.setattr(connecting, "BUSY_SECONDS", 0.5)
    with open_log(cut_address) as log:
        proxy.cut()
        with pytest.raises(JournalError) as refused:
            log.append([("a", 1)])
        assert "unknown" not in str(refused.value)
        proxy.mend()
        assert log.append([("a", 2)]) == 1
    assert [event.item for event in journal.read(0)] == [2]
