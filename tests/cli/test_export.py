"""`fastrec export`."""

import os

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest

import fastrec as fr


@pytest.fixture
def model(folder):
    return fr.load(folder / "ratings.fastrec")


def read(path):
    return (pyarrow.parquet.read_table(path) if path.suffix == ".parquet" else pyarrow.csv.read_csv(path)).to_pydict()


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
@pytest.mark.parametrize("side", ["item", "user"])
def test_vectors_are_rows_with_their_ids(run, model, tmp_path, side, suffix):
    path = tmp_path / f"vectors{suffix}"
    code, _, err = run("export", "ratings.fastrec", f"{side}-factors", "-o", path)
    assert code == 0, err
    columns = read(path)
    assert columns[side] == getattr(model, f"{side}_vocabulary").ids.tolist()
    factors = np.array([columns[f"factor_{place}"] for place in range(4)], "f4").T
    np.testing.assert_array_equal(factors, getattr(model, f"{side}_factors_"))
    assert ("title" in columns) == (side == "item")


def test_similar_items_are_those_of_the_model(run, model, tmp_path):
    path = tmp_path / "similar.parquet"
    assert run("export", "ratings.fastrec", "similar-items", "-k", 3, "-o", path)[0] == 0
    columns = read(path)
    top = model.similar_items(model.item_vocabulary.ids, 3)
    assert columns["similar_item"] == top.items.ravel().tolist()
    assert columns["rank"] == [1, 2, 3] * 20
    assert columns["title"][0] == f"Film, {columns['similar_item'][0] // 10}"


def test_histories_are_what_the_model_knows(run, model, tmp_path):
    path = tmp_path / "history.parquet"
    assert run("export", "ratings.fastrec", "history", "-o", path)[0] == 0
    columns = read(path)
    assert len(columns["user"]) == model.seen_.nnz
    assert columns["item"] == model.item_vocabulary.ids[model.seen_.indices].tolist()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes of files")
def test_an_export_is_its_owners(run, tmp_path):
    path = tmp_path / "v.csv"
    for given, mode in (([], 0o600), (["--mode", "640"], 0o640)):
        assert run("export", "ratings.fastrec", "item-factors", "-o", path, *given)[0] == 0
        assert path.stat().st_mode & 0o777 == mode


def test_a_missing_part_of_the_model_is_reported(run, tmp_path):
    assert run("export", "ratings.fastrec", "item-factors", "-o", tmp_path / "v.npy")[0] == 2
    assert run("train", "ratings.csv", "-o", tmp_path / "p.fastrec", "--model", "Popularity")[0] == 0
    code, _, err = run("export", tmp_path / "p.fastrec", "user-factors", "-o", tmp_path / "v.csv")
    assert code == 1
    assert "Popularity has no vectors of users" in err
    assert not (tmp_path / "v.csv").exists()
