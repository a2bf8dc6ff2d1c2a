"""Searches of an `IVFIndex`: batches of queries answered from a few lists."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.lists import READIED, search_lists
from fastrec.kernels.scan import GIVEN_UP, OVERFULL
from fastrec.matrix.arrays import readonly
from fastrec.retrieval.exact import (
    rank_listed,
    refuse_nonfinite,
)
from fastrec.retrieval.filters import NOTHING_CLOSED, Filters
from fastrec.retrieval.ivf_state import IndexState, Workspace
from fastrec.retrieval.packed import make_space
from fastrec.retrieval.partition import (
    Floats,
    address_table,
    make_visits,
)

NEARLY_NOTHING = 1e-4


class SearchEffort(NamedTuple):
    """The lists and panels that a search reads."""

    n_probe: int  # the maximum number of lists
    least: float  # the smallest expected number of the best k in 16 vectors of a list; 0: all n_probe lists are read
    rarity: float = 1.0  # one in so many vectors may be chosen

    def more(self, n_lists: int) -> "SearchEffort":
        """Returns the larger effort for answers with fewer than k vectors."""
        least = self.least / 64 if self.least > NEARLY_NOTHING else 0.0
        return SearchEffort(self.n_probe if self.least else min(n_lists, 4 * self.n_probe), least, self.rarity)


class SingleSearch(NamedTuple):
    """A search of one query by one scan, ready to be made again."""

    key: tuple[int, int, float]  # k, n_probe and least
    shape: tuple[int, int]
    query: Floats  # the place for the query
    work: NDArray[np.int64]  # of its `Space`
    run: Callable[..., int]  # `search_lists` for arguments of these types: finding the types takes longer than passing
    given: tuple[Any, ...]  # its arguments up to codes and scores


class QueryBatch(NamedTuple):
    """Queries, and their answers."""

    state: IndexState
    queries: Floats
    filters: Filters
    codes: NDArray[np.int32]
    scores: NDArray[np.float32]
    tally: list[tuple[Any, ...]]  # for each piece: the pairs of a query and a panel, the vectors ranked, the lists read


def rank_all(batch: QueryBatch, effort: SearchEffort, rows: slice) -> None:
    """Answers queries by exact scores of all allowed vectors."""
    rank_listed(batch.state.exact, batch.queries, batch.filters, rows, batch.codes, batch.scores)


def scan_lists(batch: QueryBatch, effort: SearchEffort, rows: slice, room: int | None = None) -> None:
    """Answers queries by the most promising lists."""
    state, queries, filters, codes, scores, tally = batch
    first, k = rows.start, codes.shape[1]
    room = room or room_for(state, k)
    n = rows.stop - first
    made = _take_workspace(state, n, k, effort, room)
    space, _, table = made
    bad = search_lists(
        state.packed.way, table, state.exact.vectors, queries[rows], first, *filters.closed, codes[rows], scores[rows]
    )
    refuse_nonfinite("queries", queries, first, bad)
    looked_at, short, ranked, lists = space.work.tolist()
    tally.append((looked_at, ranked, lists))
    missed = np.flatnonzero(codes[rows, -1] < 0) if short else ()
    counts = space.counts[missed] if short else ()
    if n > 1:
        state.workspaces.idle.append(((k, effort, room), made))
    elif state.whole and effort.rarity == 1.0 and room == room_for(state, k) and not state.workspaces.own.single:
        state.workspaces.own.single = _ready_single(state, made, effort, k)
    for row, count in zip(missed, counts, strict=True):
        one = slice(first + row, first + row + 1)
        if count == OVERFULL:
            scan_lists(batch, effort, one, state.whole_room)
        elif count == GIVEN_UP:
            _answer_alike(batch, one.start)
        elif effort.n_probe < state.n_lists or effort.least:
            scan_lists(batch, effort.more(state.n_lists), one)


def room_for(state: IndexState, k: int) -> int:
    """The number of candidates that space is made for at first."""
    return min(4 * k + 72, state.whole_room)


def _take_workspace(state: IndexState, n: int, k: int, effort: SearchEffort, room: int) -> Workspace:
    """Takes the work arrays for a search of n queries: those of an earlier search, if they fit."""
    workspaces, key = state.workspaces, (k, effort, room)
    if n == 1 and getattr(workspaces.own, "key", None) == key:
        own: Workspace = workspaces.own.kept
        return own
    if n > 1 and (left := workspaces.take()) is not None and left[0] == key and len(left[1][0].norms) >= n:
        return left[1]
    n_lists, d = state.clusters.centers.shape
    space, visits = make_space(state.packed, d, n, k, room, READIED), make_visits(n_lists, n, effort.n_probe)
    work, asked = (state.exact, state.packed, state.partition, state.margin), (effort.least, k * effort.rarity)
    made = space, visits, address_table(*work, space, visits, *asked)
    if n == 1:
        workspaces.own.key, workspaces.own.kept = key, made
        workspaces.own.single = None
    return made


def _ready_single(state: IndexState, made: Workspace, effort: SearchEffort, k: int) -> SingleSearch:
    space, _, table = made
    query = np.empty((1, state.shape()[1]), np.float32)
    given = state.packed.way, table, state.exact.vectors, readonly(query), 0, *NOTHING_CLOSED
    found = np.empty((1, k), np.int32), np.empty((1, k), np.float32)
    kinds = tuple(search_lists.typeof_pyval(value) for value in (*given, *found))  # type: ignore[attr-defined]
    run = search_lists.compile(kinds)  # type: ignore[attr-defined]
    return SingleSearch((k, effort.n_probe, effort.least), query.shape, query, space.work, run, given)


def scan_allowed(batch: QueryBatch, effort: SearchEffort, rows: slice) -> None:
    """Answers queries that each have their own allowed codes, by a scan of all vectors."""
    starts, codes, closed = batch.filters.allow_starts, batch.filters.allow_codes, batch.filters.closed
    for row in range(rows.start, rows.stop):
        mask = np.zeros(len(batch.state.alive), np.uint8)
        mask[codes[starts[row] : starts[row + 1]]] = 1
        mask &= closed.mask if len(closed.mask) else 1
        filters = batch.filters._replace(closed=closed._replace(mask=readonly(mask)))
        scan_lists(batch._replace(filters=filters), effort, slice(row, row + 1))


def _answer_alike(batch: QueryBatch, row: int) -> None:
    """Answers a zero query by the first codes: all scores are 0."""
    if batch.queries[row].any():
        raise ValueError(f"queries must have scores that float32 can hold, got {batch.queries[row]} in row {row}")
    mask, starts, codes = batch.filters.closed
    opened = mask.copy() if len(mask) else batch.state.alive.copy()
    if len(starts):
        opened[codes[starts[row] : starts[row + 1]]] = 0
    found = np.flatnonzero(opened)[: batch.codes.shape[1]]
    batch.codes[row, : len(found)], batch.scores[row, : len(found)] = found, 0
