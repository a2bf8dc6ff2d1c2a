"""Events that a model can take in: of ids that it knows or could know, of values that it could learn from."""

from collections.abc import Sequence

from fastrec.models import Recommender
from fastrec.models.base.derived import Key
from fastrec.online.journal import Entry, Event, Id

# A value may be so many times the largest that the model was made of: a price or a time in the wrong place would drown
# what all others have done, and the squares of a still larger one be beyond float32.
VALUE_LEEWAY = 1000.0
SMALLEST_VALUE = 1e-37  # what is nearer to 0 is 0 in float32


def unknown_ids(model: Recommender, events: Sequence[Event]) -> tuple[set[Id], set[Id]]:
    """The users and the items of events that the model does not know."""
    users, items = list({event.user for event in events}), list({event.item for event in events})
    user_codes, item_codes = model.user_vocabulary.match(users), model.item_vocabulary.match(items)
    return (
        {user for user, code in zip(users, user_codes, strict=True) if code < 0},
        {item for item, code in zip(items, item_codes, strict=True) if code < 0},
    )


LARGEST_VALUE: Key[float] = Key("largest value")


def largest_value(model: Recommender) -> float:
    """The largest value, by size, that an event may have for a model."""
    values = model.seen_.data

    def find() -> float:
        return VALUE_LEEWAY * max(1.0, float(values.max()), -float(values.min())) if len(values) else VALUE_LEEWAY

    return model.derive(LARGEST_VALUE, find)


def takes_value(model: Recommender, value: float) -> bool:
    """Tells whether a model can learn from an event of that value.

    >>> from fastrec.models import Popularity
    >>> model = Popularity().fit([[1, 2]])
    >>> takes_value(model, 5), takes_value(model, 0), takes_value(model, -1), takes_value(model, 1e9)
    (True, True, False, False)
    """
    if abs(value) < SMALLEST_VALUE:  # a 0 is had by all, and learned from by models of ratings
        return model.keeps_zeros or value == 0
    return (value > 0 or model.takes_negatives) and abs(value) <= largest_value(model)


def takes_event(model: Recommender, user: Id, item: Id) -> bool:
    """Tells whether updates of a model could ever take an event of that user and item in: ids of its types, codes
    in reach.

    >>> from fastrec.models import Popularity
    >>> model = Popularity().fit([[1, 2]])
    >>> takes_event(model, 0, 1), takes_event(model, "0", 1), takes_event(model, 10**9, 1)
    (True, False, False)
    """
    for given, vocabulary in ((user, model.user_vocabulary), (item, model.item_vocabulary)):
        if isinstance(given, str) != (vocabulary.kind == "str"):
            return False
        if vocabulary.reach is not None and not 0 <= given < vocabulary.reach:  # type: ignore[operator]
            return False
    return True


def select_takeable(model: Recommender, entries: Sequence[Entry]) -> list[Event]:
    """The events among the entries that an update of the model could ever take in."""
    events = [
        entry
        for entry in entries
        if isinstance(entry, Event) and takes_event(model, entry.user, entry.item) and takes_value(model, entry.value)
    ]
    if not getattr(model, "takes_new_items", True):
        codes = model.item_vocabulary.match([event.item for event in events])
        events = [event for event, code in zip(events, codes, strict=True) if code >= 0]
    return events
