"""The calls that a server answers: what is sent, and the type of the answer. `Client` and `AsyncClient` send them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import quote

import msgspec

from fastrec.serving import messages as m

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Call(Generic[Answer]):
    """A request and what is answered to it.

    Parameters
    ----------
    method
        Of HTTP.
    template
        The path, with the names of its parts in braces.
    answer
        The type of the answer; str is text, all others are JSON.
    body
        What is sent.
    parts
        Of the path.
    parameters
        What is asked behind the path.
    seq
        The place in the journal that the answer must have taken in.
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
        """The path that is asked for."""
        return self.template.format(**{name: quote(str(part), safe="") for name, part in self.parts.items()})

    @property
    def headers(self) -> dict[str, str]:
        """The headers that are the call's own."""
        return {} if self.seq is None else {"fastrec-seq": str(self.seq)}


class BatchRows(msgspec.Struct):
    """A list for each user, in the order of the request."""

    results: list[m.BatchRow]
    version: str
    seq: int
    unknown: list[m.Id]
    recommendation: str


def recommend(asked: m.RecommendRequest, *, seq: int | None = None) -> Call[m.RecommendAnswer]:
    """Ask for the best items for one user, or for a history."""
    return Call("POST", "/recommend", m.RecommendAnswer, asked, seq=seq)


def recommend_batch(asked: m.BatchRequest, *, seq: int | None = None) -> Call[BatchRows]:
    """Ask for the best items for many users."""
    return Call("POST", "/batch", BatchRows, asked, seq=seq)


def send_events(events: Sequence[m.NewEvent]) -> Call[m.EventsAnswer]:
    """Tell what users did; an event with an id counts once, however often it is sent."""
    return Call("POST", "/events", m.EventsAnswer, m.EventsRequest(list(events)))


def similar_items(item: m.Id, k: int = 10) -> Call[m.SimilarAnswer]:
    """Ask for the items nearest to an item."""
    return Call("GET", "/similar", m.SimilarAnswer, parameters={"item": item, "k": k})


def similar_to_items(asked: m.SimilarRequest) -> Call[m.SimilarAnswer]:
    """Ask for the items nearest to some items together, those of a cart for example."""
    return Call("POST", "/similar", m.SimilarAnswer, asked)


def find_items(search: str = "", limit: int = 20) -> Call[m.ItemsAnswer]:
    """Ask for items by title or id; without a search for the most popular ones."""
    return Call("GET", "/items", m.ItemsAnswer, parameters={"search": search, "limit": limit})


def get_item(item: m.Id, *, seq: int | None = None) -> Call[m.ItemAnswer]:
    """Ask for an item's facts, and whether it is shown."""
    return Call("GET", "/items/{id}", m.ItemAnswer, parts={"id": item}, seq=seq)


def put_item(item: m.Id, asked: m.ItemRequest) -> Call[m.ItemAnswer]:
    """Add an item, or change its facts, hide or show it."""
    return Call("PUT", "/items/{id}", m.ItemAnswer, asked, parts={"id": item})


def delete_item(item: m.Id) -> Call[m.RemovedAnswer]:
    """Remove an item."""
    return Call("DELETE", "/items/{id}", m.RemovedAnswer, parts={"id": item})


def find_users(search: str = "", limit: int = 20, *, seq: int | None = None) -> Call[m.UsersAnswer]:
    """Ask for users by how their id begins."""
    return Call("GET", "/users", m.UsersAnswer, parameters={"search": search, "limit": limit}, seq=seq)


def get_history(user: m.Id, *, seq: int | None = None) -> Call[m.HistoryAnswer]:
    """Ask for what a user has done."""
    return Call("GET", "/users/{id}", m.HistoryAnswer, parts={"id": user}, seq=seq)


def delete_user(user: m.Id) -> Call[m.DeletedAnswer]:
    """Have a user forgotten."""
    return Call("DELETE", "/users/{id}", m.DeletedAnswer, parts={"id": user})


def get_model() -> Call[m.ModelAnswer]:
    """Ask for what is served."""
    return Call("GET", "/model", m.ModelAnswer)


def get_health() -> Call[m.StateAnswer]:
    """Ask whether the process lives."""
    return Call("GET", "/healthz", m.StateAnswer)


def get_readiness() -> Call[m.StateAnswer]:
    """Ask whether the server can answer; where it cannot, that is an error of status 503."""
    return Call("GET", "/readyz", m.StateAnswer)


def get_metrics() -> Call[str]:
    """Ask for the metrics, as Prometheus takes them."""
    return Call("GET", "/metrics", str)


def make_checkpoint() -> Call[m.WorkAnswer]:
    """Have the events since the last model taken into the model, items included."""
    return Call("POST", "/admin/checkpoint", m.WorkAnswer)


def refit() -> Call[m.WorkAnswer]:
    """Have the model fitted anew; the answer comes when the new one is served, so give the client time."""
    return Call("POST", "/admin/refit", m.WorkAnswer)


def reload() -> Call[m.WorkAnswer]:
    """Have the newest published model taken."""
    return Call("POST", "/admin/reload", m.WorkAnswer)
