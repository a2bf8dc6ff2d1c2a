import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pandas as pd
import pytest

import fastrec as fr
from fastrec.models.base import streaming


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(0)
    titles = np.array([f'Film "{n}", the\nfirst' for n in range(30)], object)
    data = fr.Interactions(
        rng.integers(0, 50, 600),
        rng.integers(0, 30, 600),
        users=[f"u{n}" for n in range(50)],
        items=range(100, 130),
        item_info={"title": titles},
        duplicates="sum",
    )
    return fr.ImplicitALS(4, iterations=1, random_state=0).fit(data)


def read(path):
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype={"score": np.float32})


@pytest.mark.parametrize("name", ["all.csv", "all.parquet"])
@pytest.mark.parametrize("batch_size", [7, 1000])
def test_the_file_holds_what_recommend_gives(model, tmp_path, name, batch_size):
    path = tmp_path / name
    rows = model.recommend_to(path, k=4, batch_size=batch_size)
    expected = model.recommend(model.users_.ids, 4).to_frame()
    found = read(path)
    assert rows == len(found) == len(expected)
    for column in ("user", "item", "rank", "title"):
        assert found[column].tolist() == expected[column].tolist()
    np.testing.assert_array_equal(found["score"].to_numpy(np.float32), expected["score"].to_numpy())
    assert os.listdir(tmp_path) == [name]  # no other file is left beside it


def test_some_users_and_histories(model, tmp_path):
    path = tmp_path / "some.parquet"
    model.recommend_to(path, ["u3", "stranger", "u1"], 2, on_unknown="skip", deny=[100])
    found = read(path)
    assert found["user"].unique().tolist() == ["u3", "u1"]
    assert 100 not in found["item"].tolist()
    histories = fr.Interactions([0, 1], [3, 4], users=["x", "y"], items=model.items_)
    model.recommend_to(path, histories, 2, batch_size=1)
    assert read(path)["user"].tolist() == ["x", "x", "y", "y"]
    model.recommend_to(path, histories.matrix, 2, batch_size=1)
    assert len(read(path)) == 4


def test_users_without_anything_left_have_no_rows(tmp_path):
    model = fr.Popularity().fit(np.array([[1, 1], [1, 0], [1, 1]]))
    for name in ("a.csv", "a.parquet"):
        assert model.recommend_to(tmp_path / name, k=3, batch_size=1) == 1
        assert read(tmp_path / name)["user"].tolist() == [1]


@pytest.mark.parametrize("name", ["all.csv", "all.parquet"])
def test_a_killed_job_goes_on_and_gives_the_same_file(tmp_path, name):
    script = textwrap.dedent("""
        import sys, time, numpy as np, fastrec as fr
        rng = np.random.default_rng(0)
        model = fr.Popularity().fit((rng.random((60, 20)) < 0.2).astype(float))
        pause, ask = float(sys.argv[2]), model.recommend
        def slow(*a, **o):
            time.sleep(pause)
            print("batch", flush=True)
            return ask(*a, **o)
        model.recommend = slow
        from fastrec.models.base.streaming import recommend_to
        for path in sys.argv[1].split(","):
            recommend_to(model, path, k=3, batch_size=10)
            print("done")
    """)
    path = tmp_path / name
    command = [sys.executable, "-c", script]
    process = subprocess.Popen([*command, str(path), "0.3"], stdout=subprocess.DEVNULL)
    parts = tmp_path / f".{name}.parts"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and (not parts.is_dir() or len(list(parts.glob("0*" + path.suffix))) < 2):
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
    process.wait()
    assert not path.exists()
    (parts / "00000009.tmp").write_text("half")
    done = len(list(parts.glob("0*" + path.suffix)))
    assert 2 <= done < 6
    fresh = tmp_path / f"fresh{path.suffix}"
    said = subprocess.run([*command, f"{path},{fresh}", "0"], check=True, capture_output=True, text=True).stdout
    assert said.partition("done")[0].count("batch") == 6 - done
    assert path.read_bytes() == fresh.read_bytes()
    assert not parts.exists()


def test_parts_of_another_job_are_refused(model, tmp_path, monkeypatch):
    path = tmp_path / "all.csv"
    monkeypatch.setattr(streaming, "_join_csv", lambda *args: 1 / 0)  # the parts are not yet the file
    with pytest.raises(ZeroDivisionError):
        model.recommend_to(path, k=3)
    for change, named in (
        ({"k": 4}, "its k is 3"),
        ({"users": ["u1"]}, "its users is"),
        ({"users": model.users_.ids[::-1]}, "its users is"),
        ({"deny": [101]}, "its options is"),
    ):
        with pytest.raises(ValueError, match=f"holds parts of another job: {named}"):
            model.recommend_to(path, **{"k": 3, **change})
    other = fr.ImplicitALS(4, iterations=2, random_state=0).fit(model.seen_)
    with pytest.raises(ValueError, match="its model is"):
        other.recommend_to(path, k=3)
    path = tmp_path / "without.csv"
    with pytest.raises(ZeroDivisionError):
        model.recommend_to(path, k=3, deny=[101, 102])
    with pytest.raises(ValueError, match="holds parts of another job: its options is"):
        model.recommend_to(path, k=3, deny=[101, 103])


class Killed(BaseException):
    pass


@pytest.fixture
def kill(monkeypatch):
    """Lets a job write two parts, and then kills it."""

    def start(model, path, **options):
        written, write = [], streaming._write_part

        def dying(*arguments):
            if len(written) == 2:
                raise Killed
            written.append(write(*arguments))

        monkeypatch.setattr(streaming, "_write_part", dying)
        with pytest.raises(Killed):
            model.recommend_to(path, **options)
        monkeypatch.setattr(streaming, "_write_part", write)

    return start


ITEMS = [101, 104, 117]
COLLECTIONS = {
    "set": set,
    "frozenset": frozenset,
    "tuple": tuple,
    "backwards": lambda items: items[::-1],
    "twice": lambda items: items * 2,
    "array": np.array,
    "series": pd.Series,
    "keys": dict.fromkeys,
    "iterator": iter,
}


@pytest.mark.parametrize("name", ["allow", "deny"])
@pytest.mark.parametrize("form", COLLECTIONS)
def test_a_killed_job_goes_on_with_the_same_items_in_any_collection(model, tmp_path, kill, name, form):
    path, fresh = tmp_path / "all.csv", tmp_path / "fresh.csv"
    kill(model, path, k=3, batch_size=9, **{name: ITEMS})
    with pytest.raises(ValueError, match="its options is"):
        model.recommend_to(path, k=3, batch_size=9, **{name: ITEMS[:2]})
    model.recommend_to(path, k=3, batch_size=9, **{name: COLLECTIONS[form](ITEMS)})
    model.recommend_to(fresh, k=3, **{name: ITEMS})
    assert path.read_bytes() == fresh.read_bytes()


@pytest.mark.parametrize("form", COLLECTIONS)
def test_users_in_any_collection(model, tmp_path, form):
    path, fresh = tmp_path / "all.csv", tmp_path / "fresh.csv"
    users = [f"u{n}" for n in range(9)]
    model.recommend_to(path, COLLECTIONS[form](users), k=3, batch_size=2)
    model.recommend_to(fresh, list(COLLECTIONS[form](users)) if form != "set" else users, k=3)
    assert sorted(path.read_text()) == sorted(fresh.read_text())
    if form not in ("set", "frozenset"):
        assert path.read_bytes() == fresh.read_bytes()


def test_one_user_alone(model, tmp_path):
    assert model.recommend_to(tmp_path / "one.csv", "u17", 2, batch_size=1) == 2
    assert read(tmp_path / "one.csv")["user"].tolist() == ["u17", "u17"]


def test_rows_of_filters_follow_their_users(model, tmp_path):
    path = tmp_path / "all.parquet"
    denied = [{100 + n % 30} for n in range(50)]
    model.recommend_to(path, k=4, batch_size=10, deny=denied, allow=[list(range(100, 120))] * 50)
    expected = model.recommend(model.users_.ids, 4, deny=denied, allow=range(100, 120)).to_frame()
    assert read(path)["item"].tolist() == expected["item"].tolist()
    with pytest.raises(ValueError, match="deny must have one list of items for each of 50 users, got 10"):
        model.recommend_to(path, k=4, batch_size=10, deny=denied[:10])


MODELS = {
    "other neighbours": (lambda X: fr.UserKNN(2).fit(X), lambda X: fr.UserKNN(30).fit(X)),
    "other ratings": (lambda X: fr.UserKNN(5).fit(X), lambda X: fr.UserKNN(5).fit(X * 2)),
    "other rule": (lambda X: reranked(X, fr.MMR(0.1)), lambda X: reranked(X, fr.MMR(0.9))),
    "other depth": (lambda X: reranked(X, fr.MMR(0.5)), lambda X: reranked(X, fr.MMR(0.5), 9)),
    "other weights": (lambda X: blend(X, [1, 2]), lambda X: blend(X, [2, 1])),
    "other titles": (lambda X: titled(X, "a"), lambda X: titled(X, "b")),
    "other codec": (lambda X: compressed(X, "int8"), lambda X: compressed(X, "int4")),
}


def reranked(X, rule, depth=20):
    return fr.Reranked(fr.PureSVD(4, random_state=0).fit(X), rule, depth)


def blend(X, weights):
    return fr.Blend([fr.Popularity(), fr.ItemKNN(4)], weights=weights).fit(X)


def titled(X, title):
    return fr.Popularity().fit(fr.Interactions.from_matrix(X, item_info={"title": [title] * X.shape[1]}))


def compressed(X, codec):
    return fr.compress(fr.PureSVD(4, random_state=0).fit(X), codec)


@pytest.mark.parametrize("name", MODELS)
def test_two_jobs_are_never_mixed(tmp_path, kill, name):
    X = (np.random.default_rng(0).random((40, 30)) < 0.2) * 1.0
    path, fresh = tmp_path / "all.csv", tmp_path / "fresh.csv"
    one, other = (make(X) for make in MODELS[name])
    kill(one, path, k=3, batch_size=9)
    with pytest.raises(ValueError, match=r"holds parts of another job: its model is .*, not .*; remove it first"):
        other.recommend_to(path, k=3, batch_size=9)
    MODELS[name][0](X).recommend_to(path, k=3, batch_size=9)
    one.recommend_to(fresh, k=3)
    assert path.read_bytes() == fresh.read_bytes()


def test_bad_paths_are_named(model, tmp_path):
    with pytest.raises(ValueError, match=r"path must be one of 'parquet', 'csv', got '.xlsx'"):
        model.recommend_to(tmp_path / "all.xlsx")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        model.recommend_to(tmp_path / "nowhere" / "all.csv")


def test_progress_counts_users(model, tmp_path, capsys):
    model.recommend_to(tmp_path / "all.csv", batch_size=30, verbose=True)
    assert capsys.readouterr().err.splitlines() == [
        "recommend to all.csv 1/2 30 of 50 users",
        "recommend to all.csv 2/2 50 of 50 users",
    ]
