"""Tests whether models differ."""

import numpy as np
import pytest

import fastrec as fr
from fastrec.evaluation import Comparison


def test_compare_is_paired_and_corrected(report):
    comparison = report.compare()
    assert isinstance(comparison, Comparison)
    row = comparison.rows[0]
    difference = report.per_user("ndcg@5", "als") - report.per_user("ndcg@5", "popular")
    assert row.difference == pytest.approx(difference.mean())
    assert row.low < row.difference < row.high
    assert [row.metric for row in comparison.rows] == ["ndcg@5", "recall@10"]
    assert all(row.p_corrected >= row.p_value for row in comparison.rows)


def test_both_tests_find_a_clear_difference(report):
    for test in ("wilcoxon", "randomization"):
        assert report.compare(test).rows[1].p_value < 0.01
    with pytest.raises(ValueError, match="test must be one of"):
        report.compare("t-test")


def test_compare_needs_two_models():
    single = fr.evaluate(fr.Popularity().fit(np.eye(3)), np.eye(3)[[1, 2, 0]], "ndcg@1")
    with pytest.raises(ValueError, match="at least two models"):
        single.compare()


def test_equal_models_differ_by_nothing():
    rng = np.random.default_rng(0)
    train, test = rng.random((50, 30)) < 0.2, rng.random((50, 30)) < 0.2
    report = fr.evaluate({"a": fr.Popularity().fit(train), "b": fr.Popularity().fit(train)}, test)
    for test_name in ("wilcoxon", "randomization"):
        for row in report.compare(test_name).rows:
            assert (row.difference, row.low, row.high, row.p_value) == (0.0, 0.0, 0.0, 1.0)
    assert "<strong>" not in report._repr_html_(), "no best among equals"
