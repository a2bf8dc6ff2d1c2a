"""Room that is set aside."""

import os
import shutil
import stat

import pytest

from fastrec.online.journal.reserve import LARGEST, SMALLEST, Reserve


def test_a_reserve_is_made_once_and_given_up(tmp_path):
    reserve = Reserve(tmp_path / "room", 0o600)
    assert reserve.size() == 0
    assert SMALLEST <= reserve.make() <= LARGEST
    made = (tmp_path / "room").stat().st_mtime_ns
    reserve.make()
    assert (tmp_path / "room").stat().st_mtime_ns == made
    assert os.listdir(tmp_path) == ["room"]
    reserve.give_up()
    reserve.give_up()
    assert reserve.size() == 0


@pytest.mark.skipif(os.name == "nt", reason="permissions are others there")
def test_a_reserve_has_the_mode_that_was_asked_for(tmp_path):
    Reserve(tmp_path / "room", 0o640).make()
    assert stat.S_IMODE((tmp_path / "room").stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("free", "size"), [(8 * LARGEST, LARGEST), (8 * LARGEST - 1, LARGEST // 2), (8 * SMALLEST - 1, 0)]
)
def test_a_reserve_takes_an_eighth_of_what_is_free_at_most(tmp_path, monkeypatch, free, size):
    monkeypatch.setattr("shutil.disk_usage", lambda path: shutil._ntuple_diskusage(10**12, 10**12 - free, free))
    assert Reserve(tmp_path / "room", 0o600).make() == size
