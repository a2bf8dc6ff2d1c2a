"""Updater: follows the journal, and now and then makes a new model of what has come in."""

import copy
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Self, overload

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from fastrec.data import Interactions, Vocabulary
from fastrec.models import CompressedFactors, CompressedWeights, Recommender
from fastrec.models.base.updating import pad_facts, reach, resize
from fastrec.online.admission import LARGEST_HOLD, Admission, Sizes
from fastrec.online.drift import Drift
from fastrec.online.journal import Deletion, Event, Id, Journal, JournalTrimmedError
from fastrec.online.lineage import describe_lineage, find_misfit
from fastrec.online.snapshot import Snapshot, takes_value, training_events, unknown_ids
from fastrec.online.versions import Marks, Published, Versions, load_published
from fastrec.validation import check_choice

READ_AT_ONCE = 20_000
# A refit that has failed is tried again after so many seconds, then after twice as many, up to an hour.
RETRY_SECONDS, LONGEST_RETRY = 60.0, 3600.0
# A model whose events have just been trimmed is loaded again so often, after so many seconds and then twice as many.
TRIES, FIRST_PAUSE = 8, 0.05
# So many events of the journal are looked for in a model that does not say whether it has them.
PROBED_EVENTS, FEWEST_PROBED, SUSPICIOUS_SHARE = 500, 50, 0.9

log = logging.getLogger(__name__)

Source = Recommender | Versions | str | os.PathLike[str]


class Updater:
    """Keeps a `Snapshot` that has taken in the journal, each event once, and makes new models from it.

    Readers take `snapshot` and use it as long as they like; a new one takes its place by one assignment. Whatever
    process it runs in, and however often that was killed, the same journal and model give the same snapshot, bit for
    bit.

    Parameters
    ----------
    source
        A fitted model, a model file, or `Versions`: the model to begin with. Only with Versions are new models
        published.
    journal
        The events. None: nothing ever changes, but the model may be exchanged.
    policy : {"sum", "last", "max"} or None
        What several events of one user and item add up to; None: the last one counts for models of ratings, else their
        sum.
    verify, mapped
        As in `fastrec.load`; files of Versions are never overwritten, and mapped in any case.
    prepare
        Called with each snapshot of a new model before that is put in place: to warm it up.
    new_users, new_items : {"hold", "refuse", "take"}
        What becomes of ids that the model does not know, at an update: "hold" takes them in up to twice as many as the
        model was fitted to, then a thousand at each update, and holds back the events of the others; "refuse" takes in
        none, "take" all, however many they are.
    support
        An item that so many users have had is taken in where others are held.
    force
        Take a model that does not fit the one before it, or the journal.

    Attributes
    ----------
    snapshot : Snapshot
        What to answer from.
    problem : str or None
        What is wrong, while the model goes on answering: why a newer one could not be taken or made, say.
    given_up : int
        How many events this Updater's own updates have left out for good, their users or items being new.

    Raises
    ------
    JournalTrimmedError
        Where the journal has no longer what the model needs, and no newer model appears.
    ValueError
        Where model and journal are not each other's.

    Examples
    --------
    >>> import tempfile
    >>> from fastrec.models import Popularity
    >>> from fastrec.online import Journal
    >>> journal = Journal(tempfile.mkdtemp() + "/events.db")
    >>> updater = Updater(Popularity().fit([[1, 1, 0], [0, 1, 1]]), journal)
    >>> _ = journal.append([(0, 2)])
    >>> updater.catch_up().recommend([0], k=3).codes
    array([[-1, -1, -1]], dtype=int32)
    >>> _ = journal.append([(7, 2), (8, 2)])
    >>> updater.checkpoint().recommend([0], k=3, exclude_seen=False).codes
    array([[2, 1, 0]], dtype=int32)
    >>> journal.close()
    """

    def __init__(
        self,
        source: Source,
        journal: Journal | None = None,
        *,
        policy: str | None = None,
        verify: Any = True,
        mapped: bool = True,
        prepare: Callable[[Snapshot], None] | None = None,
        new_users: str = "hold",
        new_items: str = "hold",
        support: int = 5,
        force: bool = False,
    ) -> None:
        self.source = source
        self.journal = journal
        self.policy = check_choice("policy", policy, (None, "sum", "last", "max"))
        self.verify, self.mapped = verify, mapped
        self.prepare = prepare or (lambda snapshot: None)
        self.admission = Admission(new_users, new_items, support)
        self.force = force
        self.given_up = 0
        self._marks = Marks()  # of the snapshot's model
        self._problems: dict[str, str] = {}
        self._taking_in = threading.Lock()
        self._making = threading.Lock()
        self.snapshot: Snapshot = self._begin()

    @property
    def refit_seq(self) -> int:
        """Up to where the journal was in the data of the model's last fit."""
        return self._marks.refit_seq or 0

    @property
    def problem(self) -> str | None:
        """What is wrong; None where all is well."""
        return "; ".join(self._problems.copy().values()) or None

    def tell(self, what: str, problem: str | None) -> None:
        """Note a problem of some kind ("model", "refit", "journal" …), or that it is over; each is logged once."""
        if problem is not None:
            if self._problems.get(what) != problem:
                log.warning("%s", problem)
            self._problems[what] = problem
        elif self._problems:
            self._problems.pop(what, None)

    def events_since_refit(self) -> int:
        """How many entries the journal has had since the model was last fitted to all data."""
        return 0 if self.journal is None else self.journal.last_seq() - self.refit_seq

    def policy_of(self, model: Recommender) -> str:
        """What several events of one user and item add up to: "sum", "last" or "max"."""
        return self.policy or str(model._policy)

    # -- following

    @overload
    def catch_up(self) -> Snapshot: ...
    @overload
    def catch_up(self, *, wait: bool) -> Snapshot | None: ...
    def catch_up(self, *, wait: bool = True) -> Snapshot | None:
        """Take in what is new in the journal; returns the snapshot that has it.

        With `wait` False, None where another thread is at it, or a newer model must be loaded first: that would take
        long.
        """
        if self.journal is None:
            return self.snapshot
        if not self._taking_in.acquire(blocking=wait):
            return None
        try:
            self.snapshot = self._followed(self.snapshot)
            return self.snapshot
        except JournalTrimmedError:
            # Another process has published a model and dropped what it took in: that model is needed.
            if not wait:
                return None
            self.snapshot = self._begin()
            return self.snapshot
        finally:
            self._taking_in.release()

    def refused(self, events: Sequence[Event]) -> int | None:
        """The place of the first event whose user or item is new, where such are refused; None where there is none."""
        sides = {"user": self.admission.users, "item": self.admission.items}
        if "refuse" not in sides.values():
            return None
        users, items = unknown_ids(self.snapshot.model, events)
        for place, event in enumerate(events):
            new = {"user": event.user in users, "item": event.item in items}
            if any(new[side] and rule == "refuse" for side, rule in sides.items()):
                return place
        return None

    def is_behind(self) -> bool:
        """Whether the journal has entries that the snapshot has not taken in."""
        return self.journal is not None and self.journal.last_seq() != self.snapshot.seq

    def _followed(self, snapshot: Snapshot, upto: int | None = None) -> Snapshot:
        assert self.journal is not None
        while True:
            entries = self.journal.read(snapshot.seq, READ_AT_ONCE, upto=upto)
            snapshot = snapshot.after(entries)
            if len(entries) < READ_AT_ONCE:
                return snapshot

    def _load(self) -> Published:
        if isinstance(self.source, Versions):
            return self.source.load(verify=self.verify)
        if isinstance(self.source, Recommender):
            return Published(self.source, "1", 0)
        return load_published(self.source, verify=self.verify, mapped=self.mapped)

    def _begin(self) -> Snapshot:
        """The snapshot of the newest model.

        While it is loaded, another process may publish a newer one and trim the journal: then that one is loaded.
        """
        pause = FIRST_PAUSE
        for attempt in range(1, TRIES + 1):
            self._loaded = self._stamp()
            try:
                return self._start(self._load())
            except JournalTrimmedError as error:
                if attempt == TRIES or not isinstance(self.source, Versions):
                    said = f"{error}; of {attempt} loaded one after the other none was new enough: give a newer model"
                    raise JournalTrimmedError(said) from None
            time.sleep(pause * random.uniform(0.5, 1.0))
            pause *= 2
        raise AssertionError("not reached")

    def _start(self, published: Published) -> Snapshot:
        """The snapshot of a model: checkpoints that the journal has and the model has not are made again."""
        model, version, seq, refit_seq, marks = published
        marks = marks._replace(seq=seq, refit_seq=refit_seq)
        if self.journal is None:
            snapshot = Snapshot(model, seq=seq, version=version, policy=self.policy_of(model))
            self.prepare(snapshot)
            return snapshot
        self._check_journal(published)
        # Of a model that cannot be updated the journal may have checkpoints of the one before it: all events stay its
        # users' own.
        points = self.journal.checkpoints(seq) if "partial_fit" in model.capabilities else []
        for point in points:
            model, marks, _ = self._updated(model, marks, point.seq, Admission.parse(point.rule))
            version = point.version
        snapshot = self._followed(self._snapshot_of(model, marks, version))
        self.prepare(snapshot)
        self._marks = marks
        if self.journal.lineage() is None or self.force:
            self.journal.record_lineage(describe_lineage(model))
        return snapshot

    def _snapshot_of(self, model: Recommender, marks: Marks, version: str) -> Snapshot:
        """A model with the events that wait to be admitted, and no others."""
        mark = None if self.journal is None else self.journal.mark
        return Snapshot(
            model, seq=marks.seq or 0, version=version, mark=mark, policy=self.policy_of(model),
            held=self._held(model, marks, self.admission),
        )  # fmt: skip

    def _held(self, model: Recommender, marks: Marks, admission: Admission) -> list[Event]:
        """The events that a model has not taken in, though its place in the journal is behind them."""
        if self.journal is None or marks.held_from is None or marks.seq is None or marks.held_from > marks.seq:
            return []
        kept = self.journal.kept(marks.held_from, marks.seq)
        return admission.waiting(model, takeable(model, kept))

    def _check_journal(self, published: Published) -> None:
        """Refuse a model that does not belong to the journal."""
        assert self.journal is not None
        journal, marks, seq = self.journal, published.marks, published.seq
        said = None
        if seq > journal.last_seq():
            said = f"it has taken in events up to {seq}, but the journal ends at {journal.last_seq()}"
        elif marks.journal not in (None, journal.id):
            said = "it has followed another one"
        elif (lineage := journal.lineage()) is not None:
            said = find_misfit(published.model, lineage)
        if said is not None and not (self.force and seq <= journal.last_seq()):
            raise ValueError(
                f"the model {published.version} does not belong to the journal {journal.path}: {said}, so this is not "
                "its journal. Give the right one, or force=True (--force) where it is right all the same"
            )
        if marks.journal is None and seq:
            log.info("the model %s does not say which journal it has followed: %s", published.version, journal.path)
        self.tell("twice", None if marks.seq is not None else self._find_twice(published.model))

    def _find_twice(self, model: Recommender) -> str | None:
        """What to say where a model does not know its place in the journal, but seems to have the events."""
        assert self.journal is not None
        if isinstance(self.source, Recommender) or self.journal.trimmed_seq():
            return None
        events = [entry for entry in self.journal.read(0, PROBED_EVENTS) if isinstance(entry, Event)]
        plain = Snapshot(model)
        had = [code >= 0 and code in plain.history(event.user).codes for event, code in zip(
            events, plain.codes_of([event.item for event in events]), strict=True)]  # fmt: skip
        if len(had) < FEWEST_PROBED or sum(had) < SUSPICIOUS_SHARE * len(had):
            return None
        return (
            f"the model seems to have been trained on the events of {self.journal.path} ({sum(had)} of its first "
            f"{len(had)}), which then count twice: publish it with seq=, its place in the journal"
        )

    # -- new models

    def checkpoint(self) -> Snapshot:
        """Take the events since the model was made into the model itself, its items included, by `partial_fit`.

        The journal remembers at which event that was, so that who begins from an older model comes to the same bits.
        With Versions, the new model is published.

        Raises
        ------
        TypeError
            Where the model cannot be updated: it can be refitted.
        """
        with self._making:
            snapshot = self.catch_up()
            check_updatable(snapshot.model)
            if self.journal is None or snapshot.seq == snapshot.model_seq:
                return snapshot
            model, marks, left = self._updated(snapshot.model, self._marks_of(snapshot), snapshot.seq, self.admission)
            self.given_up += left
            version = f"{snapshot.version.partition('+')[0]}+{snapshot.seq}"
            self.journal.record_checkpoint(snapshot.seq, version, self.admission.rule)
            return self._put(model, marks, version)

    def _marks_of(self, snapshot: Snapshot) -> Marks:
        return self._marks._replace(seq=snapshot.model_seq)

    def refit(self) -> Snapshot:
        """Fit a new model to all that the old one was made of and the events since, and publish it.

        The old one answers meanwhile. A model made with the same options and data is the same, bit for bit, as one
        fitted elsewhere. One that counts with the times of events, which are not kept, is updated instead: of
        `Popularity` with a half-life, that is as exact.

        Raises
        ------
        TypeError
            Without Versions: a journal repeats updates, but no refit, which therefore needs a file. And where the model
            is one that cannot be fitted again.
        """
        if not isinstance(self.source, Versions):
            raise TypeError("a refitted model must be published: make the Updater with Versions")
        check_refittable(self.snapshot.model)
        with self._making:
            snapshot = self.catch_up()
            before, old = self._marks_of(snapshot), snapshot.model
            if getattr(old, "needs_times", False):
                model, marks, left = self._updated(old, before, snapshot.seq, self.admission)
            else:
                entries, events, taken = self._admitted(old, before, snapshot.seq, self.admission)
                gone, policy = self._deleted_codes(old, entries), self.policy_of(old)
                data = training_data(old, taken, gone, policy, self._time_unit())
                model = clone(old).fit(data, **features_of(old, data.shape))
                marks, left = self._following(model, before, snapshot.seq, self.admission, len(events) - len(taken))
            self.given_up += left
            fitted = Sizes(model.seen_.shape[0], model.n_features_in_)
            return self._put(model, marks._replace(refit_seq=snapshot.seq, **fitted._asdict()), "")

    def _put(self, model: Recommender, marks: Marks, version: str) -> Snapshot:
        """Publish a model where that is possible, and answer from it.

        A checkpoint that is recorded but cannot be published is answered from all the same: the next one follows it.
        """
        failure: OSError | None = None
        if isinstance(self.source, Versions):
            try:
                # Mapped, and so shared with other processes. Should another Updater publish at the same moment, the
                # file may be that one's: it is taken with its own seq.
                told = marks if self.journal is None else marks._replace(journal=self.journal.id)
                name = self.source.publish(model, marks=told, force=True)  # made of the one before
                model, version, _, _, marks = load_published(self.source.path(name), name, verify="header")
            except OSError as error:
                if not version:
                    raise
                failure = error
        snapshot = self._snapshot_of(model, marks, version)
        self.prepare(snapshot)
        if self.journal is not None:
            snapshot = self._followed(snapshot)  # nearly all of it while others need not wait
        with self._taking_in:
            self._loaded = self._stamp()
            self._marks = marks
            self.snapshot = snapshot if self.journal is None else self._followed(snapshot)
        if failure is not None:
            raise failure
        self.tell("model", None)
        if self.journal is not None and isinstance(self.source, Versions):
            self.journal.record_published(marks.seq or 0)
            self.journal.record_lineage(describe_lineage(model))
        return self.snapshot

    def trim(self) -> int:
        """Drop from the journal what the published model has taken in, but not the events that wait to be admitted."""
        snapshot = self.snapshot
        if self.journal is None or self.journal.published_seq() < snapshot.model_seq:
            return 0
        return self.journal.trim(snapshot.model_seq, [event.seq for event in snapshot.held])

    def _admitted(
        self, model: Recommender, marks: Marks, upto: int, admission: Admission
    ) -> tuple[list[Event | Deletion], list[Event], list[Event]]:
        """What the journal has after a model's place; the events among it, what waits before it, and those taken in."""
        entries = self._entries(marks.seq or 0, upto)
        events = takeable(model, [*self._held(model, marks, admission), *entries])
        fitted = Sizes(marks.users or model.seen_.shape[0], marks.items or model.n_features_in_)
        return entries, events, admission.admit(model, fitted, events)

    def _following(
        self, model: Recommender, marks: Marks, upto: int, admission: Admission, left: int
    ) -> tuple[Marks, int]:
        """The marks of a model that has been updated up to a place, and how many events it will never take in.

        So many were left out; of those that wait, which are bounded, the oldest are given up.
        """
        since = (marks.seq or 0) + 1 if marks.held_from is None else marks.held_from
        marks = marks._replace(seq=upto, held_from=since)
        held = self._held(model, marks, admission)[-LARGEST_HOLD:]
        return marks._replace(held_from=held[0].seq if held else upto + 1), left - len(held)

    def _updated(
        self, model: Recommender, marks: Marks, upto: int, admission: Admission
    ) -> tuple[Recommender, Marks, int]:
        """A model that has taken in the events up to a place, its marks, and how many events it will never take in.

        The model given stays as it is.
        """
        if marks.users is None or marks.items is None:
            marks = marks._replace(users=model.seen_.shape[0], items=model.n_features_in_)
        entries, events, taken = self._admitted(model, marks, upto, admission)
        check_updatable(model)
        new: Any = copy.copy(model)
        gone = self._deleted_codes(model, entries)
        if gone:
            users = gone if model.users_ is None else model.users_.decode(gone)
            empty = resize(model.seen_, model.seen_.shape)[:0]
            new.update_users(users, resize(empty, (len(gone), model.n_features_in_)), how="replace")
        data = interactions_of(model, taken, self.policy_of(model), self._time_unit())
        if data.n_interactions:
            new.partial_fit(data)
        return new, *self._following(new, marks, upto, admission, len(events) - len(taken))

    def _entries(self, after: int, upto: int) -> list[Event | Deletion]:
        assert self.journal is not None
        entries: list[Event | Deletion] = []
        while True:
            more = self.journal.read(after, READ_AT_ONCE, upto=upto)
            entries += more
            if len(more) < READ_AT_ONCE:
                return entries
            after = more[-1].seq

    def _time_unit(self) -> Any:
        return None if self.journal is None else self.journal.time_unit

    def _deleted_codes(self, model: Recommender, entries: Sequence[Event | Deletion]) -> list[int]:
        marks = {entry.mark for entry in entries if isinstance(entry, Deletion)}
        if not marks or self.journal is None:
            return []
        ids = range(model.seen_.shape[0]) if model.users_ is None else model.users_.ids.tolist()
        return [code for code, user in enumerate(ids) if self.journal.mark(user) in marks]

    # -- models that others made

    def reload(self) -> bool:
        """Take a newer model file, if there is one; whether it was taken.

        A file that cannot be loaded leaves the old model answering, and `problem` says why.
        """
        if self._stamp() == self._loaded:
            return False
        with self._making:
            self._loaded = self._stamp()
            try:
                published = self._load()
                if isinstance(self.source, Versions) and published.version == self.snapshot.version:
                    self.tell("model", None)
                    return False
                misfit = None if self.force else find_misfit(published.model, describe_lineage(self.snapshot.model))
                if misfit is not None:
                    raise ValueError(
                        f"the model {published.version} does not fit the one that it is to replace: {misfit}. Publish "
                        "the right one, or begin anew with force=True (--force)"
                    )
                snapshot = self._start(published)
            except Exception as error:  # whatever is wrong with it: the old model goes on answering
                self.tell("model", f"{type(error).__name__}: {error}")
                return False
            with self._taking_in:
                self.snapshot = snapshot if self.journal is None else self._followed(snapshot)
            self.tell("model", None)
            return True

    def _stamp(self) -> Any:
        """What changes when the model file does."""
        if isinstance(self.source, Recommender):
            return None
        try:
            status = os.stat(self.source.folder / "CURRENT" if isinstance(self.source, Versions) else self.source)
        except OSError as error:
            return type(error).__name__
        return status.st_mtime_ns, status.st_size, status.st_ino


class Schedule:
    """A thread that makes new models at intervals, or when enough has come in.

    Parameters
    ----------
    updater
        What to work with.
    checkpoint_every
        Seconds between checkpoints; None is never.
    refit_every
        Seconds between refits; None is never.
    refit_share
        Refit when the events since the last refit are this share of the training data: a measure of how far the model
        may have drifted from what there is. None is never.
    refit_drift
        Refit when the model foresees new events worse than it did after the last refit, by this share of its NDCG@10:
        0.2 is a fifth (see `Drift`). None is never.
    tick
        Seconds between looks at the clock and the model file.
    report
        Called with a word and the seconds it took after each piece of work, or with "failed" and 0 after an error.

    Raises
    ------
    TypeError
        Where the model cannot be updated or refitted as asked.
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
        report: Any = None,
    ) -> None:
        if checkpoint_every is not None:
            check_updatable(updater.snapshot.model)
        if (refit_every, refit_share, refit_drift) != (None, None, None):
            check_refittable(updater.snapshot.model)
        self.updater = updater
        self.checkpoint_every = checkpoint_every
        self.refit_every = refit_every
        self.refit_share = refit_share
        self.drift = None if refit_drift is None else Drift(refit_drift)
        self.tick = tick
        self.report = report or (lambda what, seconds: None)
        self._stop = threading.Event()
        # A monotonic clock: a system clock that is set back or forth moves no refit.
        self._last = {"checkpoint": time.monotonic(), "refit": time.monotonic()}
        self._failures, self._retry = 0, 0.0  # of refits in a row, and when the next one may begin
        self._thread = threading.Thread(target=self._run, name="fastrec-updates", daemon=True)

    def start(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """End, after the piece of work in hand."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self.tick):
            self._look()
            self._do_what_is_due()

    def _do_what_is_due(self) -> None:
        try:
            for what, is_due, work in (
                ("refit", self._refit_is_due, self.updater.refit),
                ("checkpoint", self._checkpoint_is_due, self.updater.checkpoint),
            ):
                if not self._stop.is_set() and is_due():
                    self._do(what, work)
            self.updater.tell("schedule", None)
        except Exception as error:  # a journal that cannot be read, say
            self.updater.tell("schedule", f"no updates: {error}")

    def _look(self) -> None:
        if self.drift is not None and self.updater.journal is not None:
            try:
                self.drift.look(self.updater.catch_up(), self.updater.journal)
                self.updater.tell("drift", None)
            except Exception as error:  # a disk that cannot be read, say: the next look will tell
                self.updater.tell("drift", f"drift could not be measured: {error}")

    def _do(self, what: str, work: Any) -> None:
        began = time.monotonic()
        try:
            work()
            if what == "refit":
                self._failures = 0
                self._last["checkpoint"] = time.monotonic()
                if self.drift is not None:
                    self.drift.reset()
            self.updater.trim()
            self.updater.tell(what, None)
            self.report(what, time.monotonic() - began)
        except Exception as error:  # a full disk, say: tried again when it is due again
            if what == "refit":
                self._retry = time.monotonic() + min(LONGEST_RETRY, RETRY_SECONDS * 2**self._failures)
                self._failures += 1
            self.updater.tell(what, f"{what} failed: {error}")
            self.report("failed", 0.0)
        self._last[what] = time.monotonic()

    def _checkpoint_is_due(self) -> bool:
        return (
            self.checkpoint_every is not None
            and time.monotonic() - self._last["checkpoint"] >= self.checkpoint_every
            and self.updater.journal is not None
            and self.updater.journal.last_seq() > self.updater.snapshot.model_seq
        )

    def _refit_is_due(self) -> bool:
        if self._failures and time.monotonic() < self._retry:
            return False
        known = max(1, self.updater.snapshot.model.seen_.nnz)
        if self.refit_share is not None and self.updater.events_since_refit() >= self.refit_share * known:
            return True
        if self.drift is not None and self.drift.has_fallen:
            return True
        return self.refit_every is not None and time.monotonic() - self._last["refit"] >= self.refit_every


def interactions_of(
    model: Recommender, entries: Sequence[Event | Deletion], policy: Any, time_unit: Any = None
) -> Interactions:
    """The events as Interactions that the model's `partial_fit` takes; what it could never take is left out."""
    events = takeable(model, entries)
    if policy == "last":  # the last by the journal's own order, which a clock does not change
        events = list({(event.user, event.item): event for event in events}.values())
    users, user_codes = _numbered([event.user for event in events], model.users_)
    items, item_codes = _numbered([event.item for event in events], model.items_)
    known = _times_of(events)
    values = np.array([event.value for event in events], np.float32)
    data = Interactions(user_codes, item_codes, values, users=users, items=items, duplicates=policy)
    # A few moments may well have many events here: these are times, whatever they look like.
    return data if known is None else data._replaced(times=known, time_unit=time_unit)


def takeable(model: Recommender, entries: Sequence[Event | Deletion]) -> list[Event]:
    """The events among the entries that an update of the model could ever take in."""
    events = [
        entry
        for entry in entries
        if isinstance(entry, Event) and takes_event(model, entry.user, entry.item) and takes_value(model, entry.value)
    ]
    if not getattr(model, "takes_new_items", True):
        codes = Snapshot(model).codes_of([event.item for event in events])
        events = [event for event, code in zip(events, codes, strict=True) if code >= 0]
    return events


def training_data(
    model: Recommender, entries: Sequence[Event | Deletion], gone: list[int], policy: Any, time_unit: Any = None
) -> Any:
    """All that a model was made of, without the users gone, and the events since; a matrix for a model without ids."""
    new = interactions_of(model, entries, policy, time_unit)
    users = Vocabulary(np.arange(model.seen_.shape[0])) if model.users_ is None else model.users_
    items = Vocabulary(np.arange(model.n_features_in_)) if model.items_ is None else model.items_
    all_users, all_items = users.extended(new.users.ids), items.extended(new.items.ids)
    rows, columns, values = training_events(model)
    kept = ~np.isin(rows, gone)
    ones = np.ones(new.n_interactions, np.float32) if new.values is None else new.values
    info = model.item_info_
    if info is not None:
        more = len(all_items) - len(items)
        info = {name: pad_facts(column, more) for name, column in info.items()}
    data = Interactions(
        np.concatenate([rows[kept], all_users.encode(new.users.ids)[new.user_codes]]),
        np.concatenate([columns[kept], all_items.encode(new.items.ids)[new.item_codes]]),
        np.concatenate([values[kept], ones]),
        users=all_users,
        items=all_items,
        item_info=info,
        duplicates=policy,
    )
    return data if model.users_ is not None else data.matrix


def check_updatable(model: Recommender) -> None:
    """Refuse a model that no checkpoint can update."""
    if "partial_fit" not in model.capabilities:
        raise TypeError(f"{type(model).__name__} has no partial_fit, which a checkpoint needs: refit it instead")


def check_refittable(model: Recommender) -> None:
    """Refuse a model that cannot be fitted again by what it is: what `compress` makes, or with features not kept."""
    name = type(model).__name__
    if isinstance(model, CompressedFactors | CompressedWeights):
        raise TypeError(f"{name} cannot be fitted again: refit the model it was made of, compress it and publish it")
    warm = model._warm()
    cold_are_answered = bool(((model.item_counts_ == 0) & (True if warm is None else warm)).any())
    if cold_are_answered and getattr(model, "item_features_", None) is None:
        raise TypeError(f"{name} was fitted with features that it does not keep: fit it with them and publish it")


def features_of(model: Recommender, shape: tuple[int, int]) -> dict[str, Any]:
    """What a model was told about its users and items when it was fitted, for a fit to more of them."""
    options: dict[str, Any] = {}
    for name, n in (("user_features", shape[0]), ("item_features", shape[1])):
        features = getattr(model, f"{name}_", None)
        if features is None or not getattr(model, "features_given_", True):
            continue
        more = n - features.shape[0]
        if isinstance(features, np.ndarray):
            options[name] = np.concatenate([features, np.zeros((more, features.shape[1]), features.dtype)])
        else:
            options[name] = resize(features, (n, features.shape[1]))
    return options


def takes_event(model: Recommender, user: Id, item: Id) -> bool:
    """Whether updates of a model could ever take an event of that user and item in: ids of its types, codes in reach.

    >>> from fastrec.models import Popularity
    >>> model = Popularity().fit([[1, 2]])
    >>> takes_event(model, 0, 1), takes_event(model, "0", 1), takes_event(model, 10**9, 1)
    (True, False, False)
    """
    for given, vocabulary, size in (
        (user, model.users_, model.seen_.shape[0]),
        (item, model.items_, model.n_features_in_),
    ):
        if isinstance(given, str) != (vocabulary is not None and vocabulary.kind == "str"):
            return False
        if vocabulary is None and not 0 <= given < reach(size):  # type: ignore[operator]
            return False
    return True


def _times_of(events: Sequence[Event]) -> NDArray[np.int64] | None:
    """The time of each event; one without has that of the event before it, or after it. None where none has any."""
    given = [event.time for event in events if event.time is not None]
    if not given:
        return None
    last, times = given[0], []
    for event in events:
        last = last if event.time is None else event.time
        times.append(last)
    return np.array(times, np.int64)


def _numbered(ids: list[Id], vocabulary: Vocabulary | None) -> tuple[Vocabulary, list[int]]:
    """A vocabulary of the ids in the order in which they came, and a code for each."""
    codes: dict[Id, int] = {}
    numbers = [codes.setdefault(given, len(codes)) for given in ids]
    kind: Any = object if vocabulary is not None and vocabulary.kind == "str" else np.int64
    return Vocabulary(np.array(list(codes), kind)), numbers
