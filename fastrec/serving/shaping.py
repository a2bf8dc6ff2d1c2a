"""`Shaping`: a list shaped by a request: by conditions, boosts, diversity, caps and pins."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fastrec.matrix.code_matrix import CodeMatrix, check_matrix
from fastrec.models import Recommender
from fastrec.models.base.item_filter import mask_of
from fastrec.online import Items, Snapshot
from fastrec.online.facts import FactError
from fastrec.online.journal import Id
from fastrec.retrieval import TopK
from fastrec.retrieval.diversity import MMR, cap_labels
from fastrec.serving import messages as m
from fastrec.serving.parsing import check_types, decode, encode, known_codes, list_recommended
from fastrec.serving.refusal import Refusal

# The numbers of candidates for diversity and caps: at first, at most for diversity, and for all rows of a batch.
CANDIDATES, MOST_DIVERSE, ROOM = 100, 1000, 4_000_000

Mask: TypeAlias = NDArray[np.bool_]
# a function that returns the given number of best items of each row, within a mask
Ask: TypeAlias = Callable[[int, Mask | None], TopK]
Row = TypeVar("Row")


class BoostedItems(NamedTuple):
    """Items whose scores a boost changes."""

    mask: Mask
    factor: float
    add: float

    def apply(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns the changed scores: a factor above 1 raises even negative ones."""
        scaled = np.where(scores >= 0, scores * self.factor, scores / self.factor)
        return (scaled + self.add).astype(np.float32)


class Cap(NamedTuple):
    """The maximum number of a list's items with the same label."""

    labels: CodeMatrix
    most: int


@dataclass(frozen=True, slots=True)
class Shaping:
    """The wishes of a request for its list.

    Parameters
    ----------
    n_items
        The number of the model's items.
    within
        The items that may be chosen; None: all.
    boosts, diversity, caps
        The changes of scores, of the order, and of the length, applied in this order.
    pins
        Items by their positions, the first being 1.
    pinned
        The codes of the pinned items that the model knows.
    """

    n_items: int
    within: Mask | None = None
    boosts: tuple[BoostedItems, ...] = ()
    diversity: MMR | None = None
    caps: tuple[Cap, ...] = ()
    pins: Mapping[int, Id] = field(default_factory=dict)
    pinned: tuple[int, ...] = ()

    def answer(self, ask: Ask, k: int) -> TopK:
        """Returns the best items of each row, as many as there is room for besides the pins."""
        wanted = max(1, k - len(self.pins))
        if self.diversity is None and not self.caps:
            return self._boosted(ask, wanted)
        length = min(self.n_items, max(CANDIDATES, 4 * wanted))
        while True:
            longer = self._boosted(ask, max(length, wanted))
            top = longer
            if self.diversity is not None:
                top = self.diversity(top, longer.codes.shape[1] if self.caps else wanted)
            if self.caps:
                top = self._capped(top, wanted)
            most = min(self.n_items, ROOM // max(1, len(top)), self.n_items if self.diversity is None else MOST_DIVERSE)
            is_short = longer.valid[:, -1] & ~top.valid[:, wanted - 1]
            if length >= most or not is_short.any():
                return top
            length = min(most, 4 * length)

    def _boosted(self, ask: Ask, length: int) -> TopK:
        """Returns the best items by changed scores: the best of each group of items with the same boosts."""
        if not self.boosts:
            return ask(length, self.within)
        parts = [(ask(length, mask), boosts) for mask, boosts in self._groups()]
        if not parts:
            return ask(length, np.zeros(self.n_items, bool))
        codes = np.concatenate([top.codes for top, _ in parts], axis=1)
        scores = np.concatenate([_rescore(top, boosts) for top, boosts in parts], axis=1)
        order = np.lexsort((codes, -scores), axis=1)[:, :length]
        return parts[0][0].replaced(np.take_along_axis(codes, order, 1), np.take_along_axis(scores, order, 1))

    def _groups(self) -> Iterator[tuple[Mask, list[BoostedItems]]]:
        """Yields the groups of items with the same boosts."""
        numbers = np.zeros(self.n_items, np.int64)
        for place, boost in enumerate(self.boosts):
            numbers |= boost.mask.astype(np.int64) << place
        for number in np.unique(numbers if self.within is None else numbers[self.within]).tolist():
            mask = numbers == number
            boosts = [boost for place, boost in enumerate(self.boosts) if number >> place & 1]
            yield mask if self.within is None else mask & self.within, boosts

    def _capped(self, top: TopK, k: int) -> TopK:
        """Returns the first items of each row that all caps together allow, after the pins."""
        if not top.valid.any():
            return top.replaced(top.codes[:, :k], top.scores[:, :k])
        listed = np.unique(np.concatenate([top.codes[top.valid], np.array(self.pinned, np.int32)]))
        parts = [sparse.csr_array(cap.labels)[listed] for cap in self.caps]
        most = np.repeat([cap.most for cap in self.caps], [part.shape[1] for part in parts])
        member = check_matrix(sparse.hstack(parts, format="csr"))
        local = np.where(top.valid, np.searchsorted(listed, top.codes), -1)
        before = np.searchsorted(listed, self.pinned).tolist()
        cut = cap_labels(top.replaced(local, top.scores), k, member, most, before)
        codes = np.full(cut.codes.shape, -1, np.int32)
        codes[cut.valid] = listed[cut.codes[cut.valid]]
        return top.replaced(codes, cut.scores)

    def with_pins(self, rows: list[Row], make: Callable[[Id], Row], k: int) -> list[Row]:
        """Returns a list with the pins at their positions; surplus pins follow a short list."""
        if not self.pins:
            return rows
        others = iter(rows[: k - len(self.pins)])
        placed = [make(self.pins[place]) if place in self.pins else next(others, None) for place in range(1, k + 1)]
        return [row for row in placed if row is not None]


def list_shaped(items: Items, top: TopK, shaping: Shaping, k: int) -> list[m.Recommended]:
    """Returns the first row of a result with the pins in it."""
    return add_pins(items, list_recommended(items, top.codes[0], top.scores[0]), shaping, k)


def add_pins(items: Items, rows: list[m.Recommended], shaping: Shaping, k: int) -> list[m.Recommended]:
    """Returns a list with the pins in it."""
    return shaping.with_pins(rows, lambda item: m.Recommended(item, 0.0, items.title_of(item), pinned=True), k)


def _rescore(top: TopK, boosts: list[BoostedItems]) -> NDArray[np.float32]:
    scores = top.scores
    for boost in boosts:
        scores = np.where(top.valid, boost.apply(np.where(top.valid, scores, 0)), -np.inf).astype(np.float32)
    return scores


def is_quick(snapshot: Snapshot, asked: m.ListRequest) -> bool:
    """Tells whether the wishes of a request are quick: there are none, or only pins, or a cached mask."""
    if asked.boosts is not None or asked.mmr is not None or asked.caps is not None:
        return False
    return asked.where is None or snapshot.items.is_ready(asked.where)


def read_shaping(snapshot: Snapshot, asked: m.ListRequest, policy: str, unknown: list[Id]) -> Shaping:
    """Reads and checks the wishes of a request; unknown pinned items are added to `unknown`, or refused."""
    items = snapshot.items
    try:
        within = None if asked.where is None else items.select(asked.where)
        boosts = tuple(_read_boost(snapshot, place, boost) for place, boost in enumerate(asked.boosts or ()))
        caps = tuple(_read_cap(snapshot, name, most) for name, most in (asked.caps or {}).items())
        diversity = None if asked.mmr is None else _read_diversity(snapshot, asked.mmr)
    except FactError as error:
        raise Refusal(422, str(error), error.field) from None
    pins = _read_pins(snapshot, asked, policy, unknown)
    codes = [code for code in snapshot.codes_of(list(pins.values())) if code >= 0]
    if codes:
        within = np.ones(snapshot.model.n_features_in_, bool) if within is None else within.copy()
        within[codes] = False
    return Shaping(snapshot.model.n_features_in_, within, boosts, diversity, caps, pins, tuple(codes))


def _read_boost(snapshot: Snapshot, place: int, boost: m.Boost) -> BoostedItems:
    try:
        return BoostedItems(snapshot.items.select(boost.where), boost.factor, boost.add)
    except FactError as error:
        raise error.of(f"boosts[{place}]") from None


def _read_cap(snapshot: Snapshot, name: str, most: int) -> Cap:
    try:
        return Cap(snapshot.items.labels(name), most)
    except FactError as error:
        raise error.of("caps") from None


def _read_diversity(snapshot: Snapshot, asked: m.Diversity) -> MMR:
    if asked.by is not None:
        try:
            return MMR(asked.trade_off, snapshot.items.labels(asked.by))
        except FactError as error:
            raise FactError("mmr.by", f"{asked.by!r} {error.said}") from None
    vectors = snapshot.items.vectors()
    if vectors is None:
        name = type(snapshot.model).__name__
        raise Refusal(422, f"mmr.by must name a fact: {name} has no vectors that tell items apart", "mmr.by")
    return MMR(asked.trade_off, vectors)


def _read_pins(snapshot: Snapshot, asked: m.ListRequest, policy: str, unknown: list[Id]) -> dict[int, Id]:
    """Returns the pinned items by their positions, without hidden ones."""
    given = asked.pins or []
    check_types(snapshot.model, "items_", [pin.item for pin in given], "pins", ".item")
    pins: dict[int, Id] = {}
    for place, pin in enumerate(given):
        if pin.position > asked.k or pin.position in pins:
            raise Refusal(422, f"a position must be at most k, {asked.k}, and given once", f"pins[{place}].position")
        if pin.item in pins.values():
            raise Refusal(422, "an item is pinned once", f"pins[{place}].item")
        if snapshot.items.is_known(pin.item):
            pins[pin.position] = pin.item
        elif policy == "error":
            raise Refusal(422, f"unknown item {pin.item!r}", f"pins[{place}].item")
        else:
            unknown.append(pin.item)
    return {position: item for position, item in pins.items() if snapshot.items.is_shown(item)}


def read_filters(model: Recommender, asked: m.ListRequest, policy: str, unknown: list[Id]) -> dict[str, Any]:
    """Returns the allowed and denied items of a request, as options of a question."""
    filters: dict[str, Any] = {}
    for name in ("allow", "deny"):
        given = getattr(asked, name)
        if given is not None:
            codes = known_codes(model, given, policy, name, unknown)
            filters[name] = decode(model, codes[codes >= 0])
    return filters


def mask_of_filters(model: Recommender, filters: Mapping[str, list[Id]]) -> Mask | None:
    """Returns the mask of the items that `read_filters` leaves; None if it leaves all."""
    if not filters:
        return None
    n = model.n_features_in_
    mask = mask_of(encode(model, filters["allow"]), n) if "allow" in filters else np.ones(n, bool)
    if "deny" in filters:
        mask[encode(model, filters["deny"])] = False
    return mask
