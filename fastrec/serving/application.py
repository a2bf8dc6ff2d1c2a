"""`Application`: the application that answers a server's requests, and the layers around it."""

from typing import Protocol

from fastrec.serving.asgi import Connection, Receive, Send
from fastrec.serving.server import Server


class Application(Protocol):
    """An ASGI application of a server. Layers that log or limit requests are put around it."""

    @property
    def server(self) -> Server:
        """The server behind it."""
        ...

    @property
    def whole_paths(self) -> frozenset[bytes]:
        """The paths of POST that it answers without a task if the request arrives complete."""
        ...

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Answers one request."""
        ...


class Around:
    """A layer around another application.

    Parameters
    ----------
    app
        The one that answers.
    """

    def __init__(self, app: Application) -> None:
        self._app, self.server, self.whole_paths = app, app.server, app.whole_paths
