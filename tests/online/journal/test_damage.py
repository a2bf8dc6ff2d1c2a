"""A journal that is damaged, old, or on a full disk: other events than were written are never read without a word."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.online import (
    Deletion,
    Event,
    Journal,
    JournalDamagedError,
    JournalDiskFullError,
    JournalError,
    JournalTrimmedError,
)

OLD = Path(__file__).parents[2] / "fixtures" / "upgrades" / "journal.sqlite"
PAGE = 4096


def everything(path, **options):
    """All that a journal says to who follows it."""
    with Journal(path, **options) as journal:
        entries, after = [], journal.trimmed_seq()
        kept = journal.kept(0, after)
        while some := journal.read(after, 100):
            entries += some
            after = some[-1].seq
        return kept, entries, journal.checkpoints(), journal.published_seq(), journal.mark("x"), journal.time_unit


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A journal of several pages in every table, some of it trimmed, kept and deleted; and what it says."""
    path = tmp_path_factory.mktemp("damage") / "events.db"
    with Journal(path) as journal:
        for block in range(6):
            rows = [(f"user {n % 50}", n % 97 - 9, n / 7, n if n % 3 else None, f"{block}-{n}") for n in range(300)]
            journal.append(rows)
            journal.record_checkpoint(journal.last_seq(), f"v{block}")
        journal.delete_user("user 7")
        journal.append([(n, "é" * n) for n in range(40)])
        journal.record_published(500)
        journal.trim(500, keep=[3, 77, 78])
        journal.delete_user("user 8")
    return path.read_bytes(), everything(path)


def altered(content, changes):
    content = bytearray(content)
    for place, bits in changes:
        content[place % len(content)] ^= bits
    return bytes(content)


def is_silent(folder, content, expected):
    """Whether a file gives other events without a word; also to who goes on where there is damage."""
    path = folder / "damaged.db"
    for name in folder.iterdir():
        name.unlink()
    path.write_bytes(content)
    try:
        return everything(path) != expected
    except JournalError:
        return False


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(1, 255)), min_size=1, max_size=4))
def test_whatever_bytes_are_flipped_the_events_are_right_or_there_is_an_error(written, tmp_path_factory, changes):
    folder = tmp_path_factory.mktemp("flipped")
    assert not is_silent(folder, altered(written[0], changes), written[1])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_becomes_of_pages_the_events_are_right_or_there_is_an_error(written, tmp_path_factory, data):
    content, expected = written
    pages = [content[start : start + PAGE] for start in range(0, len(content), PAGE)]
    one, other = (data.draw(st.integers(0, len(pages) - 1)) for _ in range(2))
    what = data.draw(st.sampled_from(["swapped", "copied", "zeros", "cut", "noise", "shifted"]))
    if what == "swapped":
        pages[one], pages[other] = pages[other], pages[one]
    elif what == "copied":
        pages[one] = pages[other]
    elif what == "zeros":
        pages[one] = bytes(PAGE)
    elif what == "noise":
        pages[one] = data.draw(st.binary(min_size=PAGE, max_size=PAGE))
    elif what == "shifted":
        pages[one] = pages[one][1:] + b"\0"
    elif what == "cut":
        pages = pages[: max(1, one)]
    assert not is_silent(tmp_path_factory.mktemp("pages"), b"".join(pages), expected)


def run_sql(path, *statements):
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE events SET user = 'eve' WHERE seq = 600", "seq 600"),
        ("UPDATE events SET item = item + 1 WHERE seq = 600", "seq 600"),
        ("UPDATE events SET item = CAST(item AS TEXT) WHERE seq = 600", "seq 600"),
        ("UPDATE events SET value = -value WHERE seq = 602", "seq 602"),
        ("UPDATE events SET time = 1 WHERE seq = 600", "seq 600"),
        ("UPDATE events SET crc = NULL WHERE seq = 600", "seq 600"),
        ("UPDATE events SET user = NULL, item = NULL, value = 0, time = NULL WHERE seq = 600", "seq 600"),
        ("DELETE FROM events WHERE seq = 600", "seq 600"),
        ("DELETE FROM events WHERE seq > 1000 AND seq < 1100", "seq 1001 .99 are missing"),
        ("DELETE FROM events WHERE seq = (SELECT MAX(seq) FROM events)", "are missing"),
        ("DELETE FROM deletions", "are missing"),
        ("UPDATE deletions SET mark = x'00'", "seq 18"),
        ("DELETE FROM checkpoints WHERE seq = 900", "checkpoints"),
        ("UPDATE checkpoints SET seq = 901 WHERE seq = 900", "seq 901"),
        ("DELETE FROM events WHERE seq = 77", "kept"),
        ("UPDATE meta SET value = 400 WHERE name = 'published'", "'published'"),
        ("UPDATE meta SET value = 5000 WHERE name = 'last'", "'last'"),
        ("UPDATE meta SET value = 5000 WHERE name = 'unchecked'", "'unchecked'"),
        ("UPDATE meta SET value = x'00' WHERE name = 'key'", "'key'"),
        ("DELETE FROM meta WHERE name = 'trimmed'", "'trimmed'"),
    ],
)
def test_what_was_changed_behind_the_journals_back_is_named(written, tmp_path, statement, words):
    path = tmp_path / "events.db"
    path.write_bytes(written[0])
    run_sql(path, statement)
    with pytest.raises(JournalDamagedError, match=words):
        everything(path)


def test_rows_that_have_changed_places_are_noticed_and_those_of_another_journal_too(written, tmp_path):
    path, other = tmp_path / "events.db", tmp_path / "other.db"
    path.write_bytes(written[0])
    run_sql(
        path,
        "UPDATE events SET seq = -1 WHERE seq = 600",
        "UPDATE events SET seq = 600 WHERE seq = 601",
        "UPDATE events SET seq = 601 WHERE seq = -1",
    )
    with pytest.raises(JournalDamagedError, match="seq 600"):
        everything(path)
    with Journal(other) as journal:
        journal.append([("ann", "Alien")] * 3)
    with Journal(tmp_path / "third.db") as journal:
        journal.append([("ann", "Alien")] * 3)
    run_sql(other, f"ATTACH '{tmp_path / 'third.db'}' AS third", "REPLACE INTO events SELECT * FROM third.events")
    with pytest.raises(JournalDamagedError, match="seq 1"):
        everything(other)


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


def test_a_deletion_leaves_a_valid_trace(tmp_path):
    with Journal(tmp_path / "events.db") as journal:
        journal.append([(f"u{n % 3}", n) for n in range(30)])
        seq = journal.delete_user("u1")
        assert [entry.seq for entry in journal.read(0)] == [n + 1 for n in range(30) if n % 3 != 1] + [seq]
        assert len(journal) == 20
        assert journal.read(0, 5) == journal.read(0)[:5]
        assert [event.seq for event in journal.read(0, 7, upto=9)] == [1, 3, 4, 6, 7, 9]
        assert journal.read(0)[-1] == Deletion(journal.mark("u1"), seq)


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


# -- a journal of the time before there were checksums


def old(folder):
    path = folder / "events.db"
    shutil.copyfile(OLD, path)
    return path


def test_an_old_journal_is_taken_on_with_its_rows_marked(tmp_path):
    path = old(tmp_path)
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT user, item, value, time, NULL, seq FROM events ORDER BY seq").fetchall()
    connection.close()
    before = [Event(*row) for row in rows]
    with Journal(path) as journal:
        last = journal.last_seq()
        assert journal.unchecked_seq() == last
        first = journal.trimmed_seq()
        assert [entry for entry in journal.read(first) if isinstance(entry, Event)] == before
        user = before[0].user
        journal.append([(user, before[0].item)] * 2)
    run_sql(path, f"UPDATE events SET value = 7 WHERE seq = {before[0].seq}")
    assert everything(path)[1][-1].seq == last + 2, "what has no checksum cannot be checked"
    run_sql(path, f"UPDATE events SET value = 7 WHERE seq = {last + 1}")
    with pytest.raises(JournalDamagedError, match=f"seq {last + 1}"):
        everything(path)


def test_an_upgrade_that_is_interrupted_leaves_the_old_file(tmp_path, monkeypatch):
    path = old(tmp_path)
    monkeypatch.setattr("fastrec.online.journal.schema.FORMAT_VERSION", "no number")
    with pytest.raises(JournalError):
        Journal(path)
    monkeypatch.undo()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    assert "crc" not in connection.execute("SELECT sql FROM sqlite_master WHERE name = 'events'").fetchone()[0]
    connection.close()
    assert everything(path)[1]


# -- a full disk


@pytest.fixture
def small_disk(tmp_path):
    """A file system of two megabytes, where one can be mounted."""
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
    """Append until the disk is full; returns how many events are in."""
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


def test_who_opens_a_journal_on_a_full_disk_reads_it_and_deletes(small_disk):
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


@pytest.mark.parametrize("damage", ["other kind", "first page", "cut"])
def test_a_file_that_no_database_can_be_read_from_says_what_to_do(tmp_path, damage):
    path = tmp_path / "events.db"
    with Journal(path) as journal:
        journal.append([(f"u{n}", "i") for n in range(2000)])
    sound = path.read_bytes()
    spoilt = {"other kind": b"no journal at all" * 100, "first page": bytes(4096) + sound[4096:], "cut": sound[:4096]}
    for left in tmp_path.iterdir():
        left.unlink()
    path.write_bytes(spoilt[damage])
    with pytest.raises(JournalDamagedError, match="Put a sound copy in its place, or begin a new journal"):
        Journal(path).read(0)
