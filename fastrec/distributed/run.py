"""A run of alternating least squares in a folder: each half epoch is done once and recorded."""

from dataclasses import dataclass

from fastrec.distributed.engine import Session
from fastrec.distributed.exchange import ITEMS, USERS, Exchange, Layout
from fastrec.distributed.half_epoch import HalfEpoch, Turn, Weights
from fastrec.distributed.journal import Journal, Line
from fastrec.distributed.solving import Solving
from fastrec.parallel import one_blas_thread
from fastrec.solvers.als import Solver, eigenbasis


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
        sums = self.exchange.solve(side, folders, self.layout.state(side, epoch), turn, Solving(half))
        line = Line(step, {"loss": sums.loss, "penalty": sums.penalty}, sums.gram, turn.basis)
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

    def _turn(self, dtype: str) -> Turn:
        gram = self.lines[-1].gram
        assert gram is not None
        with one_blas_thread():
            values, basis = eigenbasis(gram, self.factors)
        return Turn(basis, values, dtype)
