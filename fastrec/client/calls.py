"""The calls that `Client` and `AsyncClient` send: each is a request and the type of its answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import quote

import msgspec

from fastrec.serving import messages as m

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Call(Generic[Answer]):
    """A request and the type of its answer.

    Parameters
    ----------
    method
        The HTTP method.
    template
        The path, with the names of its parts in braces, such as ``/items/{item}``.
    answer
        The type of the answer; str is text, all others are JSON.
    body
        The body of the request.
    parts
        The values of the path's parts.
    parameters
        The query parameters.
    seq
        The position in the journal up to which the answer must count all events.
    """

    method: str
    template: str
    answer: type[Answer]
    body: msgspec.Struct | None = None
    parts: Mapping[str, m.Id] = field(default_factory=dict)
    parameters: Mapping[str, m.Id] = field(default_factory=dict)
    seq: int | None = None

    @property
    def path(self) -> str:
        """Returns the path of the request, its parts filled in."""
        return self.template.format(**{name: quote(str(part), safe="") for name, part in self.parts.items()})

    @property
    def headers(self) -> dict[str, str]:
        """Returns the headers of this call."""
        return {} if self.seq is None else {"fastrec-seq": str(self.seq)}


class BatchRows(msgspec.Struct):
    """The answer to a batch: a list for each user, in the order of the request."""

    results: list[m.BatchRow]
    version: str
    seq: int
    unknown: list[m.Id]
    recommendation: str


def recommend(asked: m.RecommendRequest, *, seq: int | None = None) -> Call[m.RecommendAnswer]:
    """Asks for the best items for one user, or for a history."""
    return Call("POST", "/recommend", m.RecommendAnswer, asked, seq=seq)


def recommend_batch(asked: m.BatchRequest, *, seq: int | None = None) -> Call[BatchRows]:
    """Asks for the best items for many users."""
    return Call("POST", "/batch", BatchRows, asked, seq=seq)


def send_events(events: Sequence[m.NewEvent]) -> Call[m.EventsAnswer]:
    """Sends events of users; an event with an id counts once, however often it is sent."""
    return Call("POST", "/events", m.EventsAnswer, m.EventsRequest(list(events)))


def similar_items(item: m.Id, k: int = 10) -> Call[m.SimilarAnswer]:
    """Asks for the items nearest to an item."""
    return Call("GET", "/similar", m.SimilarAnswer, parameters={"item": item, "k": k})


def similar_to_items(asked: m.SimilarRequest) -> Call[m.SimilarAnswer]:
    """Asks for the items nearest to some items together, those of a cart for example."""
    return Call("POST", "/similar", m.SimilarAnswer, asked)


def find_items(search: str = "", limit: int = 20) -> Call[m.ItemsAnswer]:
    """Asks for items whose title or id matches a search, or for the most popular items."""
    return Call("GET", "/items", m.ItemsAnswer, parameters={"search": search, "limit": limit})


def get_item(item: m.Id, *, seq: int | None = None) -> Call[m.ItemAnswer]:
    """Asks for the facts about an item, and whether it is shown."""
    return Call("GET", "/items/{id}", m.ItemAnswer, parts={"id": item}, seq=seq)


def put_item(item: m.Id, asked: m.ItemRequest) -> Call[m.ItemAnswer]:
    """Adds an item, or change its facts, hide or show it."""
    return Call("PUT", "/items/{id}", m.ItemAnswer, asked, parts={"id": item})


def delete_item(item: m.Id) -> Call[m.RemovedAnswer]:
    """Removes an item."""
    return Call("DELETE", "/items/{id}", m.RemovedAnswer, parts={"id": item})


def find_users(search: str = "", limit: int = 20, *, seq: int | None = None) -> Call[m.UsersAnswer]:
    """Asks for users whose id begins with a text."""
    return Call("GET", "/users", m.UsersAnswer, parameters={"search": search, "limit": limit}, seq=seq)


def get_history(user: m.Id, *, seq: int | None = None) -> Call[m.HistoryAnswer]:
    """Asks for a user's history."""
    return Call("GET", "/users/{id}", m.HistoryAnswer, parts={"id": user}, seq=seq)


def delete_user(user: m.Id) -> Call[m.DeletedAnswer]:
    """Asks the server to forget a user."""
    return Call("DELETE", "/users/{id}", m.DeletedAnswer, parts={"id": user})


def get_model() -> Call[m.ModelAnswer]:
    """Asks for the facts about the model that is served."""
    return Call("GET", "/model", m.ModelAnswer)


def get_health() -> Call[m.StateAnswer]:
    """Asks whether the process is alive."""
    return Call("GET", "/healthz", m.StateAnswer)


def get_readiness() -> Call[m.StateAnswer]:
    """Asks whether the server is ready to answer. If it is not, that is an error of status 503."""
    return Call("GET", "/readyz", m.StateAnswer)


def get_metrics() -> Call[str]:
    """Asks for the metrics in the format of Prometheus."""
    return Call("GET", "/metrics", str)


def make_checkpoint() -> Call[m.WorkAnswer]:
    """Asks the server to save the events since the last model into the model, items included."""
    return Call("POST", "/admin/checkpoint", m.WorkAnswer)


def refit() -> Call[m.WorkAnswer]:
    """Asks for a refit of the model. The answer comes when the new model is served: give the client time."""
    return Call("POST", "/admin/refit", m.WorkAnswer)


def reload() -> Call[m.WorkAnswer]:
    """Asks the server to load the newest published version."""
    return Call("POST", "/admin/reload", m.WorkAnswer)
