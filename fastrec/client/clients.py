"""`Client` and `AsyncClient`: the calls of a server as methods."""

import functools
from collections.abc import Awaitable, Callable
from typing import Any, Generic, ParamSpec, Self, TypeVar, cast, overload

import httpx
import msgspec

from fastrec.client import calls
from fastrec.client.calls import Call
from fastrec.client.errors import ServerError
from fastrec.serving.messages import ErrorAnswer, StateAnswer

Given = ParamSpec("Given")
Answer = TypeVar("Answer")


class Method(Generic[Given, Answer]):
    """A call as a method of `Client`."""

    def __init__(self, build: Callable[Given, Call[Answer]]) -> None:
        self.build = build

    @overload
    def __get__(self, client: None, owner: type) -> Callable[Given, Call[Answer]]: ...
    @overload
    def __get__(self, client: "Client", owner: type) -> Callable[Given, Answer]: ...
    def __get__(self, client: "Client | None", owner: type) -> Callable[Given, Call[Answer] | Answer]:
        """Returns the method of a client, or of the class the function of the call."""
        if client is None:
            return self.build

        def ask(*given: Given.args, **named: Given.kwargs) -> Answer:
            return client.send(self.build(*given, **named))

        return functools.update_wrapper(ask, self.build)


class AsyncMethod(Generic[Given, Answer]):
    """A call as a method of `AsyncClient`."""

    def __init__(self, build: Callable[Given, Call[Answer]]) -> None:
        self.build = build

    @overload
    def __get__(self, client: None, owner: type) -> Callable[Given, Call[Answer]]: ...
    @overload
    def __get__(self, client: "AsyncClient", owner: type) -> Callable[Given, Awaitable[Answer]]: ...
    def __get__(self, client: "AsyncClient | None", owner: type) -> Callable[Given, Call[Answer] | Awaitable[Answer]]:
        """Returns the method of a client, or of the class the function of the call."""
        if client is None:
            return self.build

        async def ask(*given: Given.args, **named: Given.kwargs) -> Answer:
            return await client.send(self.build(*given, **named))

        return functools.update_wrapper(ask, self.build)


class Client:
    """A client of a server of fastrec, whose answers are typed.

    Its methods are the calls of `fastrec.client.calls`, one for each endpoint of the server. An error in an answer is
    raised as a `ServerError`; if there is no answer at all, the error of httpx is raised. Nothing is sent twice.

    Parameters
    ----------
    address
        The URL of the server, such as ``http://127.0.0.1:8000``.
    token
        The access token of the client; None sends none.
    **options
        Options of `httpx.Client`: ``timeout=60`` for a refit, ``headers={"fastrec-model": "b"}`` for one of several
        models.

    Examples
    --------
    >>> from fastrec.client import Client, NewEvent, RecommendRequest
    >>> with Client("http://127.0.0.1:8000") as client:  # doctest: +SKIP
    ...     seq = client.send_events([NewEvent("ann", "Alien", id="click-1")]).seq
    ...     for row in client.recommend(RecommendRequest(user="ann", k=5), seq=seq).items:
    ...         print(row.item, row.score)
    """

    recommend = Method(calls.recommend)
    recommend_batch = Method(calls.recommend_batch)
    send_events = Method(calls.send_events)
    similar_items = Method(calls.similar_items)
    similar_to_items = Method(calls.similar_to_items)
    find_items = Method(calls.find_items)
    get_item = Method(calls.get_item)
    put_item = Method(calls.put_item)
    delete_item = Method(calls.delete_item)
    find_users = Method(calls.find_users)
    get_history = Method(calls.get_history)
    delete_user = Method(calls.delete_user)
    get_model = Method(calls.get_model)
    get_health = Method(calls.get_health)
    get_readiness = Method(calls.get_readiness)
    get_metrics = Method(calls.get_metrics)
    make_checkpoint = Method(calls.make_checkpoint)
    refit = Method(calls.refit)
    reload = Method(calls.reload)

    def __init__(self, address: str, *, token: str | None = None, **options: Any) -> None:
        self._client = httpx.Client(base_url=address, auth=_authorize(token), **options)

    def send(self, call: Call[Answer]) -> Answer:
        """Sends a call; returns its answer."""
        return _read(call, self._client.request(call.method, call.path, **_describe(call)))

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient:
    """A client of a server of fastrec whose methods are awaited; otherwise as `Client`.

    Parameters
    ----------
    address, token
        As of `Client`.
    **options
        Options of `httpx.AsyncClient`.

    Examples
    --------
    >>> from fastrec.client import AsyncClient, RecommendRequest
    >>> async def ask():
    ...     async with AsyncClient("http://127.0.0.1:8000") as client:
    ...         return await client.recommend(RecommendRequest(user="ann", k=5))
    """

    recommend = AsyncMethod(calls.recommend)
    recommend_batch = AsyncMethod(calls.recommend_batch)
    send_events = AsyncMethod(calls.send_events)
    similar_items = AsyncMethod(calls.similar_items)
    similar_to_items = AsyncMethod(calls.similar_to_items)
    find_items = AsyncMethod(calls.find_items)
    get_item = AsyncMethod(calls.get_item)
    put_item = AsyncMethod(calls.put_item)
    delete_item = AsyncMethod(calls.delete_item)
    find_users = AsyncMethod(calls.find_users)
    get_history = AsyncMethod(calls.get_history)
    delete_user = AsyncMethod(calls.delete_user)
    get_model = AsyncMethod(calls.get_model)
    get_health = AsyncMethod(calls.get_health)
    get_readiness = AsyncMethod(calls.get_readiness)
    get_metrics = AsyncMethod(calls.get_metrics)
    make_checkpoint = AsyncMethod(calls.make_checkpoint)
    refit = AsyncMethod(calls.refit)
    reload = AsyncMethod(calls.reload)

    def __init__(self, address: str, *, token: str | None = None, **options: Any) -> None:
        self._client = httpx.AsyncClient(base_url=address, auth=_authorize(token), **options)

    async def send(self, call: Call[Answer]) -> Answer:
        """Sends a call; returns its answer."""
        return _read(call, await self._client.request(call.method, call.path, **_describe(call)))

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _authorize(token: str | None) -> Callable[[httpx.Request], httpx.Request] | None:
    """Adds the token to each request."""

    def add(request: httpx.Request) -> httpx.Request:
        request.headers["authorization"] = f"Bearer {token}"
        return request

    return None if token is None else add


def _describe(call: Call[Any]) -> dict[str, Any]:
    """Returns the options of httpx for a call."""
    body = None if call.body is None else msgspec.json.encode(call.body)
    return {"params": dict(call.parameters) or None, "headers": call.headers, "content": body}


def _read(call: Call[Answer], response: httpx.Response) -> Answer:
    """Returns the answer of a response, or raises its error."""
    if response.status_code != 200:
        raise _read_error(response)
    if call.answer is str:
        return cast("Answer", response.text)
    return msgspec.json.decode(response.content, type=call.answer)


def _read_error(response: httpx.Response) -> ServerError:
    """Returns the error of a response. A proxy's error has another form; then it keeps the text that there is."""
    given = response.headers.get("retry-after", "")
    later = float(given) if given.isdigit() else None
    try:
        problem = msgspec.json.decode(response.content, type=ErrorAnswer).error
    except msgspec.MsgspecError:
        pass
    else:
        return ServerError(response.status_code, problem.message, problem.field, later)
    try:
        return ServerError(
            response.status_code, msgspec.json.decode(response.content, type=StateAnswer).status, None, later
        )
    except msgspec.MsgspecError:
        return ServerError(response.status_code, response.text[:200] or response.reason_phrase, None, later)
