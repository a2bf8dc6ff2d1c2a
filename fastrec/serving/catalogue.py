"""Catalogue: a search for items by a part of their title, and for users by the start of their id."""

import threading
from typing import Any

import numpy as np

from fastrec.models import Recommender
from fastrec.online import Items, Snapshot
from fastrec.online.journal import Id


class Titles:
    """The items and users of one model to search in."""

    def __init__(self, model: Recommender) -> None:
        self.model = model
        column = (model.item_info_ or {}).get("title")
        ids = model.item_vocabulary.ids
        texts = (
            [str(given) for given in ids]
            if column is None
            else [str(title or given) for title, given in zip(column, ids, strict=True)]
        )
        self._texts = [text.casefold() for text in texts]
        self._ids = [str(given).casefold() for given in ids]
        values = model.seen_.data[:100_000]
        self.typical_value = float(np.median(values)) if len(values) else 1.0
        self._popular: Any = np.argsort(-model.told_counts(), kind="stable")

    def find_items(self, items: Items, wanted: str, limit: int) -> list[Id]:
        """Finds ids of items, in this order: the id equals the search, the text starts with it, a word starts with it,
        the text contains it.

        Among equals the more popular come first; an empty search finds the most popular items. Items unknown to the
        model come last, and hidden ones are left out.
        """
        shown = items.shown
        popular = self._popular if shown is None else self._popular[shown[self._popular]]
        words = wanted.casefold().split()
        if not words:
            return self._decode(popular[:limit].tolist())
        ranked: list[tuple[int, int]] = []
        titles = items.changed_titles()
        for place, code in enumerate(popular.tolist()):
            rank = _rank(words, self._ids[code], titles[code].casefold() if code in titles else self._texts[code])
            if rank is not None:
                ranked.append((rank, code))
            if place > 10_000 and len(ranked) >= 20 * limit:
                break
        ranked.sort(key=lambda pair: pair[0])  # stable: popularity decides the rest
        found = self._decode([code for _, code in ranked[:limit]])
        return found + _find_new(items, words, limit - len(found))

    def _decode(self, codes: list[int]) -> list[Id]:
        found: list[Id] = self.model.item_vocabulary.decode(np.array(codes, int)).tolist()
        return found

    def find_users(self, wanted: str, limit: int) -> list[Id]:
        """Finds ids that start with a text; for an empty text, some ids evenly spread over all."""
        model = self.model
        n = model.seen_.shape[0]
        ids = model.user_vocabulary.ids
        if not wanted:
            return [ids[code] if isinstance(ids[code], str) else int(ids[code]) for code in spread(n, limit)]
        found: list[Id] = []
        for given in ids.tolist():
            if str(given).startswith(wanted):
                found.append(given)
                if len(found) > 50 * limit:
                    break
        return sorted(found, key=lambda given: (len(str(given)), str(given)))[:limit]


def _rank(words: list[str], given: str, text: str) -> int | None:
    """Returns the rank of an item by its id and text in lower case; None if a word is missing."""
    whole = " ".join(words)
    if given == whole:
        return -1
    if not all(word in text for word in words):
        return None
    return 0 if text.startswith(whole) else 1 if f" {whole}" in text else 2


def _find_new(items: Items, words: list[str], limit: int) -> list[Id]:
    """Finds items that the model does not know, in the order of their arrival."""
    found: list[Id] = []
    for item in items.new_items():
        if len(found) >= limit:
            break
        text = (items.title_of(item) or str(item)).casefold()
        if _rank(words, str(item).casefold(), text) is not None:
            found.append(item)
    return found


class Catalogue:
    """The `Titles` of the served model, made once for each model."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._titles: Titles | None = None

    def get(self, snapshot: Snapshot) -> Titles:
        """Returns the index to search in."""
        with self._lock:
            if self._titles is None or self._titles.model is not snapshot.model:
                self._titles = Titles(snapshot.model)
            return self._titles


def spread(n: int, limit: int) -> list[int]:
    """Returns some of the numbers below n, evenly spread.

    >>> spread(100, 4)
    [0, 25, 50, 75]
    """
    step = max(1, n // limit)
    return list(range(0, n, step))[:limit]
