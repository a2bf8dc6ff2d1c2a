"""The content of a journal: events, deletions, updates of items and checkpoints."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from fastrec.data.durations import UNITS_PER_SECOND
from fastrec.validation import check_integer, check_number

Id: TypeAlias = int | str
Fact: TypeAlias = str | int | float | bool | Sequence[str] | None

LARGEST_VALUE = 3.4e38  # the largest value that float32, the type of models, can hold
_INT64 = range(-(2**63), 2**63)
_LARGEST_TEXT = 1024
# The seconds that an event may be ahead of the clock, or before 1970. A time in a wrong unit would make all other
# events seem ages old to models that count by time.
_AHEAD = 366 * 86400


class Event(NamedTuple):
    """An event: a user met an item. `seq` is its place in the journal, 0 before it has one.

    `recommendation` is the id of the answer that recommended the item, if there was one.

    >>> Event("ann", "Alien", 4.0, time=1700000000000, id="click-17")
    Event(user='ann', item='Alien', value=4.0, time=1700000000000, id='click-17', seq=0, recommendation=None)
    """

    user: Id
    item: Id
    value: float = 1.0
    time: int | None = None
    id: str | None = None
    seq: int = 0
    recommendation: str | None = None


class Deletion(NamedTuple):
    """The deletion of a user: events before `seq` must not be used. `mark` identifies the user for those who know
    the id.
    """

    mark: bytes
    seq: int


class ItemUpdate(NamedTuple):
    """The state of an item from `seq` on, which replaces that of earlier updates.

    Parameters
    ----------
    item
        The item's id.
    facts
        All its facts by name: text, numbers, booleans, lists of tags; a fact of None is missing. None in place of the
        mapping keeps the facts of the update before; an update that was read from a log has them itself.
    hidden
        Whether the item is left out of all answers; None keeps the state before.
    removed
        Whether the item is removed with its facts, until another update.
    seq
        The place of the update in the journal, 0 before it has one.
    """

    item: Id
    facts: Mapping[str, Fact] | None = None
    hidden: bool | None = None
    removed: bool = False
    seq: int = 0


Entry: TypeAlias = Event | Deletion | ItemUpdate


class Receipt(NamedTuple):
    """The outcome of a batch: the journal has all its events up to `seq`; and the numbers of new and of known
    events.
    """

    seq: int
    added: int
    known: int


class Checkpoint(NamedTuple):
    """A checkpoint: the items of the model were updated with all events up to `seq`; `version` names the file, if any.

    `rule` is the rule that admitted new ids; None if an older fastrec admitted all.
    """

    seq: int
    version: str
    rule: str | None = None


def clock_time(time_unit: str) -> int:
    """The time of this machine's clock, in a unit."""
    return time.time_ns() // (UNITS_PER_SECOND["ns"] // UNITS_PER_SECOND[time_unit])


def check_batch(batch: Iterable[Event | tuple[Any, ...]], time_unit: str) -> list[Event]:
    """Checks all fields of events, and gives them times of this machine's clock; an error names the place."""
    events = [check_event(event, place) for place, event in enumerate(batch)]
    latest = clock_time(time_unit) + _AHEAD * UNITS_PER_SECOND[time_unit]
    for place, event in enumerate(events):
        if event.time is not None and not -latest <= event.time <= latest:
            raise ValueError(
                f"events[{place}].time must be at most a year ahead of this machine's clock, in {time_unit!r}, "
                f"got {event.time}: is it in another unit?"
            )
    return events


def check_event(event: Any, place: int = 0) -> Event:
    """Checks all fields of an event; an error names the place and the field.

    >>> check_event(("ann", "Alien", float("nan")), 3)
    Traceback (most recent call last):
    ...
    ValueError: events[3].value must be a finite number from -3.4e+38 to 3.4e+38, got nan
    """
    if type(event) is Event and _is_usual(event):
        return event
    if not isinstance(event, tuple) or not 2 <= len(event) <= len(Event._fields):
        raise TypeError(f"events[{place}] must be an Event or (user, item[, value[, time[, id]]]), got {event!r}")
    user, item, value, moment, key, _, recommendation = event if type(event) is Event else Event(*event)
    name = f"events[{place}]"
    value = check_number(f"{name}.value", value, minimum=-LARGEST_VALUE, maximum=LARGEST_VALUE)
    if moment is not None and (type(moment) is not int or moment not in _INT64):
        moment = check_integer(f"{name}.time", moment, minimum=_INT64[0], maximum=_INT64[-1])
    if key is not None and (type(key) is not str or len(key) > _LARGEST_TEXT):
        raise _not_an_id(f"{name}.id", key, "a string")
    if recommendation is not None:
        recommendation = _check_text(f"{name}.recommendation", recommendation)
    return Event(check_id(f"{name}.user", user), check_id(f"{name}.item", item), value, moment, key, 0, recommendation)


def _is_usual(event: Event) -> bool:
    """Tells whether an event needs no further check: a batch may have a hundred thousand events."""
    user, item, value, moment, key, _, recommendation = event
    return (
        _is_usual_id(user)
        and _is_usual_id(item)
        and type(value) is float
        and abs(value) <= LARGEST_VALUE
        and (moment is None or (type(moment) is int and moment in _INT64))
        and (key is None or (type(key) is str and len(key) <= _LARGEST_TEXT))
        and (recommendation is None or (type(recommendation) is str and _is_usual_id(recommendation)))
    )


def _is_usual_id(given: Any) -> bool:
    kind = type(given)
    return (kind is int and given in _INT64) or (kind is str and len(given) <= _LARGEST_TEXT and given.isascii())


def check_id(name: str, given: Any) -> Id:
    """Checks an id for a journal: an integer of 64 bits, or a string that is not too long."""
    if _is_usual_id(given):
        return given  # type: ignore[no-any-return]
    kind = type(given)
    if kind is not bool and hasattr(given, "__index__"):  # integers of NumPy
        number = int(given)
        if number in _INT64:
            return number
    return _check_text(name, given, "a 64-bit integer or a string")


def _check_text(name: str, given: Any, wanted: str = "a string") -> str:
    """Checks a string of Unicode characters that must not be too long."""
    if not isinstance(given, str) or len(given) > _LARGEST_TEXT:
        raise _not_an_id(name, given, wanted)
    try:
        given.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} must be a string of Unicode characters, got {given!r}") from None
    return str(given)


def _not_an_id(name: str, given: Any, wanted: str) -> Exception:
    kind = ValueError if isinstance(given, str | int) and not isinstance(given, bool) else TypeError
    shown = repr(given)
    return kind(
        f"{name} must be {wanted} of at most {_LARGEST_TEXT} characters, "
        f"got {shown if len(shown) < 80 else shown[:60] + '…'}"
    )


def select_events(user: Id, entries: Sequence[Entry]) -> list[Event]:
    """Returns the events of one user among entries; 1 and "1" are two users."""
    return [e for e in entries if isinstance(e, Event) and e.user == user and type(e.user) is type(user)]
