"""What a server counts and measures, for Prometheus."""

import math
import os
import re
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

BUCKETS = (0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5)
CONTENT_TYPE = CONTENT_TYPE_LATEST
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


class Metrics:
    """The metrics of one worker; with several workers (`shared`), `text` adds up all of them."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.shared = SHARED_FOLDER in os.environ
        if self.shared:
            forget_the_dead(Path(os.environ[SHARED_FOLDER]))
        else:
            ProcessCollector(registry=registry)
        options: dict[str, Any] = {"registry": registry}
        newest: dict[str, Any] = {"registry": registry, "multiprocess_mode": "livemax"}
        self._requests = Counter("fastrec_requests", "Answers, by path and status.", ["path", "status"], **options)
        self._seconds = Histogram(
            "fastrec_request_seconds", "Time from a request to its answer.", ["path"], buckets=BUCKETS, **options
        )
        self.events = Counter("fastrec_events", "Events taken into the journal.", **options)
        self.known_events = Counter("fastrec_events_known", "Events that were in the journal already.", **options)
        self.refused = Counter("fastrec_events_refused", "Requests with events told to come later (429).", **options)
        self.waiting = Gauge("fastrec_journal_waiting", "Events that wait for the disk.", **newest)
        self.seq = Gauge("fastrec_snapshot_seq", "The last event that answers take into account.", **newest)
        self.model_seq = Gauge("fastrec_model_seq", "The last event that the model itself has taken in.", **newest)
        self.changed = Gauge("fastrec_changed_users", "Users with events that the model has not.", **newest)
        self.foreseen = Gauge("fastrec_foreseen_ndcg", "NDCG@10 of the newest events before taken in.", **newest)
        self.foreseen.set(math.nan)  # as long as nobody has measured it
        self.problem = Gauge("fastrec_model_problem", "1 while a newer model could not be taken or made.", **newest)
        self.models = Counter("fastrec_models", "New models, by how they came.", ["how"], **options)
        self.loaded = Gauge("fastrec_model_loaded_timestamp_seconds", "When the model was taken, since 1970.", **newest)
        self._known: dict[tuple[str, int], tuple[Any, Any]] = {}

    def observe(self, path: str, status: int, seconds: float) -> None:
        """Count one answer."""
        pair = self._known.get((path, status))
        if pair is None:
            pair = self._requests.labels(path, str(status)), self._seconds.labels(path)
            self._known[path, status] = pair
        pair[0].inc()
        pair[1].observe(seconds)

    def text(self) -> bytes:
        """All of it in Prometheus's text format."""
        if self.shared:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
            return generate_latest(registry)
        return generate_latest(self._registry)


def forget_the_dead(folder: Path) -> None:
    """Leave out what workers said last that are no more: the one that takes a dead one's place does so."""
    for pid in {int(match[1]) for file in folder.glob("gauge_live*.db") if (match := re.search(r"_(\d+)$", file.stem))}:
        if not Path(f"/proc/{pid}").exists() and Path("/proc/self").exists():
            mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
