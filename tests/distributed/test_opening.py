"""A run of another job is refused; the exchange is chosen by the executors' access and the bytes moved."""

import numpy as np
import pyarrow as pa
import pytest

pytest.importorskip("pyspark", reason="pyspark is not installed: make test-spark has it")

from fastrec.distributed import SparkImplicitALS, opening
from fastrec.distributed.exchange import Layout
from fastrec.distributed.opening import wants_less

TABLE = pa.table({"user": [1, 1, 2], "item": ["a", "b", "a"], "n": [1.0, 2.0, 3.0]})


def fit(spark, tmp_path, table=TABLE, resume=True, **options):
    options = dict(path=str(tmp_path / "run"), random_state=0, iterations=1) | options
    return SparkImplicitALS(3, **options).fit(spark.createDataFrame(table), value="n", resume=resume)


def test_another_job_is_refused_and_the_difference_named(spark, tmp_path):
    fit(spark, tmp_path)
    fit(spark, tmp_path, random_state=None)  # any seed is replaced by that of the run
    with pytest.raises(ValueError, match=r"holds another job: its alpha is 'auto', not 2\.0"):
        fit(spark, tmp_path, alpha=2.0)
    with pytest.raises(ValueError, match="holds another job: its random_state is 0, not 1"):
        fit(spark, tmp_path, random_state=1)
    other = TABLE.set_column(2, "n", pa.array([1.0, 2.0, 4.0]))
    with pytest.raises(ValueError, match="holds another job: its content is"):
        fit(spark, tmp_path, other)
    assert fit(spark, tmp_path, other, resume=False).to_model().seen_.data.tolist() == [1.0, 2.0, 4.0]


def test_values_that_add_up_to_infinity_are_refused(spark, tmp_path):
    table = pa.table({"user": [1, 1], "item": ["a", "a"], "n": [3e38, 3e38]})
    with pytest.raises(ValueError, match=r"add up to 6e\+38, too large for float32"):
        fit(spark, tmp_path, table)


def test_files_that_not_all_executors_see_are_refused_or_gone_without(spark, tmp_path, monkeypatch):
    assert fit(spark, tmp_path).exchange_ == "files"
    monkeypatch.setattr(opening, "_see_folder", lambda spark, layout: False)
    assert fit(spark, tmp_path).exchange_ in ("all", "wanted")
    with pytest.raises(ValueError, match="exchange='files' needs a folder that the driver and all executors see"):
        fit(spark, tmp_path, exchange="files")


def test_shards_with_few_entries_want_fewer_rows():
    places = (np.arange(64), np.arange(64))
    layout = Layout("run", (100_000_000, 10_000_000), 64, places)
    assert wants_less(layout, 100_000_000)
    assert not wants_less(layout, 30_000_000_000)
