import re

import numpy as np
import pytest

import fastrec as fr
from tests.evaluation.pages import check_html


def test_estimates_are_means_and_t_intervals(report):
    values = report.per_user("ndcg@5", "als")
    found = report.estimate("ndcg@5", "als")
    assert found.mean == pytest.approx(values.mean())
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    assert found.high - found.mean == pytest.approx(half, rel=0.03)
    assert found.users == len(report.users)


def test_a_metric_over_all_lists_has_no_interval_and_no_values_per_user(report):
    assert np.isnan(report.estimate("coverage@5", "als").low)
    with pytest.raises(ValueError, match="no value per user"):
        report.per_user("coverage@5", "als")


def test_names_are_checked(report):
    with pytest.raises(ValueError, match="several models: name one of 'als', 'popular'"):
        report.mean("ndcg@5")
    with pytest.raises(ValueError, match="model must be one of"):
        report.mean("ndcg@5", "bpr")
    with pytest.raises(ValueError, match="metric must be one of"):
        report.mean("ndcg@50", "als")


def test_intervals_stay_within_the_range_of_the_metric():
    train, test = np.eye(6)[[0, 0, 0, 1, 1]], np.eye(6)[[1, 1, 1, 0, 5]]
    found = fr.evaluate(fr.Popularity().fit(train), test, "hit_rate@1").estimate("hit_rate@1")
    assert found.high == 1.0
    assert found.low > 0


def test_bootstrap_and_analytic_intervals_agree_for_many_users():
    rng = np.random.default_rng(0)
    train, test = rng.random((500, 30)) < 0.2, rng.random((500, 30)) < 0.2
    model = fr.Popularity().fit(train)
    one, other = (fr.evaluate(model, test, "ndcg@5", interval=how) for how in ("analytic", "bootstrap"))
    a, b = one.estimate("ndcg@5"), other.estimate("ndcg@5")
    assert a.mean == b.mean
    assert b.low == pytest.approx(a.low, abs=0.1 * (a.high - a.low))
    assert b.high == pytest.approx(a.high, abs=0.1 * (a.high - a.low))
    assert "2000 bootstrap resamples" in other.notes[-1]
    again = fr.evaluate(model, test, "ndcg@5", interval="bootstrap")
    assert again.estimate("ndcg@5") == b


def test_confidence_widens_the_interval():
    rng = np.random.default_rng(0)
    train, test = rng.random((50, 30)) < 0.2, rng.random((50, 30)) < 0.2
    model = fr.Popularity().fit(train)
    wide, narrow = (fr.evaluate(model, test, "ndcg@5", confidence=c).estimate("ndcg@5") for c in (0.99, 0.5))
    assert wide.low < narrow.low < narrow.high < wide.high
    assert "99 % confidence" in fr.evaluate(model, test, "ndcg@5", confidence=0.99).notes[-1]


def test_segments_part_the_users(report):
    parts = report.segments()
    assert sum(len(part.users) for part in parts.values()) == len(report.users)
    assert len(parts["no history"].users) == 5
    for part in parts.values():
        assert part.metrics == ("ndcg@5", "recall@10")
    assert len(parts) == 5
    weights = [len(part.users) for part in parts.values()]
    means = [part.mean("ndcg@5", "als") for part in parts.values()]
    assert np.average(means, weights=weights) == pytest.approx(report.mean("ndcg@5", "als"))


def test_segments_by_any_label(report):
    labels = np.where(np.arange(len(report.users)) < 30, "first", "rest")
    parts = report.segments(labels)
    assert list(parts) == ["first", "rest"]
    np.testing.assert_array_equal(parts["first"].users, report.users[:30])
    with pytest.raises(ValueError, match="one label for each"):
        report.segments(labels[:3])


@pytest.mark.parametrize("backend", ["pandas", "polars", "pyarrow"])
def test_frames(report, backend):
    pytest.importorskip(backend)
    frame = report.to_frame(backend)
    columns = frame.column_names if backend == "pyarrow" else list(frame.columns)
    assert columns == ["model", "metric", "mean", "low", "high", "users"]
    assert len(frame) == 6
    users = report.per_user_frame(backend)
    assert len(users) == 2 * len(report.users)
    assert len(report.compare().to_frame(backend)) == 2


def test_repr_shows_means_intervals_and_who_was_left_out(report):
    text = repr(report)
    assert re.search(r"ndcg@5 +0\.\d{4} \[0\.\d{4}, 0\.\d{4}\]", text)
    assert "users evaluated" in text
    assert "Student's t" in text
    assert text.encode("ascii"), "any terminal can show it"
    assert "Holm" in repr(report.compare())


def test_html_escapes_names():
    model = fr.Popularity().fit(np.eye(3))
    report = fr.evaluate({"<script>alert(1)</script>": model}, np.eye(3)[[1, 2, 0]], "ndcg@1")
    assert "<script>" not in report._repr_html_()
    check_html(report._repr_html_())


def test_reports_cannot_be_changed(report):
    with pytest.raises(AttributeError):
        report.models = ()
