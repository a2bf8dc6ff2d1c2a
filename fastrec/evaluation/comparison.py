"""`Comparison`: the differences between the models of a report, pair by pair."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fastrec.data.frames import Backend, make_frame
from fastrec.evaluation.words import format_interval, format_number, format_p
from fastrec.notebook import show
from fastrec.tables import Table


class Difference(NamedTuple):
    """The difference of two models on a metric: the mean of a − b over users, its interval, and its p-values."""

    metric: str
    a: str
    b: str
    difference: float
    low: float
    high: float
    p_value: float
    p_corrected: float
    users: int


@dataclass(frozen=True)
class Comparison:
    """Paired differences between models, with p-values corrected for their number (Holm) over the whole table.

    Attributes
    ----------
    rows
        A `Difference` per pair of models and metric.
    test
        "wilcoxon" or "randomization".
    confidence
        The confidence of the intervals of the mean differences (Student's t).
    """

    rows: tuple[Difference, ...]
    test: str
    confidence: float = 0.95

    def table(self) -> Table:
        """The comparison as a table of texts."""
        columns = ["metric", "models", "mean difference", "p", "p (Holm)"]
        rows = [
            [
                row.metric,
                f"{row.a} - {row.b}",
                f"{format_number(row.difference, sign=True)} {format_interval(row.low, row.high, sign=True)}".rstrip(),
                format_p(row.p_value),
                format_p(row.p_corrected),
            ]
            for row in self.rows
        ]
        name = {"wilcoxon": "Wilcoxon signed-rank", "randomization": "randomization"}[self.test]
        return Table(columns, rows, f"Paired differences over users ({name} test, Holm-corrected)", (0, 1))

    def __repr__(self) -> str:
        table = self.table()
        return f"{table.caption}\n{table.text('  ')}"

    def _repr_html_(self) -> str:
        return show(self.table())

    def to_frame(self, backend: Backend | None = None) -> Any:
        """Returns a data frame with the columns of `Difference`."""
        columns = list(zip(*self.rows, strict=True))
        arrays = [np.array(c, dtype=object if i < 3 else None) for i, c in enumerate(columns)]
        return make_frame(dict(zip(Difference._fields, arrays, strict=True)), backend)
