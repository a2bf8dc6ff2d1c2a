"""A scan for a single query. All arrays but the query come as a table of addresses: passing them takes longer than the
scan.
"""

from typing import Any, NamedTuple

from fastrec.kernels._jit import kernel
from fastrec.kernels.addresses import as_floats, table_reader
from fastrec.kernels.arrays import Counts, Doubles, Floats
from fastrec.kernels.scan import OVERFULL, PanelPointers, Place, find_by_bytes, find_by_floats
from fastrec.kernels.simd import pointer
from fastrec.kernels.topk import Doors, Found


class OneScan(NamedTuple):
    """The arrays and numbers of a search without its query. The writer of the table keeps the arrays alive."""

    place: Place  # for one query; in a scan of float32 its `offsets` are float32
    items: PanelPointers
    norms: Doubles  # of the vectors
    ends: Counts  # (2,): the codes between them are left out
    signs: Floats
    blocks: int
    levels: int
    shift: int
    scale: float
    longest: float
    gamma: float
    metric: int


read_scan = table_reader(OneScan)


@kernel()
def search_one_by_bytes(
    way: Any, table: Any, vectors: Any, query: Any, mask: Any, closed: Any, codes: Any, scores: Any
) -> bool:
    """Fills codes and scores, of shape (k,), as `scan.search_bytes` does; returns False if another search is needed.

    `query` is of shape (d,), and `table` is a written OneScan. `mask` is 0 for codes that may not be chosen, or empty;
    no code of `closed` is chosen.
    """
    asked = read_scan(table)
    place, own, doors = asked.place, pointer(query), open_one(asked.ends, mask, closed)
    place.work[1] = 0
    bad = find_by_bytes(
        way, asked.items, asked, asked.signs, pointer(vectors), vectors.shape, asked.norms, asked.metric, own, own, 0,
        doors, place, Found(len(codes), pointer(codes), pointer(scores)),
    )  # fmt: skip
    return bad < 0 and place.counts[0] != OVERFULL


@kernel()
def search_one_by_floats(
    way: Any, table: Any, vectors: Any, query: Any, mask: Any, closed: Any, codes: Any, scores: Any
) -> bool:
    """Does the same by a scan in float32, as `scan.search_floats` does."""
    asked = read_scan(table)
    # In a scan of float32 the offsets and the panels hold float32 behind addresses of int32.
    given, items, own = asked.place, asked.items, pointer(query)
    place = Place(
        given.n, given.dimensions, given.stride, given.width, given.k, given.room, given.scaled, given.rotated,
        given.quads, as_floats(given.offsets), given.norms, given.margins, given.reaches, given.limits, given.lowers,
        given.bounds, given.codes, given.counts, given.dues, given.starts, given.alive, given.uppers, given.work,
    )  # fmt: skip
    panels = PanelPointers(
        items.n_panels, as_floats(items.panels), items.steps, items.errors, items.lengths, items.norms, items.order
    )
    place.work[1] = 0
    bad = find_by_floats(
        way, panels, asked, pointer(vectors), vectors.shape, asked.norms, asked.metric, own, own, 0,
        open_one(asked.ends, mask, closed), place, Found(len(codes), pointer(codes), pointer(scores)),
    )  # fmt: skip
    return bad < 0 and place.counts[0] != OVERFULL


@kernel(inner=True)
def open_one(ends: Any, mask: Any, closed: Any) -> Any:
    """Returns the Doors of a single query."""
    ends[0], ends[1] = 0, len(closed)
    return Doors(len(mask) > 0, True, pointer(mask), ends, pointer(closed))
