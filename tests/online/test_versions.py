"""A folder of published models."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from fastrec.models import (
    Popularity,
    load,
)
from fastrec.online import Versions
from fastrec.online.versions import load_published
from fastrec.storage import FileError
from tests.online.following import data


def test_a_version_that_was_pruned_while_it_was_looked_for_is_not_missed(model, tmp_path, monkeypatch):
    versions = Versions(tmp_path, keep=1)
    versions.publish(model, seq=1)
    names = iter(["v000009"])
    current = versions.current
    monkeypatch.setattr(versions, "current", lambda: next(names, None) or current())
    assert versions.load().version == "v000001"


def test_a_file_of_no_version_is_named_by_its_content(tmp_path):
    path, named = tmp_path / "model.fastrec", []
    for X in ([[1, 0]], [[1, 1]], [[1, 0]]):
        Popularity().fit(X).save(path)
        named.append(load_published(path).version)
    assert named[0] == named[2] != named[1]


def test_versions_count_up_and_the_oldest_go(tmp_path):
    versions = Versions(tmp_path, keep=2)
    assert versions.current() is None
    with pytest.raises(FileNotFoundError):
        versions.load()
    model = Popularity().fit(data())
    assert [versions.publish(model, seq) for seq in range(4)] == [f"v{n:06d}" for n in range(1, 5)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["CURRENT", "v000003.fastrec", "v000004.fastrec"]
    assert versions.load().seq == 3
    assert isinstance(load(versions.path("v000004")), Popularity)
    (tmp_path / "CURRENT").write_text("../../etc/passwd")
    with pytest.raises(FileError, match="names no version"):
        versions.load()


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_killed_while_publishing_there_is_one_readable_version(tmp_path):
    code = (
        "import sys, numpy as np; from fastrec.models import Popularity; from fastrec.online import Versions\n"
        "v = Versions(sys.argv[1]); m = Popularity().fit(np.ones((200, 300))); v.publish(m)\n"
        "print('ready', flush=True)\n"
        "while True: v.publish(m)\n"
    )
    for delay in (0.05, 0.11, 0.17):
        with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as run:
            run.stdout.readline()
            threading.Event().wait(delay)
            run.send_signal(signal.SIGKILL)
        assert Versions(tmp_path).load().model.n_features_in_ == 300
