"""Updates of items: their checks, and their rows in a log."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

from fastrec.online.journal.checksums import sum_row
from fastrec.online.journal.events import Fact, Id, ItemUpdate, check_id

# (seq, item, facts, hidden, crc)
ItemRow: TypeAlias = tuple[int, Id, str | None, int, int]

_LARGEST_NAME, _LARGEST_TEXT, _MOST_TAGS, _MOST_FACTS = 200, 10_000, 1_000, 1_000
_LARGEST_INTEGER = 2**53  # the largest integer that every kind of number represents


class NumberedUpdates(NamedTuple):
    """Numbered updates of items: their rows, and the place of the last one."""

    rows: list[ItemRow]
    last: int


def check_updates(updates: Iterable[ItemUpdate]) -> list[ItemUpdate]:
    """Checks all fields of updates; an error names the place and the field.

    >>> check_updates([ItemUpdate("Alien", {"price": float("nan")})])
    Traceback (most recent call last):
    ...
    ValueError: items[0].facts.price must be text, a finite number, true, false, a list of tags or null, got nan
    """
    return [_check_update(f"items[{place}]", update) for place, update in enumerate(updates)]


def _check_update(name: str, update: Any) -> ItemUpdate:
    if not isinstance(update, ItemUpdate):
        raise TypeError(f"{name} must be an ItemUpdate, got {update!r}")
    facts = None if update.facts is None else check_facts(f"{name}.facts", update.facts)
    hidden = None if update.hidden is None else bool(update.hidden)
    return ItemUpdate(check_id(f"{name}.item", update.item), facts, hidden, bool(update.removed))


def check_facts(name: str, facts: Any) -> dict[str, Fact]:
    """Checks the facts of an item; an error names the first invalid one."""
    if not isinstance(facts, Mapping) or len(facts) > _MOST_FACTS:
        raise ValueError(f"{name} must be a mapping of at most {_MOST_FACTS} names to facts")
    return {_check_name(name, key): _check_fact(f"{name}.{key}", facts[key]) for key in facts}


def _check_name(where: str, name: Any) -> str:
    if not isinstance(name, str) or not 1 <= len(name) <= _LARGEST_NAME or not _is_text(name):
        raise ValueError(f"a name in {where} must be a text of 1 to {_LARGEST_NAME} characters, got {name!r:.80}")
    return name


def _check_fact(name: str, fact: Any) -> Fact:
    """Checks a fact of an item; an error names it."""
    if fact is None or isinstance(fact, bool):
        return fact
    if isinstance(fact, int) and abs(fact) <= _LARGEST_INTEGER:
        return fact
    if isinstance(fact, float) and math.isfinite(fact):
        return fact
    if isinstance(fact, str) and _is_text(fact):
        return fact
    if isinstance(fact, list | tuple) and len(fact) <= _MOST_TAGS and all(map(_is_text, fact)):
        return list(fact)
    raise ValueError(f"{name} must be text, a finite number, true, false, a list of tags or null, got {str(fact)[:60]}")


def _is_text(given: Any) -> bool:
    return isinstance(given, str) and len(given) <= _LARGEST_TEXT and not any("\ud800" <= c <= "\udfff" for c in given)


def number_updates(updates: list[ItemUpdate], known: Iterable[ItemUpdate], last: int, seed: int) -> NumberedUpdates:
    """Gives places to updates, and fills in what each leaves unchanged.

    Parameters
    ----------
    updates
        The checked updates.
    known
        The last updates of these items in the log.
    last
        The place of the log's last entry.
    seed
        The seed of the log's checksums.
    """
    states = {update.item: update for update in known}
    rows: list[ItemRow] = []
    for seq, update in enumerate(updates, last + 1):
        before = states.get(update.item, ItemUpdate(update.item))
        new = states[update.item] = _with_the_rest(update, before)
        facts, hidden = encode_facts(new), int(bool(new.hidden))
        rows.append((seq, new.item, facts, hidden, sum_row(seed, "items", seq, new.item, facts, hidden)))
    return NumberedUpdates(rows, last + len(rows))


def _with_the_rest(update: ItemUpdate, before: ItemUpdate) -> ItemUpdate:
    """Returns the update with the unchanged parts of the one before."""
    if update.removed:
        return ItemUpdate(update.item, {}, False, True)
    facts = before.facts if update.facts is None else update.facts
    return update._replace(facts=facts or {}, hidden=before.hidden if update.hidden is None else update.hidden)


def encode_facts(update: ItemUpdate) -> str | None:
    """Encodes the facts of an update as JSON; None if the item is removed."""
    return None if update.removed else json.dumps(update.facts, ensure_ascii=False, separators=(",", ":"))


def decode_update(item: Id, facts: str | None, hidden: int, seq: int) -> ItemUpdate:
    """Returns the update in a row.

    >>> decode_update(7, '{"price":9.5}', 1, 3)
    ItemUpdate(item=7, facts={'price': 9.5}, hidden=True, removed=False, seq=3)
    """
    return ItemUpdate(item, {} if facts is None else json.loads(facts), bool(hidden), facts is None, seq)


def latest_updates(updates: Iterable[ItemUpdate]) -> list[ItemUpdate]:
    """Returns the last update of each item; 1 and "1" are two items.

    >>> [update.hidden for update in latest_updates([ItemUpdate(1, {}), ItemUpdate("1", {}), ItemUpdate(1, {}, True)])]
    [None, True]
    """
    latest: dict[Id, ItemUpdate] = {}
    for update in updates:
        latest.pop(update.item, None)
        latest[update.item] = update
    return list(latest.values())
