"""The server: requests in, answers out, one worker of it. Everything that is said is in `messages`."""

import asyncio
import contextlib
import functools
import gc
import logging
import re
import threading
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, Router
from threadpoolctl import threadpool_limits

from fastrec import __version__
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr
from fastrec.models import Recommender
from fastrec.online import (
    Event,
    Journal,
    JournalDiskFullError,
    JournalError,
    JournalFullError,
    Schedule,
    Snapshot,
    Updater,
    Versions,
)
from fastrec.online.journal import Id, Receipt
from fastrec.online.schedule import check_plan
from fastrec.online.user_state import merge_values
from fastrec.serving import messages as m
from fastrec.serving.access import Access, Scope
from fastrec.serving.catalogue import Catalogue
from fastrec.serving.failure import end_in_failure
from fastrec.serving.leader import Leader
from fastrec.serving.line import Line
from fastrec.serving.metrics import CONTENT_TYPE, Metrics
from fastrec.serving.openapi import describe_api
from fastrec.serving.parsing import (
    check_reach,
    check_type,
    check_types,
    check_values,
    decode,
    encode,
    listed,
    named_user,
    parse_count,
    parse_id,
    refuse_argument,
    refuse_field,
    titles,
)
from fastrec.serving.refusal import Refusal
from fastrec.serving.routes import ROUTES, Endpoint
from fastrec.serving.settings import Settings, is_loopback
from fastrec.serving.warming import SLOW_SECONDS, measure_pace, warm_up

log = logging.getLogger("uvicorn.error")

PAGE = Path(__file__).parent / "page"
FILES = {
    file.name: {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}.get(file.suffix, "text/html")
    for file in PAGE.iterdir()
}
JSON = "application/json"
# A snapshot further behind than this catches up on a thread, so that other requests need not wait for it.
FAR_BEHIND = 2000
# Items of a request beyond which it is answered on a thread, for the same reason.
LONG_LISTS = 1000
# Bytes of a body beyond which it is read on a thread, and rows of a batch that are answered before others have a turn.
LARGE_BODY, ROWS_AT_ONCE = 32 << 10, 20_000
# A body that is too large is read (and dropped) up to so many times the limit: a client that is cut off while it sends
# sees a broken connection instead of the answer.
LINGER = 4

Connection = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Body = TypeVar("Body")

VERSION_HEADER = b"fastrec-version"
JSON_HEADER = (b"content-type", b"application/json")
CLOSING = (b"connection", b"close")
NO_SNIFFING = (b"x-content-type-options", b"nosniff")
# Of what a browser shows; an answer in JSON is nothing that could load or run anything.
PAGE_HEADERS = [
    NO_SNIFFING,
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
]


class AnyText(PathConvertor):
    """The rest of a path with whatever is in it, line breaks too, up to its very end."""

    regex = "(?s:.*)"


register_url_convertor("any", AnyText())


class Answer:
    """An answer that is there as a whole: starlette's `Response` does more than is needed here.

    Parameters
    ----------
    body
        What to say.
    status
        Of HTTP.
    headers
        Names in lower case.
    """

    __slots__ = ("_body", "_headers", "_status")

    def __init__(self, body: bytes, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self._body, self._status = body, status
        self._headers = [*headers, (b"content-length", b"%d" % len(body)), JSON_HEADER]

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Send it."""
        await send({"type": "http.response.start", "status": self._status, "headers": self._headers})
        await send({"type": "http.response.body", "body": self._body})


class Server:
    """One worker: a model, its journal, and what answers requests.

    Parameters
    ----------
    settings
        How to serve.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.updater: Updater | None = None
        self.journal: Journal | None = None
        self.catalogue = Catalogue()
        self._schedule: Schedule | None = None
        self._leader: Leader | None = None
        self._decoders = {
            kind: msgspec.json.Decoder(kind) for kind in (m.RecommendRequest, m.BatchRequest, m.EventsRequest)
        }
        self._encode = msgspec.json.Encoder().encode
        self.line = Line()
        self.is_draining = False
        self.is_local = is_loopback(settings.host)
        self.access = Access(settings.tokens, self.is_local)
        self._slow: weakref.WeakSet[Recommender] = weakref.WeakSet()

    # -- life

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Any) -> AsyncIterator[None]:
        """Load on a thread, answering /healthz meanwhile; at the end let the journal write what waits."""
        threadpool_limits(1, user_api="blas")  # a small product on two threads waits for the busier one
        loading = threading.Thread(target=self._load, name="fastrec-load", daemon=True)
        loading.start()
        if self.metrics.shared:  # beside other workers none takes requests that those could answer already
            await asyncio.to_thread(loading.join)
        watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.to_thread(self._end, loading)

    def _load(self) -> None:
        settings = self.settings
        try:
            if settings.journal is not None:
                self.journal = Journal(
                    settings.journal,
                    queue_size=settings.largest_queue,
                    mode=settings.mode,
                    skip_damaged=settings.skip_damaged,
                )
            source = Versions(settings.model, mode=settings.mode) if Path(settings.model).is_dir() else settings.model
            # A file alone may be written over by who knows no better: one worker, with whom none would share it, reads
            # it into memory of its own.
            shared = bool(self.metrics.shared)
            updater = Updater(
                source,
                self.journal,
                policy=settings.duplicates,
                prepare=self._prepare,
                mapped=shared,
                new_users=settings.new_users,
                new_items=settings.new_items,
                support=settings.support,
                force=settings.force,
            )
            check_plan(settings, updater.snapshot.model)
            self.updater = updater
            self.metrics.took_model("start")
            gc.freeze()  # what is loaded stays: the collector need not walk through it under load
        except Exception as error:
            log.error("cannot serve %s: %s: %s", settings.model, type(error).__name__, error)
            if self.journal is not None:
                self.journal.close()
            end_in_failure()  # nothing would mend it here; who started the process can start it again
        finally:
            gc.enable()  # which `worker` has switched off

    def _prepare(self, snapshot: Snapshot) -> None:
        """Ask a new model everything once, before anybody else does, and remember whether it is a slow one."""
        warm_up(snapshot)
        if measure_pace(snapshot) > SLOW_SECONDS:
            self._slow.add(snapshot.model)

    def _end(self, loading: threading.Thread) -> None:
        loading.join()
        if self._schedule is not None:
            self._schedule.stop()
        if self._leader is not None:
            self._leader.release()
        self.line.close()
        if self.journal is not None:
            self.journal.close()

    async def _watch(self) -> None:
        """Take newer models as they come; become the one worker that makes them, where nobody is."""
        while True:
            await asyncio.sleep(self.settings.watch_seconds)
            updater = self.updater
            if updater is None:
                continue
            try:
                if await asyncio.to_thread(updater.reload):
                    self.metrics.took_model("loaded")
                    log.info("serving %s", updater.snapshot.version)
                self._lead(updater)
                updater.tell("watching", None)
            except Exception as error:
                updater.tell("watching", f"{type(error).__name__}: {error}")

    def _lead(self, updater: Updater) -> None:
        settings = self.settings
        if self._schedule is not None or settings.journal is None or not isinstance(updater.source, Versions):
            return
        if not settings.makes_models:
            return
        if self._leader is None:
            self._leader = Leader(updater.source.folder / ".leader", self.settings.mode)
        if self._leader.acquire():
            report = lambda how, seconds: self.metrics.took_model(how)
            self._schedule = Schedule.of(updater, settings, report=report).start()

    def begin_to_drain(self) -> None:
        """From now on each answer is the last one on its connection, and /readyz says that others should be asked."""
        self.is_draining = True

    # -- helpers of the endpoints

    def snapshot_now(self) -> Snapshot:
        """The snapshot as it is."""
        if self.updater is None:
            raise Refusal(503, "the model is being loaded", **{"retry-after": "1"})
        return self.updater.snapshot

    async def snapshot(self) -> Snapshot:
        """The snapshot with every event that anybody has had acknowledged."""
        snapshot = self.snapshot_now()
        updater, journal = self.updater, self.journal
        assert updater is not None
        if journal is None:
            return snapshot
        try:
            behind = journal.last_seq() - snapshot.seq
            if behind:
                near = updater.catch_up(wait=False) if behind <= FAR_BEHIND else None
                snapshot = await asyncio.to_thread(lambda: updater.catch_up()) if near is None else near
            updater.tell("reading", None)
        except JournalError as error:
            # Better an answer without the newest events than none.
            updater.tell("reading", str(error))
        return snapshot

    async def body(self, request: Request, kind: type[Body]) -> Body:
        """The body of a request, as what it must be."""
        raw = await self._read(request)
        try:
            decode: Callable[[bytes], Body] = self._decoders[kind].decode  # type: ignore[index,assignment]
            return await self.line.run(decode, raw) if len(raw) > LARGE_BODY else decode(raw)
        except msgspec.ValidationError as error:
            raise refuse_field(str(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refusal(422, f"the body is no JSON: {error}", "body") from None

    async def _read(self, request: Request) -> bytes:
        largest = self.settings.largest_body
        too_large = Refusal(413, f"a body may have {largest} bytes", connection="close")
        length = next((value for name, value in request.scope["headers"] if name == b"content-length"), b"0")
        if not length.isdigit() or int(length) > LINGER * largest:
            raise too_large
        parts, size, more = [], 0, True
        task = asyncio.current_task()
        assert task is not None
        late: list[bool] = []
        timer = asyncio.get_running_loop().call_later(self.settings.body_seconds, _end_late, task, late)
        try:  # asyncio.timeout for a tenth of its cost
            while more:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                part, more = message.get("body", b""), message.get("more_body", False)
                size += len(part)
                if size <= largest:
                    parts.append(part)
                elif size > LINGER * largest:
                    raise too_large
        except asyncio.CancelledError:
            if not late:
                raise
            task.uncancel()
            raise Refusal(408, "the body did not come in time", connection="close") from None
        finally:
            timer.cancel()
        if size > largest:
            raise too_large
        return b"".join(parts)

    def answer(self, what: Any, status: int = 200, **headers: str) -> Answer:
        """An answer in JSON; its header names the version that the answer itself names."""
        raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
        raw.append((VERSION_HEADER, what.version.encode("latin-1", "replace")))
        return Answer(self._encode(what), status, raw)

    def check_host(self, scope: Connection) -> None:
        """Refuse a request that is meant for another server.

        A page of another site can have its own name lead to this machine, and then be of the same origin.
        """
        if self.is_local and not self.access.needs_token:
            for name, host in scope["headers"]:
                if name == b"host" and not names_loopback(host):
                    said = "without a token this server answers as localhost or 127.0.0.1, by no other name"
                    raise Refusal(403, said)

    def guarded(self, endpoint: Endpoint) -> Callable[[Request], Awaitable[Any]]:
        """What answers, behind the check of the scope that each request for it needs."""
        answer, scope = getattr(self, endpoint.handler), endpoint.always
        if scope is None:
            return answer  # type: ignore[no-any-return]

        async def checked(request: Request) -> Any:
            self.access.check(request.scope["headers"], scope)
            return await answer(request)

        return checked

    def writable(self) -> Journal:
        """The journal, or a refusal."""
        self.snapshot_now()
        if self.journal is None:
            raise Refusal(409, "this server has no journal (fastrec serve MODEL --journal events.db)")
        return self.journal

    # -- endpoints

    async def recommend(self, request: Request) -> Answer:
        """POST /recommend."""
        asked = await self.body(request, m.RecommendRequest)
        if asked.user is None:
            snapshot = self.snapshot_now()  # a history of the request's own is answered by the model alone
        else:
            self.access.check(request.scope["headers"], Scope.read)
            snapshot = await self.snapshot()
        lists = len(asked.history or ()) + len(asked.allow or ()) + len(asked.deny or ())
        if asked.explain or lists > LONG_LISTS or snapshot.model in self._slow:
            return self.answer(await self.line.run(self._recommend, snapshot, asked))
        return self.answer(self._recommend(snapshot, asked))

    def _recommend(self, snapshot: Snapshot, asked: m.RecommendRequest) -> m.RecommendAnswer:
        model = snapshot.model
        if (asked.user is None) == (asked.history is None):
            raise Refusal(422, "give either a user or a history", "user" if asked.user is None else "history")
        policy = asked.on_unknown or self.settings.on_unknown
        unknown: list[Id] = []
        filters = self._filters(model, asked, policy, unknown)
        if asked.user is not None:
            check_type(model, "users_", asked.user, "user")
            self._check_known(snapshot, [asked.user], policy, "user")
            top = snapshot.recommend(
                [asked.user], asked.k, exclude_seen=asked.exclude_seen, on_unknown="popular", **filters
            )
            history: Any = None
        else:
            history = self._history(model, asked.history or [], policy, unknown)
            top = model.recommend(history, asked.k, exclude_seen=asked.exclude_seen, **filters)
        fallback = bool(top.fallback[0])
        items = listed(model, top, 0)
        if asked.explain and not fallback and "explain" in model.capabilities:
            for item in items:
                item.why = self._reasons(snapshot, asked.user if history is None else history, item.item)
        seq = snapshot.seq if history is None else snapshot.model_seq
        return m.RecommendAnswer(items, snapshot.version, seq, fallback, asked.user, unknown)

    def _reasons(self, snapshot: Snapshot, who: Any, item: Id, n: int = 3) -> list[m.Reason]:
        model = snapshot.model
        is_user = isinstance(who, int | str)
        reasons = snapshot.explain(who, item, n) if is_user else model.explain(who, item, n)
        ids = reasons.items.tolist()
        named = titles(model, [int(code) for code in encode(model, ids)])
        return [
            m.Reason(given, part, title)
            for given, part, title in zip(ids, reasons.contributions.tolist(), named, strict=True)
        ]

    def _history(self, model: Recommender, given: list[Any], policy: str, unknown: list[Id]) -> CodeMatrix:
        """The history of a request as a row; items given twice are what events about them would be."""
        ids = [entry.item if isinstance(entry, m.Entry) else entry for entry in given]
        values = [entry.value if isinstance(entry, m.Entry) else 1.0 for entry in given]
        check_values(model, values, "history", ".value")
        codes = self._known_codes(model, ids, policy, "history", unknown)
        kept = codes >= 0
        assert self.updater is not None
        row = merge_values(codes[kept], np.array(values, np.float32)[kept], self.updater.policy_of(model))
        indptr = np.array([0, len(row.codes)], np.int64)
        return assemble_csr(row.values, row.codes, indptr, (1, model.n_features_in_))

    def _filters(self, model: Recommender, asked: Any, policy: str, unknown: list[Id]) -> dict[str, Any]:
        filters: dict[str, Any] = {}
        for name in ("allow", "deny"):
            given = getattr(asked, name)
            if given is not None:
                codes = self._known_codes(model, given, policy, name, unknown)
                filters[name] = decode(model, codes[codes >= 0])
        return filters

    def _known_codes(self, model: Recommender, ids: list[Id], policy: str, field: str, unknown: list[Id]) -> Any:
        """Codes of the items of a request; the unknown ones are -1 and listed, or refused."""
        check_types(model, "items_", ids, field)
        codes = encode(model, ids)
        for place in np.flatnonzero(codes < 0).tolist():
            if policy == "error":
                raise Refusal(422, f"unknown item {ids[place]!r}", f"{field}[{place}]")
            unknown.append(ids[place])
        return codes

    def _check_known(self, snapshot: Snapshot, users: list[Id], policy: str, field: str) -> None:
        if policy == "error":
            for place, user in enumerate(users):
                if not snapshot.knows(user):
                    raise Refusal(404, f"unknown user {user!r}", field if field == "user" else f"{field}[{place}]")

    async def batch(self, request: Request) -> Answer:
        """POST /batch."""
        asked = await self.body(request, m.BatchRequest)
        snapshot = await self.snapshot()
        unknown: list[Id] = []
        filters = await self.line.run(self._check_batch, snapshot, asked, unknown)
        step = max(1, ROWS_AT_ONCE // asked.k)
        starts = range(0, len(asked.users), step)
        parts = await self.line.run_parts(
            [functools.partial(self._batch, snapshot, asked, filters, asked.users[n : n + step]) for n in starts]
        )
        rows = [msgspec.Raw(row) for part in parts for row in part]
        return self.answer(m.BatchAnswer(rows, snapshot.version, snapshot.seq, unknown))

    def _check_batch(self, snapshot: Snapshot, asked: m.BatchRequest, unknown: list[Id]) -> dict[str, Any]:
        policy = asked.on_unknown or self.settings.on_unknown
        check_types(snapshot.model, "users_", asked.users, "users")
        self._check_known(snapshot, asked.users, policy, "users")
        if len(asked.users) * asked.k > m.LARGEST_ANSWER:
            raise Refusal(422, f"users times k may be {m.LARGEST_ANSWER}, got {len(asked.users)} users", "k")
        return self._filters(snapshot.model, asked, policy, unknown)

    def _batch(
        self, snapshot: Snapshot, asked: m.BatchRequest, filters: dict[str, Any], users: list[Id]
    ) -> list[bytes]:
        """The rows of some of the users, as they are sent."""
        top = snapshot.recommend(users, asked.k, exclude_seen=asked.exclude_seen, on_unknown="popular", **filters)
        counts = top.valid.sum(axis=1).tolist()
        parts = zip(users, top.items.tolist(), top.scores.tolist(), counts, top.fallback.tolist(), strict=True)
        return [self._encode(m.BatchRow(user, ids[:n], scores[:n], popular)) for user, ids, scores, n, popular in parts]

    async def events(self, request: Request) -> Answer:
        """POST /events."""
        journal = self.writable()
        asked = await self.body(request, m.EventsRequest)
        model, updater = self.snapshot_now().model, self.updater
        assert updater is not None
        try:
            few = len(asked.events) <= LONG_LISTS
            submit = functools.partial(_submit, journal, updater, model, asked)
            done = submit() if few else await self.line.run(submit)
            self.metrics.waiting.set(journal.waiting)
            receipt = await asyncio.wrap_future(done)
        except JournalFullError as error:
            self.metrics.refused.inc()
            raise Refusal(429, str(error), **{"retry-after": "1"}) from None
        except JournalError as error:
            self.updater.tell("writing", str(error))  # type: ignore[union-attr]
            raise refuse_writing(error) from None
        except (TypeError, ValueError) as error:
            raise refuse_argument(error) from None
        self.updater.tell("writing", None)  # type: ignore[union-attr]
        self.metrics.events.inc(receipt.added)
        self.metrics.known_events.inc(receipt.known)
        return self.answer(m.EventsAnswer(receipt.seq, receipt.added, receipt.known, self.version))

    async def delete_user(self, request: Request) -> Answer:
        """DELETE /users/{id}."""
        journal = self.writable()
        snapshot = await self.snapshot()
        user = parse_id(snapshot.model, "users_", named_user(request), "id")
        try:
            if not snapshot.knows(user) and not await asyncio.to_thread(journal.history, user):
                return self.answer(m.DeletedAnswer(snapshot.seq, snapshot.version, "nothing was known of the user"))
            seq = await asyncio.to_thread(journal.delete_user, user)
        except JournalError as error:
            raise refuse_writing(error) from None
        snapshot = await self.snapshot()
        code = encode(snapshot.model, [user], "users_")[0]
        trained = code >= 0 and snapshot.model.seen_.indptr[code + 1] > snapshot.model.seen_.indptr[code]
        said = "the file has the user's training history until the next model" if trained else "the file has nothing"
        return self.answer(m.DeletedAnswer(seq, snapshot.version, said))

    async def history(self, request: Request) -> Answer:
        """GET /users/{id}."""
        snapshot = await self.snapshot()
        model = snapshot.model
        user = parse_id(model, "users_", named_user(request), "id")
        if not snapshot.knows(user):
            raise Refusal(404, f"unknown user {user!r}", "id")
        row = snapshot.history(user)
        order = np.argsort(-row.values, kind="stable")[:1000]
        codes = row.codes[order]
        parts = zip(decode(model, codes), row.values[order].tolist(), titles(model, codes.tolist()), strict=True)
        seen = [m.Seen(item, value, title) for item, value, title in parts]
        return self.answer(m.HistoryAnswer(user, seen, len(row.codes), snapshot.version, snapshot.seq))

    async def similar(self, request: Request) -> Answer:
        """GET /similar?item=…."""
        snapshot = self.snapshot_now()
        model = snapshot.model
        given = request.query_params.get("item")
        if given is None:
            raise Refusal(422, "an item is needed: /similar?item=…", "item")
        item = parse_id(model, "items_", given, "item")
        k = parse_count(request, "k", 10, m.LARGEST_K)
        code = encode(model, [item])
        if code[0] < 0:
            raise Refusal(404, f"unknown item {item!r}", "item")
        top = await self.line.run(model.similar_items, [item], k)
        title = titles(model, code.tolist())[0]
        return self.answer(m.SimilarAnswer(item, listed(model, top, 0), snapshot.version, title))

    async def items(self, request: Request) -> Answer:
        """GET /items?search=…."""
        snapshot = self.snapshot_now()
        limit = parse_count(request, "limit", 20, 200)
        wanted = request.query_params.get("search", "")[:200]
        codes = await self.line.run(lambda: self.catalogue.get(snapshot).find_items(wanted, limit))
        model = snapshot.model
        named = titles(model, codes)
        counts = model.item_counts_[codes].tolist()
        rows = [m.Item(*row) for row in zip(decode(model, np.array(codes, int)), counts, named, strict=True)]
        return self.answer(m.ItemsAnswer(rows, snapshot.version))

    async def users(self, request: Request) -> Answer:
        """GET /users?search=…."""
        snapshot = await self.snapshot()
        limit = parse_count(request, "limit", 20, 200)
        wanted = request.query_params.get("search", "")[:200]
        found = await self.line.run(lambda: self.catalogue.get(snapshot).find_users(wanted, limit))
        return self.answer(m.UsersAnswer([user for user in found if snapshot.knows(user)], snapshot.version))

    async def model(self, request: Request) -> Answer:
        """GET /model."""
        may = self.access.allowed(request.scope["headers"])
        told = Scope.read in may
        snapshot = await self.snapshot() if told else self.snapshot_now()
        model = snapshot.model
        n_users, n_items = model.seen_.shape
        catalogue = await self.line.run(self.catalogue.get, snapshot)
        options = {
            name: value
            for name, value in model.get_params(deep=False).items()
            if value is None or isinstance(value, bool | int | float | str)
        }
        return self.answer(
            m.ModelAnswer(
                version=snapshot.version,
                model=type(model).__name__,
                users=n_users,
                items=n_items,
                interactions=int(model.seen_.nnz),
                user_ids="int" if model.users_ is None else model.users_.kind,
                item_ids="int" if model.items_ is None else model.items_.kind,
                titles=bool(model.item_info_ and "title" in model.item_info_),
                explains="explain" in model.capabilities,
                takes_events=self.journal is not None,
                needs_token=self.access.needs_token,
                shows_users=self.access.needs_token or self.is_local,
                may=sorted(scope.value for scope in may),
                typical_value=catalogue.typical_value,
                options=options,
                model_seq=snapshot.model_seq if told else None,
                seq=snapshot.seq if told else None,
                changed_users=snapshot.changed_users if told else None,
                unknown_items=snapshot.unknown_items if told else None,
                problem=self._problem(may),
                fastrec=__version__,
            )
        )

    async def healthz(self, request: Request) -> Answer:
        """GET /healthz: the process lives."""
        return self.answer(m.StateAnswer("alive", self.version))

    async def readyz(self, request: Request) -> Answer:
        """GET /readyz: it can answer."""
        if self.updater is None:
            return self.answer(m.StateAnswer("loading", ""), 503, **{"retry-after": "1"})
        if self.is_draining:
            return self.answer(m.StateAnswer("draining", self.version), 503)
        return self.answer(
            m.StateAnswer("ready", self.version, self._problem(self.access.allowed(request.scope["headers"])))
        )

    def _problem(self, may: frozenset[Scope]) -> str | None:
        """What is wrong, for who may read; others are told that something is."""
        problem = None if self.updater is None else self.updater.problem
        return problem if problem is None or Scope.read in may else "something is wrong: the log says what"

    async def metrics_text(self, request: Request) -> Response:
        """GET /metrics."""
        if self.updater is not None:
            snapshot = self.updater.snapshot
            self.metrics.seq.set(snapshot.seq)
            self.metrics.model_seq.set(snapshot.model_seq)
            self.metrics.changed.set(snapshot.changed_users)
            self.metrics.held_users.set(snapshot.held_users)
            self.metrics.held_items.set(snapshot.held_items)
            self.metrics.held_events.set(snapshot.held_events)
            self.metrics.given_up.set(self.updater.given_up)
            self.metrics.problem.set(self.updater.problem is not None)
            self.metrics.waiting.set(0 if self.journal is None else self.journal.waiting)
            if self._schedule is not None and self._schedule.drift is not None:
                self.metrics.foresees(self._schedule.drift.newest)
        return Response(self.metrics.text(), media_type=CONTENT_TYPE)

    async def openapi(self, request: Request) -> Response:
        """GET /openapi.json."""
        return Response(self._encode(describe_api(self.access.needs_token)), media_type=JSON)

    async def page(self, request: Request) -> Response:
        """GET / and /docs: the web page, and what can be asked."""
        name = {"/": "index.html", "/docs": "api.html"}[request.url.path]
        return Response(read_page(name), media_type="text/html", headers={"cache-control": "no-cache"})

    async def page_file(self, request: Request) -> Response:
        """GET /page/{file}: what the page is made of."""
        name = request.path_params["file"]
        if name not in FILES:
            raise HTTPException(404)
        return Response(read_page(name), media_type=FILES[name], headers={"cache-control": "no-cache"})

    async def options(self, request: Request) -> Response:
        """OPTIONS *: the methods that there are."""
        return Response(
            status_code=204, headers={"allow": ", ".join(sorted({"HEAD", *(one.method for one in ROUTES)}))}
        )

    @property
    def version(self) -> str:
        """What the model that answers is called."""
        return "" if self.updater is None else self.updater.snapshot.version

    def refuse(self, request: Request | None, error: Exception) -> Answer:
        """What is said of an error: never where in the program it was."""
        if isinstance(error, HTTPException):
            error = Refusal(error.status_code, error.detail, **dict(error.headers or {}))
        if isinstance(error, Refusal):
            problem = m.Problem(error.message, error.field)
            return self.answer(m.ErrorAnswer(problem, self.version), error.status, **error.headers)
        log.error("an error in the server", exc_info=error)
        return self.answer(m.ErrorAnswer(m.Problem("an error in the server; its log says more"), self.version), 500)


class Guard:
    """Around everything: times, counts, headers; an error that got this far ends here."""

    def __init__(self, app: Any, server: Server) -> None:
        self.app = app
        self.server = server
        # What is asked for most goes its own way, past routing: a tenth of a request's whole time.
        self._direct = {one.path: server.guarded(one) for one in ROUTES if one.method == "POST"}

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                spent = (time.perf_counter() - began) * 1000
                headers = message["headers"]
                # A model may have been published since the answer was made: only pages are without a version yet.
                if not any(name == VERSION_HEADER for name, _ in headers):
                    headers = [*headers, (VERSION_HEADER, self.server.version.encode("latin-1", "replace"))]
                if self.server.is_draining:
                    headers = [*headers, CLOSING]
                more = (NO_SNIFFING,) if JSON_HEADER in headers else PAGE_HEADERS
                message["headers"] = [*headers, (b"server-timing", b"app;dur=%.3f" % spent), *more]
            await send(message)

        try:
            self.server.check_host(scope)
            direct = self._direct.get(scope["path"]) if scope["method"] == "POST" else None
            if direct is None:
                scope["app"] = self.app  # by which starlette's router knows to raise what it did not find
                await self.app(scope, receive, sending)
            else:
                await (await direct(Request(scope, receive, sending)))(scope, receive, sending)
        except ClientDisconnect:
            status = status or 499
        except Exception as error:
            if not status:
                await self.server.refuse(None, error)(scope, receive, sending)
            else:
                log.error("an error after the answer had begun", exc_info=error)
        finally:
            self.server.metrics.observe(label_of(scope["path"]), status or 499, time.perf_counter() - began)


PATHS = {one.path.split("/")[1] for one in ROUTES if one.path not in ("/", "/*")}


def label_of(path: str) -> str:
    """A path as metrics know it: few of them, whatever is asked for, and no ids.

    >>> label_of("/users/42"), label_of("/wp-login.php"), label_of("/")
    ('/users', 'other', '/')
    """
    first = path[1:].partition("/")[0]
    return f"/{first}" if first in PATHS or path == "/" else "other"


def create_app(settings: Settings) -> Guard:
    """The ASGI application of one worker."""
    server = Server(settings)

    async def refuse(request: Request, error: Exception) -> Any:
        return server.refuse(request, error)

    router = Router(routes_of(server), redirect_slashes=False, lifespan=server.lifespan)
    return Guard(ExceptionMiddleware(router, {Refusal: refuse, HTTPException: refuse}), server)


def routes_of(server: Server) -> list[BaseRoute]:
    """What can be asked."""
    return [Route(one.path.replace("{id}", "{id:any}"), server.guarded(one), methods=[one.method]) for one in ROUTES]


def _submit(journal: Journal, updater: Updater, model: Recommender, asked: m.EventsRequest) -> "Future[Receipt]":
    """Hand the events of a request to the journal, once they are found to be what the model can take."""
    events = asked.events
    check_types(model, "users_", [event.user for event in events], "events", ".user")
    check_types(model, "items_", [event.item for event in events], "events", ".item")
    check_reach(model, events)
    check_values(model, [event.value for event in events], "events", ".value")
    now = journal.now()
    batch = [
        Event(event.user, event.item, event.value, now if event.time is None else event.time, event.id)
        for event in events
    ]
    refused = updater.refused(batch)
    if refused is not None:
        raise Refusal(422, "new users or items are refused here (--new-users, --new-items)", f"events[{refused}]")
    return journal.submit(batch)


def refuse_writing(error: JournalError) -> Refusal:
    """Why nothing was written: the disk is full, or refuses."""
    return Refusal(507 if isinstance(error, JournalDiskFullError) else 503, str(error), **{"retry-after": "5"})


def _end_late(task: asyncio.Task[Any], late: list[bool]) -> None:
    late.append(True)
    task.cancel()


@functools.lru_cache(maxsize=64)
def names_loopback(host: bytes) -> bool:
    """Whether a request's `Host` is a name that leads to this machine alone.

    >>> [names_loopback(name) for name in (b"127.0.0.1:8000", b"[::1]:8000", b"localhost", b"x")]
    [True, True, True, False]
    """
    name = re.sub(r":[0-9]+$", "", host.decode("latin-1"))
    return is_loopback(name.removeprefix("[").removesuffix("]").lower())


@functools.cache
def read_page(name: str) -> bytes:
    """A file of the page."""
    return (PAGE / name).read_bytes()
