"""Counts and measures of a server for Prometheus."""

import collections
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from fastrec.serving.conversions import Conversions
from fastrec.serving.settings import SHARED_FOLDER

BUCKETS = (0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5)
CONTENT_TYPE = CONTENT_TYPE_LATEST
# Answers that are counted together: one after the other they take three times as long.
OBSERVED_AT_ONCE = 100


class Metrics:
    """The metrics of one worker; with several workers (`shared`), `text` adds up those of all.

    Parameters
    ----------
    models
        The names of the models that are served.
    """

    def __init__(self, models: Sequence[str] = ()) -> None:
        self._registry = registry = CollectorRegistry()
        self.shared = SHARED_FOLDER in os.environ
        if not self.shared:
            ProcessCollector(registry=registry)
        options: dict[str, Any] = {"registry": registry}
        newest: dict[str, Any] = {"registry": registry, "multiprocess_mode": "livemax"}
        self._requests = Counter("fastrec_requests", "Answers, by path and status.", ["path", "status"], **options)
        self._seconds = Histogram(
            "fastrec_request_seconds", "Seconds from a request to its answer.", ["path"], buckets=BUCKETS, **options
        )
        self.events = Counter("fastrec_events", "Events taken into the journal.", **options)
        self.known_events = Counter("fastrec_events_known", "Events that the journal had already.", **options)
        self.refused = Counter(
            "fastrec_events_refused", "Requests with events that were told to come later (429).", **options
        )
        self.conversions = Conversions(models, options)
        self.waiting = Gauge("fastrec_journal_waiting", "Events that wait for the disk.", **newest)
        self.seq = Gauge("fastrec_snapshot_seq", "The last event that answers count.", **newest)
        self.model_seq = Gauge("fastrec_model_seq", "The last event that the model itself has taken in.", **newest)
        self.changed = Gauge("fastrec_changed_users", "Users with events that the model has not taken in.", **newest)
        self.held_users = Gauge("fastrec_held_users", "New users held back from the model.", **newest)
        self.held_items = Gauge("fastrec_held_items", "New items held back from the model.", **newest)
        self.held_events = Gauge("fastrec_held_events", "Events of them.", **newest)
        self.given_up = Gauge("fastrec_events_given_up", "Events of new ids left out for good.", **newest)
        self._newest = newest
        self._foreseen: Gauge | None = None
        self.problem = Gauge("fastrec_model_problem", "1 while there is a problem, as in /readyz.", **newest)
        self.models = Counter(
            "fastrec_models", "New models, by their way: loaded, checkpoint, refit or failed.", ["how"], **options
        )
        self.loaded = Gauge("fastrec_model_loaded_timestamp_seconds", "The time when the model was loaded.", **newest)
        self._options = options
        self._of_models: tuple[Counter, Histogram] | None = None
        self._observed: list[tuple[str, int, float]] = []

    def took_model(self, how: str) -> None:
        """Counts a new model by its way; or one that "failed"."""
        self.models.labels(how).inc()
        if how != "failed":
            self.loaded.set_to_current_time()

    def foresees(self, ndcg: float) -> None:
        """Sets the quality of predictions of the newest events; until it is known there is no such metric."""
        if math.isnan(ndcg):
            return
        if self._foreseen is None:
            said = "NDCG@10 of the newest events before they were taken in."
            self._foreseen = Gauge("fastrec_foreseen_ndcg", said, **self._newest)
        self._foreseen.set(ndcg)

    def observe_model(self, name: str, status: int, seconds: float) -> None:
        """Counts an answer of one of several models; with a single model there are no such metrics."""
        if self._of_models is None:
            said = "Time from a request to its answer, by the model that answered."
            seconds_of = Histogram("fastrec_model_seconds", said, ["model"], buckets=BUCKETS, **self._options)
            answers = Counter(
                "fastrec_model_answers", "Answers, by model and status.", ["model", "status"], **self._options
            )
            self._of_models = answers, seconds_of
        self._of_models[0].labels(name, str(status)).inc()
        self._of_models[1].labels(name).observe(seconds)

    def observe(self, path: str, status: int, seconds: float) -> None:
        """Counts one answer, together with others soon."""
        self._observed.append((path, status, seconds))
        if len(self._observed) >= OBSERVED_AT_ONCE:
            self.count_observed()

    def count_observed(self) -> None:
        """Counts the answers of the last moments."""
        observed, self._observed = self._observed, []
        for (path, status), n in collections.Counter((path, status) for path, status, _ in observed).items():
            self._requests.labels(path, str(status)).inc(n)
        seconds_of = {path: self._seconds.labels(path) for path, _, _ in observed}
        for path, _, seconds in observed:
            seconds_of[path].observe(seconds)
        self.conversions.count_answers()

    def text(self) -> bytes:
        """Returns the metrics in Prometheus's text format."""
        self.count_observed()
        if self.shared:
            registry = CollectorRegistry()
            forget_the_dead(Path(os.environ[SHARED_FOLDER]))
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
            return generate_latest(registry)
        return generate_latest(self._registry)


def forget_the_dead(folder: Path) -> None:
    """Drops the gauges of workers that were killed and could not remove them."""
    if os.name == "nt":  # Windows has no signal that does nothing
        return
    for pid in {int(file.stem.rpartition("_")[2]) for file in folder.glob("gauge_live*_*.db")}:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
