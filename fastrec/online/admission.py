"""Admission: which new users and items an update takes in, and which wait until more speaks for them.

Whoever sends events can name any id. One client must not make a model as large as it likes. So new ids are taken in
freely up to twice the users and items of the last fit, and from then on a thousand at each update. Items for which
several users speak are always taken in. The events of all others are held: their users are answered by them as before,
and they are taken in by a later update. All of this follows from the model and the events alone, so that every process
comes to the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from fastrec.data.vocabulary import LEEWAY, Vocabulary, reach
from fastrec.models import Recommender
from fastrec.online.acceptance import unknown_ids
from fastrec.online.journal import Event, Id
from fastrec.validation import check_choice, check_integer

CHOICES = ("hold", "refuse", "take")
# Events that are held at most; of more, the oldest are given up.
LARGEST_HOLD = 20_000


class FittedSizes(NamedTuple):
    """The numbers of users and items that a model was last fitted to."""

    users: int
    items: int


@dataclass(frozen=True, slots=True)
class Admission:
    """The treatment of new users and items at an update.

    Parameters
    ----------
    users, items : {"hold", "refuse", "take"}
        Hold back those beyond what is taken in freely, take in none, or take in all.
    support
        An item that so many users have had is taken in whatever there is.

    Examples
    --------
    >>> Admission.parse(Admission("hold", "refuse", 3).rule)
    Admission(users='hold', items='refuse', support=3)
    """

    users: str = "hold"
    items: str = "hold"
    support: int = 5

    def __post_init__(self) -> None:
        check_choice("new_users", self.users, CHOICES)
        check_choice("new_items", self.items, CHOICES)
        check_integer("support", self.support, minimum=1)

    @property
    def rule(self) -> str:
        """The choices as a journal keeps them."""
        return f"{self.users} {self.items} {self.support}"

    @classmethod
    def parse(cls, rule: str | None) -> Self:
        """The choices that a journal has kept; of a time when there was no choice, all ids were taken."""
        if rule is None:
            return cls("take", "take", 1)
        users, items, support = rule.split()
        return cls(users, items, int(support))

    def admit(self, model: Recommender, fitted: FittedSizes, events: Sequence[Event]) -> list[Event]:
        """The events, in order, that an update of the model takes in now."""
        new_users, new_items = unknown_ids(model, events)
        # In the order in which they come, which a set does not have.
        users = self._choose_users(model, fitted, [e.user for e in events if e.user in new_users])
        speaking: dict[Id, set[Id]] = {e.item: set() for e in events if e.item in new_items}
        for event in events:
            if event.item in speaking and (event.user not in new_users or event.user in users):
                speaking[event.item].add(event.user)
        items = self._choose_items(model, fitted, speaking)
        return [
            event
            for event in events
            if (event.user not in new_users or event.user in users)
            and (event.item not in new_items or event.item in items)
        ]

    def _choose_users(self, model: Recommender, fitted: FittedSizes, new: list[Id]) -> set[Id]:
        if self.users == "hold":
            return set(_within(list(dict.fromkeys(new)), model.user_vocabulary, fitted.users))
        return set(new) if self.users == "take" else set()

    def _choose_items(self, model: Recommender, fitted: FittedSizes, speaking: dict[Id, set[Id]]) -> set[Id]:
        if self.items != "hold":
            return set(speaking) if self.items == "take" else set()
        known = set()
        if model.item_vocabulary.reach is None:
            known = {item for item, users in speaking.items() if len(users) >= self.support}
        others = [item for item in speaking if item not in known]
        return known | set(_within(others, model.item_vocabulary, fitted.items))

    def waiting(self, model: Recommender, events: Sequence[Event]) -> list[Event]:
        """The events that a later update of the model may take in: of new users or items that are held, not refused."""
        new_users, new_items = unknown_ids(model, events)
        return [
            event
            for event in events
            if (event.user in new_users or event.item in new_items)
            and (event.user not in new_users or self.users == "hold")
            and (event.item not in new_items or self.items == "hold")
        ]


def _within(ids: list[Id], vocabulary: Vocabulary, fitted: int) -> list[Id]:
    """Those of new ids, in order, for which there is room: twice what was fitted, or a thousand more than there are."""
    limit = max(reach(fitted), len(vocabulary) + LEEWAY)
    if vocabulary.reach is not None:  # there a number is a row
        return [given for given in ids if isinstance(given, int) and 0 <= given < limit]
    return ids[: limit - len(vocabulary)]
