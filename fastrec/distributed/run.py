"""A run of alternating least squares in a folder: each half epoch is done once and recorded."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrec.distributed.cells import array_of
from fastrec.distributed.engine import FAT_ROWS, Session, read_frame, settings, write_frame
from fastrec.distributed.exchange import ITEMS, USERS, Exchange, Layout
from fastrec.distributed.half_epoch import STATE, HalfEpoch, Turn, Weights
from fastrec.distributed.journal import Journal, Line
from fastrec.distributed.solving import Solving
from fastrec.parallel import one_blas_thread
from fastrec.solvers.als import Solver, block_cuts, eigenbasis


@dataclass
class Run:
    """A run: its folder, the exchange of its factors, and its progress.

    Parameters
    ----------
    spark, layout, exchange, journal
        The engine, the folder, the exchange of the factors, and the record of steps.
    lines
        The journal's lines so far.
    factors, dtype, weights
        As in `ImplicitALS`.
    """

    spark: Session
    layout: Layout
    exchange: Exchange
    journal: Journal
    lines: list[Line]
    factors: int
    dtype: str
    weights: Weights

    def do(self, step: int, solver: Solver) -> Line:
        """Does half an epoch, or reads its recorded result."""
        if step < len(self.lines):
            return self.lines[step]
        side, epoch = (USERS, (step + 1) // 2) if step % 2 else (ITEMS, step // 2)
        before = self.lines[-1]
        turn = self._turn(self.dtype)
        turned = (turn.basis,) if before.basis is None else (before.basis, turn.basis)
        half = HalfEpoch(self.layout.shape[1 - side], turned, turn, self.weights, solver)
        folders = self.layout.folders(side, epoch - 1, epoch - (side == USERS))
        with settings(self.spark, self.settings()):
            state = self.exchange.solve(side, folders, turn, Solving(half))
            write_frame(state, self.layout.state(side, epoch))
            gram, loss, penalty = self.read_sums(side, epoch)
        line = Line(step, {"loss": loss, "penalty": penalty}, gram, turn.basis)
        self.journal.add(line)
        self.lines[-1] = before._replace(gram=None, basis=None)
        self.lines.append(line)
        return line

    def final_turn(self) -> Turn:
        """The rotation of the item factors into their own eigenbasis, in which they are kept and asked."""
        return self._turn("float32")

    def last_epoch(self) -> int:
        """The number of epochs that are done."""
        return (len(self.lines) - 1) // 2

    def settings(self) -> dict[str, str]:
        """The session's settings for large rows."""
        return {**FAT_ROWS, "spark.sql.shuffle.partitions": str(self.layout.shards)}

    def read_sums(self, side: int, epoch: int) -> tuple[NDArray[np.float64], float, float]:
        """Returns the Gramian, the loss and the penalties of a side after an epoch: sums of its pieces, in order."""
        return read_sums(self.spark, self.layout.state(side, epoch), self.layout.shape[side])

    def _turn(self, dtype: str) -> Turn:
        gram = self.lines[-1].gram
        assert gram is not None
        with one_blas_thread():
            values, basis = eigenbasis(gram, self.factors)
        return Turn(basis, values, dtype)


def read_sums(spark: Session, folder: str, n: int) -> tuple[NDArray[np.float64], float, float]:
    """See `Run.read_sums`: only k² numbers and two more of each piece come to the driver."""
    frame: Any = read_frame(spark, folder, STATE)
    rows = sorted(frame.select("piece", "gram", "loss", "penalty").collect())
    if [row["piece"] for row in rows] != list(range(len(block_cuts(n)) - 1)):
        raise RuntimeError(f"{folder} has not every piece once: it has {[row['piece'] for row in rows]}")
    grams = [array_of(bytes(row["gram"]), np.float64) for row in rows]
    width = round(len(grams[0]) ** 0.5)
    gram = np.add.reduce([part.reshape(width, width) for part in grams])
    return gram, sum(row["loss"] for row in rows), sum(row["penalty"] for row in rows)
