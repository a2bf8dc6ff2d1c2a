"""`Endpoint`: a method of a path, its scope, its handler and its description."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from starlette.requests import Request

from fastrec.serving.access import Scope
from fastrec.serving.server import Server

Handler: TypeAlias = Callable[[Server, Request], Awaitable[Any]]


class Parameter(NamedTuple):
    """A parameter of a path, or of the query behind it.

    Parameters
    ----------
    name
        The name as it is written.
    said
        The meaning of the parameter.
    largest
        The largest value of a number; None: it is text.
    required
        Whether it is required.
    place
        "query" or "path".
    """

    name: str
    said: str
    largest: int | None = None
    required: bool = False
    place: str = "query"


class Description(NamedTuple):
    """The endpoint's part of the API's description.

    Parameters
    ----------
    summary
        A summary in a few words.
    answer
        The message of the answer; None: text.
    errors
        The other statuses of an answer, and their meanings.
    said
        A longer text.
    body
        The message of the request.
    parameters
        The parameters of the URL.
    operation
        The operation's id; by default it follows from the summary.
    """

    summary: str
    answer: type | None
    errors: Mapping[int, str]
    said: str = ""
    body: type | None = None
    parameters: Sequence[Parameter] = ()
    operation: str | None = None


class Endpoint(NamedTuple):
    """A method of a path.

    Parameters
    ----------
    method
        The HTTP method; a GET endpoint also answers HEAD.
    path
        The path as described, with the names of its parts in braces.
    handler
        The function that answers.
    scope
        The scope that a token needs; None: anybody may ask.
    by_user
        Whether the scope is needed only if a user is named; a history in a request is no secret.
    description
        The description; None for an endpoint outside the API.
    """

    method: str
    path: str
    handler: Handler
    scope: Scope | None = None
    by_user: bool = False
    description: Description | None = None

    @property
    def always(self) -> Scope | None:
        """The scope that every request for the endpoint needs."""
        return None if self.by_user else self.scope

    @property
    def query_names(self) -> frozenset[str] | None:
        """The names that a query may have. None: any, since the request asks for nothing in particular."""
        if self.description is None or not (self.description.parameters or self.description.body):
            return None
        return frozenset(one.name for one in self.description.parameters if one.place == "query")
