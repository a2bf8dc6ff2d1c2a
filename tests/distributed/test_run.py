"""Runs that continue after any half epoch end with the same bits, and the driver holds no data."""

import pytest

pytest.importorskip("pyspark", reason="pyspark is not installed: make test-spark has it")

import numpy as np

from fastrec.distributed import SparkImplicitALS
from fastrec.distributed.exchange import FrameExchange
from fastrec.distributed.journal import Journal
from tests.distributed.test_spark_als import COLUMNS, OPTIONS


class Stopped(Exception):
    pass


def model(path, **options):
    return SparkImplicitALS(20, path=str(path), **{**OPTIONS, "shards": 2, **options})


@pytest.fixture(scope="module")
def whole(spark, events, tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "run"
    return model(path).fit(spark.createDataFrame(events), **COLUMNS).to_model()


@pytest.mark.parametrize("step", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("written", [False, True])
def test_a_run_goes_on_from_its_last_half_epoch(spark, events, whole, tmp_path, monkeypatch, step, written):
    frame, add, started = spark.createDataFrame(events), Journal.add, []

    def stop(journal, line):
        if line.step == step and not written:
            raise Stopped  # the factors are there, but not recorded
        add(journal, line)
        if line.step == step:
            raise Stopped

    monkeypatch.setattr(Journal, "add", stop)
    with pytest.raises(Stopped):
        model(tmp_path / "run").fit(frame, **COLUMNS)
    monkeypatch.setattr(Journal, "add", add)
    solve = FrameExchange.solve
    monkeypatch.setattr(FrameExchange, "solve", lambda *given: (started.append(given), solve(*given))[1])
    resumed = model(tmp_path / "run", shards=3, exchange="wanted").fit(frame, **COLUMNS)
    assert len(started) == 4 - max(0, step - (not written))  # finished steps are not repeated
    assert np.array_equal(resumed.to_model().item_factors_, whole.item_factors_)


def test_a_run_can_be_made_longer_and_not_shorter(spark, events, tmp_path):
    frame = spark.createDataFrame(events)
    first = model(tmp_path / "run", iterations=1).fit(frame, **COLUMNS)
    assert first.n_iter_ == 1
    longer = model(tmp_path / "run", iterations=2).fit(frame, **COLUMNS)
    assert longer.loss_curve_[0] == first.loss_curve_[0]
    with pytest.raises(ValueError, match="holds 2 epochs, more than the 1 after which this model stops"):
        model(tmp_path / "run", iterations=1).fit(frame, **COLUMNS)
    again = model(tmp_path / "run", iterations=1).fit(frame, **COLUMNS, resume=False)
    assert again.n_iter_ == 1


def test_the_driver_collects_small_numbers_alone(spark, events, tmp_path, monkeypatch):
    frame = spark.createDataFrame(events)
    collected = []
    collect = type(frame).collect

    def counted(self):
        rows = collect(self)
        collected.append(sum(len(v) if isinstance(v, bytes | bytearray | str) else 8 for row in rows for v in row))
        return rows

    monkeypatch.setattr(type(frame), "collect", counted)
    model(tmp_path / "run").fit(frame, **COLUMNS, resume=False)
    assert len(collected) > 8
    pieces, width = 3, 32
    assert max(collected) <= 1000 * 2 * 20 or max(collected) <= pieces * (2 * 8 * width**2 + 24)
    assert max(collected[-4:]) <= pieces * (2 * 8 * width**2 + 24)  # the half epochs: 2 k² numbers a piece
