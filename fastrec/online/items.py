"""`Items`: the items of a model with their updates: their facts, and whether they are shown."""

import json
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrec.matrix.arrays import readonly
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.models import Recommender
from fastrec.models.base.derived import Key
from fastrec.online.conditions import select_items
from fastrec.online.facts import FactColumn, FactError, read_column
from fastrec.online.journal import Id, ItemUpdate
from fastrec.retrieval.diversity import MMR, bound_rule

VECTORS: Key[Any] = Key("vectors that tell items apart")
# The largest number of bytes of kept masks, and the largest number of masks.
_MASK_BYTES, _MOST_MASKS = 64 << 20, 1000


class Items:
    """The items of a model with the updates of the journal. It is immutable: updates make another one.

    Parameters
    ----------
    model
        A fitted model. Facts of its `item_info_` hold unless an update changes them.
    updates
        The last update of each item.

    Attributes
    ----------
    shown : bool array of shape (n_items,), or None
        The items of the model that may be in answers; None if all may.

    Examples
    --------
    >>> from fastrec.models import Popularity
    >>> items = Items(Popularity().fit([[1, 1, 0]]), [ItemUpdate(1, {}, hidden=True), ItemUpdate(2, {"price": 5})])
    >>> items.shown, items.select({"price": {"<": 9}})
    (array([ True, False,  True]), array([False, False,  True]))
    """

    _updates: dict[Id, ItemUpdate]

    def __init__(self, model: Recommender, updates: Iterable[ItemUpdate] = ()) -> None:
        self.model = model
        self._info: Mapping[str, NDArray[Any]] = model.item_info_ or {}
        self._updates = {}
        self._by_code: dict[int, ItemUpdate] = {}
        self.shown: NDArray[np.bool_] | None = None
        self._take(list(updates))

    def after(self, updates: list[ItemUpdate]) -> "Items":
        """Returns the items with more updates taken in."""
        new = Items(self.model)
        new._updates, new._by_code, new.shown = self._updates.copy(), self._by_code.copy(), self.shown
        new._take(updates)
        return new

    def _take(self, updates: list[ItemUpdate]) -> None:
        shown = np.ones(self.model.n_features_in_, bool) if self.shown is None else self.shown.copy()
        codes = self.model.item_vocabulary.match([update.item for update in updates])
        for code, update in zip(codes, updates, strict=True):
            self._updates[update.item] = update
            if code >= 0:
                self._by_code[code] = update
                shown[code] = is_shown(update)
        self.shown = None if shown.all() else readonly(shown)
        self._lock = threading.Lock()
        self._masks: OrderedDict[str, NDArray[np.bool_]] = OrderedDict()
        self._columns: dict[str, FactColumn] = {}
        self._labels: dict[str, CodeMatrix] = {}

    # -- single items

    @property
    def updates(self) -> Mapping[Id, ItemUpdate]:
        """The last update of each item that has one."""
        return self._updates

    def is_known(self, item: Id) -> bool:
        """Tells whether the model or an update knows an item."""
        return item in self._updates or self.model.item_vocabulary.match([item])[0] >= 0

    def is_shown(self, item: Id) -> bool:
        """Tells whether an item may be in answers, even one that the model does not know."""
        update = self._updates.get(item)
        return update is None or is_shown(update)

    def facts_of(self, item: Id) -> dict[str, Any] | None:
        """Returns the facts of an item; None if neither model nor update knows it, or it is removed."""
        code, update = self.model.item_vocabulary.match([item])[0], self._updates.get(item)
        if (update is not None and update.removed) or (update is None and code < 0):
            return None
        own = {} if code < 0 else {name: column[code] for name, column in self._info.items()}
        facts = {**own, **({} if update is None else update.facts or {})}
        plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in facts.items()}
        return {name: value for name, value in plain.items() if value is not None and value == value and value != ""}

    def title_of(self, item: Id) -> str | None:
        """Returns the title of an item, even one that the model does not know."""
        code = self.model.item_vocabulary.match([item])[0]
        if code >= 0:
            return self.titles([code])[0]
        update = self._updates.get(item)
        title = None if update is None else (update.facts or {}).get("title")
        return None if title is None else str(title) or None

    def titles(self, codes: list[int]) -> list[str | None]:
        """Returns the titles to show for items of the model; None if an item has none."""
        column = self._info.get("title")
        if column is None and not self._by_code:
            return [None] * len(codes)
        titles = [None if column is None else str(column[code]) or None for code in codes]
        if self._by_code:
            for place, code in enumerate(codes):
                facts = self._by_code[code].facts if code in self._by_code else None
                if facts and "title" in facts:
                    titles[place] = None if facts["title"] is None else str(facts["title"]) or None
        return titles

    def changed_titles(self) -> dict[int, str]:
        """The titles that updates have changed, by code; ids in place of removed titles."""
        changed = {code: update.facts or {} for code, update in self._by_code.items()}
        given = {code: facts["title"] for code, facts in changed.items() if "title" in facts}
        ids = dict(zip(given, self.model.item_vocabulary.decode(np.array([*given], int)).tolist(), strict=True))
        return {code: str(title or ids[code]) for code, title in given.items()}

    def new_items(self) -> list[Id]:
        """The items that may be in answers once a model knows them."""
        codes = self.model.item_vocabulary.match(list(self._updates))
        return [
            item
            for (item, update), code in zip(self._updates.items(), codes, strict=True)
            if code < 0 and is_shown(update)
        ]

    # -- facts of all items

    def fact_names(self) -> list[str]:
        """The names of all facts that an item of the model has."""
        given = (update.facts or {} for update in self._by_code.values())
        return sorted({*self._info, *(name for facts in given for name in facts)})

    def column(self, name: str) -> FactColumn:
        """Returns a fact of all items of the model.

        Raises
        ------
        FactError
            If no item has it.
        """
        column = self._columns.get(name)
        if column is None:
            column = self._columns[name] = self._make_column(name)
        return column

    def _make_column(self, name: str) -> FactColumn:
        facts = {code: update.facts for code, update in self._by_code.items() if update.facts and name in update.facts}
        if name not in self._info and not facts:
            known = self.fact_names()
            there = ", ".join(map(repr, known[:20])) + (", …" if len(known) > 20 else "") if known else "none at all"
            raise FactError(name, f"is a fact that no item has: there are {there}")
        if name in self._info:
            column = self.model.derive(Key(f"fact {name}"), lambda: read_column(self._info[name]))
        else:
            column = FactColumn([None], np.zeros(self.model.n_features_in_, np.int32))
        return column.changed({code: values[name] for code, values in facts.items()}) if facts else column

    def labels(self, name: str) -> CodeMatrix:
        """Returns the items' labels by a fact, as rows of ones."""
        if name not in self._labels:
            self._labels[name] = self.column(name).labels()
        return self._labels[name]

    def vectors(self) -> Any:
        """The vectors that distinguish the model's items; None if it has none."""
        return self.model.derive(VECTORS, lambda: _find_vectors(self.model))

    def select(self, where: Mapping[str, Any]) -> NDArray[np.bool_]:
        """Returns a mask of the items for which conditions hold, hidden ones included, of shape (n_items,); it is kept.

        Raises
        ------
        FactError
            As in `fastrec.online.conditions.select_items`.
        """
        key = json.dumps(where, sort_keys=True)
        with self._lock:
            mask = self._masks.get(key)
            if mask is not None:
                self._masks.move_to_end(key)
                return mask
        mask = readonly(select_items(where, self.column, self.model.n_features_in_))
        with self._lock:
            self._masks[key] = mask
            while len(self._masks) > max(1, min(_MOST_MASKS, _MASK_BYTES // max(1, len(mask)))):
                self._masks.popitem(last=False)
        return mask

    def is_ready(self, where: Mapping[str, Any]) -> bool:
        """Tells whether the mask of these conditions is kept."""
        return json.dumps(where, sort_keys=True) in self._masks


def _find_vectors(model: Recommender) -> Any:
    try:
        return bound_rule(MMR(), model).vectors
    except ValueError:
        return None


def is_shown(update: ItemUpdate) -> bool:
    """Tells whether an update lets its item be in answers.

    >>> is_shown(ItemUpdate("Alien", {})), is_shown(ItemUpdate("Alien", removed=True))
    (True, False)
    """
    return not (update.hidden or update.removed)
