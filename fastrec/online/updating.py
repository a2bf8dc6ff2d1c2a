"""Updater: follows the journal, and makes new models from new events."""

import copy
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, overload

from sklearn.base import clone

from fastrec.models import Recommender
from fastrec.models.base.updating import Updating, resize
from fastrec.online.acceptance import select_takeable, unknown_ids
from fastrec.online.admission import LARGEST_HOLD, Admission, FittedSizes
from fastrec.online.forgetting import find_obstacle, forget_users, hide_ids
from fastrec.online.journal import Deletion, Entry, Event, EventLog, JournalTrimmedError
from fastrec.online.lineage import describe_lineage, find_misfit
from fastrec.online.snapshot import Snapshot
from fastrec.online.training_data import check_refittable, check_updatable, features_of, interactions_of, training_data
from fastrec.online.versions import Marks, Published, Versions, load_published
from fastrec.validation import check_choice

READ_AT_ONCE = 20_000
# The number of attempts to load a model whose events have just been trimmed, and the first wait in seconds, which
# doubles.
TRIES, FIRST_PAUSE = 8, 0.05
# The number of the journal's events that are looked for in a model without a recorded place.
PROBED_EVENTS, FEWEST_PROBED, SUSPICIOUS_SHARE = 500, 50, 0.9

log = logging.getLogger(__name__)

Source: TypeAlias = Recommender | Versions | str | os.PathLike[str]


class Updater:
    """Keeps a `Snapshot` that has taken in each event of the journal once, and makes new models from it.

    Readers take `snapshot` and use it as long as they like; a new one replaces it in one assignment. The same journal
    and model give the same snapshot, bit for bit, in every process and after any number of kills.

    Parameters
    ----------
    source
        The first model: a fitted model, a model file, or `Versions`. New models are published only with Versions.
    journal
        The journal of the events. None: no events come in, but the model may be replaced.
    policy : {"sum", "last", "max"} or None
        The policy to merge several events of one user and item; None: the last one for models of ratings, otherwise the
        sum.
    verify, mapped
        As in `fastrec.load`; files of Versions are never overwritten, and always mapped.
    prepare
        Called with each snapshot of a new model before it is used, to warm it up.
    new_users, new_items : {"hold", "refuse", "take"}
        The treatment of ids that the model does not know, at an update. "hold" admits them up to twice the number of
        the last fit, then a thousand at each update, and holds the events of the others. "refuse" admits none, "take"
        all.
    support
        The number of users with which an item is no longer held.
    force
        Accept a model that does not fit the previous one or the journal.

    Attributes
    ----------
    snapshot : Snapshot
        The snapshot to answer from.
    problem : str or None
        A problem while the model goes on answering, such as why a newer one could not be loaded or made.
    given_up : int
        The number of events that this Updater has left out for good, because their users or items were new.

    Raises
    ------
    JournalTrimmedError
        If the journal no longer has the events that the model needs, and no newer model appears.
    ValueError
        If model and journal do not belong together.

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
        journal: EventLog | None = None,
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
        self._marks = Marks()  # the marks of the snapshot's model
        self._problems: dict[str, str] = {}
        self._taking_in = threading.Lock()
        self._making = threading.Lock()
        self.snapshot: Snapshot = self._begin()

    @property
    def refit_seq(self) -> int:
        """The place in the journal up to which the model's last fit had the events."""
        return self._marks.refit_seq or 0

    @property
    def problem(self) -> str | None:
        """The problem; None if all is well."""
        return "; ".join(self._problems.copy().values()) or None

    def tell(self, what: str, problem: str | None) -> None:
        """Records a problem of some kind ("model", "refit", "journal" …), or its end; each is logged once."""
        if problem is not None:
            if self._problems.get(what) != problem:
                log.warning("%s", problem)
            self._problems[what] = problem
        elif self._problems:
            self._problems.pop(what, None)

    def events_since_refit(self) -> int:
        """The number of entries of the journal since the model's last fit to all data."""
        return 0 if self.journal is None else self.journal.last_seq() - self.refit_seq

    def policy_of(self, model: Recommender) -> str:
        """Returns the policy to merge several events of one user and item: "sum", "last" or "max"."""
        return self.policy or model.duplicate_policy

    # -- following

    @overload
    def catch_up(self) -> Snapshot: ...
    @overload
    def catch_up(self, *, wait: bool) -> Snapshot | None: ...
    def catch_up(self, *, wait: bool = True) -> Snapshot | None:
        """Takes in the new entries of the journal; returns the snapshot with them.

        With `wait` False, returns None if another thread is doing it, or a newer model must be loaded first, which
        takes long.
        """
        if self.journal is None:
            return self.snapshot
        if not self._taking_in.acquire(blocking=wait):
            return None
        try:
            self.snapshot = self._follow(self.snapshot)
            return self.snapshot
        except JournalTrimmedError:
            # Another process has published a model and dropped the events that it took in: that model is needed.
            if not wait:
                return None
            self.snapshot = self._begin()
            return self.snapshot
        finally:
            self._taking_in.release()

    def refused(self, events: Sequence[Event]) -> int | None:
        """Returns the place of the first event whose user or item is new, if such are refused; otherwise None."""
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
        """Tells whether the journal has entries that the snapshot has not taken in."""
        return self.journal is not None and self.journal.last_seq() != self.snapshot.seq

    def _follow(self, snapshot: Snapshot, upto: int | None = None) -> Snapshot:
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
        """Returns the snapshot of the newest model.

        While it is loaded, another process may publish a newer one and trim the journal: then that one is loaded.
        """
        pause = FIRST_PAUSE
        for attempt in range(1, TRIES + 1):
            self._loaded = self._stamp()
            try:
                return self._start(self._load())
            except JournalTrimmedError as error:
                if attempt == TRIES or not isinstance(self.source, Versions):
                    said = f"{error}; none of {attempt} loaded models was new enough: give a newer one"
                    raise JournalTrimmedError(said) from None
            time.sleep(pause * random.uniform(0.5, 1.0))
            pause *= 2
        raise AssertionError("not reached")

    def _start(self, published: Published) -> Snapshot:
        """Returns the snapshot of a model; checkpoints of the journal that the model lacks are repeated."""
        model, version, seq, refit_seq, marks = published
        marks = marks._replace(seq=seq, refit_seq=refit_seq)
        if self.journal is None:
            snapshot = Snapshot(model, seq=seq, version=version, policy=self.policy_of(model))
            self.prepare(snapshot)
            return snapshot
        self._check_journal(published)
        # The journal may have checkpoints of an earlier model that this one, which cannot be updated, does not repeat:
        # all events stay with the users.
        points = self.journal.checkpoints(seq) if "partial_fit" in model.capabilities else []
        for point in points:
            model, marks, _ = self._update(model, marks, point.seq, Admission.parse(point.rule))
            version = point.version
        snapshot = self._follow(self._snapshot_of(model, marks, version))
        self.prepare(snapshot)
        self._marks = marks
        if self.journal.lineage() is None or self.force:
            self.journal.record_lineage(describe_lineage(model))
        return snapshot

    def _snapshot_of(self, model: Recommender, marks: Marks, version: str) -> Snapshot:
        """Returns the snapshot of a model with the events that wait to be admitted, and no others."""
        mark = None if self.journal is None else self.journal.mark
        return Snapshot(
            model, seq=marks.seq or 0, version=version, mark=mark, policy=self.policy_of(model),
            held=self._events_waiting(model, marks, self.admission),
            updates=() if self.journal is None else self.journal.items(marks.seq or 0),
        )  # fmt: skip

    def _events_waiting(self, model: Recommender, marks: Marks, admission: Admission) -> list[Event]:
        """Returns the events that wait: the model has not taken them in, although its place in the journal is later."""
        if self.journal is None or marks.held_from is None or marks.seq is None or marks.held_from > marks.seq:
            return []
        kept = self.journal.kept(marks.held_from, marks.seq)
        return admission.waiting(model, select_takeable(model, kept))

    def _check_journal(self, published: Published) -> None:
        """Refuses a model that does not belong to the journal."""
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
                f"the model {published.version} does not belong to the journal {journal.address}: "
                f"{said}, so this is not its journal. Give the right one, or force=True (--force) if "
                "it is right all the same"
            )
        if marks.journal is None and seq:
            log.info("the model %s does not say which journal it followed: %s", published.version, journal.address)
        self.tell("twice", None if marks.seq is not None else self._find_twice(published.model))

    def _find_twice(self, model: Recommender) -> str | None:
        """Returns a message if a model does not know its place in the journal, but seems to have the events."""
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
            f"the model seems to have been trained on the events of {self.journal.address} ({sum(had)} of its first "
            f"{len(had)}), which then count twice: publish it with seq=, its place in the journal"
        )

    # -- new models

    def checkpoint(self) -> Snapshot:
        """Makes a checkpoint: takes the events since the model was made into the model, items included, by
        `partial_fit`.

        The journal records the event at which this happened, so that a process that starts from an older model gets the
        same bits. With Versions, the new model is published.

        Raises
        ------
        TypeError
            If the model cannot be updated; refit it instead.
        """
        with self._making:
            snapshot = self.catch_up()
            check_updatable(snapshot.model)
            if self.journal is None or snapshot.seq == snapshot.model_seq:
                return snapshot
            model, marks, left = self._update(snapshot.model, self._marks_of(snapshot), snapshot.seq, self.admission)
            self.given_up += left
            version = f"{snapshot.version.partition('+')[0]}+{snapshot.seq}"
            self.journal.record_checkpoint(snapshot.seq, version, self.admission.rule)
            return self._put(model, marks, version)

    def _marks_of(self, snapshot: Snapshot) -> Marks:
        return self._marks._replace(seq=snapshot.model_seq)

    def refit(self) -> Snapshot:
        """Fits a new model to the data of the old one and the events since, and publishes it.

        The old one answers meanwhile. A fit elsewhere with the same options and data gives the same model, bit for bit.
        A model that needs the times of events, which are not kept, is updated instead: for `Popularity` with a
        half-life this is just as exact.

        Raises
        ------
        TypeError
            Without Versions, since a journal repeats updates but not a refit, which therefore needs a file. Also if the
            model cannot be fitted again.
        """
        if not isinstance(self.source, Versions):
            raise TypeError("a refitted model must be published: make the Updater with Versions")
        check_refittable(self.snapshot.model)
        with self._making:
            snapshot = self.catch_up()
            before, old = self._marks_of(snapshot), snapshot.model
            if getattr(old, "needs_times", False):
                model, marks, left = self._update(old, before, snapshot.seq, self.admission)
            else:
                entries, events, taken = self._admit(old, before, snapshot.seq, self.admission)
                gone, policy = self._deleted_codes(old, entries), self.policy_of(old)
                data = training_data(old, taken, gone, policy, self._time_unit())
                if gone and old.users_ is not None:
                    data = data._replace(users=hide_ids(data.users, gone))
                model = clone(old).fit(data, **features_of(old, data.shape))
                marks, left = self._marks_after(model, before, snapshot.seq, self.admission, len(events) - len(taken))
            self.given_up += left
            fitted = FittedSizes(model.seen_.shape[0], model.n_features_in_)
            return self._put(model, marks._replace(refit_seq=snapshot.seq, **fitted._asdict()), "")

    def _put(self, model: Recommender, marks: Marks, version: str) -> Snapshot:
        """Publishes a model if possible, and answers from it.

        If a recorded checkpoint cannot be published, it answers all the same, and the next one follows it.
        """
        failure: OSError | None = None
        if isinstance(self.source, Versions):
            if self.journal is not None:
                self.journal.leader.check()
            try:
                # It is mapped, and so shared with other processes. If another Updater publishes at the same moment, the
                # file may be the other's: its own seq is used.
                told = marks if self.journal is None else marks._replace(journal=self.journal.id)
                name = self.source.publish(model, marks=told, force=True)  # made from the one before
                model, version, _, _, marks = load_published(self.source.path(name), name, verify="header")
            except OSError as error:
                if not version:
                    raise
                failure = error
        snapshot = self._snapshot_of(model, marks, version)
        self.prepare(snapshot)
        if self.journal is not None:
            snapshot = self._follow(snapshot)  # this does nearly all of it while others need not wait
        stamp = self._stamp()
        with self._taking_in:
            self._marks = marks
            self.snapshot = snapshot if self.journal is None else self._follow(snapshot)
        self._loaded = stamp
        if failure is not None:
            raise failure
        self.tell("model", None)
        if self.journal is not None and isinstance(self.source, Versions):
            self.journal.record_published(marks.seq or 0)
            if self.journal.deleted_seq() <= (marks.seq or 0):  # a deleted user still is in the versions before
                self.source.remove_others(before=self.journal.deleted_seq())
            self.journal.record_lineage(describe_lineage(model))
        return self.snapshot

    def trim(self) -> int:
        """Drops from the journal the events that the published model has taken in, except those that wait to be
        admitted.
        """
        snapshot = self.snapshot
        if self.journal is None or self.journal.published_seq() < snapshot.model_seq:
            return 0
        return self.journal.trim(snapshot.model_seq, [event.seq for event in snapshot.held])

    def _admit(
        self, model: Recommender, marks: Marks, upto: int, admission: Admission
    ) -> tuple[list[Entry], list[Event], list[Event]]:
        """Reads the journal after a model's place; returns the events, those that wait, and those taken in."""
        entries = self._entries(marks.seq or 0, upto)
        events = select_takeable(model, [*self._events_waiting(model, marks, admission), *entries])
        fitted = FittedSizes(marks.users or model.seen_.shape[0], marks.items or model.n_features_in_)
        return entries, events, admission.admit(model, fitted, events)

    def _marks_after(
        self, model: Recommender, marks: Marks, upto: int, admission: Admission, left: int
    ) -> tuple[Marks, int]:
        """Returns the marks of a model after an update up to a place, and the number of events that it will never take
        in.

        These are the events left out, and the oldest waiting ones beyond the limit.
        """
        since = (marks.seq or 0) + 1 if marks.held_from is None else marks.held_from
        marks = marks._replace(seq=upto, held_from=since)
        held = self._events_waiting(model, marks, admission)[-LARGEST_HOLD:]
        return marks._replace(held_from=held[0].seq if held else upto + 1), left - len(held)

    def _update(
        self, model: Recommender, marks: Marks, upto: int, admission: Admission
    ) -> tuple[Recommender, Marks, int]:
        """Returns a model with the events up to a place, its marks, and the number of events that it will never take
        in.

        The given model stays unchanged.
        """
        if marks.users is None or marks.items is None:
            marks = marks._replace(users=model.seen_.shape[0], items=model.n_features_in_)
        entries, events, taken = self._admit(model, marks, upto, admission)
        check_updatable(model)
        new: Any = copy.copy(model)
        gone = self._deleted_codes(model, entries)
        if gone:
            new = _without_users(model, gone)
        data = interactions_of(model, taken, self.policy_of(model), self._time_unit())
        if data.n_interactions:
            new.partial_fit(data)
        return new, *self._marks_after(new, marks, upto, admission, len(events) - len(taken))

    def _entries(self, after: int, upto: int) -> list[Entry]:
        assert self.journal is not None
        entries: list[Entry] = []
        while True:
            more = self.journal.read(after, READ_AT_ONCE, upto=upto)
            entries += more
            if len(more) < READ_AT_ONCE:
                return entries
            after = more[-1].seq

    def _time_unit(self) -> Any:
        return None if self.journal is None else self.journal.time_unit

    def _deleted_codes(self, model: Recommender, entries: Sequence[Entry]) -> list[int]:
        marks = {entry.mark for entry in entries if isinstance(entry, Deletion)}
        if not marks or self.journal is None:
            return []
        ids = model.user_vocabulary.ids.tolist()
        return [code for code, user in enumerate(ids) if self.journal.mark(user) in marks]

    # -- models that others made

    def reload(self) -> bool:
        """Loads a newer model file, if there is one; tells whether it was loaded.

        A file that cannot be loaded leaves the old model answering, and `problem` says why.
        """
        if self._stamp() == self._loaded:
            return False
        with self._making:
            stamp = self._stamp()
            if stamp == self._loaded:  # another thread has loaded it in the meantime
                return False
            try:
                return self._take(self._load())
            except Exception as error:  # whatever the fault is, the old model goes on answering
                self.tell("model", f"{type(error).__name__}: {error}")
                return False
            finally:
                self._loaded = stamp  # not before: who finds it equal must find the snapshot, too

    def _take(self, published: Published) -> bool:
        """Answers with a published model from now on; tells whether it is another one."""
        if isinstance(self.source, Versions) and published.version == self.snapshot.version:
            self.tell("model", None)
            return False
        misfit = None if self.force else find_misfit(published.model, describe_lineage(self.snapshot.model))
        if misfit is not None:
            raise ValueError(
                f"the model {published.version} does not fit the one that it would replace: "
                f"{misfit}. Publish the right one, or start again with force=True (--force)"
            )
        snapshot = self._start(published)
        with self._taking_in:
            self.snapshot = snapshot if self.journal is None else self._follow(snapshot)
        self.tell("model", None)
        return True

    def _stamp(self) -> Any:
        """Returns a stamp that changes when the model file does."""
        if isinstance(self.source, Recommender):
            return None
        try:
            if isinstance(self.source, Versions):
                return self.source.stamp()
            status = os.stat(self.source)
        except OSError as error:
            return type(error).__name__
        return status.st_mtime_ns, status.st_size, status.st_ino


def _without_users(model: Recommender, codes: list[int]) -> Any:
    """Returns a model without some users: fitted again if possible, otherwise with only their histories removed."""
    if find_obstacle(model) is None:
        log.info("fitting %s again without %d users, on %d entries", type(model).__name__, len(codes), model.seen_.nnz)
        return forget_users(model, codes)
    left: Any = copy.copy(model)
    assert isinstance(left, Updating)
    empty = resize(model.seen_, model.seen_.shape)[:0]
    users = model.user_vocabulary.decode(codes)
    left.update_users(users, resize(empty, (len(codes), model.n_features_in_)), how="replace")
    if left.users_ is not None:
        left.users_ = hide_ids(left.users_, codes)
    return left
