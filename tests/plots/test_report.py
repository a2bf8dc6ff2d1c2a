"""Pictures of an evaluation."""

import numpy as np
import pytest

import fastrec as fr

matplotlib = pytest.importorskip("matplotlib")

from fastrec import plots  # noqa: E402


def test_metric_bars_are_as_long_as_the_means_and_the_intervals_are_the_reports(report):
    ax = plots.metric_bars(report)
    widths = [bar.get_width() for bar in ax.patches]
    expected = [report.mean(metric, model) for model in report.models for metric in ("ndcg@5", "recall@5")]
    np.testing.assert_allclose(widths, expected)
    segments = ax.collections[0].get_segments()
    estimate = report.estimate("ndcg@5", "one")
    np.testing.assert_allclose(sorted(segments[0][:, 0]), [estimate.low, estimate.high])


def test_metric_bars_leave_out_what_has_another_scale_unless_asked(report):
    assert [t.get_text() for t in plots.metric_bars(report).get_yticklabels()] == ["ndcg@5", "recall@5"]
    labels = plots.metric_bars(report, metrics=["novelty@5"]).get_yticklabels()
    assert [t.get_text() for t in labels] == ["novelty@5"]
    with pytest.raises(ValueError, match="metrics must be one of"):
        plots.metric_bars(report, metrics=["mrr@5"])


def test_a_report_draws_itself(report):
    assert len(report.plot().patches) == 4


def test_a_metric_curve_shows_each_cut_off_with_its_interval(small):
    train, test = fr.split_random(small, 0.3, random_state=0)
    models = {"als": fr.ImplicitALS(4, iterations=1, random_state=0).fit(train), "pop": fr.Popularity().fit(train)}
    report = fr.evaluate(models, test, ["recall@20", "recall@1", "recall@5", "ndcg@5"])
    ax = fr.plots.metric_curve(report)
    assert len(ax.lines) == 2
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [1, 5, 20])
    np.testing.assert_allclose(ax.lines[1].get_ydata(), [report.mean(f"recall@{k}", "pop") for k in (1, 5, 20)])
    assert len(ax.collections) == 2
    with pytest.raises(ValueError, match="needs 'ndcg' at two cut-offs or more"):
        fr.plots.metric_curve(report, metric="ndcg")


def test_metric_bars_take_one_name(report):
    assert [label.get_text() for label in plots.metric_bars(report, metrics="recall@5").get_yticklabels()] == [
        "recall@5"
    ]
