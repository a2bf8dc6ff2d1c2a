"""The server: requests in, answers out, one worker of it. Everything that is said is in `messages`."""

import asyncio
import contextlib
import functools
import gc
import hmac
import logging
import re
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes

import msgspec
import numpy as np
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.staticfiles import StaticFiles
from threadpoolctl import threadpool_limits

from fastrec import __version__
from fastrec.models import Recommender
from fastrec.models.updating import reach
from fastrec.online import Event, Journal, JournalError, JournalFullError, Schedule, Snapshot, Updater, Versions
from fastrec.online.journal import Id
from fastrec.online.snapshot import SMALLEST_VALUE, largest_value, merge_values, takes_value
from fastrec.online.updating import check_refittable, check_updatable
from fastrec.retrieval import TopK
from fastrec.serving import messages as m
from fastrec.serving.catalogue import Catalogue
from fastrec.serving.leader import Leader
from fastrec.serving.metrics import CONTENT_TYPE, Metrics
from fastrec.serving.openapi import describe_api
from fastrec.serving.settings import Settings, is_loopback
from fastrec.serving.worker import end_in_failure
from fastrec.validation import CodeMatrix, assemble_csr

log = logging.getLogger("uvicorn.error")

PAGE = Path(__file__).parent / "page"
JSON = "application/json"
# A snapshot further behind than this catches up on a thread, so that other requests need not wait for it.
FAR_BEHIND = 2000
# Items of a request beyond which it is answered on a thread, for the same reason.
LONG_LISTS = 1000
# Requests that may wait for a thread (batches, explanations), beyond which they are told to come later.
LARGEST_LINE = 64
THREADS = 2
# A body that is too large is read (and dropped) up to so many times the limit: a client that is cut off while it sends
# sees a broken connection instead of the answer.
LINGER = 4

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Body = TypeVar("Body")
Result = TypeVar("Result")

VERSION_HEADER = b"fastrec-version"
JSON_HEADER = (b"content-type", b"application/json")
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


class Refusal(Exception):  # noqa: N818  (an answer, not a fault)
    """A request that gets an error for an answer."""

    def __init__(self, status: int, message: str, field: str | None = None, **headers: str) -> None:
        super().__init__(message)
        self.status, self.message, self.field, self.headers = status, message, field, headers


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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
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
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="fastrec-answers")
        self._in_line = 0
        self._token = None if settings.token is None else settings.token.encode()
        self.is_local = is_loopback(settings.host)

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
                self.journal = Journal(settings.journal, queue_size=settings.largest_queue)
            source = Versions(settings.model) if Path(settings.model).is_dir() else settings.model
            # A file alone may be written over by who knows no better: one worker, with whom none would share it, reads
            # it into memory of its own.
            shared = bool(self.metrics.shared)
            updater = Updater(source, self.journal, policy=settings.duplicates, prepare=self._prepare, mapped=shared)
            if settings.checkpoint_every is not None:
                check_updatable(updater.snapshot.model)
            if (settings.refit_every, settings.refit_share, settings.refit_drift) != (None, None, None):
                check_refittable(updater.snapshot.model)
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
        """Ask a new model everything once, before anybody else does: kernels and indexes are made ready."""
        model = snapshot.model
        codes = [0, model.seen_.shape[0] - 1]
        users = codes if model.users_ is None else model.users_.decode(codes).tolist()
        item = decode(model, np.zeros(1, int))
        unknown = "" if isinstance(users[0], str) else -1
        changed = snapshot.after([Event(users[0], item[0], seq=snapshot.seq + 1)])
        row = model.seen_[[0]]
        for options in ({}, {"exclude_seen": False}, {"allow": item, "deny": item}):
            for asked in ([users[0]], [unknown], users):
                changed.recommend(asked, 1, on_unknown="popular", **options)
            snapshot.recommend(users[:1], 1, on_unknown="popular", **options)
            model.recommend(row, 1, **options)
        if "explain" in model.capabilities:
            model.explain(row, item[0], 1)
        model.similar_items(item, 1)
        largest_value(model)

    def _end(self, loading: threading.Thread) -> None:
        loading.join()
        if self._schedule is not None:
            self._schedule.stop()
        if self._leader is not None:
            self._leader.release()
        self._threads.shutdown(wait=True)
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
        asked = (settings.checkpoint_every, settings.refit_every, settings.refit_share, settings.refit_drift)
        if all(option is None for option in asked):
            return
        if self._leader is None:
            self._leader = Leader(updater.source.folder / ".leader")
        if self._leader.acquire():
            self._schedule = Schedule(
                updater,
                checkpoint_every=settings.checkpoint_every,
                refit_every=settings.refit_every,
                refit_share=settings.refit_share,
                refit_drift=settings.refit_drift,
                report=lambda how, seconds: self.metrics.took_model(how),
            ).start()

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
            if behind > FAR_BEHIND:
                snapshot = await asyncio.to_thread(updater.catch_up)
            elif behind:
                snapshot = updater.catch_up()
            updater.tell("reading", None)
        except JournalError as error:
            # Better an answer without the newest events than none.
            updater.tell("reading", str(error))
        return snapshot

    async def body(self, request: Request, kind: type[Body]) -> Body:
        """The body of a request, as what it must be."""
        raw = await self._read(request)
        try:
            return self._decoders[kind].decode(raw)  # type: ignore[index,return-value]
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

    async def on_thread(self, work: Callable[..., Result], *given: Any) -> Result:
        """The result of longer work, so that short requests need not wait for it."""
        if self._in_line >= LARGEST_LINE:
            raise Refusal(429, "too many batches wait", **{"retry-after": "1"})
        self._in_line += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *given)
        finally:
            self._in_line -= 1

    def answer(self, what: Any, status: int = 200, **headers: str) -> Answer:
        """An answer in JSON; its header names the version that the answer itself names."""
        raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
        raw.append((VERSION_HEADER, what.version.encode("latin-1", "replace")))
        return Answer(self._encode(what), status, raw)

    def check_host(self, scope: Scope) -> None:
        """Refuse a request that is meant for another server, or for none.

        A page of another site can have its own name lead to this machine, and then be of the same origin.
        """
        for name, host in scope["headers"]:
            if name == b"host":
                if self.is_local and self._token is None and not names_loopback(host):
                    said = "without a token this server answers as localhost or 127.0.0.1, by no other name"
                    raise Refusal(403, said)
                return
        if scope.get("http_version") == "1.1":
            raise Refusal(400, "a request must name the host that it is for")

    def check_private(self, request: Request) -> None:
        """Refuse to write, or to show what users have done, for who has no token, or from another site's page."""
        origin = request.headers.get("origin")
        if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
            raise Refusal(403, "what is private is not for pages of other sites")
        if self._token is None:
            if not self.is_local:
                raise Refusal(403, "a server that others can reach shows and takes what is private only by a token")
            return
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        right = hmac.compare_digest(given.strip().encode("utf-8", "replace"), self._token)
        if not (kind.lower() == "bearer" and right):
            raise Refusal(401, "a token is needed: Authorization: Bearer …", **{"www-authenticate": "Bearer"})

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
        if asked.explain and asked.user is not None:
            self.check_private(request)  # reasons are items of the user's history
        snapshot = await self.snapshot()
        if asked.explain or len(asked.history or ()) + len(asked.allow or ()) + len(asked.deny or ()) > LONG_LISTS:
            return self.answer(await self.on_thread(self._recommend, snapshot, asked))
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
        return m.RecommendAnswer(items, snapshot.version, snapshot.seq, fallback, asked.user, unknown)

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
        return await self.on_thread(self._batch, snapshot, asked)

    def _batch(self, snapshot: Snapshot, asked: m.BatchRequest) -> Answer:
        model = snapshot.model
        policy = asked.on_unknown or self.settings.on_unknown
        check_types(model, "users_", asked.users, "users")
        self._check_known(snapshot, asked.users, policy, "users")
        if len(asked.users) * asked.k > m.LARGEST_ANSWER:
            raise Refusal(422, f"users times k may be {m.LARGEST_ANSWER}, got {len(asked.users)} users", "k")
        unknown: list[Id] = []
        filters = self._filters(model, asked, policy, unknown)
        rows: list[m.BatchRow] = []
        if asked.users:
            top = snapshot.recommend(
                asked.users, asked.k, exclude_seen=asked.exclude_seen, on_unknown="popular", **filters
            )
            counts = top.valid.sum(axis=1).tolist()
            parts = zip(
                asked.users, top.items.tolist(), top.scores.tolist(), counts, top.fallback.tolist(), strict=True
            )
            rows = [m.BatchRow(user, ids[:n], scores[:n], popular) for user, ids, scores, n, popular in parts]
        return self.answer(m.BatchAnswer(rows, snapshot.version, snapshot.seq, unknown))

    async def events(self, request: Request) -> Answer:
        """POST /events."""
        self.check_private(request)
        journal = self.writable()
        asked = await self.body(request, m.EventsRequest)
        model, events = self.snapshot_now().model, asked.events
        check_types(model, "users_", [event.user for event in events], "events", ".user")
        check_types(model, "items_", [event.item for event in events], "events", ".item")
        check_reach(model, events)
        check_values(model, [event.value for event in events], "events", ".value")
        now = journal.now()
        batch = [
            Event(event.user, event.item, event.value, now if event.time is None else event.time, event.id)
            for event in events
        ]
        try:
            done = journal.submit(batch)
            self.metrics.waiting.set(journal.waiting)
            receipt = await asyncio.wrap_future(done)
        except JournalFullError as error:
            self.metrics.refused.inc()
            raise Refusal(429, str(error), **{"retry-after": "1"}) from None
        except JournalError as error:
            self.updater.tell("writing", str(error))  # type: ignore[union-attr]
            raise Refusal(503, str(error), **{"retry-after": "5"}) from None
        except (TypeError, ValueError) as error:
            raise refuse_argument(error) from None
        self.updater.tell("writing", None)  # type: ignore[union-attr]
        self.metrics.events.inc(receipt.added)
        self.metrics.known_events.inc(receipt.known)
        return self.answer(m.EventsAnswer(receipt.seq, receipt.added, receipt.known, self.version))

    async def delete_user(self, request: Request) -> Answer:
        """DELETE /users/{id}."""
        self.check_private(request)
        journal = self.writable()
        snapshot = await self.snapshot()
        user = parse_id(snapshot.model, "users_", named_user(request), "id")
        try:
            if not snapshot.knows(user) and not await asyncio.to_thread(journal.history, user):
                return self.answer(m.DeletedAnswer(snapshot.seq, snapshot.version, "nothing was known of the user"))
            seq = await asyncio.to_thread(journal.delete_user, user)
        except JournalError as error:
            raise Refusal(503, str(error), **{"retry-after": "5"}) from None
        snapshot = await self.snapshot()
        code = encode(snapshot.model, [user], "users_")[0]
        trained = code >= 0 and snapshot.model.seen_.indptr[code + 1] > snapshot.model.seen_.indptr[code]
        said = "the file has the user's training history until the next model" if trained else "the file has nothing"
        return self.answer(m.DeletedAnswer(seq, snapshot.version, said))

    async def history(self, request: Request) -> Answer:
        """GET /users/{id}."""
        self.check_private(request)  # a history is as private as it is to write one
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
        top = await self.on_thread(model.similar_items, [item], k)
        title = titles(model, code.tolist())[0]
        return self.answer(m.SimilarAnswer(item, listed(model, top, 0), snapshot.version, title))

    async def items(self, request: Request) -> Answer:
        """GET /items?search=…."""
        snapshot = self.snapshot_now()
        limit = parse_count(request, "limit", 20, 200)
        wanted = request.query_params.get("search", "")[:200]
        codes = await self.on_thread(lambda: self.catalogue.get(snapshot).find_items(wanted, limit))
        model = snapshot.model
        named = titles(model, codes)
        counts = model.item_counts_[codes].tolist()
        rows = [m.Item(*row) for row in zip(decode(model, np.array(codes, int)), counts, named, strict=True)]
        return self.answer(m.ItemsAnswer(rows, snapshot.version))

    async def users(self, request: Request) -> Answer:
        """GET /users?search=…."""
        self.check_private(request)
        snapshot = await self.snapshot()
        limit = parse_count(request, "limit", 20, 200)
        wanted = request.query_params.get("search", "")[:200]
        found = await self.on_thread(lambda: self.catalogue.get(snapshot).find_users(wanted, limit))
        return self.answer(m.UsersAnswer([user for user in found if snapshot.knows(user)], snapshot.version))

    async def model(self, request: Request) -> Answer:
        """GET /model."""
        snapshot = await self.snapshot()
        model = snapshot.model
        n_users, n_items = model.seen_.shape
        catalogue = await self.on_thread(self.catalogue.get, snapshot)
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
                needs_token=self._token is not None,
                shows_users=self._token is not None or self.is_local,
                typical_value=catalogue.typical_value,
                options=options,
                model_seq=snapshot.model_seq,
                seq=snapshot.seq,
                changed_users=snapshot.changed_users,
                unknown_items=snapshot.unknown_items,
                problem=self.updater.problem if self.updater is not None else None,
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
        return self.answer(m.StateAnswer("ready", self.version, self.updater.problem))

    async def metrics_text(self, request: Request) -> Response:
        """GET /metrics."""
        if self.updater is not None:
            snapshot = self.updater.snapshot
            self.metrics.seq.set(snapshot.seq)
            self.metrics.model_seq.set(snapshot.model_seq)
            self.metrics.changed.set(snapshot.changed_users)
            self.metrics.problem.set(self.updater.problem is not None)
            self.metrics.waiting.set(0 if self.journal is None else self.journal.waiting)
            if self._schedule is not None and self._schedule.drift is not None:
                self.metrics.foresees(self._schedule.drift.newest)
        return Response(self.metrics.text(), media_type=CONTENT_TYPE)

    async def openapi(self, request: Request) -> Response:
        """GET /openapi.json."""
        return Response(self._encode(describe_api(self.settings.token is not None)), media_type=JSON)

    async def page(self, request: Request) -> Response:
        """GET / and /docs: the web page, and what can be asked."""
        name = {"/": "index.html", "/docs": "api.html"}[request.url.path]
        return Response(read_page(name), media_type="text/html", headers={"cache-control": "no-cache"})

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
        self._direct = {"/recommend": server.recommend, "/events": server.events, "/batch": server.batch}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
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


PATHS = ("recommend", "batch", "events", "similar", "users", "items", "model", "healthz", "readyz", "metrics", "docs")


def label_of(path: str) -> str:
    """A path as metrics know it: few of them, whatever is asked for, and no ids.

    >>> label_of("/users/42"), label_of("/wp-login.php"), label_of("/")
    ('/users', 'other', '/')
    """
    first = path[1:].partition("/")[0]
    return f"/{first}" if first in PATHS or path == "/" else "other"


def create_app(settings: Settings | None = None) -> Any:
    """The ASGI application of one worker; without settings, those in the environment."""
    server = Server(Settings.from_environment() if settings is None else settings)

    async def refuse(request: Request, error: Exception) -> Any:
        return server.refuse(request, error)

    router = Router(routes_of(server), redirect_slashes=False, lifespan=server.lifespan)
    return Guard(ExceptionMiddleware(router, {Refusal: refuse, HTTPException: refuse}), server)


def routes_of(server: Server) -> list[BaseRoute]:
    """What can be asked."""
    return [
        Route("/recommend", server.recommend, methods=["POST"]),
        Route("/events", server.events, methods=["POST"]),
        Route("/batch", server.batch, methods=["POST"]),
        Route("/similar", server.similar),
        Route("/model", server.model),
        Route("/items", server.items),
        Route("/users", server.users),
        Route("/users/{id:any}", server.history),
        Route("/users/{id:any}", server.delete_user, methods=["DELETE"]),
        Route("/healthz", server.healthz),
        Route("/readyz", server.readyz),
        Route("/metrics", server.metrics_text),
        Route("/openapi.json", server.openapi),
        Route("/", server.page),
        Route("/docs", server.page),
        Mount("/page", StaticFiles(directory=PAGE)),
    ]


def _end_late(task: asyncio.Task[Any], late: list[bool]) -> None:
    late.append(True)
    task.cancel()


# -- small things about models and requests


def listed(model: Recommender, top: TopK, row: int) -> list[m.Recommended]:
    """One row of a result."""
    codes = top.codes[row]
    codes = codes[codes >= 0]
    scores = top.scores[row, : len(codes)].tolist()
    named = titles(model, codes.tolist())
    return [m.Recommended(*part) for part in zip(decode(model, codes), scores, named, strict=True)]


def titles(model: Recommender, codes: list[int]) -> list[str | None]:
    """What to show for items, where the model has titles."""
    column = (model.item_info_ or {}).get("title")
    if column is None:
        return [None] * len(codes)
    return [str(column[code]) or None for code in codes]


def decode(model: Recommender, codes: Any) -> list[Id]:
    """Ids of items."""
    return (codes if model.items_ is None else model.items_.decode(codes)).tolist()  # type: ignore[no-any-return]


def encode(model: Recommender, ids: list[Id], side: str = "items_") -> Any:
    """Codes of ids of the right type, -1 for the unknown."""
    vocabulary = getattr(model, side)
    if vocabulary is not None:
        return vocabulary.encode(ids, unknown="code") if ids else np.empty(0, np.int32)
    size = model.n_features_in_ if side == "items_" else model.seen_.shape[0]
    return np.array([given if 0 <= given < size else -1 for given in ids], np.int32)  # type: ignore[operator]


def check_types(model: Recommender, side: str, ids: list[Id], field: str, rest: str = "") -> None:
    """Refuse ids of another type than the model's, naming the first: "42" is not 42."""
    vocabulary = getattr(model, side)
    wanted = str if vocabulary is not None and vocabulary.kind == "str" else int
    if set(map(type, ids)) <= {wanted} and (wanted is str or not ids or _fit_64_bits(ids)):
        return
    for place, given in enumerate(ids):
        check_type(model, side, given, f"{field}[{place}]{rest}")


def check_type(model: Recommender, side: str, given: Id, field: str) -> None:
    """Refuse an id of another type than the model's."""
    vocabulary = getattr(model, side)
    wanted = str if vocabulary is not None and vocabulary.kind == "str" else int
    if type(given) is not wanted:
        what = "users" if side == "users_" else "items"
        kinds = ("strings", "an integer") if wanted is str else ("integers", "a string")
        raise Refusal(422, f"the ids of {what} are {kinds[0]} here, got {kinds[1]}: {shown(given)}", field)
    if wanted is int and not _fit_64_bits([given]):
        raise Refusal(422, "an id must fit into 64 bits", field)


def _fit_64_bits(ids: list[Id]) -> bool:
    return min(ids) >= -(2**63) and max(ids) < 2**63  # type: ignore[operator]


def check_reach(model: Recommender, events: list[m.NewEvent]) -> None:
    """Refuse events that no update would take in: of a model without ids, codes far beyond its own."""
    for side, name, size in (("users_", "user", model.seen_.shape[0]), ("items_", "item", model.n_features_in_)):
        if getattr(model, side) is None:
            largest = reach(size) - 1
            for place, event in enumerate(events):
                if not 0 <= getattr(event, name) <= largest:
                    said = f"a code must be from 0 to {largest}, got {getattr(event, name)}"
                    raise Refusal(422, said, f"events[{place}].{name}")


def check_values(model: Recommender, values: list[float], field: str, rest: str = "") -> None:
    """Refuse values that the model could not learn from, naming the first."""
    largest = largest_value(model)
    if not values or (min(values) >= SMALLEST_VALUE and max(values) <= largest):
        return
    for place, value in enumerate(values):
        if not takes_value(model, value):
            least = f"from {-largest:g}" if model.takes_negatives else "from 0" if model.keeps_zeros else "above 0"
            said = f"a value must be {least} and at most {largest:g} for this {type(model).__name__}, got {value:g}"
            raise Refusal(422, said, f"{field}[{place}]{rest}")


def parse_id(model: Recommender, side: str, text: str, field: str) -> Id:
    """An id out of a URL, where all is text: the model's type decides."""
    vocabulary = getattr(model, side)
    if vocabulary is not None and vocabulary.kind == "str":
        return text
    if not re.fullmatch(r"-?[0-9]{1,19}", text):
        raise Refusal(422, f"ids are integers here, got {shown(text)}", field)
    check_type(model, side, int(text), field)
    return int(text)


def named_user(request: Request) -> str:
    """The user's id in a path; bytes that are no text name nobody, nor who is called by what stands for them."""
    try:
        unquote_to_bytes(request.scope["raw_path"]).decode()
    except UnicodeDecodeError:
        raise Refusal(422, "an id must be UTF-8, percent-encoded", "id") from None
    named: str = request.path_params["id"]
    return named


def parse_count(request: Request, name: str, default: int, largest: int) -> int:
    """A number of items out of a URL."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= largest:
        raise Refusal(422, f"{name} must be an integer from 1 to {largest}, got {shown(text)}", name)
    return int(text)


@functools.lru_cache(maxsize=64)
def names_loopback(host: bytes) -> bool:
    """Whether a request's `Host` is a name that leads to this machine alone.

    >>> [names_loopback(name) for name in (b"127.0.0.1:8000", b"[::1]:8000", b"localhost", b"x")]
    [True, True, True, False]
    """
    name = re.sub(r":[0-9]+$", "", host.decode("latin-1"))
    return is_loopback(name.removeprefix("[").removesuffix("]").lower())


def refuse_field(message: str) -> Refusal:
    """A sentence of msgspec's, "Expected `int`, got `str` - at `$.k`", as a refusal of that field."""
    said, _, place = message.partition(" - at `")
    field = place.rstrip("`").removeprefix("$").removeprefix(".").removeprefix("[...]") or "body"
    missing = re.search(r"(?:missing required|contains unknown) field `([^`]*)`", said)
    if missing and missing[1]:  # a field may have no name at all
        field = missing[1] if field == "body" else f"{field}.{missing[1]}"
    return Refusal(422, said, field)


def refuse_argument(error: Exception) -> Refusal:
    """A sentence that begins with the name of a field, as a refusal of that field."""
    field, _, _ = str(error).partition(" ")
    return Refusal(422, str(error), field if "[" in field else "body")


def shown(given: Any) -> str:
    """An id that is short enough to be said."""
    text = repr(given)
    return text if len(text) <= 60 else text[:57] + "…"


@functools.cache
def read_page(name: str) -> bytes:
    """A file of the page."""
    return (PAGE / name).read_bytes()
