"""Interactions of a frame on an engine."""

import pyarrow as pa
import pytest

pytest.importorskip("pyspark", reason="pyspark is not installed: make test-spark has it")

from fastrec.distributed import read_interactions


def test_events_come_to_one_machine(spark):
    frame = spark.createDataFrame(pa.table({"u": ["b", "a"], "i": [5, 6], "n": [1.0, 2.0], "other": [0, 0]}))
    data = read_interactions(frame, "u", "i", value="n")
    assert data.users.ids.tolist() == ["a", "b"]
    assert data.matrix.toarray().tolist() == [[0.0, 2.0], [1.0, 0.0]]
