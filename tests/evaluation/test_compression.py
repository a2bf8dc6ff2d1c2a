"""The report on compression: its rows agree with evaluation and with the models themselves."""

import tracemalloc

import numpy as np
import pytest

import fastrec as fr
from fastrec.compression import Int4Codec
from fastrec.evaluation.compression import _recall


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.random((120, 60)) < 0.2
    hidden = rng.random(X.shape) < 0.3
    return (X & ~hidden).astype(np.float32), (X & hidden).astype(np.float32)


@pytest.fixture(scope="module")
def model(data):
    return fr.ImplicitALS(16, iterations=3, random_state=0, n_jobs=1).fit(data[0])


def test_rows_are_what_evaluation_and_models_say(model, data):
    report = fr.compression_report(model, data[1], ["float16", "int4"], k=5, repeats=1)
    original, half, nibbles = report.rows
    assert [row.codec for row in report.rows] == ["original", "float16", "int4"]
    assert [row.bytes_per_vector for row in report.rows] == [64, 32, 9]
    assert original.total_bytes == 4 * 16 * 180
    assert half.total_bytes == 2 * 16 * 180
    assert half.smaller == 2
    assert nibbles.total_bytes == 9 * 180 + 2 * 4 * (16 * 16 + 256)
    small = fr.compress(model, "int4")
    assert nibbles.ndcg == fr.evaluate(small, data[1], ["ndcg@5"]).mean("ndcg@5")
    assert nibbles.change == pytest.approx(nibbles.ndcg / original.ndcg - 1)
    users = np.flatnonzero(data[1].any(axis=1))
    exact, found = model.recommend(users, 5).codes, small.recommend(users, 5).codes
    shares = [len(set(a) & set(b)) / 5 for a, b in zip(exact, found, strict=True)]
    assert nibbles.recall == pytest.approx(np.mean(shares))
    assert original.recall == 1
    assert original.change == 0
    assert all(row.queries_per_second > 0 for row in report.rows)


def test_it_is_shown_as_a_table_and_given_as_a_frame(model, data):
    report = fr.compression_report(model, data[1], {"four bits": Int4Codec(group_size=8, rotation=None)}, repeats=1)
    text = repr(report)
    assert "CompressionReport of ImplicitALS" in text
    assert "four bits" in text
    assert "NDCG@10" in text
    assert "<th" in report._repr_html_()
    frame = report.to_frame()
    assert list(frame["codec"]) == ["original", "four bits"]
    assert list(frame["bytes_per_vector"]) == [64, 10]


def test_all_codecs_by_default(data):
    report = fr.compression_report(fr.EASE(n_jobs=1).fit(data[0]), data[1], repeats=1)
    assert [row.codec for row in report.rows] == ["original", "float16", "int8", "int4"]
    assert report.rows[1].smaller == 2


def test_bad_input_is_refused(model, data):
    with pytest.raises(ValueError, match="codec must be one of"):
        fr.compression_report(model, data[1], ["int2"])
    with pytest.raises(ValueError, match="must not call one 'original'"):
        fr.compression_report(model, data[1], {"original": "int4"})
    with pytest.raises(ValueError, match="codecs must differ, got 2 of which 1 do: int8"):
        fr.compression_report(model, data[1], ["int8", "int8"])
    with pytest.raises(ValueError, match="repeats must be an integer of at least 1"):
        fr.compression_report(model, data[1], "int8", repeats=0)
    with pytest.raises(TypeError, match="Popularity cannot be compressed"):
        fr.compression_report(fr.Popularity().fit(data[0]), data[1], "int8")


def test_long_lists_are_compared_in_little_memory(model, data):
    tracemalloc.start()
    exact, found = (np.tile(np.arange(1000, dtype=np.int32), (300, 1)) for _ in range(2))
    assert _recall(exact, np.roll(found, 500, axis=1)) == 1
    assert _recall(exact, np.where(found < 250, found, -1)) == 0.25
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6
