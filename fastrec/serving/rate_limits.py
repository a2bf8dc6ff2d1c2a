"""Rate limits: a bucket of tokens for each client; a request that finds an empty bucket is told to come later."""

import functools
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from ipaddress import IPv6Address, ip_address

from fastrec.serving.answers import refuse_error
from fastrec.serving.application import Application, Around
from fastrec.serving.asgi import Connection, Receive, Send
from fastrec.serving.refusal import Refusal
from fastrec.serving.routes import label_of

# The number of clients that are remembered; beyond it, the one idle for longest is forgotten.
MOST_CLIENTS = 10_000
# monitoring must always be answered
FREE_PATHS = frozenset({"/healthz", "/readyz"})


class Buckets:
    """Token buckets: a second's requests may come at once, and later ones wait for their turn.

    Parameters
    ----------
    rate
        Requests per second.
    most
        The number of buckets that are kept.
    clock
        The time in seconds.

    Examples
    --------
    >>> buckets = Buckets(2, clock=lambda: 0.0)
    >>> [buckets.take("ann") for _ in range(3)], buckets.take("bob")
    ([0.0, 0.0, 0.5], 0.0)
    """

    def __init__(self, rate: float, *, most: int = MOST_CLIENTS, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._most, self._clock = rate, most, clock
        self._size = max(1.0, rate)
        self._levels: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()  # tokens, and when

    def take(self, client: Hashable) -> float:
        """Takes a token; returns 0 if there was one, or the seconds until there is."""
        now = self._clock()
        level, since = self._levels.get(client, (self._size, now))
        level = min(self._size, level + (now - since) * self._rate)
        wait = max(0.0, (1 - level) / self._rate)
        self._levels[client] = level if wait else level - 1, now
        self._levels.move_to_end(client)
        if len(self._levels) > self._most:
            self._levels.popitem(last=False)
        return wait


class Limited(Around):
    """A layer that limits the rate of each client, identified by its token, or else by its address.

    Parameters
    ----------
    app
        The application that answers.
    buckets
        The buckets of the clients.
    """

    def __init__(self, app: Application, buckets: Buckets) -> None:
        super().__init__(app)
        self._buckets = buckets

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Answers one request, or refuses it."""
        if scope["type"] == "http" and scope["path"] not in FREE_PATHS:
            wait = self._buckets.take(self._client_of(scope))
            if wait:
                await self._refuse(wait, scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _client_of(self, scope: Connection) -> Hashable:
        token = self.server.access.find_token(scope["headers"])
        return network_of((scope.get("client") or ("",))[0]) if token is None else token

    async def _refuse(self, wait: float, scope: Connection, receive: Receive, send: Send) -> None:
        server = self.server
        server.metrics.observe(label_of(scope["path"]), 429, 0.0)
        headers = {"retry-after": str(math.ceil(wait)), "x-content-type-options": "nosniff"}
        if server.is_draining:
            headers["connection"] = "close"
        refusal = Refusal(429, "too many requests: try again after Retry-After seconds", **headers)
        await refuse_error(refusal, server.version)(scope, receive, send)


@functools.lru_cache(maxsize=1024)
def network_of(host: str) -> str:
    """Returns the network of an address: the first half of an IPv6 address, since a client chooses the other half.

    >>> network_of("2001:db8::1") == network_of("2001:db8::2"), network_of("192.0.2.1")
    (True, '192.0.2.1')
    """
    try:
        address = ip_address(host)
    except ValueError:
        return host
    return str(int(address) >> 64) if isinstance(address, IPv6Address) else host
