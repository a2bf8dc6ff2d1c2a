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
    loss: float
    penalty: float


def collect_sums(frame: Any, folder: str, n: int) -> Sums:
    """Sums up the pieces of a frame with the columns of `SUMS`, in their order: k² numbers and two more of each.

    `n` is the number of the side's rows. Raises a RuntimeError that names the folder if a piece is missing or double.
    """
    rows = sorted(frame.select(*SUMS.names).collect())
    if [row["piece"] for row in rows] != list(range(len(block_cuts(n)) - 1)):
        raise RuntimeError(f"{folder} has not every piece once: it has {[row['piece'] for row in rows]}")
    grams = [array_of(bytes(row["gram"]), np.float64) for row in rows]
    width = round(len(grams[0]) ** 0.5)
    gram = np.add.reduce([part.reshape(width, width) for part in grams])
    return Sums(gram, sum(row["loss"] for row in rows), sum(row["penalty"] for row in rows))
