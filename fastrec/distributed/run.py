"""A run of alternating least squares in a folder: each half epoch is done once and recorded."""

from dataclasses import dataclass

from fastrec.distributed.alternation import Alternation
from fastrec.distributed.engine import Session
from fastrec.distributed.exchange import ITEMS, USERS, Exchange, Layout
from fastrec.distributed.half_epoch import Turn
from fastrec.distributed.journal import Journal, Line
from fastrec.solvers.als_bases import Gramians, is_balanced


@dataclass
class Run:
    """A run: its folder, the exchange of its factors, and its progress.

    Parameters
    ----------
    spark, layout, exchange, journal
        The engine, the folder, the exchange of the factors, and the record of steps.
    lines
        The journal's lines so far.
    alternation
        The model and its half epochs.
    """

    spark: Session
    layout: Layout
    exchange: Exchange
    journal: Journal
    lines: list[Line]
    alternation: Alternation

    def do(self, step: int) -> Line:
        """Does half an epoch, or reads its recorded result."""
        if step < len(self.lines):
            return self.lines[step]
        side, epoch = (USERS, (step + 1) // 2) if step % 2 else (ITEMS, step // 2)
        before, gramians = self.lines[-1], self._gramians()
        turn = self.alternation.turn(gramians, balanced=side == USERS and is_balanced(epoch - 1))
        half = self.alternation.half(self.layout.shape[1 - side], before.basis, turn, epoch)
        folders = self.layout.folders(side, epoch - 1, epoch - (side == USERS))
        sums = self.exchange.solve(side, folders, self.layout.state(side, epoch), half)
        gramians = gramians.following(side, turn.basis, sums.gram, sums.weighted)
        line = Line(step, {"loss": sums.loss, "penalty": sums.penalty}, gramians, turn.basis)
        self.journal.add(line)
        self.lines[-1] = before._replace(gramians=None, basis=None)
        self.lines.append(line)
        return line

    def final_turn(self) -> Turn:
        """The transfer of the learned item factors, in which they are kept and asked."""
        return self.alternation.turn(self._gramians(), last=True)

    def last_epoch(self) -> int:
        """The number of epochs that are done."""
        return (len(self.lines) - 1) // 2

    def _gramians(self) -> Gramians:
        gramians = self.lines[-1].gramians
        assert gramians is not None
        return gramians
