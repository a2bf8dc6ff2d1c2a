"""The sums of a side's pieces: all that comes to the driver after half an epoch."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.distributed.cells import array_of
from fastrec.distributed.half_epoch import STATE
from fastrec.solvers.als import block_cuts

SUMS = STATE.remove(STATE.get_field_index("factors"))


class Sums(NamedTuple):
    """The sums over a side's rows."""

    gram: NDArray[np.float64]
    weighted: NDArray[np.float64]  # the Gramian weighted by penalties; without weights, the Gramian
    loss: float
    penalty: float


def collect_sums(frame: Any, folder: str, n: int) -> Sums:
    """Sums up the pieces of a frame with the columns of `SUMS`, in their order: 2 k² numbers and two more of each.

    `n` is the number of the side's rows. Raises a RuntimeError that names the folder if a piece is missing or double.
    """
    rows = sorted(frame.select(*SUMS.names).collect())
    if [row["piece"] for row in rows] != list(range(len(block_cuts(n)) - 1)):
        raise RuntimeError(f"{folder} has not every piece once: it has {[row['piece'] for row in rows]}")
    gram = _sum_matrices([bytes(row["gram"]) for row in rows])
    weighted = _sum_matrices([bytes(row["weighted"]) for row in rows])
    loss, penalty = sum(row["loss"] for row in rows), sum(row["penalty"] for row in rows)
    return Sums(gram, weighted if weighted.size else gram, loss, penalty)


def _sum_matrices(cells: list[bytes]) -> NDArray[np.float64]:
    width = round((len(cells[0]) / 8) ** 0.5)
    total: NDArray[np.float64] = np.add.reduce([array_of(cell, np.float64).reshape(width, width) for cell in cells])
    return total
