"""The state of an `IVFIndex`: its vectors in lists, and the work arrays of searches."""

import math
import threading
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.fields import Array, Field, Fields
from fastrec.kernels.lanes import LANES
from fastrec.kernels.lists import ErrorMargin, Partition, Visits
from fastrec.kernels.scan import Space
from fastrec.kernels.topk import COSINE, INNER_PRODUCT, Exact, Filter
from fastrec.matrix.arrays import readonly
from fastrec.retrieval.exact import (
    LARGEST_NORM,
    REACH,
    SCALED,
    read_vectors,
)
from fastrec.retrieval.filters import Filters
from fastrec.retrieval.guides import learn_guides
from fastrec.retrieval.packed import Packed, scaled_norms
from fastrec.retrieval.partition import (
    LEVELS,
    Clusters,
    Floats,
    assemble,
    assign,
    exact_rows,
    make_form,
    make_partition,
    merge_lists,
    order_lists,
    pack_rows,
)

METRICS = {"ip": INNER_PRODUCT, "cosine": COSINE}
ROUNDED = 0.25  # of a vector's length, at most so much is lost or won by rounding it to bytes
SURENESS = 1.25  # E in standard deviations of a score's rounding error: a vector whose score is off by 2 E is lost
Workspace = tuple[Space, Visits, NDArray[np.int64]]  # the work arrays of a search, and the table of their addresses


class Workspaces:
    """The work arrays of searches of one state, kept for the next ones: fresh memory costs more than a short
    search.
    """

    def __init__(self) -> None:
        self.own = threading.local()  # each thread's own, for single queries
        self.idle: list[tuple[Any, Workspace]] = []  # for batches, as many as were answered at a time

    def take(self) -> tuple[Any, Workspace] | None:
        """Takes the arrays of an earlier batch, or returns None."""
        try:
            return self.idle.pop()
        except IndexError:
            return None


class IndexState(NamedTuple):
    """A fitted index; it is never changed, only replaced."""

    exact: Exact  # the kept vectors, and the norms of all
    packed: Packed
    partition: Partition
    clusters: Clusters  # `nearest` is -1 for removed vectors
    alive: NDArray[np.uint8]
    whole: bool  # whether no vector was removed
    margin: ErrorMargin
    workspaces: Workspaces
    n_lists: int
    whole_room: int  # space for more candidates than there can be

    def shape(self) -> tuple[int, int]:
        """The number of vectors, removed ones among them, and their dimensions."""
        return len(self.alive), self.clusters.centers.shape[1]

    def n_alive(self) -> int:
        """The number of vectors that were not removed."""
        return int(np.count_nonzero(self.alive))

    def vectors(self) -> NDArray[Any] | None:
        """The given vectors, or None if they were not kept."""
        if not self.margin.ranked:
            return None
        kept: NDArray[Any] = self.exact.vectors
        return kept.view(np.float16) if kept.dtype == np.uint16 else kept

    def without_vectors(self) -> "IndexState":
        """The same state, ranked by the packed vectors alone."""
        exact = self.exact._replace(vectors=readonly(np.empty((0, self.shape()[1]), np.float32)))
        return self._replace(exact=exact, margin=make_margin(self.shape()[1], 0, False), workspaces=Workspaces())

    def read(self, given: Any) -> NDArray[Any]:
        """Reads vectors to add, in the type of the kept ones."""
        dtype = np.float16 if self.exact.vectors.dtype == np.uint16 else np.float32
        vectors: NDArray[Any] = read_vectors("vectors", given, dtype)
        if vectors.shape[1] != self.shape()[1]:
            raise ValueError(f"vectors have {vectors.shape[1]} dimensions, the index has {self.shape()[1]}")
        return vectors

    def options(self) -> dict[str, Any]:
        """The options of the fit, even if the parameters have been changed since."""
        stored = "float16" if self.exact.vectors.dtype == np.uint16 else "float32"
        return {"metric": tuple(METRICS)[self.exact.metric], "rerank": stored if self.margin.ranked else None}

    def closed(self, filters: Filters) -> Filters:
        """Adds the removed vectors to filters that exclude."""
        if self.whole:
            return filters
        mask, starts, codes = filters.closed
        allowed = filters.allowed if filters.allowed is None else filters.allowed[self.alive[filters.allowed] > 0]
        return filters._replace(
            closed=Filter(readonly(mask & self.alive if len(mask) else self.alive), starts, codes), allowed=allowed
        )

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays of a file."""
        panels = self.packed.panels
        kept = self.vectors()
        arrays: dict[str, NDArray[Any]] = {
            "centers": self.clusters.centers,
            "spreads": self.clusters.spreads,
            "depths": self.clusters.depths,
            "guides": self.clusters.guides,
            "gains": self.clusters.gains,
            "nearest": self.clusters.nearest,
            "starts": self.partition.starts,
            "order": panels.order,
            "steps": panels.steps,
            "lengths": panels.lengths,
            "panels": panels.panels,
            "norms": self.exact.norms,
            "alive": self.alive,
        }
        return arrays if kept is None else arrays | {"vectors": kept}

    def without(self, codes: NDArray[np.int32]) -> "IndexState":
        """The state without some vectors."""
        nearest, alive, order = self.clusters.nearest.copy(), self.alive.copy(), self.packed.panels.order.copy()
        nearest[codes], alive[codes] = -1, 0
        order[(order >= 0) & (alive[order] == 0)] = -1
        panels = self.packed.panels._replace(order=readonly(order))
        return self._replace(
            packed=self.packed._replace(panels=panels),
            clusters=self.clusters._replace(nearest=readonly(nearest)),
            alive=readonly(alive),
            whole=bool(alive.all()),
            workspaces=Workspaces(),
        )

    def changed(self, codes: NDArray[np.int32], new: NDArray[Any], n_jobs: int) -> "IndexState":
        """The state with other vectors for these codes; codes from n on are new."""
        old, fresh = self.without(codes[codes < len(self.alive)]), exact_rows("vectors", new, self.exact.metric)
        n, power = max(len(self.alive), int(codes.max()) + 1), power_of(self.exact)
        centers = self.clusters.times(power).centers
        lists, _ = assign(partial(directions_of, new, fresh, power), len(new), centers, n_jobs)
        nearest, alive = _extend(old.clusters.nearest, n, -1), _extend(old.alive, n, 0)
        nearest[codes], alive[codes] = lists, 1
        norms = _extend(self.exact.norms, n, 0)
        norms[codes] = fresh.norms
        kept = self.exact.vectors
        if self.margin.ranked:
            kept = _extend(kept, n, 0)
            kept[codes] = fresh.vectors
        longest = max(self.packed.form.longest, float(fresh.norms.max()))
        packed, starts = merge_lists(old.packed, old.partition.starts, fresh, codes, lists, longest)
        clusters = self.clusters._replace(nearest=readonly(nearest))
        exact = Exact(readonly(kept), readonly(norms), self.exact.metric)
        sizes = np.bincount(nearest[nearest >= 0], minlength=len(clusters.centers))
        partition = make_partition(clusters, sizes, starts)
        return _assemble(exact, packed, partition, clusters, readonly(alive), self.margin)


def _assemble(
    exact: Exact,
    packed: Packed,
    partition: Partition,
    clusters: Clusters,
    alive: NDArray[np.uint8],
    margin: ErrorMargin,
) -> IndexState:
    whole, n_lists, room = bool(alive.all()), len(clusters.centers), 2 * len(packed.panels.order)
    return IndexState(exact, packed, partition, clusters, alive, whole, margin, Workspaces(), n_lists, room)


def make_margin(d: int, sureness: float, ranked: bool) -> ErrorMargin:
    """Returns a number of standard deviations of a score's rounding error.

    The error of an element is uniform within half a step, so its standard deviation is 1/√12 of the step, and the
    rotation makes it independent of the query. A rotated query is LEVELS √d / 2 of its steps long at most, since its
    largest element is hardly ever less than two of its standard deviations.
    """
    if not ranked:
        return ErrorMargin(0.0, 0.0, False)
    part = sureness / math.sqrt(12)
    return ErrorMargin(part * LEVELS * math.sqrt(d) / 2, part, True)


def build_state(exact: Exact, clusters: Clusters, n_jobs: int) -> IndexState:
    """Builds the state of clustered vectors."""
    n_lists = len(clusters.centers)
    order, starts = order_lists(clusters.nearest, exact.norms, n_lists)
    packed = pack_rows(exact, order, n_jobs)
    partition = make_partition(clusters, np.bincount(clusters.nearest, minlength=n_lists), starts)
    alive = readonly(np.ones(len(exact.norms), np.uint8))
    margin = make_margin(exact.vectors.shape[1], SURENESS, True)
    return _assemble(exact, packed, partition, clusters, alive, margin)


def guide(state: IndexState, queries: Floats, n_jobs: int) -> IndexState:
    """The state whose lists are chosen by guides learned from these queries."""
    sizes = np.bincount(state.clusters.nearest, minlength=state.n_lists)
    clusters = learn_guides(
        state.packed, state.partition.starts, state.clusters, sizes, queries, state.exact.metric, n_jobs
    )
    return state._replace(
        clusters=clusters,
        partition=make_partition(clusters, sizes, state.partition.starts),
        workspaces=Workspaces(),
    )


def restore_state(arrays: dict[str, NDArray[Any]], metric: int, longest: float, rerank: str | None) -> IndexState:
    """Restores the state from arrays that fit each other."""
    vectors = arrays["vectors"] if rerank else np.empty((0, arrays["centers"].shape[1]), np.float32)
    n_lists, d = arrays["centers"].shape
    packed = assemble(
        make_form(longest, d), *(readonly(arrays[name]) for name in ("panels", "steps", "lengths", "order"))
    )
    if "guides" not in arrays:
        arrays = arrays | {"guides": arrays["centers"], "gains": np.zeros(n_lists, np.float32)}
    clusters = Clusters(*(readonly(arrays[name]) for name in Clusters._fields))
    sizes = np.bincount(clusters.nearest[clusters.nearest >= 0], minlength=n_lists)
    stored = vectors.view(np.uint16) if vectors.dtype == np.float16 else vectors
    exact = Exact(readonly(stored), readonly(arrays["norms"]), metric)
    partition = make_partition(clusters, sizes, arrays["starts"])
    alive = readonly(arrays["alive"])
    return _assemble(exact, packed, partition, clusters, alive, make_margin(d, SURENESS, rerank is not None))


def check_lengths(arrays: dict[str, NDArray[Any]], metric: int, longest: float) -> None:
    """Raises a ValueError where rounded vectors are not about as long as their norms and the longest one say."""
    order = arrays["order"]
    held = (order >= 0) & arrays["alive"].astype(bool)[np.maximum(order, 0)]
    lengths, codes = arrays["lengths"][held], order[held]
    expected = scaled_norms(arrays["norms"][codes], metric, 2.0 ** -math.frexp(longest)[1])
    if not np.allclose(lengths, expected, rtol=ROUNDED, atol=1e-6):
        raise ValueError("its array 'lengths' does not fit its norms, or longest is not the norm of its longest vector")


def ivf_fields(rerank: str | None) -> Fields:
    """The arrays of an index: `n` vectors of `d` dimensions in lists, and what a scan reads of them."""
    fields: dict[str, Field] = {
        "centers": Array(("n_lists", "d"), least=-REACH, most=REACH),
        "spreads": Array(("n_lists",), least=0, most=REACH),
        "depths": Array(("n_lists",), least=0, most=REACH),
        # files of earlier versions have neither: guides were the centers
        "guides": Array(("n_lists", "d"), least=-REACH, most=REACH, absent=True),
        "gains": Array(("n_lists",), least=-REACH, most=REACH, absent=True),
        "nearest": Array(("n",), "int32", least=-1, below="n_lists"),
        "starts": Array(("n_lists + 1",), "int64", below="n_panels", order="ends"),
        "order": Array(("n_places",), "int32", least=-1, below="n"),
        "steps": Array(("n_places",), least=0, most=SCALED),
        "lengths": Array(("n_places",), least=0, most=SCALED),
        "panels": Array(("n_panels", "width", LANES), "int32"),
        "norms": Array(("n",), "float64", least=0, most=LARGEST_NORM),
        "alive": Array(("n",), "uint8", least=0, most=1),
    }
    return fields | ({"vectors": Array(("n", "d"), rerank, least=-REACH, most=REACH)} if rerank else {})


def _extend(array: NDArray[Any], n: int, value: int) -> NDArray[Any]:
    grown = np.full((n, *array.shape[1:]), value, array.dtype)
    grown[: len(array)] = array
    return grown


def power_of(exact: Exact) -> int:
    """The power of two that scales the longest vector to a length near 1, so that squares stay within float32."""
    return 0 if exact.metric == COSINE else -math.frexp(float(exact.norms.max(initial=0.0)))[1]


def directions_of(vectors: NDArray[Any], exact: Exact, power: int, part: Any) -> Floats:
    """Some vectors in the form for k-means: scaled by a power of two, and of length 1 under the cosine."""
    rows: Floats = np.ldexp(vectors[part].astype(np.float32), power)
    if exact.metric == COSINE:
        norms = exact.norms[part, None]
        rows = np.divide(rows, norms, where=norms > 0, out=np.zeros_like(rows, np.float64)).astype(np.float32)
    return rows
