"""The counters of a server."""

import pytest

pytest.importorskip("prometheus_client", reason="needs fastrec[serve]")

from fastrec.serving.metrics import Metrics


def test_answers_are_counted_by_path_and_status():
    metrics = Metrics()
    for status, seconds in ((200, 0.001), (200, 0.2), (404, 0.001)):
        metrics.observe("/users", status, seconds)
    text = metrics.text().decode()
    assert 'fastrec_requests_total{path="/users",status="200"} 2.0' in text
    assert 'fastrec_requests_total{path="/users",status="404"} 1.0' in text
    assert 'fastrec_request_seconds_count{path="/users"} 3.0' in text


def test_the_quality_of_predictions_is_reported_once_it_is_known():
    metrics = Metrics()
    metrics.foresees(float("nan"))
    assert b"fastrec_foreseen_ndcg" not in metrics.text()
    metrics.foresees(0.25)
    assert b"fastrec_foreseen_ndcg 0.25" in metrics.text()


def test_a_model_that_failed_is_none_that_was_loaded():
    metrics = Metrics()
    metrics.took_model("failed")
    assert b"fastrec_model_loaded_timestamp_seconds 0.0" in metrics.text()
    metrics.took_model("start")
    assert b"fastrec_model_loaded_timestamp_seconds 0.0" not in metrics.text()
