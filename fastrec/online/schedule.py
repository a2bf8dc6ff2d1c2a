"""`Schedule`: makes new models at intervals, or when enough events have come in."""

import threading
import time
from collections.abc import Callable
from typing import Self, TypeAlias

from fastrec.models import Recommender
from fastrec.online.drift import Drift
from fastrec.online.plan import SchedulePlan
from fastrec.online.snapshot import Snapshot
from fastrec.online.training_data import check_refittable, check_updatable
from fastrec.online.updating import Updater

# The seconds after which a failed refit is tried again; they double up to an hour.
RETRY_SECONDS, LONGEST_RETRY = 60.0, 3600.0

Listener: TypeAlias = Callable[[str, float], None]


def check_plan(plan: SchedulePlan, model: Recommender) -> None:
    """Refuses a model that cannot be updated or refitted as planned."""
    if plan.updates:
        check_updatable(model)
    if plan.refits:
        check_refittable(model)


class Schedule:
    """A thread that makes new models at intervals, or when enough events have come in.

    Parameters
    ----------
    updater
        The updater to work with.
    checkpoint_every, refit_every, refit_share, refit_drift
        As in `SchedulePlan`.
    tick
        The seconds between checks of the clock and the model file.
    report
        Called with a word and the seconds it took after each piece of work, or with "failed" and 0 after an error.

    Raises
    ------
    TypeError
        If the model cannot be updated or refitted as asked.
    """

    def __init__(
        self,
        updater: Updater,
        *,
        checkpoint_every: float | None = None,
        refit_every: float | None = None,
        refit_share: float | None = None,
        refit_drift: float | None = None,
        tick: float = 1.0,
        report: Listener | None = None,
    ) -> None:
        self.plan = SchedulePlan(
            checkpoint_every=checkpoint_every, refit_every=refit_every, refit_share=refit_share, refit_drift=refit_drift
        )
        check_plan(self.plan, updater.snapshot.model)
        self.updater = updater
        self.drift = None if refit_drift is None else Drift(refit_drift)
        self.tick = tick
        self.report = report or (lambda what, seconds: None)
        self._stop = threading.Event()
        # a monotonic clock: a change of the system clock moves no refit
        self._last = {"checkpoint": time.monotonic(), "refit": time.monotonic()}
        self._works = {"checkpoint": lambda: updater.checkpoint(), "refit": lambda: updater.refit()}
        self._failures, self._retry = 0, 0.0  # failed refits in a row, and the time of the next attempt
        self._thread = threading.Thread(target=self._run, name="fastrec-updates", daemon=True)

    @classmethod
    def of(cls, updater: Updater, plan: SchedulePlan, *, report: Listener | None = None) -> Self:
        """Makes the schedule of a plan."""
        return cls(updater, **plan.options(), report=report)

    def start(self) -> Self:
        """Starts."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stops after the work in hand, and clears its problems, since another process does the work now."""
        self._stop.set()
        self._thread.join()
        for what in ("schedule", "drift", *self._works):
            self.updater.tell(what, None)

    def _run(self) -> None:
        while not self._stop.wait(self.tick):
            self._look()
            self._do_what_is_due()

    def _do_what_is_due(self) -> None:
        try:
            for what, is_due in (("refit", self._refit_is_due), ("checkpoint", self._checkpoint_is_due)):
                if not self._stop.is_set() and is_due():
                    self._try(what)
            self.updater.tell("schedule", None)
        except Exception as error:  # such as a journal that cannot be read
            self.updater.tell("schedule", f"no updates: {error}")

    def _look(self) -> None:
        if self.drift is not None and self.updater.journal is not None:
            try:
                self.drift.look(self.updater.catch_up(), self.updater.journal)
                self.updater.tell("drift", None)
            except Exception as error:  # such as a disk that cannot be read: it is tried again
                self.updater.tell("drift", f"drift could not be measured: {error}")

    def make(self, what: str) -> Snapshot:
        """Makes a model now, whether it is due or not; `what` is "checkpoint" or "refit"."""
        began = time.monotonic()
        try:
            snapshot = self._works[what]()
            if what == "refit":
                self._failures = 0
                self._last["checkpoint"] = time.monotonic()
                if self.drift is not None:
                    self.drift.reset()
            self.updater.trim()
        finally:
            self._last[what] = time.monotonic()
        self.updater.tell(what, None)
        self.report(what, time.monotonic() - began)
        return snapshot

    def _try(self, what: str) -> None:
        try:
            self.make(what)
        except Exception as error:  # such as a full disk: it is tried again when due
            if what == "refit":
                self._retry = time.monotonic() + min(LONGEST_RETRY, RETRY_SECONDS * 2**self._failures)
                self._failures += 1
            self.updater.tell(what, f"{what} failed: {error}")
            self.report("failed", 0.0)

    def _checkpoint_is_due(self) -> bool:
        return (
            self.plan.checkpoint_every is not None
            and time.monotonic() - self._last["checkpoint"] >= self.plan.checkpoint_every
            and self.updater.journal is not None
            and self.updater.journal.last_seq() > self.updater.snapshot.model_seq
        )

    def _refit_is_due(self) -> bool:
        if self._failures and time.monotonic() < self._retry:
            return False
        known = max(1, self.updater.snapshot.model.seen_.nnz)
        if self.plan.refit_share is not None and self.updater.events_since_refit() >= self.plan.refit_share * known:
            return True
        if self.drift is not None and self.drift.has_fallen:
            return True
        return self.plan.refit_every is not None and time.monotonic() - self._last["refit"] >= self.plan.refit_every
