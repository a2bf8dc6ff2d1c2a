"""Bodies of requests: read within bounds of size and time, and decoded to their types."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from fastrec.serving.line import Line
from fastrec.serving.refusal import Refusal, refuse_field
from fastrec.serving.scenarios import Scenarios, complete
from fastrec.serving.whole_request import WHOLE_BODY

# Larger bodies, in bytes, are decoded on a thread.
LARGE_BODY = 32 << 10
# A body that is too large is read (and dropped) up to so many times the limit: a client that is cut off while it sends
# sees a broken connection instead of the answer.
LINGER = 4

Body = TypeVar("Body")


class BodyReader:
    """Reads bodies.

    Parameters
    ----------
    largest
        The maximum number of bytes of a body.
    seconds
        The seconds in which a client must send the body.
    line
        The threads that decode large bodies.
    scenarios
        The named requests that fill in missing fields.
    """

    def __init__(self, largest: int, seconds: float, line: Line, scenarios: Scenarios) -> None:
        self._largest, self._seconds, self._line, self._scenarios = largest, seconds, line, scenarios
        self._decoders: dict[type, msgspec.json.Decoder[Any]] = {}

    async def read(self, request: Request, kind: type[Body]) -> Body:
        """Reads the body of a request, decoded to its type."""
        raw: bytes | None = request.scope.get(WHOLE_BODY)
        if raw is None or len(raw) > self._largest:
            raw = await self.read_raw(request)
        try:
            decode: Callable[[bytes], Body] = self._decoder(kind).decode
            body = await self._line.run(decode, raw) if len(raw) > LARGE_BODY else decode(raw)
        except msgspec.ValidationError as error:
            raise refuse_field(str(error), kind) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refusal(422, f"the body is no JSON: {error}", "body") from None
        scenario = getattr(body, "scenario", None)
        return body if scenario is None else complete(self._scenarios, scenario, raw, kind)

    def _decoder(self, kind: type[Body]) -> msgspec.json.Decoder[Body]:
        return self._decoders.get(kind) or self._decoders.setdefault(kind, msgspec.json.Decoder(kind))

    async def read_raw(self, request: Request) -> bytes:
        """Reads the body of a request as it was sent."""
        whole: bytes | None = request.scope.get(WHOLE_BODY)
        if whole is not None and len(whole) <= self._largest:
            return whole
        largest = self._largest
        too_large = Refusal(413, f"a body may have {largest} bytes", connection="close")
        if whole is not None:
            raise too_large
        length = next((value for name, value in request.scope["headers"] if name == b"content-length"), b"0")
        if not length.isdigit() or int(length) > LINGER * largest:
            raise too_large
        parts, size, more = [], 0, True
        task = asyncio.current_task()
        assert task is not None
        late: list[bool] = []
        timer = asyncio.get_running_loop().call_later(self._seconds, _end_late, task, late)
        try:  # asyncio.timeout at a tenth of its cost
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
            raise Refusal(408, "the body did not arrive in time", connection="close") from None
        finally:
            timer.cancel()
        if size > largest:
            raise too_large
        return b"".join(parts)


def _end_late(task: asyncio.Task[Any], late: list[bool]) -> None:
    late.append(True)
    task.cancel()
