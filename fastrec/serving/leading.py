"""`Leading`: the leading process makes new models, on schedule or on request."""

import threading
from typing import Literal

from fastrec.online import Drift, Schedule, SchedulePlan, Snapshot, Updater, Versions
from fastrec.online.schedule import Listener
from fastrec.serving.refusal import Refusal

Work = Literal["checkpoint", "refit"]


class Leading:
    """The making of models in this process, as long as it leads.

    Parameters
    ----------
    plan
        The schedule of new models.
    report
        As in `Schedule`.
    """

    def __init__(self, plan: SchedulePlan, report: Listener) -> None:
        self._plan, self._report = plan, report
        self._lock = threading.Lock()  # held by a thread that starts, uses or stops the schedule
        self._schedule: Schedule | None = None
        self._has_ended = False

    @property
    def drift(self) -> Drift | None:
        """The drift of the model on the newest events, if this process measures it."""
        return None if self._schedule is None else self._schedule.drift

    def look(self, updater: Updater) -> None:
        """Becomes the process that makes new models of the journal if there is none; stops if another one is."""
        if updater.journal is None or not self._plan.makes_models or not isinstance(updater.source, Versions):
            return
        with self._lock:
            leads = not self._has_ended and updater.journal.leader.acquire()
            if leads and self._schedule is None:
                self._schedule = Schedule.of(updater, self._plan, report=self._report).start()
            elif not leads:
                self._stop()

    def make(self, updater: Updater, what: Work) -> Snapshot:
        """Makes a model now and publishes it.

        Raises
        ------
        Refusal
            If there is no journal or no folder of versions, the model cannot be made again, or another process leads.
        """
        if updater.journal is None or not isinstance(updater.source, Versions):
            raise Refusal(409, "new models need a journal and versions: fastrec serve --journal … --versions …")
        with self._lock:
            leader = updater.journal.leader
            if self._has_ended or not leader.acquire():
                raise Refusal(409, "another process makes the models of this journal: ask that one, or try again later")
            schedule = self._schedule or Schedule.of(updater, SchedulePlan(), report=self._report)
            try:
                return schedule.make(what)
            except TypeError as error:
                raise Refusal(409, str(error)) from None
            finally:
                if self._schedule is None and not self._plan.makes_models:
                    leader.release()

    def end(self) -> None:
        """Stops for good, after the work in hand."""
        with self._lock:
            self._has_ended = True
            self._stop()

    def _stop(self) -> None:
        if self._schedule is not None:
            self._schedule.stop()
            self._schedule = None
