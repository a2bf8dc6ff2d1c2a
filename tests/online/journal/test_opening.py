"""Logs by their addresses."""

import pytest

from fastrec.online import Journal, JournalError, open_log


def test_a_path_alone_and_one_that_says_so_are_one_file(tmp_path):
    path = tmp_path / "events.db"
    for address in (path, str(path), f"sqlite:{path}"):
        log = open_log(address)
        assert isinstance(log, Journal)
        assert log.path == path
        log.close()


def test_nothing_is_no_address():
    with pytest.raises(JournalError, match="the path of a journal must be"):
        open_log("sqlite:")
