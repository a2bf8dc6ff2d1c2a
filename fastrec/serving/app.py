"""The ASGI application of one worker: the routes, and the layers around all of them."""

import functools
import logging
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from starlette.convertors import PathConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.routing import BaseRoute, Route, Router

from fastrec.serving import messages as m
from fastrec.serving.access_log import LineFile, Logged
from fastrec.serving.answers import JSON_HEADER, VERSION_HEADER, Answer, make_answer, refuse_error
from fastrec.serving.application import Application
from fastrec.serving.asgi import Connection, Message, Receive, Send
from fastrec.serving.endpoint import Endpoint
from fastrec.serving.metrics import Metrics
from fastrec.serving.parsing import check_query
from fastrec.serving.rate_limits import Buckets, Limited
from fastrec.serving.refusal import Refusal
from fastrec.serving.routes import ROUTES, label_of
from fastrec.serving.server import Server
from fastrec.serving.settings import Settings, is_loopback, name_model
from fastrec.serving.shares import Shares
from fastrec.serving.split import Split
from fastrec.serving.whole_request import CLOSING

log = logging.getLogger("uvicorn.error")

NO_SNIFFING = (b"x-content-type-options", b"nosniff")
# headers for browsers; an answer in JSON can neither load nor run anything
PAGE_HEADERS = [
    NO_SNIFFING,
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
]


class AnyText(PathConvertor):
    """The rest of a path with any characters in it, even line breaks, up to its very end."""

    regex = "(?s:.*)"


register_url_convertor("any", AnyText())


class Guard:
    """The layer around everything: it times, counts and sets headers; every error ends here."""

    def __init__(self, app: Any, server: Server) -> None:
        self.app = app
        self.server = server
        # The most frequent request bypasses routing, which takes a tenth of a request's whole time.
        self._direct = {one.path: guard_endpoint(one, server) for one in ROUTES if one.method == "POST"}
        # Of these, requests that arrive complete need no task of the event loop either, which takes another quarter.
        self.whole_paths = frozenset(path.encode() for path in self._direct)

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = self._complete(message["headers"], began)
            await send(message)

        try:
            self._check_host(scope)
            direct = self._direct.get(scope["path"]) if scope["method"] == "POST" else None
            if direct is None:
                scope["app"] = self.app  # it makes starlette's router raise an error for an unknown path
                await self.app(scope, receive, sending)
            else:
                answer = await direct(Request(scope, receive, sending))
                status, answer.headers = answer.status, self._complete(answer.headers, began)
                await answer(scope, receive, send)
        except ClientDisconnect:
            status = status or 499
        except Exception as error:
            if not status:
                await refuse(self.server, error)(scope, receive, sending)
            else:
                log.error("an error after the answer had begun", exc_info=error)
        finally:
            self.server.metrics.observe(label_of(scope["path"]), status or 499, time.perf_counter() - began)

    def _complete(self, headers: list[tuple[bytes, bytes]], began: float) -> list[tuple[bytes, bytes]]:
        """The headers of an answer, with those that every answer has."""
        more = [(b"server-timing", b"app;dur=%.3f" % ((time.perf_counter() - began) * 1000))]
        # A model may have been published since the answer was made: only pages are without a version yet.
        if VERSION_HEADER not in dict(headers):
            more.append((VERSION_HEADER, self.server.version.encode("latin-1", "replace")))
        if self.server.is_draining:
            more.append(CLOSING)
        return [*headers, *more, *((NO_SNIFFING,) if JSON_HEADER in headers else PAGE_HEADERS)]

    def _check_host(self, scope: Connection) -> None:
        """Refuses a request for another host name.

        A page of another site could point its own name at this machine, and would then have the same origin.
        """
        if self.server.is_local and not self.server.access.needs_token:
            for name, host in scope["headers"]:
                if name == b"host" and not names_loopback(host):
                    said = "without a token this server answers only as localhost or 127.0.0.1"
                    raise Refusal(403, said)


def create_app(settings: Settings) -> Application:
    """Makes the ASGI application of one worker, with the layers that the settings ask for."""
    app: Application = _split(settings) if settings.beside else guard_server(Server(settings))
    if settings.rate_limit is not None:
        app = Limited(app, Buckets(settings.rate_limit))
    if settings.access_log is not None:
        app = Logged(app, LineFile(settings.access_log, settings.mode))
    return app


def _split(settings: Settings) -> Split:
    """Makes the application of several models; the first one's server starts and stops the others."""
    metrics = Metrics([name_model(model) for model in (settings.model, *settings.beside)])
    others = [Server(replace(settings, model=model, beside=()), metrics=metrics) for model in settings.beside]
    servers = [Server(settings, others, metrics), *others]
    apps: dict[str, Application] = {name_model(one.settings.model): guard_server(one) for one in servers}
    return Split(apps, Shares(settings.shares, settings.share_key))


def guard_server(server: Server) -> Guard:
    """The application of one server."""

    async def refuse_request(request: Request, error: Exception) -> Any:
        return refuse(server, error)

    router = Router(routes_of(server), redirect_slashes=False, lifespan=server.lifespan)
    return Guard(ExceptionMiddleware(router, {Refusal: refuse_request, HTTPException: refuse_request}), server)


def routes_of(server: Server) -> list[BaseRoute]:
    """The routes of a server."""
    return [
        Route(one.path.replace("{id}", "{id:any}"), guard_endpoint(one, server), methods=[one.method]) for one in ROUTES
    ]


def guard_endpoint(endpoint: Endpoint, server: Server) -> Callable[[Request], Awaitable[Any]]:
    """Wraps an endpoint in the checks of every request for it: the scope that it needs, and the names in its query."""
    handler, scope, known = endpoint.handler, endpoint.always, endpoint.query_names

    async def answer(request: Request) -> Any:
        if scope is not None:
            server.access.check(request.scope["headers"], scope)
        if known is not None and request.scope["query_string"]:
            check_query(request, known)
        return await handler(server, request)

    return answer


def refuse(server: Server, error: Exception) -> Answer:
    """Makes the answer to an error, without the place of the error in the program."""
    if isinstance(error, HTTPException | Refusal):
        return refuse_error(error, server.version)
    log.error("an error in the server", exc_info=error)
    problem = m.Problem("an error in the server; its log says more")
    return make_answer(m.ErrorAnswer(problem, server.version), 500)


@functools.lru_cache(maxsize=64)
def names_loopback(host: bytes) -> bool:
    """Tells whether a request's `Host` is a name of this machine alone.

    >>> [names_loopback(name) for name in (b"127.0.0.1:8000", b"[::1]:8000", b"localhost", b"x")]
    [True, True, True, False]
    """
    name = re.sub(r":[0-9]+$", "", host.decode("latin-1"))
    return is_loopback(name.removeprefix("[").removesuffix("]").lower())
