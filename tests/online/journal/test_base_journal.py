"""The part that every journal has is the same in each of them."""

import contextlib

import pytest

from fastrec.data.durations import UNITS_PER_SECOND
from fastrec.online.journal.base_journal import BaseJournal
from fastrec.online.journal.events import clock_time


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


@pytest.mark.parametrize("unit", UNITS_PER_SECOND)
def test_times_are_checked_in_the_unit_of_the_journal(logs, unit):
    now, day = clock_time(unit), 86_400 * UNITS_PER_SECOND[unit]
    with contextlib.closing(logs.open(unit, time_unit=unit)) as log:
        assert log.append([("a", 1, 1.0, now + 300 * day)]) == 1
        with pytest.raises(ValueError, match=rf"must be at most a year ahead of this machine's clock, in '{unit}'"):
            log.append([("a", 1, 1.0, now + 400 * day)])
