"""`Server`: a worker's model and journal, from loading to the end."""

import asyncio
import contextlib
import gc
import logging
import random
import threading
import time
import weakref
from collections.abc import AsyncIterator, Sequence
from typing import Any

from threadpoolctl import threadpool_limits

from fastrec.models import Recommender
from fastrec.online import EventLog, JournalError, Snapshot, Updater, Versions, open_log
from fastrec.online.opening import is_published, open_versions
from fastrec.online.schedule import check_plan
from fastrec.serving.access import Access
from fastrec.serving.bodies import BodyReader
from fastrec.serving.catalogue import Catalogue
from fastrec.serving.exploring import Exploration
from fastrec.serving.failure import end_in_failure
from fastrec.serving.leading import Leading
from fastrec.serving.line import Line
from fastrec.serving.metrics import Metrics
from fastrec.serving.naming import Naming
from fastrec.serving.recommendation import make_recommendation
from fastrec.serving.refusal import Refusal
from fastrec.serving.settings import Settings, is_loopback, name_model
from fastrec.serving.warming import SLOW_SECONDS, measure_pace, warm_up

log = logging.getLogger("uvicorn.error")

# A snapshot that is further behind catches up on a thread, so that other requests need not wait.
FAR_BEHIND = 2000
# The seconds that a request waits for events that another server has acknowledged.
HEAR_SECONDS = 2.0


class Server:
    """One worker: a model, its journal, and what answers requests.

    Parameters
    ----------
    settings
        The settings of the server.
    beside
        Servers of more models, which start and stop with this one.
    metrics
        The metrics; None: the server has its own.
    """

    def __init__(self, settings: Settings, beside: "Sequence[Server]" = (), metrics: Metrics | None = None) -> None:
        self.settings, self.beside = settings, beside
        self.metrics = metrics or Metrics([name_model(settings.model)])
        self.updater: Updater | None = None
        self.journal: EventLog | None = None
        self.catalogue = Catalogue()
        self.naming = Naming(settings.pseudonym_key)
        self.leading = Leading(settings, lambda how, seconds: self.metrics.took_model(how))
        self.line = Line()
        self.bodies = BodyReader(settings.largest_body, settings.body_seconds, self.line, settings.scenarios)
        self.name = name_model(settings.model)
        self.is_one_of_several = len(settings.shares) > 1
        self.chance = random.Random()
        self.is_draining = False
        self.is_working = False
        """Whether work of an operator is running."""
        self.is_local = is_loopback(settings.host)
        self.access = Access(settings.tokens, self.is_local)
        self._slow: weakref.WeakSet[Recommender] = weakref.WeakSet()

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Any) -> AsyncIterator[None]:
        """Loads on a thread, answering /healthz meanwhile; at the end lets the journal write the waiting events."""
        threadpool_limits(1, user_api="blas")  # a small product on two threads waits for the busier one
        loading = threading.Thread(target=self._load, name="fastrec-load", daemon=True)
        loading.start()
        if self.metrics.shared:  # with other workers, no worker takes requests that those could answer already
            await asyncio.to_thread(loading.join)
        watching = asyncio.create_task(self._watch())
        try:
            async with contextlib.AsyncExitStack() as others:
                for server in self.beside:
                    await others.enter_async_context(server.lifespan(app))
                yield
        finally:
            watching.cancel()
            await asyncio.to_thread(self._end, loading)

    def _load(self) -> None:
        try:
            self.journal = self._open_journal()
            updater = self._make_updater()
            check_plan(self.settings, updater.snapshot.model)
            self.naming.check_model(updater.snapshot.model)
            self.updater = updater
            self.metrics.took_model("start")
            log.info("serving %s", updater.snapshot.version)
            gc.freeze()  # loaded objects stay: the collector need not visit them under load
        except Exception as error:
            log.error("cannot serve %s: %s: %s", self.settings.model, type(error).__name__, error)
            if self.journal is not None:
                self.journal.close()
            end_in_failure()  # the process cannot repair this; its supervisor can start it again
        finally:
            gc.enable()  # `worker` has switched it off

    def _open_journal(self) -> EventLog | None:
        settings = self.settings
        if settings.journal is None:
            return None
        return open_log(
            settings.journal,
            queue_size=settings.largest_queue,
            mode=settings.mode,
            skip_damaged=settings.skip_damaged,
        )

    def _make_updater(self) -> Updater:
        settings = self.settings
        return Updater(
            self._find_source(),
            self.journal,
            policy=settings.duplicates,
            prepare=self._prepare,
            # A single file may be overwritten in place. One worker, which shares it with nobody, reads it into its own
            # memory.
            mapped=bool(self.metrics.shared),
            new_users=settings.new_users,
            new_items=settings.new_items,
            support=settings.support,
            force=settings.force,
        )

    def _find_source(self) -> Versions | str:
        settings = self.settings
        if not is_published(settings.model):
            return settings.model
        return open_versions(settings.model, cache=settings.cache, mode=settings.mode)

    def _prepare(self, snapshot: Snapshot) -> None:
        """Asks a new model everything once, before the first request, and records whether it is slow."""
        warm_up(snapshot)
        if measure_pace(snapshot) > SLOW_SECONDS:
            self._slow.add(snapshot.model)

    def _end(self, loading: threading.Thread) -> None:
        loading.join()
        self.leading.end()
        self.line.close()
        if self.journal is not None:
            self.journal.close()

    async def _watch(self) -> None:
        """Loads newer models as they come; makes them, if no other process does."""
        while True:
            await asyncio.sleep(self.settings.watch_seconds)
            self.metrics.count_observed()
            updater = self.updater
            if updater is None:
                continue
            try:
                if await asyncio.to_thread(updater.reload):
                    self.metrics.took_model("loaded")
                    log.info("serving %s", updater.snapshot.version)
                if self.journal is not None:
                    self.journal.last_seq()  # an error if it cannot be reached
                    if updater.problem is not None:
                        await self.snapshot()  # an unreadable journal may be readable again, even if nobody asks
                await asyncio.to_thread(self.leading.look, updater)
                updater.tell("watching", None)
            except Exception as error:
                updater.tell("watching", f"{type(error).__name__}: {error}")

    def begin_to_drain(self) -> None:
        """Begins to drain: each answer closes its connection, and /readyz sends clients elsewhere."""
        for server in (self, *self.beside):
            server.is_draining = True

    def snapshot_now(self) -> Snapshot:
        """The present snapshot."""
        if self.updater is None:
            raise Refusal(503, "the model is being loaded", **{"retry-after": "1"})
        return self.updater.snapshot

    async def snapshot(self, wanted: int = 0, *, wait: bool = True) -> Snapshot:
        """Returns the snapshot with every event that this server knows, up to a given place at least, or a refusal.

        With `wait` False it is the previous snapshot while another thread is taking events in.
        """
        snapshot = self.snapshot_now()
        updater, journal = self.updater, self.journal
        assert updater is not None
        if journal is not None:
            try:
                if wanted > snapshot.seq:
                    await self._hear_of(journal, wanted)
                snapshot = await self._catch_up(updater, journal, wait)
                updater.tell("reading", None)
            except JournalError as error:
                # An answer without the newest events is better than none.
                updater.tell("reading", str(error))
        if snapshot.seq < wanted:
            said = f"this server has the events up to {snapshot.seq}, and those up to {wanted} are asked for: try again"
            raise Refusal(503, said, "fastrec-seq", **{"retry-after": "1"})
        return snapshot

    @staticmethod
    async def _hear_of(journal: EventLog, wanted: int) -> None:
        """Waits until the journal is known to reach a place, but not for long."""
        end = time.monotonic() + HEAR_SECONDS
        while journal.last_seq() < wanted and time.monotonic() < end:
            await asyncio.sleep(0.002)

    @staticmethod
    async def _catch_up(updater: Updater, journal: EventLog, wait: bool) -> Snapshot:
        """Returns the snapshot with every known entry."""
        snapshot = updater.snapshot
        behind = journal.last_seq() - snapshot.seq
        if not behind:
            return snapshot
        is_near = behind <= FAR_BEHIND and not journal.is_remote
        if is_near and ((near := updater.catch_up(wait=False)) is not None or not wait):
            return near or snapshot
        return await asyncio.to_thread(lambda: updater.catch_up(wait=wait)) or snapshot

    def explores(self) -> bool:
        """Tells whether some places of the next list are filled at random."""
        return self.settings.explore > 0 and self.chance.random() < self.settings.explore

    def name_answer(self, scenario: str | None, version: str, exploration: Exploration | None = None) -> str:
        """Returns the id of an answer with recommendations, and counts the answer."""
        self.metrics.conversions.count_answer(scenario, self.name, exploration)
        return make_recommendation(scenario, version, self.name if self.is_one_of_several else "", exploration)

    def writable(self) -> EventLog:
        """The journal, or a refusal."""
        self.snapshot_now()
        if self.journal is None:
            raise Refusal(409, "this server has no journal (fastrec serve MODEL --journal events.db)")
        return self.journal

    def is_slow(self, model: Recommender) -> bool:
        """Tells whether a question to the model takes so long that other requests would wait for it."""
        return model in self._slow

    def tell(self, what: str, problem: str | None) -> None:
        """Records a problem, which /readyz then reports, or its end."""
        if self.updater is not None:
            self.updater.tell(what, problem)

    @property
    def version(self) -> str:
        """The name of the model that answers."""
        return "" if self.updater is None else self.updater.snapshot.version
