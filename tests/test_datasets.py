import io
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fastrec import datasets

N_USERS, N_ITEMS, N_RATINGS = 943, 1682, 100_000


def ratings():
    """Returns made-up ratings, as many as MovieLens 100K has, with every user and item among them."""
    cells = np.random.default_rng(0).permutation(N_USERS * N_ITEMS)
    cells = np.unique(np.concatenate([np.arange(N_ITEMS) * N_USERS + np.arange(N_ITEMS) % N_USERS, cells[:98_000]]))
    rest = np.setdiff1d(np.arange(N_USERS * N_ITEMS), cells)
    cells = np.concatenate([cells, rest])[:N_RATINGS]
    return [(cell % N_USERS + 1, cell // N_USERS + 1, cell % 5 + 1, 874_724_710 + cell) for cell in cells.tolist()]


RATINGS = ratings()


def archive(members):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in members.items():
            file.writestr(name, text)
    return content.getvalue()


def grouplens(**replaced):
    films = [f'{i}|Café "{i}" (1995)|01-Jan-1996||http://x|0|1|0|0|1' + "|0" * 14 for i in range(1, N_ITEMS + 1)]
    films[266] = "267|unknown|||" + "|1" + "|0" * 18
    members = {
        "ml-100k/u.data": "\n".join("\t".join(map(str, row)) for row in RATINGS) + "\n",
        "ml-100k/u.item": ("\n".join(films) + "\n").encode("latin-1"),
    }
    return archive({**members, **replaced})


def recbole():
    films = [f'{i}\tCafé "{i}"\t1995\tAction Children\'s' for i in range(1, N_ITEMS + 1)]
    films[266] = "267\tunkonwn\tunkonwn\tunknown"
    place = "recbole/dataset_example/ml-100k/ml-100k"
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    return archive(
        {
            f"{place}.inter": header + "\n".join("\t".join(map(str, row)) for row in RATINGS) + "\n",
            f"{place}.item": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
            + "\n".join(films),
        }
    )


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTREC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "datasets" / "ml-100k"


@pytest.fixture
def asked(monkeypatch):
    """Replaces the network: a request is recorded, and answered as the test says."""
    asked = {"grouplens": 0, "pip": 0, "answer": None, "wheel": None}

    def urlopen(url, timeout):
        assert url == datasets.GROUPLENS_URL
        assert timeout <= 10
        asked["grouplens"] += 1
        if asked["answer"] is None:
            raise urllib.error.URLError("no way there")
        return io.BytesIO(asked["answer"])

    def run(command, **options):
        assert command[:4] == [sys.executable, "-m", "pip", "download"]
        asked["pip"] += 1
        if asked["wheel"] is None:
            return subprocess.CompletedProcess(command, 1, "", "noise\nERROR: no such thing\n")
        (Path(command[command.index("--dest") + 1]) / "recbole-1.2.1-py3-none-any.whl").write_bytes(asked["wheel"])
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    monkeypatch.setattr(subprocess, "run", run)
    return asked


def check(data):
    assert data.shape == (N_USERS, N_ITEMS)
    users, items = data.users.decode(data.user_codes), data.items.decode(data.item_codes)
    rows = zip(users.tolist(), items.tolist(), data.values.tolist(), data.times.tolist(), strict=True)
    assert list(rows) == RATINGS
    assert data.time_unit == "s"
    assert data.users.kind == "int"
    assert data.titles([0, 266]) == ['Café "1" (1995)', "unknown"]
    assert data.item_info["genres"][0] == "Action|Children's"
    assert data.item_info["genres"][266] == "unknown"
    assert data.item_info["year"][0] == 1995
    assert np.isnan(data.item_info["year"][266])


def test_both_sources_give_the_same_files(asked, cache, monkeypatch, tmp_path):
    asked["answer"] = grouplens()
    datasets.fetch_movielens_100k()
    assert asked["pip"] == 0
    first = {path.name: path.read_bytes() for path in cache.iterdir()}
    monkeypatch.setenv("FASTREC_CACHE", str(tmp_path / "other"))
    asked.update(answer=None, wheel=recbole())
    other = datasets.fetch_movielens_100k()
    assert {path.name: path.read_bytes() for path in other.iterdir()} == first
    check(datasets.movielens_100k())


def test_the_data_come_from_grouplens_once_and_then_from_the_cache(asked, cache):
    asked["answer"] = grouplens()
    check(datasets.movielens_100k())
    check(datasets.movielens_100k())
    check(datasets.movielens_100k(download=False))
    assert (asked["grouplens"], asked["pip"]) == (1, 0)
    assert [path.name for path in cache.parent.iterdir()] == ["ml-100k"]  # nothing left beside it


def test_without_a_network_the_error_says_what_to_do(asked, cache):
    with pytest.raises(OSError, match=r"no way there.*python -m fastrec.datasets fetch"):
        datasets.movielens_100k()
    with pytest.raises(FileNotFoundError, match=r"python -m fastrec.datasets fetch"):
        datasets.movielens_100k(download=False)
    assert asked == {"grouplens": 1, "pip": 0, "answer": None, "wheel": None}
    assert not cache.exists()


def test_the_command_tells_what_it_did(asked, cache, capsys):
    assert datasets.main(["fetch"]) == 1
    assert "GroupLens: <urlopen error no way there>; the package index: pip download" in capsys.readouterr().err
    asked["wheel"] = recbole()
    assert datasets.main(["fetch"]) == 0
    assert str(cache) in capsys.readouterr().out
    assert datasets.main(["fetch"]) == 0
    assert asked["pip"] == 2
    assert datasets.main([]) == datasets.main(["get"]) == 2
    assert "usage" in capsys.readouterr().err


def test_an_archive_fetched_by_hand_is_taken(asked, cache, tmp_path, capsys):
    (tmp_path / "ml-100k.zip").write_bytes(grouplens())
    assert datasets.main(["fetch", str(tmp_path / "ml-100k.zip")]) == 0
    check(datasets.movielens_100k())
    assert asked["grouplens"] == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>captive portal</html>", "not a zip file"),
        (grouplens()[:5000], "not a zip file"),
        (archive({"other/u.data": ""}), "the archive has no ml-100k/u.data"),
        (grouplens(**{"ml-100k/u.data": "1\t2\t3\t4\n"}), "that is not MovieLens 100K: 1 ratings"),
        (grouplens(**{"ml-100k/u.data": "1\t2\t3\n"}), "a line has 3 fields, not 4"),
        (grouplens(**{"ml-100k/u.item": "1|x\n"}), "line of 2 fields, not 24"),
        (grouplens(**{"ml-100k/u.data": b"0" * (17 << 20)}), "larger than 16 MiB"),
        (b"0" * ((32 << 20) + 1), "larger than 32 MiB"),
    ],
    ids=["a page", "cut short", "another archive", "other data", "short lines", "other films", "a bomb", "too large"],
)
def test_a_wrong_archive_leaves_nothing_behind(asked, cache, content, message):
    asked["answer"] = content
    with pytest.raises(OSError, match=message):
        datasets.movielens_100k()
    assert not cache.exists()


def test_a_path_in_an_archive_is_never_written_to(asked, cache, tmp_path):
    asked["answer"] = grouplens(**{"../../../evil": "x", "ml-100k/../../evil": "x"})
    datasets.movielens_100k()
    assert not list(tmp_path.rglob("evil"))


def test_half_a_cache_is_replaced(asked, cache):
    cache.mkdir(parents=True)
    (cache / "items.tsv").write_text("item\ttitle\n")
    asked["answer"] = grouplens()
    check(datasets.movielens_100k())


def test_a_changed_cache_is_refused(asked, cache):
    asked["answer"] = grouplens()
    datasets.movielens_100k()
    path = cache / "interactions.tsv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(OSError, match="delete the folder"):
        datasets.movielens_100k()


@pytest.mark.skipif(sys.platform == "win32", reason="LOCALAPPDATA there")
def test_the_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("FASTREC_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert datasets.cache_folder() == tmp_path / "fastrec"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert datasets.cache_folder() == tmp_path / "home" / ".cache" / "fastrec"
