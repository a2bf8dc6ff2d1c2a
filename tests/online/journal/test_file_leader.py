import os
import stat

import pytest

from fastrec.online.journal.file_leader import FileLeader


def test_one_holds_the_lock_at_a_time(tmp_path):
    first, second = FileLeader(tmp_path / "lock"), FileLeader(tmp_path / "lock")
    assert first.acquire()
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    second.release()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes of files")
@pytest.mark.parametrize("umask", [0, 0o22, 0o77])
@pytest.mark.parametrize("mode", [0o600, 0o660])
def test_the_lock_is_made_with_the_mode_that_was_asked_for(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        leader = FileLeader(tmp_path / "lock", mode)
        assert leader.acquire()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == mode
    leader.release()
