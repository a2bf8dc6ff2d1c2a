"""score_on_spark: any model's lists for the users of a frame."""

import numpy as np
import pyarrow as pa
import pytest

pytest.importorskip("pyspark", reason="pyspark is not installed: make test-spark has it")

import fastrec as fr
from fastrec.distributed import score_on_spark
from tests.distributed.conftest import ENGINE

DATA = fr.Interactions(
    np.repeat(np.arange(40), 5), np.random.default_rng(0).integers(0, 30, 200),
    users=[f"u{i}" for i in range(40)], items=np.arange(30) * 10, duplicates="sum",
)  # fmt: skip


def rows_of(frame):
    return sorted((row["user"], row["rank"], row["item"], row["score"]) for row in frame.collect())


@pytest.mark.parametrize("model", [fr.ImplicitALS(4, random_state=0), fr.ItemKNN(5)], ids=["als", "knn"])
def test_lists_are_those_of_the_model(spark, tmp_path, model):
    model.fit(DATA)
    users = spark.createDataFrame(pa.table({"who": [f"u{i}" for i in range(40)]}))
    found = rows_of(score_on_spark(model, users, 3, user="who", file=tmp_path / "model.fastrec"))
    top = model.recommend([f"u{i}" for i in range(40)], 3)
    wanted = [
        (user, rank + 1, int(item), float(score))
        for user, items, scores in zip(top.users, top.items, top.scores, strict=True)
        for rank, (item, score) in enumerate(zip(items, scores, strict=True))
        if np.isfinite(score)
    ]
    assert found == sorted(wanted)
    again = score_on_spark(tmp_path / "model.fastrec", users, 3, user="who", deny=[0])
    assert not any(row[2] == 0 for row in rows_of(again))


def test_users_may_come_with_histories(spark, tmp_path):
    model = fr.ItemKNN(5).fit(DATA)
    users = spark.createDataFrame(pa.table({"who": [7, 8], "had": [[10, 20], [30]]}))
    found = rows_of(score_on_spark(model, users, 2, user="who", items="had", file=tmp_path / "model.fastrec"))
    top = model.recommend(model.histories([[10, 20], [30]]), 2)
    assert [row[2] for row in found] == top.items[top.valid].tolist()
    assert {row[0] for row in found} == {7, 8}


def test_a_file_is_shipped_where_the_engine_does_that(spark):
    model = fr.Popularity().fit(DATA)
    users = spark.createDataFrame(pa.table({"user": ["u1", "u3"]}))
    if ENGINE == "sail":
        with pytest.raises(ValueError, match="ships no files: give a `file` that all executors see"):
            score_on_spark(model, users, 1)
        return
    found = rows_of(score_on_spark(model, users, 1))
    assert [row[2] for row in found] == model.recommend(["u1", "u3"], 1).items[:, 0].tolist()


def test_columns_must_be_there_and_users_known(spark, tmp_path):
    model = fr.Popularity().fit(DATA)
    users = spark.createDataFrame(pa.table({"user": ["u1", "nobody"]}))
    with pytest.raises(ValueError, match="items must name a column of the frame, user, got 'had'"):
        score_on_spark(model, users, items="had")
    with pytest.raises(Exception, match="nobody"):
        score_on_spark(model, users, file=tmp_path / "model.fastrec").collect()
    lists = score_on_spark(model, users, 1, file=tmp_path / "model.fastrec", on_unknown="skip")
    assert {row[0] for row in rows_of(lists)} == {"u1"}
