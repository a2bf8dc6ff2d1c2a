"""The journal of a run: recorded steps are read again, and a run that has only started leaves nothing."""

import numpy as np
import pytest

pytest.importorskip("pyspark", reason="pyspark is not installed: make test-spark has it")

from fastrec.distributed.journal import Journal, Line
from fastrec.solvers.als_bases import Gramians


def test_lines_are_read_in_order_the_last_one_with_its_arrays(spark, tmp_path):
    journal = Journal(spark, str(tmp_path / "run"))
    assert journal.read() == []
    journal.begin()
    assert journal.read() == []
    gram, basis = np.arange(256.0).reshape(16, 16), np.eye(16, dtype=np.float32)
    journal.add(Line(0, {"n_users": 3}, Gramians.first(gram)))
    only = journal.read()
    assert (only[0].step, only[0].facts, only[0].basis) == (0, {"n_users": 3}, None)
    journal.add(Line(1, {"loss": 0.5}, Gramians(2 * gram, np.stack([gram, 3 * gram])), basis))
    first, last = journal.read()
    assert (first.facts, first.gramians) == ({"n_users": 3}, None)
    assert last.facts == {"loss": 0.5}
    assert np.array_equal(last.gramians.last, 2 * gram)
    assert np.array_equal(last.gramians.weighted, [gram, 3 * gram])
    assert np.array_equal(last.basis, basis)
    journal.begin()
    assert journal.read() == []
