"""`Endpoint`: a method of a path, who may ask it, what answers it, and how it is described."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from starlette.requests import Request

from fastrec.serving.access import Scope
from fastrec.serving.server import Server

Handler: TypeAlias = Callable[[Server, Request], Awaitable[Any]]


class Parameter(NamedTuple):
    """A part of a path, or what may be asked behind it.

    Parameters
    ----------
    name
        As it is written.
    said
        What it means.
    largest
        The largest number that it may be; None: it is text.
    required
        Whether it must be there.
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
        In a few words.
    answer
        The message that is answered; None: text.
    errors
        What else may be answered: statuses, and what they mean.
    said
        More words.
    body
        The message that is sent.
    parameters
        What the URL takes.
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
        Of HTTP; what is got can be asked for its head alone.
    path
        As it is described, with the names of its parts in braces.
    handler
        What answers.
    scope
        What a token must be for; None: anybody may ask.
    by_user
        Whether the scope is needed only where a user is named; a history that a request brings is nobody's secret.
    description
        None for what is no part of the API.
    """

    method: str
    path: str
    handler: Handler
    scope: Scope | None = None
    by_user: bool = False
    description: Description | None = None

    @property
    def always(self) -> Scope | None:
        """The scope that every request for it needs, whatever it asks."""
        return None if self.by_user else self.scope
