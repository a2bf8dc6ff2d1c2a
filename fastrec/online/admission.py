"""Admission: the new users and items that an update takes in, and those that wait.

Any sender of events can name any id, and one client must not make a model arbitrarily large. So new ids are admitted
freely up to twice the users and items of the last fit, and then a thousand at each update. Items with several users are
always admitted. The events of all other new ids are held: answers to their users still count them, and a later update
takes them in. All of this depends on the model and the events alone, so every process comes to the same result.
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
# The maximum number of held events; beyond it, the oldest are given up.
LARGEST_HOLD = 20_000


class FittedSizes(NamedTuple):
    """The numbers of users and items in the last fit of a model."""

    users: int
    items: int


@dataclass(frozen=True, slots=True)
class Admission:
    """The treatment of new users and items at an update.

    Parameters
    ----------
    users, items : {"hold", "refuse", "take"}
        Hold the ids beyond the free limit, refuse all new ids, or take all.
    support
        The number of users with which an item is always admitted.

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
        """Returns the choices in the form that a journal keeps."""
        return f"{self.users} {self.items} {self.support}"

    @classmethod
    def parse(cls, rule: str | None) -> Self:
        """Parses the choices that a journal has kept; before there was a choice, all ids were taken."""
        if rule is None:
            return cls("take", "take", 1)
        users, items, support = rule.split()
        return cls(users, items, int(support))

    def admit(self, model: Recommender, fitted: FittedSizes, events: Sequence[Event]) -> list[Event]:
        """Returns the events, in order, that an update of the model takes in now."""
        new_users, new_items = unknown_ids(model, events)
        # in the order of arrival, which a set does not keep
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
        """Returns the events that a later update may take in: those of new users or items that are held, not
        refused.
        """
        new_users, new_items = unknown_ids(model, events)
        return [
            event
            for event in events
            if (event.user in new_users or event.item in new_items)
            and (event.user not in new_users or self.users == "hold")
            and (event.item not in new_items or self.items == "hold")
        ]


def _within(ids: list[Id], vocabulary: Vocabulary, fitted: int) -> list[Id]:
    """Returns the new ids, in order, for which there is room: twice the number of the fit, or a thousand more than
    now.
    """
    limit = max(reach(fitted), len(vocabulary) + LEEWAY)
    if vocabulary.reach is not None:  # there an id is the number of a row
        return [given for given in ids if isinstance(given, int) and 0 <= given < limit]
    return ids[: limit - len(vocabulary)]
