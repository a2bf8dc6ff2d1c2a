"""`Split`: the application of several models, each of which answers a share of the users."""

import re
import time
from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request

from fastrec.online.journal import Id
from fastrec.serving import messages as m
from fastrec.serving.answers import Answer, encode_json, refuse_error
from fastrec.serving.application import Application
from fastrec.serving.asgi import Connection, Message, Receive, Send
from fastrec.serving.refusal import Refusal
from fastrec.serving.shares import Shares
from fastrec.serving.whole_request import WHOLE_BODY

MODEL_HEADER = b"fastrec-model"


class Who(msgspec.Struct):
    """The users of a request for recommendations; all other fields are ignored."""

    user: Id | None = None
    users: list[Id] | None = None


_decode_who = msgspec.json.Decoder(Who).decode


class Split:
    """An application over several others; the shares decide which one answers a user.

    Requests without a user, and writes, go to the first one. A request with the header ``fastrec-model`` goes to the
    named model. Each answer names its model in the same header.

    Parameters
    ----------
    apps
        The applications by the names of their models; all have one journal.
    shares
        The share of each application.
    """

    def __init__(self, apps: dict[str, Application], shares: Shares) -> None:
        self._names, self._apps, self._shares = list(apps), list(apps.values()), shares
        self.server, self.whole_paths = self._apps[0].server, self._apps[0].whole_paths

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            await self._apps[0](scope, receive, send)
            return
        names_none = all(name != MODEL_HEADER for name, _ in scope["headers"])
        if scope["path"] == "/readyz" and scope["method"] in ("GET", "HEAD") and names_none:
            await self._tell_readiness(scope, receive, send)
            return
        try:
            numbers = await self._choose(scope, receive, send)
        except Refusal as error:
            await refuse_error(error, self.server.version)(scope, receive, send)
        except ClientDisconnect:
            return
        else:
            if len(set(numbers)) < 2:
                await self._ask(numbers[0] if numbers else 0, scope, receive, send)
            else:
                await self._ask_each(numbers, scope, receive, send)

    async def _choose(self, scope: Connection, receive: Receive, send: Send) -> list[int]:
        """Returns the number of the model for each user of the request, or one number for a request without users."""
        for name, value in scope["headers"]:
            if name == MODEL_HEADER:
                return [self._find(value.decode("latin-1"))]
        if scope["method"] != "POST" or scope["path"] not in ("/recommend", "/batch"):
            return [0]
        if WHOLE_BODY not in scope:
            scope[WHOLE_BODY] = await self.server.bodies.read_raw(Request(scope, receive, send))
        try:
            who = _decode_who(scope[WHOLE_BODY])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return [0]  # it says what is wrong with it
        users = [who.user] if who.user is not None else who.users or []
        return [self._shares.find(user) for user in users]

    def _find(self, name: str) -> int:
        if name not in self._names:
            raise Refusal(422, f"there is no such model here: give one of {', '.join(self._names)}", "fastrec-model")
        return self._names.index(name)

    async def _ask(self, number: int, scope: Connection, receive: Receive, send: Send) -> None:
        """Lets one model answer, and adds its name to the answer."""
        began, name = time.perf_counter(), self._names[number]

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (MODEL_HEADER, name.encode("latin-1", "replace"))]
                self.server.metrics.observe_model(name, message["status"], time.perf_counter() - began)
            await send(message)

        await self._apps[number](scope, receive, sending)

    async def _tell_readiness(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Tells whether all models are ready, as the first that is not says it, and the problems of all."""
        told = [await self._collect(number, scope, receive) for number in range(len(self._apps))]
        states = [msgspec.json.decode(answer.body, type=m.StateAnswer) for answer in told]
        number = next((number for number, answer in enumerate(told) if answer.status != 200), 0)
        problems = [f"{name}: {one.problem}" for name, one in zip(self._names, states, strict=True) if one.problem]
        versions = ",".join(one.version for one in states)
        state = m.StateAnswer(states[number].status, versions, "; ".join(problems) or None)
        await told[number].replaced(state)(scope, receive, send)

    async def _ask_each(self, numbers: Sequence[int], scope: Connection, receive: Receive, send: Send) -> None:
        """Lets each model answer its users of a batch, and answers with all rows in their order."""
        asked = msgspec.json.decode(scope[WHOLE_BODY])
        users, parts = asked["users"], {}
        for number in sorted(set(numbers)):
            places = [place for place, chosen in enumerate(numbers) if chosen == number]
            body = encode_json({**asked, "users": [users[place] for place in places]})
            answer = await self._collect(number, {**scope, WHOLE_BODY: body}, receive)
            if answer.status != 200:
                await answer.repeat(places, scope, receive, send)
                return
            parts[number] = places, msgspec.json.decode(answer.body)
        await self._join(parts, len(users))(scope, receive, send)

    async def _collect(self, number: int, scope: Connection, receive: Receive) -> "Collected":
        answer = Collected()
        await self._ask(number, scope, receive, answer.take)
        return answer

    def _join(self, parts: dict[int, tuple[list[int], Any]], size: int) -> Answer:
        rows: list[Any] = [None] * size
        for number, (places, answer) in parts.items():
            for place, row in zip(places, answer["results"], strict=True):
                rows[place] = {**row, "model": self._names[number], "recommendation": answer["recommendation"]}
        answers = [answer for _, answer in parts.values()]
        whole = {
            **answers[0], "results": rows, "seq": min(answer["seq"] for answer in answers),
            "version": ",".join(answer["version"] for answer in answers), "recommendation": "",
            "unknown": [*dict.fromkeys(item for answer in answers for item in answer["unknown"])],
        }  # fmt: skip
        names = ",".join(self._names[number] for number in parts)
        headers = [(MODEL_HEADER, names.encode("latin-1", "replace")), (b"x-content-type-options", b"nosniff")]
        return Answer(encode_json(whole), 200, headers)


class Collected:
    """An answer that is collected instead of sent."""

    def __init__(self) -> None:
        self.status, self.body = 0, b""
        self._messages: list[Message] = []

    async def take(self, message: Message) -> None:
        """Collects a part of the answer."""
        self._messages.append(message)
        self.status = message.get("status", self.status)
        self.body += message.get("body", b"")

    async def repeat(self, places: list[int], scope: Connection, receive: Receive, send: Send) -> None:
        """Sends an error as the whole request's, with the users' places in the whole request."""
        problem = msgspec.json.decode(self.body, type=m.ErrorAnswer)
        field = re.fullmatch(r"users\[(\d+)\]", problem.error.field or "")
        if field is not None:
            problem.error.field = f"users[{places[int(field[1])]}]"
        await self.replaced(problem)(scope, receive, send)

    def replaced(self, what: m.ErrorAnswer | m.StateAnswer) -> Answer:
        """The answer with something else to say."""
        headers = [(name, value) for name, value in self._messages[0]["headers"] if name not in _OF_BODY]
        return Answer(encode_json(what), self.status, headers)


_OF_BODY = (b"content-length", b"content-type")
