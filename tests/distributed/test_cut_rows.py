"""Rows with very many entries are cut: their sums come from all shards, and the other rows keep their bits."""

import numpy as np
import pytest

pytest.importorskip("pyspark", reason="pyspark is not installed: make test-spark has it")

from fastrec.distributed import SparkImplicitALS, cut_rows
from fastrec.distributed.cut_rows import SUMMED, add_sums
from fastrec.distributed.half_epoch import RowSums
from tests.distributed.test_spark_als import COLUMNS


def test_parts_are_added_up_in_the_order_of_shards():
    def row(shard, value):
        sums = RowSums(np.full((2, 2), value), np.full(2, value), value, 1.0, 2.0)
        return dict(zip(SUMMED.names, (3, 5, shard, sums.flat().tobytes()), strict=True))

    total = add_sums([row(2, -1e16), row(0, 1e16), row(1, 1.0)])[3][5]
    assert np.array_equal(total.matrix, np.zeros((2, 2)))
    assert np.array_equal(total.right, np.zeros(2))
    assert (total.constant, total.values, total.entries) == (0, 3, 6)


def test_long_rows_are_cut_and_agree_to_rounding(spark, events, tmp_path, monkeypatch):
    def fit(name):
        model = SparkImplicitALS(
            20, path=str(tmp_path / name), exchange="files", shards=2, iterations=1, random_state=3, dtype="float32"
        )
        return model.fit(spark.createDataFrame(events), **COLUMNS)

    whole = fit("whole")
    lengths = np.diff(whole.to_model().seen_.tocsc().indptr)
    most = int(np.sort(lengths)[-3])
    monkeypatch.setattr(cut_rows, "MOST", most)
    cut = fit("cut")
    found = cut._run.exchange._long
    assert sum(map(len, found.values())) == np.count_nonzero(lengths > most) + np.count_nonzero(
        np.diff(whole.to_model().seen_.indptr) > most
    )
    np.testing.assert_allclose(cut.loss_curve_, whole.loss_curve_, rtol=1e-6)
    np.testing.assert_allclose(
        cut.to_model().item_factors_ @ cut.to_model().item_factors_.T,
        whole.to_model().item_factors_ @ whole.to_model().item_factors_.T, atol=1e-5,
    )  # fmt: skip
