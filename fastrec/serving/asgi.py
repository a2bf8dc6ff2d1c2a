"""Types of ASGI: a connection, its messages, and what receives and sends them."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

Connection: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
