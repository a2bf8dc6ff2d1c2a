"""Rate limits: a bucket of tokens for each client, and the requests that find theirs empty are told to come later."""

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

# So many clients are remembered; beyond them the one that has not asked for longest is forgotten.
MOST_CLIENTS = 10_000
# Who watches over the server must be answered.
FREE_PATHS = frozenset({"/healthz", "/readyz"})


class Buckets:
    """Token buckets: a second's requests may come at once, then each has to wait for its turn.

    Parameters
    ----------
    rate
        Requests a second.
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
        self._levels: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()  # and when each was such

    def take(self, client: Hashable) -> float:
        """Takes a token; 0 if there was one, else the seconds until there is."""
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
    """An application that each client may ask at a certain rate: who has a token by that, others by their address.

    Parameters
    ----------
    app
        What answers.
    buckets
        Of the clients.
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
        refusal = Refusal(429, "too many requests: come again after Retry-After seconds", **headers)
        await refuse_error(refusal, server.version)(scope, receive, send)


@functools.lru_cache(maxsize=1024)
def network_of(host: str) -> str:
    """An address as one client's: of IPv6 the first half, since the other is each client's own to choose.

    >>> network_of("2001:db8::1") == network_of("2001:db8::2"), network_of("192.0.2.1")
    (True, '192.0.2.1')
    """
    try:
        address = ip_address(host)
    except ValueError:
        return host
    return str(int(address) >> 64) if isinstance(address, IPv6Address) else host
