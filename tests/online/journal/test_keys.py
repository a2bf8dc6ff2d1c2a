"""What stands for a user."""

from fastrec.online import Journal


def test_marks_tell_types_apart_and_journals_too(journal, tmp_path):
    assert journal.mark(42) != journal.mark("42")
    with Journal(tmp_path / "other.db") as other:
        assert other.mark(42) != journal.mark(42)
