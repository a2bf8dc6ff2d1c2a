"""`Search`: the result of a search."""

import math
import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastrec.data.frames import Backend, make_frame
from fastrec.evaluation.page import Page, Picture, Section
from fastrec.evaluation.search.edges import Edge
from fastrec.evaluation.search.job import GIVEN
from fastrec.evaluation.search.trial import Trial, make_order
from fastrec.evaluation.words import format_short
from fastrec.notebook import show
from fastrec.plots import search_slice
from fastrec.tables import Table
from fastrec.validation import is_number


def plain_or_text(value: Any) -> Any:
    """Returns a value that a frame can hold, or its description in words."""
    return value if isinstance(value, bool | int | float | str | None) else repr(value)


@dataclass(frozen=True, eq=False, repr=False)
class Search:
    """The result of `search`.

    Attributes
    ----------
    metric, metrics
        The metric that decided, and all metrics that were computed.
    method
        The method of the search.
    searched
        The names of the searched options.
    trials
        A `Trial` for each choice of options (and number of epochs), in the order of the draws; the first is that of the
        model with the options that it was given.
    best
        The best `Trial`.
    model
        The model with the best options, fitted on all of the data; None without `refit`.
    edges
        An `Edge` for each option whose best value lies at an end of the searched range: there may be a better value
        beyond.
    """

    metric: str
    metrics: tuple[str, ...]
    method: str
    searched: tuple[str, ...]
    trials: tuple[Trial, ...]
    best: Trial
    model: Any
    edges: tuple[Edge, ...] = ()

    @property
    def given(self) -> Trial:
        """The trial of the model with the options that it was given."""
        return self.trials[0]

    @property
    def best_options(self) -> dict[str, Any]:
        """The options of the best trial."""
        return dict(self.best.options)

    @property
    def best_score(self) -> float:
        """The mean of the metric over the splits that the best trial reached."""
        return self.best.score

    def ranked(self) -> list[Trial]:
        """The trials, the best first; failed ones last."""
        return sorted(self.trials, key=make_order(self.metric))

    def table(self, n: int = 10) -> Table:
        """Returns the best `n` trials as a table of texts."""
        epochs = any(trial.epochs is not None for trial in self.trials)
        rows = []
        for place, trial in enumerate(self.ranked()[:n], 1):
            spread = "" if math.isnan(trial.deviation) else f" ± {trial.deviation:.4f}"
            score = f"failed ({trial.error})" if trial.error else f"{trial.score:.4f}{spread}"
            chosen = [format_short(trial.options[name]) for name in self.searched]
            rows.append([str(place), *chosen, *([str(trial.epochs)] if epochs else []), score, f"{trial.seconds:.1f}"])
        columns = ["rank", *self.searched, *(["epochs"] if epochs else []), self.metric, "seconds"]
        return Table(columns, rows, f"The best of {len(self.trials)} trials ({self.method})", (0,))

    @property
    def notes(self) -> list[str]:
        """Returns sentences on the best trial beside the given model, and on ranges to widen."""
        return [self._comparison(), *map(str, self.edges)]

    def _comparison(self) -> str:
        before = ", ".join(f"{name}={format_short(value)}" for name, value in self.given.options.items())
        if self.given.error:
            return f"The model as it was given ({before}) failed: {self.given.error}"
        reached = f"The model as it was given ({before}) reaches {self.metric} {self.given.score:.4f}"
        if self.best is self.given:
            return f"{reached}: no other trial is better."
        return f"{reached}, the best {self.best_score:.4f} ({self.best_score - self.given.score:+.4f})."

    def __repr__(self) -> str:
        table = self.table()
        return "\n".join([f"Search: {table.caption}", table.text("  "), *(f"  {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        return show(self.table(), self.notes)

    def rows(self) -> list[dict[str, Any]]:
        """Returns a record of each trial, the best first: rank, trial, the options, epochs, metrics, seconds, error."""
        epochs = any(trial.epochs is not None for trial in self.trials)
        return [
            {"rank": place, "trial": trial.number}
            | {name: plain_or_text(trial.options[name]) for name in self.searched}
            | ({"epochs": trial.epochs} if epochs else {})
            | {label: trial.metrics.get(label, math.nan) for label in self.metrics}
            | {"deviation": trial.deviation, "seconds": trial.seconds, "error": trial.error or ""}
            for place, trial in enumerate(self.ranked(), 1)
        ]

    def to_frame(self, backend: Backend | None = None) -> Any:
        """Returns a data frame of `rows`.

        If an option has a number in all trials but that of the given model, the given model's row has NaN.

        Parameters
        ----------
        backend
            "pandas", "polars" or "pyarrow"; None for the first one that is installed.
        """
        rows = self.rows()
        return make_frame({name: self._column([row[name] for row in rows], rows) for name in rows[0]}, backend)

    def _column(self, values: list[Any], rows: list[dict[str, Any]]) -> Any:
        """Returns the values of the trials as an array; of numbers if all trials but the given model's have numbers."""
        others = [value for value, row in zip(values, rows, strict=True) if row["trial"] != GIVEN]
        if not all(map(is_number, others or values)):
            return _objects(values)
        return np.array([value if is_number(value) else math.nan for value in values])

    def plot(self, option: str | None = None, ax: Any = None, **options: Any) -> Any:
        """Plots the score over one option, by default the first with several values; see
        `fastrec.plots.search_slice`.
        """
        return search_slice(self, option, ax=ax, **options)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the search as one self-contained HTML page: the trials, a picture for each option, and ranges to
        widen.

        Raises
        ------
        ImportError
            If matplotlib or jinja2 is missing (``pip install 'fastrec[report]'``).
        """
        chosen = [(name, format_short(value)) for name, value in self.best_options.items()]
        facts = [("trials", str(len(self.trials))), (f"best {self.metric}", f"{self.best_score:.4f}"), *chosen]
        pictures = [self._picture(name) for name in self.searched]
        section = Section("Trials", pictures=pictures, tables=[self.table(20)], notes=self.notes)
        Page("Search", "The options that do best on held-out parts of the data.", [section], facts).save(path)

    def _picture(self, option: str) -> Picture:
        best = format_short(self.best_options[option])
        alt = f"{self.metric} of each trial by {option}; the best is {self.best_score:.4f} at {best}."
        return Picture(lambda ax, theme: search_slice(self, option, ax=ax, theme=theme), alt)


def _objects(values: list[Any]) -> Any:
    array = np.empty(len(values), object)
    array[:] = values
    return array
