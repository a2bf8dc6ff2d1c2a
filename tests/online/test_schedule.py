"""New models by a plan."""

import threading

import pytest

from fastrec.models import (
    PureSVD,
    compress,
)
from fastrec.online import Schedule, Updater, Versions
from tests.online.following import data


def test_the_schedule_makes_models_and_tells(model, journal, tmp_path):
    versions = Versions(tmp_path / "models")
    versions.publish(model)
    told = {"checkpoint": threading.Event(), "refit": threading.Event(), "failed": threading.Event()}
    updater = Updater(versions, journal)
    schedule = Schedule(
        updater, checkpoint_every=0, refit_share=0.2, tick=0.01, report=lambda what, seconds: told[what].set()
    ).start()
    journal.append([("u1", "i3")])  # no request arrives, and all is done nevertheless
    assert told["checkpoint"].wait(20)
    journal.append([(f"u{n}", f"i{item}") for n in range(30) for item in (4, 5)])
    assert told["refit"].wait(20)
    assert not told["failed"].is_set()
    schedule.stop()
    assert journal.trimmed_seq() > 0
    assert updater.problem is None


def test_a_refit_that_fails_waits_before_it_is_tried_again(model, journal, tmp_path, monkeypatch):
    versions = Versions(tmp_path / "models")
    versions.publish(model)
    updater, failed = Updater(versions, journal), []
    monkeypatch.setattr(updater, "refit", lambda: failed.append(1) or 1 / 0)
    schedule = Schedule(updater, refit_share=0.001, tick=0.002)
    journal.append([(f"u{n}", "i3") for n in range(30)])
    for _ in range(20):
        schedule._do_what_is_due()
    assert len(failed) == 1
    assert "refit failed: division by zero" in updater.problem
    schedule._retry = 0.0
    schedule._do_what_is_due()
    assert len(failed) == 2


def test_a_failure_is_no_problem_of_a_process_that_makes_no_more_models(model, journal, tmp_path, monkeypatch):
    versions = Versions(tmp_path / "models")
    versions.publish(model)
    updater, failed = Updater(versions, journal), threading.Event()
    monkeypatch.setattr(updater, "checkpoint", lambda: 1 / 0)
    schedule = Schedule(
        updater, checkpoint_every=0, tick=0.01, report=lambda what, seconds: failed.set() if what == "failed" else None
    ).start()
    journal.append([("u1", "i3")])
    assert failed.wait(20)
    assert "checkpoint failed" in updater.problem
    schedule.stop()
    assert updater.problem is None


def test_a_model_that_cannot_be_refitted_or_updated_is_refused_at_once(model, journal, tmp_path):
    versions = Versions(tmp_path / "models")
    versions.publish(compress(model, "int8"))
    updater = Updater(versions, journal)
    with pytest.raises(TypeError, match="CompressedFactors cannot be fitted again"):
        updater.refit()
    with pytest.raises(TypeError, match="CompressedFactors cannot be fitted again"):
        Schedule(updater, refit_every=60)
    Schedule(updater, checkpoint_every=60)
    with pytest.raises(TypeError, match="PureSVD has no partial_fit"):
        Schedule(Updater(PureSVD(3).fit(data()), journal), checkpoint_every=60)
