"""Batch exports that lose the rows of users, and other files that stay as they are."""

import os
import stat

import numpy as np
import pytest

import fastrec as fr
from fastrec.forgetting.batches import take_out
from fastrec.models.base import streaming
from tests.forgetting.test_forget import GONE, ITEMS, data, holds


@pytest.mark.parametrize("kind", [str, int])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_no_byte_of_the_users_is_left_and_all_other_rows_are(kind, ending, tmp_path):
    pytest.importorskip("pyarrow", reason="Parquet needs it")
    given = data(kind)
    gone = given.users.ids[:2].tolist()
    path, expected = tmp_path / f"all.{ending}", tmp_path / f"rest.{ending}"
    model = fr.EASE(5.0).fit(given)
    model.recommend_to(path, k=3, batch_size=7, mode=0o640)
    model.recommend_to(expected, given.users.ids[2:], k=3, batch_size=7)
    assert holds(path, gone)
    receipt = fr.forget(model, gone, files=[path])
    assert not holds(path, gone)
    assert receipt.traces == ()
    assert [name for name, *_ in receipt.rewritten] == [str(path)]
    if os.name != "nt":
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted([path.name, expected.name])
    if ending == "csv":
        assert path.read_text() == expected.read_text()
    else:
        read = pytest.importorskip("pyarrow.parquet").read_table
        assert read(path).equals(read(expected))


def test_parts_of_an_unfinished_export_are_removed(tmp_path, monkeypatch):
    model = fr.Popularity().fit(data())
    monkeypatch.setattr(streaming, "_join_csv", lambda *_: 1 / 0)
    for name in ("one.csv", "two.csv"):
        with pytest.raises(ZeroDivisionError):
            model.recommend_to(tmp_path / name, k=2)
    parts = [tmp_path / ".one.csv.parts", tmp_path / ".two.csv.parts"]
    assert any(holds(path, GONE) for path in parts[0].iterdir())
    receipt = fr.forget(model, GONE, files=[tmp_path / "one.csv", parts[1]])
    assert sorted(receipt.removed) == [str(folder) for folder in parts]
    assert not any(folder.exists() for folder in parts)


def test_results_of_a_search_hold_nobody(tmp_path):
    store = tmp_path / "found.jsonl"
    fr.search(fr.EASE(), {"regularization": [1.0, 10.0]}, data(), method="grid", cv=2, refit=False, store=store)
    assert not holds(store, data().users.ids.tolist())
    before = store.read_bytes()
    assert fr.forget(fr.EASE().fit(data()), GONE, files=[store]).traces == ()
    assert store.read_bytes() == before


def test_a_user_may_be_called_as_the_column_is(tmp_path):
    path = tmp_path / "all.csv"
    path.write_text("user,item,score,rank\nuser,Alien,1.0,1\nanna,Alien,1.0,1\n")
    take_out(path, ["user"])
    assert path.read_text() == "user,item,score,rank\nanna,Alien,1.0,1\n"


def test_tables_of_others_stay_as_they_are(tmp_path):
    own = f"who,what\nä{GONE[0]},{ITEMS[0]}\n"
    for name, text in (("own.csv", own), ("empty.csv", ""), ("no.parquet", own)):
        (tmp_path / name).write_text(text, encoding="latin-1")
        before = (tmp_path / name).read_bytes()
        assert take_out(tmp_path / name, GONE) == []
        assert (tmp_path / name).read_bytes() == before
    assert take_out(tmp_path / "absent.csv", GONE) == []
    assert np.all([not path.name.startswith(".") for path in tmp_path.iterdir()])
