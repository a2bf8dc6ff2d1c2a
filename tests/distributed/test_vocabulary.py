"""Vocabularies on an engine: codes are those of fastrec's own, whatever the type of the ids."""

import numpy as np
import pyarrow as pa
import pytest

pytest.importorskip("pyspark", reason="pyspark is not installed: make test-spark has it")

from fastrec.data import Vocabulary
from fastrec.distributed import vocabulary as module
from fastrec.distributed.vocabulary import read_vocabulary, write_vocabulary

NUMBERS = np.random.default_rng(0).integers(-(2**40), 2**40, 3000)


@pytest.mark.parametrize(
    ("ids", "kind"),
    [
        (pa.array(NUMBERS), "bigint"),
        (pa.array((NUMBERS % 5000).astype(np.int32)), "int"),
        (pa.array([f"ä{number % 700}" for number in NUMBERS]), "string"),
        (pa.array(["only"]), "string"),
    ],
)
def test_codes_are_places_in_ascending_order(spark, tmp_path, monkeypatch, ids, kind):
    monkeypatch.setattr(module, "SAMPLE", 100)
    write_vocabulary(spark.createDataFrame(pa.table({"who": ids})), "who", str(tmp_path / "ids"))
    frame, n = read_vocabulary(spark, str(tmp_path / "ids"), kind)
    rows = sorted((row["code"], row["id"]) for row in frame.collect())
    known = Vocabulary(sorted(set(ids.to_pylist())))
    assert n == len(known)
    assert [code for code, _ in rows] == list(range(n))
    assert [id for _, id in rows] == known.ids.tolist()
