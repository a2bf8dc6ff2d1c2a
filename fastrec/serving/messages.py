"""The bodies of requests and answers, which also give the OpenAPI description."""

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
ExcludeSeen = Annotated[
    bool | None,
    Meta(description="Whether to leave out what the user has had; null is the model's own default, for most true."),
]
Recommendation = Annotated[str, Meta(description="The id of the answer, which events that follow from it can name.")]


class Entry(Struct, forbid_unknown_fields=True):
    """An item of a history with its value."""

    item: Id
    value: Annotated[float, Meta(ge=-1e30, le=1e30)] = 1.0


Scalar = str | int | float | bool | None
Values = Annotated[list[Scalar], Meta(max_length=10_000)]
Where = Annotated[
    dict[str, Scalar | Values | dict[str, Any]],
    Meta(description="Conditions by the names of facts; all must hold (docs/reference/serving.md has them)."),
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
    """Diversity by maximal marginal relevance."""

    trade_off: Annotated[float, Meta(ge=0, le=1, description="From 0, the model's order, to 1.")] = 0.3
    by: Annotated[
        str | None, Meta(description="The fact that distinguishes items; by default the model's vectors.")
    ] = None


class ListRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """The wishes for a list, for any user or history."""

    k: Count = 10
    allow: Annotated[Ids | None, Meta(description="Only these items.")] = None
    deny: Annotated[Ids | None, Meta(description="None of these items.")] = None
    where: Where | None = None
    boosts: Annotated[list[Boost], Meta(max_length=4)] | None = None
    mmr: Diversity | None = None
    caps: Annotated[
        dict[str, Annotated[int, Meta(ge=1, le=LARGEST_K)]] | None,
        Meta(description="The maximum number of items with the same label, by the names of facts."),
    ] = None
    pins: Annotated[list[Pin], Meta(max_length=LARGEST_K)] | None = None
    on_unknown: Annotated[OnUnknown | None, Meta(description="The answer to unknown ids.")] = None
    scenario: Annotated[str | None, Meta(description="The scenario that fills in fields missing here.")] = None

    @property
    def is_shaped(self) -> bool:
        """Tells whether the request wants more than the best items."""
        return (
            self.where is not None
            or self.boosts is not None
            or self.mmr is not None
            or self.caps is not None
            or self.pins is not None
        )


class RecommendRequest(ListRequest, kw_only=True):
    """A request for recommendations, by `user` or by `history`, or by both: a visit of the user's."""

    user: Annotated[Id | None, Meta(description="A user's id, of the model's type; it needs scope read.")] = None
    history: Annotated[
        Annotated[list[int | str | Entry], Meta(max_length=100_000)] | None,
        Meta(
            description="Items, with or without values, the newest last; nothing of it is kept. With a user, "
            "they are the user's present visit and count like events."
        ),
    ] = None
    exclude_seen: ExcludeSeen = None
    explain: Annotated[bool, Meta(description="Give reasons, if the model can.")] = False


class BatchRequest(ListRequest, kw_only=True):
    """A request for many users at once."""

    users: Annotated[list[Id], Meta(max_length=LARGEST_BATCH, description=f"Users times k may be {LARGEST_ANSWER}.")]
    exclude_seen: ExcludeSeen = None


class SimilarRequest(ListRequest, kw_only=True):
    """A request for the items most similar to some items together, such as a cart."""

    items: Annotated[list[Id], Meta(min_length=1, max_length=1000)]


class NewEvent(Struct, forbid_unknown_fields=True):
    """A user met an item."""

    user: Id
    item: Id
    value: Annotated[float, Meta(ge=-1e30, le=1e30)] = 1.0
    time: Annotated[int | None, Meta(description="The time in the journal's unit; by default now.")] = None
    id: Annotated[
        Annotated[str, Meta(max_length=1024)] | None,
        Meta(description="An event sent again under the same id counts once."),
    ] = None
    recommendation: Annotated[
        Annotated[str, Meta(max_length=1024)] | None, Meta(description="The id of the answer that led to the event.")
    ] = None


class EventsRequest(Struct, forbid_unknown_fields=True):
    """Events to be appended, all or none of them."""

    events: Annotated[list[NewEvent], Meta(min_length=1, max_length=100_000)]


class Reason(Struct, omit_defaults=True):
    """The part of a score that an item of the history adds, or a feature of the item and the user."""

    contribution: float
    item: Id | None = None
    title: str | None = None
    feature: str | None = None
    value: Annotated[float | None, Meta(description="The number of the feature; none if it is unknown.")] = None


class Recommended(Struct, omit_defaults=True):
    """An item and its score."""

    item: Id
    score: float
    title: str | None = None
    why: list[Reason] | None = None
    pinned: Annotated[bool, Meta(description="Whether the request pinned it here; its score is then 0.")] = False
    propensity: Annotated[
        float | None, Meta(description="The probability that the item is in the list, if it was drawn at random.")
    ] = None


class RecommendAnswer(Struct, omit_defaults=True):
    """The best items, the best first; `seq` is the last event that the answer counts."""

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
    model: Annotated[str | None, Meta(description="The model that answered this user, if several are served.")] = None
    recommendation: Annotated[
        str | None, Meta(description="The id of this list, if several models have answered: the answer's own is empty.")
    ] = None


class BatchAnswer(Struct):
    """A list for each user, in the order of the request."""

    results: Annotated[list[msgspec.Raw], Meta(extra_json_schema={"items": {"$ref": "#/components/schemas/BatchRow"}})]
    version: str
    seq: int
    unknown: Unknown
    recommendation: Recommendation


class EventsAnswer(Struct, omit_defaults=True):
    """The answer to events: they are on disk."""

    seq: Annotated[int, Meta(description="The place in the journal up to which all of them are there.")]
    added: int
    known: Annotated[int, Meta(description="The number of events that the journal had already, by their ids.")]
    version: str
    unknown: Unknown = msgspec.field(default_factory=list)


class DeletedAnswer(Struct):
    """The answer to a deletion: the user's events are gone from the disk, and no answer uses them."""

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
    """An item, and its number of users."""

    item: Id
    users: int
    title: str | None = None


FactValue = str | int | float | bool | list[str] | None
Facts = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=200)], FactValue],
    Meta(
        description="Text, numbers, true or false, lists of tags; null makes a fact missing, even if the model has it."
    ),
]


class ItemRequest(Struct, forbid_unknown_fields=True):
    """The state of an item; missing fields stay unchanged."""

    facts: Annotated[
        Facts | None,
        Meta(description="All its facts, `title` included, in place of those sent before; the model's own facts stay."),
    ] = None
    hidden: Annotated[bool | None, Meta(description="Whether the item is left out of all answers.")] = None


class ItemAnswer(Struct):
    """The present state of an item."""

    item: Id
    facts: Annotated[dict[str, FactValue], Meta(description="The model's facts, with those sent since.")]
    hidden: bool
    known: Annotated[
        bool, Meta(description="Whether the model knows it; otherwise it is in no list until the next model.")
    ]
    seq: int
    version: str


class RemovedAnswer(Struct):
    """The answer to a removal: the item is in no answer any more."""

    item: Id
    seq: int
    version: str


class ItemsAnswer(Struct):
    """Items whose title or id contains the words."""

    items: list[Item]
    version: str


class UsersAnswer(Struct):
    """Ids of users that start with the search."""

    users: list[Id]
    version: str


class Seen(Struct, omit_defaults=True):
    """An item of a history."""

    item: Id
    value: float
    title: str | None = None


class HistoryAnswer(Struct):
    """The events of a user: at most a thousand items, the newest first, or by value if the model reads no order."""

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
    reads_order: Annotated[bool, Meta(description="Whether the order of a history counts: newest last.")]
    takes_events: bool
    keeps_users: Annotated[
        bool,
        Meta(description="Whether the model knows users; otherwise it answers histories, and users by their events."),
    ]
    needs_token: bool
    shows_users: Annotated[bool, Meta(description="Whether histories are shown, at least with a token.")]
    may: Annotated[list[str], Meta(description="The scopes of the token that came with the request.")]
    typical_value: Annotated[float, Meta(description="The median of the values that the model learned from.")]
    options: dict[str, bool | int | float | str | None]
    model_seq: Annotated[int | None, Meta(description="The last event that the model itself has taken in.")]
    seq: Annotated[int | None, Meta(description="The last event that answers count; these four are for readers only.")]
    changed_users: int | None
    unknown_items: int | None
    problem: str | None
    fastrec: str


class Problem(Struct, omit_defaults=True):
    """The description of a problem."""

    message: str
    field: Annotated[str | None, Meta(description="The field of the request.")] = None


class ErrorAnswer(Struct):
    """The form of every error."""

    error: Problem
    version: str


class WorkAnswer(Struct):
    """The result of work that an operator asked for."""

    done: Annotated[bool, Meta(description="Whether another model answers now.")]
    said: Annotated[str, Meta(description="What was done, or the reason why nothing was.")]
    version: str
    model_seq: Annotated[int, Meta(description="The last event that the model itself has taken in.")]
    seconds: float


class StateAnswer(Struct, omit_defaults=True):
    """The state of the server: alive, and ready."""

    status: str
    version: str
    problem: Annotated[str | None, Meta(description="The problem, while the model answers.")] = None
