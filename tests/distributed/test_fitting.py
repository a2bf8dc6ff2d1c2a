"""fit_on_spark: the weights of EASE from sums over users that executors make."""

import numpy as np
import pyarrow as pa
import pytest

pytest.importorskip("pyspark", reason="pyspark is not installed: make test-spark has it")

import fastrec as fr
from fastrec.distributed import fit_on_spark
from tests.distributed.test_spark_als import COLUMNS


def test_weights_are_those_of_one_machine_bit_for_bit(spark, events, tmp_path):
    options = dict(regularization=30.0, dropout=0.2)
    single = fr.EASE(**options).fit(fr.read_interactions(events, **COLUMNS, duplicates="sum"))
    frame = spark.createDataFrame(events)
    model = fit_on_spark(fr.EASE(**options), frame, path=str(tmp_path / "run"), shards=2, **COLUMNS)
    assert np.array_equal(model.weights_, single.weights_)
    assert np.array_equal(model.item_counts_, single.item_counts_)
    assert (model.items_, model.weighting_, len(model.users_)) == (single.items_, "raw", 0)
    shipped = fr.strip(single)
    histories = [["i3", "i90"], [], ["i1"]]
    mine, its = (one.recommend(one.histories(histories), 5) for one in (model, shipped))
    assert mine.items.tolist() == its.items.tolist()
    assert np.array_equal(mine.scores, its.scores)
    model.save(tmp_path / "model.fastrec")
    assert np.array_equal(fr.load(tmp_path / "model.fastrec").weights_, single.weights_)


def test_rare_pairs_are_dropped_and_fractions_agree_to_rounding(spark, tmp_path):
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 1500, 6000), rng.integers(0, 40, 6000)
    table = pa.table({"user": users, "item": items, "n": rng.normal(size=6000)})
    single = fr.EASE(20.0, min_support=6).fit(fr.read_interactions(table, value="n", duplicates="sum"))
    frame, options = spark.createDataFrame(table), dict(path=str(tmp_path / "run"), value="n")
    model = fit_on_spark(fr.EASE(20.0, min_support=6), frame, **options)
    assert np.array_equal(model.weights_ == 0, single.weights_ == 0)
    np.testing.assert_allclose(model.weights_, single.weights_, atol=1e-6)


@pytest.mark.parametrize(
    ("model", "error", "text"),
    [
        (fr.ItemKNN(), TypeError, "fit_on_spark takes an EASE, got ItemKNN"),
        (fr.EASE(method="sparse"), ValueError, "take method='dense'"),
        (fr.EASE(weighting="log"), ValueError, "not weighting='log'"),
    ],
)
def test_models_that_need_more_than_products_are_refused(model, error, text):
    with pytest.raises(error, match=text):
        fit_on_spark(model, None, path="run")
