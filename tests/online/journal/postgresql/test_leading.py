"""One process leads; a process that has lost the place can write nothing as a leader."""

import pytest

pytest.importorskip("psycopg", reason="needs fastrec[postgresql]")

from fastrec.online import JournalError, open_log


def test_a_process_that_is_cut_off_leads_no_longer_and_cannot_write_as_a_leader(journal, cut_address, proxy):
    with open_log(cut_address) as cut_off:
        assert cut_off.leader.acquire()
        cut_off.append([("a", 1)])
        cut_off.record_published(1)
        proxy.cut()
        while not journal.leader.acquire():  # the server notices the end of the other's session
            pass
        proxy.mend()
        for write in (
            cut_off.leader.check,
            lambda: cut_off.record_published(1),
            lambda: cut_off.record_checkpoint(1, "v2"),
            lambda: cut_off.trim(1),
        ):
            with pytest.raises(JournalError, match="another may lead"):
                write()
        assert not cut_off.leader.acquire()
        assert cut_off.append([("a", 2)]) == 2, "it takes events as ever"
        assert journal.trim(1) == 1
        journal.leader.release()
        assert cut_off.leader.acquire()
        cut_off.record_checkpoint(2, "v2")
    assert journal.checkpoints() == [(2, "v2", None)]
