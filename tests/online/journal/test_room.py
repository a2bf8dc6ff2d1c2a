"""A full disk."""

import contextlib
import os
import shutil
import subprocess
import sys

import pytest

from fastrec.online import (
    Journal,
    JournalDiskFullError,
)


@pytest.fixture
def small_disk(tmp_path):
    """Returns a file system of two megabytes, if one can be mounted."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if (
        sys.platform != "linux"
        or shutil.which("mount") is None
        or subprocess.run(mount, capture_output=True).returncode
    ):
        pytest.skip("no right to mount a file system here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(journal):
    """Appends until the disk is full; returns the number of events in the journal."""
    while True:
        n = journal.last_seq()
        try:
            journal.append([(f"somebody {n % 40}", i, 1.0, None, f"{n}-{i}") for i in range(100)])
        except JournalDiskFullError:
            return n


def test_a_user_can_be_deleted_from_a_full_disk(small_disk):
    with Journal(small_disk / "events.db") as journal:
        last = fill(journal)
        entries = journal.read(0, 10**6)
        assert len(entries) == last
        with open(small_disk / "rest", "wb", buffering=0) as rest, contextlib.suppress(OSError):
            while rest.write(bytes(1000)):
                pass
        for user in ("somebody 0", "somebody 20"):
            seq = journal.delete_user(user)
            assert journal.history(user) == []
            assert seq == journal.last_seq()
            assert not any((user + "\0").encode() in path.read_bytes() for path in small_disk.iterdir())
        left = [entry for entry in entries if entry.user not in ("somebody 0", "somebody 20")]
        assert journal.read(0, 10**6)[: len(left)] == left
        (small_disk / "rest").unlink()
        journal.append([("ann", 1)])
        assert journal.history("ann")


def test_a_journal_opened_on_a_full_disk_is_read_and_deletes(small_disk):
    with Journal(small_disk / "events.db") as journal:
        last = fill(journal)
    with Journal(small_disk / "events.db") as journal:
        assert len(journal) == last
        journal.delete_user("somebody 0")
        assert journal.history("somebody 0") == []


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files there")
def test_a_limit_on_the_size_of_files_is_a_full_disk(tmp_path):
    code = (
        "import resource, sys; from fastrec.online import Journal, JournalDiskFullError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))\n"
        "journal = Journal(sys.argv[1])\n"
        "try:\n"
        "    while True: journal.append([(f'u{n % 50}', n) for n in range(500)])\n"
        "except JournalDiskFullError as error: print(error)\n"
        "journal.delete_user('u7')\n"
        "assert not journal.history('u7') and journal.history('u8')\n"
    )
    command = [sys.executable, "-c", code, tmp_path / "events.db"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "events.db" in done.stdout


def test_no_events_are_taken_without_a_reserve_for_deletions(tmp_path, monkeypatch):
    with Journal(tmp_path / "events.db") as journal:
        journal.append([("a", 1)])
        reserve = tmp_path / "events.db-reserve"
        assert reserve.stat().st_size == 4 << 20
        assert os.stat(reserve).st_blocks * 512 >= 4 << 20 or sys.platform == "win32"
        reserve.unlink()
        monkeypatch.setattr("shutil.disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 1000))
        with pytest.raises(JournalDiskFullError, match="no room for more events"):
            journal.append([("a", 2)])
        journal.delete_user("a")
        monkeypatch.undo()
        journal.append([("a", 3)])
        assert reserve.stat().st_size == 4 << 20
        assert [event.item for event in journal.history("a")] == [3]
