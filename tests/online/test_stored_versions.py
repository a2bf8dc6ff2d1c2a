"""Published versions in an object store."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

pytest.importorskip("s3fs", reason="needs fastrec[s3]")
pytest.importorskip("moto.server", reason="needs moto[server]")

from fastrec.models import Popularity
from fastrec.online import Journal, Updater, open_versions
from fastrec.online.journal.file_leader import FileLeader
from fastrec.online.versions import Marks
from fastrec.storage import FileError
from tests.online.following import data


@pytest.fixture
def one(s3, tmp_path):
    return open_versions(s3, cache=tmp_path / "one", keep=2)


@pytest.fixture
def other(s3, tmp_path):
    """Returns the same versions as another machine sees them."""
    return open_versions(s3, cache=tmp_path / "other", keep=2)


def files_of(versions):
    return sorted(path.name for path in versions.folder.iterdir())


def names_in(versions):
    return sorted(versions._store.names())


def test_versions_count_up_the_oldest_go_and_a_machine_keeps_the_current_one(one, other):
    assert one.current() is None
    with pytest.raises(FileNotFoundError, match="no published model"):
        other.load()
    model = Popularity().fit(data())
    published = [one.publish(model, seq) for seq in range(3)]
    assert [name[:7] for name in published] == ["v000001", "v000002", "v000003"]
    objects = [f"{name}.{end}" for name in published[1:] for end in ("fastrec", "json")]
    assert names_in(one) == sorted(["CURRENT", *objects])
    taken = other.load()
    assert (taken.version, taken.seq, other.current()) == (published[2], 2, published[2])
    np.testing.assert_array_equal(taken.model.item_counts_, model.item_counts_)
    assert files_of(one) == files_of(other) == [f"{published[2]}.fastrec"]
    assert one.publish(model, 3) != published[2]
    assert other.load().seq == 3
    assert files_of(other) == [f"{other.current()}.fastrec"]


def test_two_that_are_published_at_once_are_two_objects(one, other):
    first, second = Popularity().fit([[1, 0]]), Popularity().fit([[1, 1]])
    for versions, model in ((one, first), (other, second)):
        name = versions._write(model, Marks(1), 1)
        versions._point_to(name)
    assert one.current() == name
    assert one.load().model.item_counts_.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda store, name: store.write(f"{name}.fastrec", store.read(f"{name}.fastrec")[:-1]), "not whole: it has"),
        (lambda store, name: store.write(f"{name}.fastrec", bytes(store.size(f"{name}.fastrec"))), "its checksum"),
        (lambda store, name: store.remove(f"{name}.fastrec"), "no such object"),
        (lambda store, name: store.remove(f"{name}.json"), "no such object"),
        (lambda store, name: store.write(f"{name}.json", b"{}"), "not what was published"),
        (lambda store, name: store.write(f"{name}.json", changed(store.read(f"{name}.json"))), "another version"),
        (lambda store, name: store.write("CURRENT", b"../../etc/passwd"), "names no version"),
    ],
)
def test_a_cut_missing_or_changed_version_is_refused_and_the_old_model_answers(one, other, harm, said, monkeypatch):
    one.publish(Popularity().fit(data()), 1)
    updater = Updater(other)
    before = updater.snapshot
    name = one.publish(Popularity().fit(data()), 2)
    well = {file: one._store.read(file) for file in (f"{name}.fastrec", f"{name}.json", "CURRENT")}
    harm(one._store, name)
    with pytest.raises((FileError, FileNotFoundError), match=said):
        other.load()
    assert not updater.reload()
    assert updater.snapshot is before
    assert said in updater.problem
    assert not [file for file in files_of(other) if name in file or file.startswith(".")]

    for file, content in well.items():  # once it is there as it should be, it is taken
        one._store.write(file, content)
    monkeypatch.setattr("fastrec.online.stored_versions.RETRY_SECONDS", 1e-6)
    assert updater.reload()
    assert (updater.snapshot.version, updater.problem) == (name, None)


def changed(content):
    return json.dumps(json.loads(content) | {"sha256": "0" * 64}).encode()


def test_one_of_several_on_a_machine_downloads(one, s3, tmp_path, monkeypatch):
    one.publish(Popularity().fit(np.ones((30, 20))))
    workers = [open_versions(s3, cache=tmp_path / "shared") for _ in range(3)]
    downloads, together = [], threading.Barrier(len(workers))
    for worker in workers:
        download = worker._store.download
        slow = lambda *given, download=download: (downloads.append(given[0]), time.sleep(0.3), download(*given))
        monkeypatch.setattr(worker._store, "download", slow)
    loaded = []
    threads = [
        threading.Thread(target=lambda worker=worker: (together.wait(), loaded.append(worker.load().version)))
        for worker in workers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loaded == [one.current()] * 3
    assert len(downloads) == 1


def test_a_download_that_hangs_elsewhere_is_not_waited_for_for_ever(one, other, monkeypatch):
    one.publish(Popularity().fit(np.ones((30, 20))))
    monkeypatch.setattr("fastrec.online.stored_versions.LONGEST_DOWNLOAD", 0.2)
    lock = FileLeader(other.folder / ".downloading")
    assert lock.acquire()
    assert other.load().version == one.current()
    lock.release()


def test_a_file_of_the_cache_that_was_altered_is_downloaded_again(one, other):
    one.publish(Popularity().fit(data()), 1)
    path = other.path(other.load().version)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert other.load().seq == 1


def test_deletions_are_followed_and_the_seq_is_known_without_a_download(one, other):
    for seq in (3, 5, 8):
        one.publish(Popularity().fit(data()), seq)
    assert one.remove_others(before=5) == []
    removed = one.remove_others(before=8)
    assert [path.name[:7] for path in removed] == ["v000002"]
    one.publish(Popularity().fit(data()), 9)
    one._store.write("v000009-0123456789ab.fastrec", b"half")  # a publisher was killed
    assert len(one.remove_others()) == 2
    assert names_in(other) == sorted(["CURRENT", f"{one.current()}.fastrec", f"{one.current()}.json"])


def test_an_updater_publishes_and_another_follows(one, other, tmp_path):
    journal = Journal(tmp_path / "events.db")
    one.publish(Popularity().fit(data()), 0)
    leads, follows = Updater(one, journal), Updater(other, journal)
    journal.append([("new", "a"), ("new", "b")])
    version = leads.checkpoint().version
    assert version == one.current()
    assert follows.reload()
    assert (follows.snapshot.version, follows.snapshot.model_seq) == (version, 2)
    assert not follows.reload()
    journal.close()


def test_a_store_out_of_reach_is_a_problem_that_passes(one, other, monkeypatch):
    one.publish(Popularity().fit(data()), 1)
    updater = Updater(other)

    def refuse(name):
        raise OSError("out of reach")

    with monkeypatch.context() as patch:
        patch.setattr(other._store, "read", refuse)
        assert not updater.reload()
        assert updater.problem == "OSError: out of reach"
    updater.reload()
    assert updater.problem is None


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_killed_while_publishing_there_is_one_readable_version(s3, other, tmp_path):
    code = (
        "import sys, numpy as np; from fastrec.models import Popularity; from fastrec.online import open_versions\n"
        "v = open_versions(sys.argv[1], cache=sys.argv[2]); m = Popularity().fit(np.ones((200, 300))); v.publish(m)\n"
        "print('ready', flush=True)\n"
        "while True: v.publish(m)\n"
    )
    for delay in (0.05, 0.11):
        with subprocess.Popen([sys.executable, "-c", code, s3, str(tmp_path)], stdout=subprocess.PIPE) as run:
            run.stdout.readline()
            threading.Event().wait(delay)
            run.send_signal(signal.SIGKILL)
        assert other.load().model.n_features_in_ == 300
