"""The access log: a line of JSON for each request, without ids of users."""

import os
import time
from datetime import UTC, datetime

import msgspec

from fastrec.permissions import PRIVATE
from fastrec.serving.application import Application, Around
from fastrec.serving.asgi import Connection, Message, Receive, Send
from fastrec.serving.routes import label_of
from fastrec.serving.tracing import TRACE_HEADER, read_trace

STDOUT = "-"


class Line(msgspec.Struct):
    """A line of the log; `path` has the form of the metrics, its first part alone."""

    time: datetime
    method: str
    path: str
    status: int
    ms: float
    bytes: int
    client: str
    version: str
    trace: str
    span: str
    parent: str


class LineFile:
    """A file to which several processes append lines, each whole and in one step.

    Parameters
    ----------
    path
        The file, created if it does not exist; "-" is standard output.
    mode
        The permissions of a new file.
    """

    def __init__(self, path: str, mode: int = PRIVATE) -> None:
        self._number = 1 if path == STDOUT else os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, mode)
        self._before = b""

    def write(self, line: bytes) -> None:
        """Appends a line, or raises an `OSError`; a line cut short by a full disk ends where the next one begins."""
        whole = self._before + line + b"\n"
        self._before = b"" if os.write(self._number, whole) == len(whole) else b"\n"


class Logged(Around):
    """An application whose requests are logged, and whose answers name their trace.

    Parameters
    ----------
    app
        The application that answers.
    file
        The file of the lines.
    """

    def __init__(self, app: Application, file: LineFile) -> None:
        super().__init__(app)
        self._file, self._encode = file, msgspec.json.Encoder().encode

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Answers one request, then writes its line."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, now, trace = time.perf_counter(), datetime.now(UTC), read_trace(scope["headers"])
        status, size = 499, 0  # 499 if the client has gone before an answer begins

        async def sending(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (TRACE_HEADER, trace.header)]
            else:
                size += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            spent, client = (time.perf_counter() - began) * 1000, scope.get("client") or ("",)
            self._write(Line(
                now, scope["method"], label_of(scope["path"]), status, round(spent, 3), size, client[0],
                self.server.version, trace.trace, trace.span, trace.parent,
            ))  # fmt: skip

    def _write(self, line: Line) -> None:
        """Appends a line; if that fails, requests are answered all the same."""
        try:
            self._file.write(self._encode(line))
        except OSError as error:
            self.server.tell("access log", f"the access log cannot be written: {error}")
        else:
            self.server.tell("access log", None)
