"""The journal holds each acknowledged event once, with its type, until it is deleted, and then nowhere."""

import os
import signal
import subprocess
import sys
import time

import pytest

from fastrec.online import Journal, JournalError


def test_two_processes_on_one_journal(tmp_path):
    path = str(tmp_path / "events.db")
    code = (
        "import sys; from fastrec.online import Journal\n"
        "with Journal(sys.argv[1]) as j:\n"
        "    for n in range(60): j.append([(int(sys.argv[2]), n, 1.0, None, f'both-{n % 20}' if n < 20 else None)])\n"
    )
    runs = [subprocess.Popen([sys.executable, "-c", code, path, str(user)]) for user in (1, 2)]
    assert [run.wait(60) for run in runs] == [0, 0]
    with Journal(path) as journal:
        assert len(journal) == 100, "the twenty ids that both sent count once"
        assert journal.last_seq() == 100


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_killed_while_writing_loses_nothing_that_was_acknowledged(tmp_path):
    path = str(tmp_path / "events.db")
    code = (
        "import sys; from fastrec.online import Journal\n"
        "j = Journal(sys.argv[1]); n = 0\n"
        "while True:\n"
        "    j.append([('u', n, 1.0, None, str(n))]); print(n, flush=True); n += 1\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True) as run:
        for _ in range(20):
            run.stdout.readline()
        run.send_signal(signal.SIGKILL)
        acknowledged = 20 + len(run.stdout.read().split())
    with Journal(path) as journal:
        items = [event.item for event in journal.read(0)]
        assert items == list(range(len(items)))
        assert acknowledged <= len(items) <= acknowledged + 1


def test_times_of_another_unit_are_refused(tmp_path):
    with Journal(tmp_path / "events.db") as journal:
        now = journal.now()
        for moment in (now * 1000, -(2**63), 2**63 - 1):
            with pytest.raises(ValueError, match=r"events\[1\].time must be at most a year ahead .* in 'ms'"):
                journal.append([("a", 1, 1.0, now), ("a", 1, 1.0, moment)])
        journal.append([("a", 1, 1.0, 0), ("a", 1, 1.0, -5), ("a", 1, 1.0, now + 10**10)])
        assert len(journal) == 3


def test_the_unit_of_times_is_fixed(tmp_path):
    with Journal(tmp_path / "events.db", time_unit="s") as journal:
        assert abs(journal.now() - time.time()) < 5
    with pytest.raises(JournalError, match="in 's', not in 'ms'"):
        Journal(tmp_path / "events.db", time_unit="ms")
