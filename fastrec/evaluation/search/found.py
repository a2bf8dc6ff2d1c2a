"""`Search`: what was found."""

import math
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from fastrec.data.frames import Backend, make_frame
from fastrec.evaluation.search.trial import Trial, make_order
from fastrec.evaluation.tables import Table
from fastrec.plots import search_slice


def plain_or_text(value: Any) -> Any:
    """A value that a frame can hold, or what it is in words."""
    return value if isinstance(value, bool | int | float | str | None) else repr(value)


@dataclass(frozen=True, eq=False, repr=False)
class Search:
    """What `search` found.

    Attributes
    ----------
    metric, metrics
        What decided, and all that was noted.
    method
        How it was searched.
    searched
        The names of the searched options.
    trials
        A `Trial` for each choice of options (and number of epochs), in the order of the draws.
    best
        The best `Trial`.
    model
        The model with the best options, fitted on all of the data; None without `refit`.
    """

    metric: str
    metrics: tuple[str, ...]
    method: str
    searched: tuple[str, ...]
    trials: tuple[Trial, ...]
    best: Trial
    model: Any

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
        """The best `n` trials as texts."""
        epochs = any(trial.epochs is not None for trial in self.trials)
        rows = []
        for place, trial in enumerate(self.ranked()[:n], 1):
            spread = "" if math.isnan(trial.deviation) else f" ± {trial.deviation:.4f}"
            score = f"failed ({trial.error})" if trial.error else f"{trial.score:.4f}{spread}"
            chosen = [format_short(trial.options[name]) for name in self.searched]
            rows.append([str(place), *chosen, *([str(trial.epochs)] if epochs else []), score, f"{trial.seconds:.1f}"])
        columns = ["rank", *self.searched, *(["epochs"] if epochs else []), self.metric, "seconds"]
        return Table(columns, rows, f"The best of {len(self.trials)} trials ({self.method})", (0,))

    def __repr__(self) -> str:
        table = self.table()
        return f"Search: {table.caption}\n{table.text('  ')}"

    def _repr_html_(self) -> str:
        best = ", ".join(f"{name}={format_short(value)}" for name, value in self.best_options.items())
        return f"<div>{self.table().html()}<p>best: {escape(best)}</p></div>"

    def to_frame(self, backend: Backend | None = None) -> Any:
        """A data frame with a row per trial, the best first: rank, trial, the options, epochs, metrics, seconds, error.

        Parameters
        ----------
        backend
            "pandas", "polars" or "pyarrow"; None for the first one that is installed.
        """
        trials = self.ranked()
        columns: dict[str, Any] = {"rank": np.arange(1, len(trials) + 1), "trial": [t.number for t in trials]}
        for name in self.searched:
            values = [trial.options[name] for trial in trials]
            numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
            columns[name] = np.array(values) if numeric else _objects([plain_or_text(value) for value in values])
        if any(trial.epochs is not None for trial in trials):
            columns["epochs"] = [trial.epochs for trial in trials]
        for label in self.metrics:
            columns[label] = [trial.metrics.get(label, math.nan) for trial in trials]
        columns["deviation"] = [trial.deviation for trial in trials]
        columns["seconds"] = [trial.seconds for trial in trials]
        columns["error"] = _objects([trial.error or "" for trial in trials])
        return make_frame({name: np.asarray(column) for name, column in columns.items()}, backend)

    def plot(self, option: str | None = None, ax: Any = None, **options: Any) -> Any:
        """The score over one option (by default the first with several values); see `fastrec.plots.search_slice`."""
        return search_slice(self, option, ax=ax, **options)


def _objects(values: list[Any]) -> Any:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def format_short(value: Any) -> str:
    """A value of an option in few digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
