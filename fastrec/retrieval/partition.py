"""Vectors dealt into lists of near ones, and packed list by list."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from fastrec.kernels._jit import Static
from fastrec.kernels.addresses import write_table
from fastrec.kernels.lanes import LANES, padded_width
from fastrec.kernels.lists import (
    READIED,
    AddressTable,
    ErrorMargin,
    Partition,
    VisitPointers,
    Visits,
    assign_rows,
    pack_lists,
)
from fastrec.kernels.products import NEON, byte_way
from fastrec.kernels.scan import GROUP, Form, PanelPointers, Panels, Place, Space
from fastrec.kernels.topk import COSINE, INNER_PRODUCT, SQUARED_DISTANCE, Exact, measure_rows
from fastrec.matrix.arrays import readonly
from fastrec.parallel import run_pieces
from fastrec.retrieval.exact import refuse_nonfinite
from fastrec.retrieval.filters import NOTHING_CLOSED
from fastrec.retrieval.packed import Packed, make_signs, make_space, packed_width

Floats = NDArray[np.float32]
Codes = NDArray[np.int32]

LEVELS = 63  # levels of queries on either side of 0: the most that AVX2 can add, and the same for all CPUs
ROWS_AT_ONCE = 4096
ROWS_SUMMED = 2**17
PANELS_AT_ONCE = 512
ITERATIONS = 6
TRAINING_POINTS = 48  # vectors for each list in k-means
NEAREST_TRIED = 3
# The norm of a query in units of its step is about this times √dimensions: after rotation, its largest element is about
# 2.8 of its standard deviations.
TYPICAL_REACH = LEVELS / 2.8


class Clusters(NamedTuple):
    """The result of k-means."""

    centers: Floats  # (n_lists, d)
    spreads: Floats  # (n_lists,): root mean squared distance of a list's vectors from its center
    depths: Floats  # (n_lists,): the same along the center alone, where the lengths of vectors of one direction differ
    guides: Floats  # (n_lists, d): a query's product with them predicts the best score of a list; at first the centers
    gains: Floats  # (n_lists,): what this best score has above `leads` and the product, for a query of length 1
    nearest: Codes  # (n,): the list of each vector

    def times(self, power: int) -> "Clusters":
        """The clusters of vectors scaled by a power of two."""
        centers, spreads, depths, guides, gains = (readonly(np.ldexp(lengths, power)) for lengths in self[:5])
        return Clusters(centers, spreads, depths, guides, gains, self.nearest)

    def leads(self, sizes: NDArray[np.int64]) -> Floats:
        """The expected lead of the best of so many vectors in each list over its center, for a query of length 1.

        Of m residuals scattered with a spread ρ in d dimensions, the largest product with a unit vector is near
        ρ√(2 ln m / d).
        """
        leads: Floats = self.spreads * np.sqrt(2 * np.log(np.maximum(sizes, 2)) / self.centers.shape[1])
        return leads


def pack_rows(exact: Exact, order: Codes, n_jobs: int, longest: float | None = None) -> Packed:
    """The vectors of `order` in panels of bytes, with -1 for an empty place; `longest` is the largest norm."""
    distance = exact.metric == SQUARED_DISTANCE
    longest = float(exact.norms.max(initial=0.0)) if longest is None else longest
    d = exact.vectors.shape[1] + distance
    n, width, stride = len(order), packed_width(d), padded_width(max(d, LANES))
    form = make_form(longest, d)
    panels, steps, lengths = np.empty((n // LANES, width, LANES), np.int32), np.empty(n, np.float32), np.empty(n, "f4")

    def pack(start: int) -> None:
        pack_lists(
            exact, form, order, start, min(start + PANELS_AT_ONCE, n // LANES), np.empty(LANES),
            np.empty((LANES, d), np.float32), np.empty((LANES, stride), np.float32),
            np.empty(width, np.int32), panels, steps, lengths,
        )  # fmt: skip

    run_pieces(pack, range(0, n // LANES, PANELS_AT_ONCE), n_jobs)
    return assemble(form, readonly(panels), readonly(steps), readonly(lengths), readonly(order))


def assemble(form: Form, panels: NDArray[np.int32], steps: Floats, lengths: Floats, order: Codes) -> Packed:
    """Assembles packed vectors for this CPU; the steps give the rounding error."""
    return Packed(Static(byte_way()), Panels(panels, steps, steps, lengths, lengths, order), form)


def make_form(longest: float, d: int) -> Form:
    """Chooses the form of vectors of d dimensions, the longest of that norm, on this CPU."""
    shift = 0 if byte_way() == NEON else 128
    return Form(2.0 ** -math.frexp(longest)[1], longest, 0.0, *make_signs(d), LEVELS, shift)


def make_partition(clusters: Clusters, sizes: NDArray[np.int64], starts: NDArray[np.int64]) -> Partition:
    """Makes the lists of an index, of so many vectors each.

    The `errors` of their guides are what the best score of a list is expected to have above the product with the guide.
    """
    n_lists, d = clusters.centers.shape
    guides = exact_rows("guides", clusters.guides, INNER_PRODUCT)
    packed = pack_rows(guides, pad_codes(np.arange(n_lists, dtype=np.int32)), 1)
    leads, unit = clusters.leads(sizes), packed.form.scale * TYPICAL_REACH * math.sqrt(d)
    errors = np.full(len(packed.panels.order), -np.inf, np.float32)
    errors[:n_lists] = (leads + clusters.gains) * unit
    shapes = _shape_lists(clusters, sizes, starts, packed.form.scale)
    panels = packed.panels._replace(errors=readonly(errors))
    return Partition(panels, readonly((leads * unit).astype(np.float32)), shapes, readonly(starts))


def _shape_lists(clusters: Clusters, sizes: NDArray[np.int64], starts: NDArray[np.int64], scale: float) -> Floats:
    """The shape of each list: the scatter of its scores (u and v of `keep_promising`), its vectors, and 1 / its
    panels.
    """
    n_lists, d = clusters.centers.shape
    squares = np.einsum("ij,ij->i", clusters.centers, clusters.centers, dtype=np.float64)
    depths = clusters.depths.astype(np.float64) ** 2
    across = np.maximum(clusters.spreads.astype(np.float64) ** 2 - depths, 0) / max(1, d - 1)
    along = np.divide(depths - across, squares, where=squares > 0, out=np.zeros(n_lists))
    shapes = np.zeros((padded_width(n_lists), 4), np.float32)
    shapes[:n_lists] = np.column_stack([along, across * scale**2, sizes, 1 / np.maximum(np.diff(starts), 1)])
    return readonly(shapes)


def exact_rows(name: str, vectors: NDArray[Any], metric: int) -> Exact:
    """Vectors of float32 or float16 with their norms; a ValueError with their `name` if they are not finite."""
    norms, stored = np.empty(len(vectors)), vectors.view(np.uint16) if vectors.dtype == np.float16 else vectors
    refuse_nonfinite(name, vectors, 0, measure_rows(stored, norms))
    return Exact(readonly(stored), readonly(norms), metric)


def pad_codes(codes: Codes) -> Codes:
    """Codes, then -1 up to a multiple of 16."""
    return np.concatenate([codes, np.full(-len(codes) % LANES, -1, np.int32)])


def order_lists(nearest: Codes, norms: NDArray[np.float64], n_lists: int) -> tuple[Codes, NDArray[np.int64]]:
    """The codes of each list, the longest vectors first, padded to whole panels; and the starts of the lists'
    panels.
    """
    places, starts = _places(nearest, n_lists)
    order = np.full(starts[-1] * LANES, -1, np.int32)
    order[places] = np.lexsort((-norms, nearest))
    return order, starts


def merge_lists(
    old: Packed, starts: NDArray[np.int64], fresh: Exact, codes: Codes, lists: Codes, longest: float
) -> tuple[Packed, NDArray[np.int64]]:
    """Packed lists with the vectors of `codes` added at their ends, and without emptied places."""
    n_lists, kept = len(starts) - 1, np.flatnonzero(old.panels.order >= 0)
    new = pack_rows(fresh, pad_codes(np.arange(len(codes), dtype=np.int32)), 1, longest)
    list_of = np.concatenate([np.repeat(np.arange(n_lists), np.diff(starts) * LANES)[kept], lists])
    by_list, (places, starts) = np.argsort(list_of, kind="stable"), _places(list_of, n_lists)
    # under the cosine, vectors have length 1 in any case
    factor = np.float32(1 if fresh.metric == COSINE else new.form.scale / old.form.scale)

    def join(first: NDArray[Any], second: NDArray[Any], empty: int) -> NDArray[Any]:
        both = np.concatenate([first[kept], second[: len(codes)]])
        joined = np.full((starts[-1] * LANES, *both.shape[1:]), empty, both.dtype)
        joined[places] = both[by_list]
        return readonly(joined)

    bytes_ = join(_lanes(old.panels.panels), _lanes(new.panels.panels), 0)
    panels = readonly(np.ascontiguousarray(bytes_.reshape(-1, LANES, bytes_.shape[1]).swapaxes(1, 2)))
    steps = join(old.panels.steps * factor, new.panels.steps, 0)
    lengths = join(old.panels.lengths * factor, new.panels.lengths, 0)
    return assemble(new.form, panels, steps, lengths, join(old.panels.order, codes, -1)), starts


def _places(list_of: NDArray[Any], n_lists: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The places of entries, sorted by list, in whole panels for each list; and the starts of the lists' panels."""
    sizes = np.bincount(list_of, minlength=n_lists)
    starts = np.concatenate([[0], np.cumsum(-(-sizes // LANES))])
    before = np.concatenate([[0], np.cumsum(sizes)])[:-1]
    return np.arange(len(list_of)) + np.repeat(starts[:-1] * LANES - before, sizes), starts


def _lanes(panels: NDArray[np.int32]) -> NDArray[np.int32]:
    return panels.swapaxes(1, 2).reshape(-1, panels.shape[1])


def find_clusters(
    rows_of: Callable[[Any], Floats], n: int, n_lists: int, random: np.random.Generator, n_jobs: int
) -> Clusters:
    """k-means in L2 of n vectors, given by `rows_of` for an array of codes or a slice, on a sample of them.

    Lists are ordered by the norm of their centers, the largest first, so that a scan reads the longest vectors first.
    """
    chosen = random.permutation(n)[: TRAINING_POINTS * n_lists]
    sample = rows_of(np.sort(chosen))
    if n == 0:
        sample = np.zeros((1, sample.shape[1]), np.float32)
    centers = sample[np.sort(random.permutation(len(sample))[:n_lists])]
    for _ in range(ITERATIONS):
        nearest, closeness = assign(lambda part: sample[part], len(sample), centers, n_jobs)
        centers = _means(sample, nearest, n_lists)[0]
        empty = np.flatnonzero(np.bincount(nearest, minlength=n_lists) == 0)
        centers[empty] = sample[np.argsort(closeness, kind="stable")[: len(empty)]]
    centers = centers[np.argsort(-np.einsum("ij,ij->i", centers, centers), kind="stable")]
    nearest, _ = assign(rows_of, n, centers, n_jobs)
    return describe(rows_of, nearest, centers)


def describe(rows_of: Callable[[Any], Floats], nearest: Codes, centers: Floats) -> Clusters:
    """The means and the spreads of lists; an empty list keeps its center."""
    (n_lists, d), n = centers.shape, len(nearest)
    sums, squares, sizes = np.zeros((n_lists, d)), np.zeros(n_lists), np.bincount(nearest, minlength=n_lists)
    parts = [slice(start, start + ROWS_SUMMED) for start in range(0, n, ROWS_SUMMED)]
    for part in parts:
        rows = rows_of(part)
        sums += _sums(rows, nearest[part], n_lists)
        squares += np.bincount(nearest[part], np.einsum("ij,ij->i", rows, rows), n_lists)
    many = np.maximum(sizes, 1)
    means = np.where(sizes[:, None] > 0, sums / many[:, None], centers)
    lengths = np.einsum("ij,ij->i", means, means)
    directions = np.divide(means, np.sqrt(lengths)[:, None], where=lengths[:, None] > 0, out=np.zeros_like(means))
    depths, directions = np.zeros(n_lists), directions.astype(np.float32)
    for part in parts:
        along = np.einsum("ij,ij->i", rows_of(part), directions[nearest[part]])
        depths += np.bincount(nearest[part], along.astype(np.float64) ** 2, n_lists)
    spreads, depths = (np.sqrt(np.maximum(total / many - lengths, 0)) for total in (squares, depths))
    found = _floats(means)
    return Clusters(found, _floats(spreads), _floats(depths), found, _floats(np.zeros(n_lists)), nearest)


def _floats(array: NDArray[np.float64]) -> Floats:
    return readonly(array.astype(np.float32))


def _means(rows: Floats, nearest: Codes, n_lists: int) -> tuple[Floats, NDArray[np.int64]]:
    sizes = np.bincount(nearest, minlength=n_lists)
    return (_sums(rows, nearest, n_lists) / np.maximum(sizes, 1)[:, None]).astype(np.float32), sizes


def _sums(rows: Floats, nearest: Codes, n_lists: int) -> NDArray[np.float64]:
    order = np.argsort(nearest, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(nearest, minlength=n_lists))])
    members = csr_array((np.ones(len(rows), np.float32), order, indptr), shape=(n_lists, len(rows)))
    return (members @ rows).astype(np.float64)


def assign(rows_of: Callable[[Any], Floats], n: int, centers: Floats, n_jobs: int) -> tuple[Codes, Floats]:
    """The nearest center of each of n vectors, and the negative squared distance."""
    exact = exact_rows("centers", np.ascontiguousarray(centers), SQUARED_DISTANCE)
    n_lists, d = centers.shape
    packed = pack_rows(exact, pad_codes(np.arange(n_lists, dtype=np.int32)), 1)
    errors = np.where(packed.panels.order < 0, np.float32(-np.inf), np.float32(0))
    panels = packed.panels._replace(errors=readonly(errors))
    nearest, closeness, few = np.empty((n, 1), np.int32), np.empty((n, 1), np.float32), min(NEAREST_TRIED, n_lists)

    def nearest_of(start: int) -> None:
        part = slice(start, min(start + ROWS_AT_ONCE, n))
        space = make_space(packed, d + 1, part.stop - start, 1, 1, READIED)
        visits = make_visits(n_lists, part.stop - start, few)
        assign_rows(
            packed.way, panels, packed.form, exact, readonly(rows_of(part)), NOTHING_CLOSED, space, visits,
            nearest[part], closeness[part],
        )  # fmt: skip

    run_pieces(nearest_of, range(0, n, ROWS_AT_ONCE), n_jobs)
    return nearest[:, 0], closeness[:, 0]


def make_visits(n_lists: int, n: int, n_probe: int) -> Visits:
    """Makes the arrays for the plan of a search of n queries."""
    return Visits(
        estimates=np.empty(GROUP * (n_lists + LANES), np.float32),
        probes=np.empty((n - (-LANES // n_probe), n_probe), np.int32),
        starts=np.empty(n_lists + 1, np.int64),
        rows=np.empty(n * n_probe + GROUP, np.int64),
        tops=np.empty(n_lists + 2 * LANES, np.float32),
        spots=np.empty(n_lists + 2 * LANES, np.int32),
        counts=np.empty(n, np.int64),
        hits=np.empty(5 * (n_probe + LANES), np.float32),
    )


def address_table(
    exact: Exact,
    packed: Packed,
    partition: Partition,
    margin: ErrorMargin,
    space: Space,
    visits: Visits,
    least: float,
    wanted: float,
) -> NDArray[np.int64]:
    """Writes a search's AddressTable; it does not keep the arrays alive."""
    n_lists, n_probe, form = len(partition.starts) - 1, visits.probes.shape[1], packed.form
    width, room = space.quads.shape[1], space.codes.shape[1]
    sizes = (len(space.norms), space.scaled.shape[1], space.rotated.shape[1], width, space.k, room)
    arrays = [getattr(space, name) for name in Place._fields[len(sizes) :]]
    items, guides = (PanelPointers(len(panels.order) // LANES, *panels) for panels in (packed.panels, partition.guides))
    table = AddressTable(
        place=Place(*sizes, *arrays),
        items=items,
        guides=guides,
        visits=VisitPointers(n_lists, n_probe, partition.starts, *visits, partition.leads, partition.shapes),
        metric=exact.metric,
        norms=exact.norms,
        signs=form.signs,
        blocks=form.blocks,
        levels=form.levels,
        shift=form.shift,
        scale=form.scale,
        longest=form.longest,
        of_step=margin.of_step,
        of_length=margin.of_length,
        least=least,
        wanted=wanted,
        ranked=margin.ranked,
    )
    return readonly(write_table(table))
