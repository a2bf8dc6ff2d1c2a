"""The bodies of requests and answers, from which the OpenAPI description is made too."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

LARGEST_K = 1000
LARGEST_BATCH = 10_000
LARGEST_SEARCH = 200
LARGEST_ANSWER = 1_000_000

Id = int | str
Count = Annotated[int, Meta(ge=1, le=LARGEST_K, description="How many items.")]
Ids = Annotated[list[Id], Meta(max_length=100_000)]
Unknown = Annotated[list[Id], Meta(description="Items of the request that the model does not know.")]
OnUnknown = Literal["popular", "error"]
Recommendation = Annotated[str, Meta(description="The answer's id, which events that follow from it can name.")]


class Entry(Struct, forbid_unknown_fields=True):
    """An item of a history with its value."""

    item: Id
    value: Annotated[float, Meta(ge=-1e30, le=1e30)] = 1.0


Scalar = str | int | float | bool | None
Values = Annotated[list[Scalar], Meta(max_length=10_000)]
Where = Annotated[
    dict[str, Scalar | Values | dict[str, Any]],
    Meta(description="Conditions by the names of facts, which must all hold (docs/reference/serving.md has them)."),
]


class Boost(Struct, forbid_unknown_fields=True):
    """A change of the scores of some items: times a factor, plus a number."""

    where: Where
    factor: Annotated[float, Meta(ge=1e-6, le=1e6)] = 1.0
    add: Annotated[float, Meta(ge=-1e6, le=1e6)] = 0.0


class Pin(Struct, forbid_unknown_fields=True):
    """An item at a position of the list, the first being 1, whatever its score."""

    item: Id
    position: Annotated[int, Meta(ge=1, le=LARGEST_K)]


class Diversity(Struct, forbid_unknown_fields=True):
    """Less of the same, by maximal marginal relevance."""

    trade_off: Annotated[float, Meta(ge=0, le=1, description="From 0, the model's order, to 1.")] = 0.3
    by: Annotated[str | None, Meta(description="The fact that tells items apart; the model's vectors.")] = None


class ListRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """The wishes for a list of any user or history."""

    k: Count = 10
    allow: Annotated[Ids | None, Meta(description="Only these items.")] = None
    deny: Annotated[Ids | None, Meta(description="None of these items.")] = None
    where: Where | None = None
    boosts: Annotated[list[Boost], Meta(max_length=4)] | None = None
    mmr: Diversity | None = None
    caps: Annotated[
        dict[str, Annotated[int, Meta(ge=1, le=LARGEST_K)]] | None,
        Meta(description="The most items that share a label, by the names of facts."),
    ] = None
    pins: Annotated[list[Pin], Meta(max_length=LARGEST_K)] | None = None
    on_unknown: Annotated[OnUnknown | None, Meta(description="What becomes of unknown ids.")] = None
    scenario: Annotated[str | None, Meta(description="Whose fields count where this request says nothing.")] = None

    @property
    def is_shaped(self) -> bool:
        """Tells whether more is wished than the best items."""
        return (
            self.where is not None
            or self.boosts is not None
            or self.mmr is not None
            or self.caps is not None
            or self.pins is not None
        )


class RecommendRequest(ListRequest, kw_only=True):
    """A request for recommendations, by `user` or by `history`, or by both: a visit of the user's."""

    user: Annotated[Id | None, Meta(description="A user's id, of the model's type; to name one needs scope read.")] = (
        None
    )
    history: Annotated[
        Annotated[list[int | str | Entry], Meta(max_length=100_000)] | None,
        Meta(
            description="Items, with or without values, the newest last: nothing of it is kept. Of anybody, or, with a "
            "user, what that user does now: it counts as events would."
        ),
    ] = None
    exclude_seen: bool = True
    explain: Annotated[bool, Meta(description="Say why, where the model can.")] = False


class BatchRequest(ListRequest, kw_only=True):
    """Many users at once."""

    users: Annotated[list[Id], Meta(max_length=LARGEST_BATCH, description=f"Users times k may be {LARGEST_ANSWER}.")]
    exclude_seen: bool = True


class SimilarRequest(ListRequest, kw_only=True):
    """A request for the items that are most like some together, a cart for example."""

    items: Annotated[list[Id], Meta(min_length=1, max_length=1000)]


class NewEvent(Struct, forbid_unknown_fields=True):
    """A user met an item."""

    user: Id
    item: Id
    value: Annotated[float, Meta(ge=-1e30, le=1e30)] = 1.0
    time: Annotated[int | None, Meta(description="In the journal's unit; now, where there is none.")] = None
    id: Annotated[
        Annotated[str, Meta(max_length=1024)] | None,
        Meta(description="An event sent again under the same id counts once."),
    ] = None
    recommendation: Annotated[
        Annotated[str, Meta(max_length=1024)] | None, Meta(description="The id of the answer that the event follows.")
    ] = None


class EventsRequest(Struct, forbid_unknown_fields=True):
    """Events to be appended, all or none of them."""

    events: Annotated[list[NewEvent], Meta(min_length=1, max_length=100_000)]


class Reason(Struct, omit_defaults=True):
    """The part of a score that an item of the history adds."""

    item: Id
    contribution: float
    title: str | None = None


class Recommended(Struct, omit_defaults=True):
    """An item and its score."""

    item: Id
    score: float
    title: str | None = None
    why: list[Reason] | None = None
    pinned: Annotated[bool, Meta(description="Whether the request has put it here; its score is then 0.")] = False


class RecommendAnswer(Struct, omit_defaults=True):
    """The best items, the best first; `seq` is the last event that was taken into account."""

    items: list[Recommended]
    version: str
    seq: int
    fallback: bool
    user: Id | None = None
    unknown: Unknown = msgspec.field(default_factory=list)
    recommendation: Recommendation = ""


class BatchRow(Struct, omit_defaults=True):
    """One user's list."""

    user: Id
    items: list[Id]
    scores: list[float]
    fallback: bool
    model: Annotated[str | None, Meta(description="Of several models the one that answered this user.")] = None


class BatchAnswer(Struct):
    """A list for each user, in the order of the request."""

    results: Annotated[list[msgspec.Raw], Meta(extra_json_schema={"items": {"$ref": "#/components/schemas/BatchRow"}})]
    version: str
    seq: int
    unknown: Unknown
    recommendation: Recommendation


class EventsAnswer(Struct):
    """The events are on disk."""

    seq: Annotated[int, Meta(description="The place in the journal up to which it has them all.")]
    added: int
    known: Annotated[int, Meta(description="How many it had already, by their ids.")]
    version: str


class DeletedAnswer(Struct):
    """The user's events are gone from the disk, and no answer uses them any more."""

    seq: int
    version: str
    model: Annotated[str, Meta(description="Whether the model file still has the user's training history.")]


class SimilarAnswer(Struct, omit_defaults=True):
    """The items nearest to an item, or to several together; `item` and `title` are those of a single one."""

    items: list[Recommended]
    version: str
    item: Id | None = None
    title: str | None = None
    unknown: Unknown = msgspec.field(default_factory=list)
    recommendation: Recommendation = ""


class Item(Struct, omit_defaults=True):
    """An item, and how many users took it."""

    item: Id
    users: int
    title: str | None = None


FactValue = str | int | float | bool | list[str] | None
Facts = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=200)], FactValue],
    Meta(description="Text, numbers, true or false, lists of tags; null: it is missing, whatever the model has."),
]


class ItemRequest(Struct, forbid_unknown_fields=True):
    """The state of an item; what is not given stays as it was."""

    facts: Annotated[
        Facts | None,
        Meta(description="All its facts, `title` among them, in place of those sent before; the model's own stay."),
    ] = None
    hidden: Annotated[bool | None, Meta(description="Whether it is left out of all answers.")] = None


class ItemAnswer(Struct):
    """An item as it is now."""

    item: Id
    facts: Annotated[dict[str, FactValue], Meta(description="The model's facts, and those sent since.")]
    hidden: bool
    known: Annotated[bool, Meta(description="Whether the model knows it; else it is in no list before the next one.")]
    seq: int
    version: str


class RemovedAnswer(Struct):
    """The item is in no answer any more."""

    item: Id
    seq: int
    version: str


class ItemsAnswer(Struct):
    """Items whose title or id has the words searched for."""

    items: list[Item]
    version: str


class UsersAnswer(Struct):
    """Ids of users that begin so."""

    users: list[Id]
    version: str


class Seen(Struct, omit_defaults=True):
    """An item of a history."""

    item: Id
    value: float
    title: str | None = None


class HistoryAnswer(Struct):
    """The events of a user; at most a thousand items, the newest first, or the most valued where no order is
    read.
    """

    user: Id
    items: list[Seen]
    total: int
    version: str
    seq: int


class ModelAnswer(Struct):
    """The description of the served model."""

    version: str
    model: str
    users: int
    items: int
    interactions: int
    user_ids: Literal["int", "str"]
    item_ids: Literal["int", "str"]
    titles: bool
    facts: Annotated[list[str], Meta(description="The names of the facts of items, at most a hundred.")]
    explains: bool
    reads_order: Annotated[bool, Meta(description="Whether it counts in which order a history is given: newest last.")]
    takes_events: bool
    keeps_users: Annotated[
        bool, Meta(description="Whether the model knows users: else it answers histories, and users by their events.")
    ]
    needs_token: bool
    shows_users: Annotated[bool, Meta(description="Whether histories are shown, be it to who has a token.")]
    may: Annotated[list[str], Meta(description="The scopes of the token that came with the request.")]
    typical_value: Annotated[float, Meta(description="The median of the values that the model was made of.")]
    options: dict[str, bool | int | float | str | None]
    model_seq: Annotated[int | None, Meta(description="The last event that the model itself has taken in.")]
    seq: Annotated[int | None, Meta(description="The last event that answers count with; these four for readers only.")]
    changed_users: int | None
    unknown_items: int | None
    problem: str | None
    fastrec: str


class Problem(Struct, omit_defaults=True):
    """The description of a problem."""

    message: str
    field: Annotated[str | None, Meta(description="Where in the request.")] = None


class ErrorAnswer(Struct):
    """Any answer that is an error."""

    error: Problem
    version: str


class WorkAnswer(Struct):
    """The result of a piece of work that an operator asked for."""

    done: Annotated[bool, Meta(description="Whether another model answers now.")]
    said: Annotated[str, Meta(description="What was done, or why nothing was.")]
    version: str
    model_seq: Annotated[int, Meta(description="The last event that the model itself has taken in.")]
    seconds: float


class StateAnswer(Struct, omit_defaults=True):
    """The state of the server: there, and ready."""

    status: str
    version: str
    problem: Annotated[str | None, Meta(description="What is wrong, while the model answers.")] = None
