"""The part that every journal has is the same in each of them."""

import pytest

from fastrec.online.journal.base_journal import BaseJournal


def test_no_journal_has_its_own_version_of_what_all_share(log):
    own = {name for kind in type(log).__mro__ if kind not in (BaseJournal, object) for name in vars(kind)}
    shared = {name for name in vars(BaseJournal) if not name.startswith("_")} - {"close"}
    assert isinstance(log, BaseJournal)
    assert "submit" in shared
    assert not own & shared


def test_wrong_arguments_are_refused_before_anything_is_read(log):
    for read in (lambda: log.read(-1), lambda: log.read(0, 0), lambda: log.history(1.5)):
        with pytest.raises((ValueError, TypeError)):
            read()
    assert (log.trimmed_seq(), log.published_seq(), log.lineage()) == (0, 0, None)
