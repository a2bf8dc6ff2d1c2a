"""A search of one query by a scan: its work arrays are made once, and passed as a table of addresses."""

import threading

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.addresses import write_table
from fastrec.kernels.lanes import LANES
from fastrec.kernels.scan import PanelPointers, Place, Space
from fastrec.kernels.scan_one import OneScan, search_one_by_bytes, search_one_by_floats
from fastrec.kernels.topk import Exact
from fastrec.matrix.arrays import Codes, Floats, readonly
from fastrec.retrieval.packed import Packed, make_space, room_for

# The lengths of answers for which a thread keeps work arrays.
LENGTHS_KEPT = 8


class SingleScan:
    """Searches of one query over the vectors of an index, without checks of the arguments.

    Parameters
    ----------
    exact, packed
        The vectors, under a metric other than the distance.
    """

    def __init__(self, exact: Exact, packed: Packed) -> None:
        self._exact, self._packed = exact, packed
        self._search = search_one_by_bytes if packed.form.levels else search_one_by_floats
        self._rooms = _Rooms()

    def find(self, query: Floats, k: int, mask: NDArray[np.uint8], closed: Codes) -> tuple[Codes, Floats] | None:
        """The codes and scores of the best k, of shape (k,); None if there is not room for all candidates.

        Parameters
        ----------
        query
            float32, of shape (d,), read-only.
        k
            At most the number of vectors.
        mask
            0 for forbidden codes, read-only, of shape (n,); or empty.
        closed
            The excluded codes, in ascending order, read-only.
        """
        made = self._rooms.made.get(k)
        if made is None:
            made = self._make(k)
        codes, scores = np.empty(k, np.int32), np.empty(k, np.float32)
        way, vectors = self._packed.way, self._exact.vectors
        found = self._search(way, made[0], vectors, query, mask, closed, codes, scores)
        return (codes, scores) if found else None

    def _make(self, k: int) -> tuple[NDArray[np.int64], Space]:
        made = self._rooms.made
        if len(made) == LENGTHS_KEPT:
            made.clear()
        n, d = self._exact.vectors.shape
        space = make_space(self._packed, d, 1, k, room_for(k, n))
        made[k] = self._write_table(space), space
        return made[k]

    def _write_table(self, space: Space) -> NDArray[np.int64]:
        """Writes the table of the search, over arrays that this object and `space` keep alive."""
        form, panels = self._packed.form, self._packed.panels
        width, room = space.quads.shape[1], space.codes.shape[1]
        sizes = (1, space.scaled.shape[1], space.rotated.shape[1], width, space.k, room)
        arrays = space._replace(offsets=space.offsets.view(np.int32))._asdict()
        table = OneScan(
            place=Place(*sizes, *(arrays[name] for name in Place._fields[len(sizes) :])),
            items=PanelPointers(len(panels.order) // LANES, panels.panels.view(np.int32), *panels[1:]),
            norms=self._exact.norms,
            ends=space.work[2:],  # other searches use the first ones
            signs=form.signs,
            blocks=form.blocks,
            levels=form.levels,
            shift=form.shift,
            scale=form.scale,
            longest=form.longest,
            gamma=form.gamma,
            metric=self._exact.metric,
        )
        return readonly(write_table(table))


class _Rooms(threading.local):
    """The work arrays of one thread's searches, by the length of the answer."""

    def __init__(self) -> None:
        self.made: dict[int, tuple[NDArray[np.int64], Space]] = {}
