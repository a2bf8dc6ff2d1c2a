"""The result of a contest, in words and tables."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastrec.evaluation.automatic.contest import Entry, Part
from fastrec.evaluation.words import format_short
from fastrec.notebook import show
from fastrec.tables import Table


@dataclass(frozen=True, repr=False)
class AutomaticReport:
    """The trials of `AutoRecommender`, the winner, and its lead.

    Attributes
    ----------
    entries
        All trials, in the order in which they ran.
    metric
        The metric that decided.
    hidden
        The way in which events were hidden, in words.
    winner
        The model that was chosen, in words.
    reason
        The reason for the choice, as a sentence.
    """

    entries: Sequence[Entry]
    metric: str
    hidden: str
    winner: str
    reason: str

    def best_by_family(self) -> list[Entry]:
        """Returns the best trial of each family on each kind of hidden events, the best family first."""
        best: dict[tuple[str, Part], Entry] = {}
        for entry in self.entries:
            known = best.get((entry.family, entry.hidden))
            if entry.score == entry.score and (known is None or _weight(entry) > _weight(known)):
                best[entry.family, entry.hidden] = entry
        return sorted(best.values(), key=lambda entry: (entry.hidden, -entry.score))

    def table(self) -> Table:
        """Returns a table of the best trial of each family."""
        rows = [
            [
                entry.family,
                entry.hidden,
                f"{entry.score:.4f}",
                entry.form,
                ", ".join(f"{name}={format_short(value)}" for name, value in entry.options.items()) or "defaults",
                str(sum(other.family == entry.family and other.hidden == entry.hidden for other in self.entries)),
            ]
            for entry in self.best_by_family()
        ]
        columns = ["family", "hidden", self.metric, "values", "options of its best", "trials"]
        return Table(columns, rows, f"{len(self.entries)} trials, judged by {self.hidden}", (0, 1, 3, 4))

    def __repr__(self) -> str:
        table = self.table()
        return f"{self.winner}: {self.reason}\n{table.caption}\n{table.text('  ')}"

    def _repr_html_(self) -> str:
        return show(self.table(), [f"{self.winner}: {self.reason}"])


def _weight(entry: Entry) -> tuple[float, int, float]:
    """Returns the rank of an entry within its family: most users, then most hidden parts, then the best score."""
    return entry.share, entry.parts, entry.score
