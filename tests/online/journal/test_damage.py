"""A journal that is damaged, old, or on a full disk never gives other events than were written without an error."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.online import (
    Deletion,
    Journal,
    JournalDamagedError,
    JournalError,
)
from tests.online.journal.files import PAGE, everything, run_sql


def altered(content, changes):
    content = bytearray(content)
    for place, bits in changes:
        content[place % len(content)] ^= bits
    return bytes(content)


def is_silent(folder, content, expected):
    """Tells whether a file gives other events without an error, also to a reader that goes on where damage begins."""
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
def test_after_any_flipped_bytes_the_events_are_right_or_there_is_an_error(written, tmp_path_factory, changes):
    folder = tmp_path_factory.mktemp("flipped")
    assert not is_silent(folder, altered(written[0], changes), written[1])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_after_any_damage_of_pages_the_events_are_right_or_there_is_an_error(written, tmp_path_factory, data):
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
def test_changes_behind_the_journals_back_are_named(written, tmp_path, statement, words):
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


def test_a_deletion_leaves_a_valid_trace(tmp_path):
    with Journal(tmp_path / "events.db") as journal:
        journal.append([(f"u{n % 3}", n) for n in range(30)])
        seq = journal.delete_user("u1")
        assert [entry.seq for entry in journal.read(0)] == [n + 1 for n in range(30) if n % 3 != 1] + [seq]
        assert len(journal) == 20
        assert journal.read(0, 5) == journal.read(0)[:5]
        assert [event.seq for event in journal.read(0, 7, upto=9)] == [1, 3, 4, 6, 7, 9]
        assert journal.read(0)[-1] == Deletion(journal.mark("u1"), seq)


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
    with pytest.raises(JournalDamagedError, match="Replace the journal by a sound copy, or begin a new one"):
        Journal(path).read(0)
