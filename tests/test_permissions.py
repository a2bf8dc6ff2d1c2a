"""Files of models and of users' events are their owner's alone from their first moment, unless a mode says more."""

import os
import stat

import numpy as np
import pytest

import fastrec as fr
from fastrec.models import Popularity
from fastrec.online import Journal, Versions
from fastrec.permissions import check_mode, make_folder, open_new, parse_mode
from fastrec.retrieval import IVFIndex
from fastrec.storage import write_arrays

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")

MODEL = Popularity().fit(np.eye(3))


def make_journal(path, **options):
    journal = Journal(path, **options)
    journal.append([(1, 2)])
    return journal  # kept open: the log and its index are there


WRITERS = {
    "arrays": lambda path, **options: write_arrays(path, {"a": np.ones(3)}, **options),
    "model": lambda path, **options: MODEL.save(path, **options),
    "save": lambda path, **options: fr.save(MODEL, path, **options),
    "index": lambda path, **options: IVFIndex(n_probe=1).fit(np.eye(4, dtype="f4")).save(path, **options),
    "versions": lambda path, **options: Versions(path, **options).publish(MODEL),
    "journal": make_journal,
    "csv": lambda path, **options: MODEL.recommend_to(path.with_suffix(".csv"), k=1, **options),
    "parquet": lambda path, **options: MODEL.recommend_to(path.with_suffix(".parquet"), k=1, **options),
}


def modes_in(folder):
    return {path.relative_to(folder): stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(("options", "wanted"), [({}, 0o600), ({"mode": 0o640}, 0o640), ({"mode": 0o660}, 0o660)])
def test_every_file_has_its_mode_whatever_the_umask(name, options, wanted, umask, tmp_path):
    kept = WRITERS[name](tmp_path / "file", **options)
    modes = modes_in(tmp_path)
    assert modes
    assert set(modes.values()) == {wanted}, modes
    if isinstance(kept, Journal):
        assert len(modes) >= 3, "the log and its index too"
        kept.close()


def test_a_file_is_private_while_it_is_written(monkeypatch, tmp_path):
    seen = []

    def looked(descriptor):
        seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))

    monkeypatch.setattr("os.fsync", looked)
    MODEL.save(tmp_path / "model")
    assert 0o600 in seen


def test_folders_are_made_for_who_may_read_their_files(umask, tmp_path):
    for mode, wanted in ((0o600, 0o700), (0o640, 0o750), (0o660, 0o770), (0o644, 0o755)):
        folder = tmp_path / oct(mode) / "inner"
        make_folder(folder, mode)
        assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(folder.parent.stat().st_mode) == wanted
    existing = tmp_path / "existing"
    existing.mkdir()
    existing.chmod(0o711)
    make_folder(existing, 0o600)
    assert stat.S_IMODE(existing.stat().st_mode) == 0o711
    with pytest.raises(FileExistsError):
        open_new(existing)


def test_modes_are_checked():
    assert parse_mode("0640") == 0o640
    for wrong in (0o777, 0o200, 0o040, -1, True, "600", 0o1600):
        with pytest.raises(ValueError, match="mode must be"):
            check_mode(wrong)
    for text in ("", "64", "648", "rw-r-----", "100640"):
        with pytest.raises(ValueError, match="mode must be"):
            parse_mode(text)
