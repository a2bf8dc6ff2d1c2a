"""Events that a model can take in: their ids are known or could be added, and the model can learn from their values."""

from collections.abc import Sequence

from fastrec.models import Recommender
from fastrec.models.base.derived import Key
from fastrec.online.journal import Entry, Event, Id

# A value may be so many times the largest one that the model learned from. A price or a time in the wrong column would
# outweigh all other events, and the squares of even larger values exceed float32.
VALUE_LEEWAY = 1000.0
SMALLEST_VALUE = 1e-37  # float32 rounds values nearer to 0 to 0


def unknown_ids(model: Recommender, events: Sequence[Event]) -> tuple[set[Id], set[Id]]:
    """Returns the users and the items of events that the model does not know."""
    users, items = list({event.user for event in events}), list({event.item for event in events})
    user_codes, item_codes = model.user_vocabulary.match(users), model.item_vocabulary.match(items)
    return (
        {user for user, code in zip(users, user_codes, strict=True) if code < 0},
        {item for item, code in zip(items, item_codes, strict=True) if code < 0},
    )


LARGEST_VALUE: Key[float] = Key("largest value")


def largest_value(model: Recommender) -> float:
    """Returns the largest value, by size, that an event may have for a model."""
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
    if abs(value) < SMALLEST_VALUE:  # every model takes a 0, and models of ratings learn from it
        return model.keeps_zeros or value == 0
    return (value > 0 or model.takes_negatives) and abs(value) <= largest_value(model)


def takes_event(model: Recommender, user: Id, item: Id) -> bool:
    """Tells whether updates of a model could ever take in an event of that user and item: ids of its types, codes in
    reach.

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
    """Returns the events among the entries that an update of the model could ever take in."""
    events = [
        entry
        for entry in entries
        if isinstance(entry, Event) and takes_event(model, entry.user, entry.item) and takes_value(model, entry.value)
    ]
    if not getattr(model, "takes_new_items", True):
        codes = model.item_vocabulary.match([event.item for event in events])
        events = [event for event, code in zip(events, codes, strict=True) if code >= 0]
    return events
