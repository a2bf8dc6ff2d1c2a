"""Cross-validation: the same model fitted and evaluated on several splits of the data."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from fastrec.data import Interactions
from fastrec.data.frames import Backend, make_frame
from fastrec.data.recognition import refuse_table
from fastrec.evaluation.evaluate import evaluate
from fastrec.evaluation.models import is_plain_pipeline
from fastrec.evaluation.report import Report
from fastrec.matrix.rows import hide_part
from fastrec.models.base.hiding import is_in
from fastrec.models.base.private import PrivateRecommender
from fastrec.notebook import show
from fastrec.notices import warn_once_of_a_kind
from fastrec.plots import validation_dots
from fastrec.preprocessing import split_random
from fastrec.preprocessing.folds import InteractionKFold, InteractionSplitter
from fastrec.progress import epoch_progress
from fastrec.tables import Table
from fastrec.validation import name_options


class Part(NamedTuple):
    """One split: the data to train on, the items to find, and the known histories of users who were not trained on."""

    train: Interactions
    test: Any
    histories: Any = None


@name_options
@warn_once_of_a_kind()
def cross_validate(
    models: Any,
    data: Any,
    cv: Any = 5,
    metrics: Sequence[str] | str = ("ndcg@10", "recall@20"),
    *,
    groups: Any = None,
    random_state: int = 0,
    verbose: bool | int = False,
    **options: Any,
) -> "Validation":
    """Measures models on several splits of the same data.

    Parameters
    ----------
    models
        A recommender, a `Pipeline` that ends in one, or a dictionary of them by name. Clones are fitted.
    data
        Interactions, or a matrix of shape (n_users, n_items).
    cv
        An integer: that many folds over interactions (`InteractionKFold`). A share below 1: one random split. A
        splitter over interactions (`RollingTime`, `ColdItemKFold`, …). A splitter over users, as scikit-learn has them
        (`UserKFold`, `GroupKFold`): the tested users are new to the model, which knows four fifths of their items and
        has to find the others. Or pairs (train, test) of Interactions.
    metrics
        As in `evaluate`.
    groups
        The groups, for splitters that take them.
    random_state
        The seed if `cv` is a number.
    verbose
        Whether to show progress.
    **options
        Further options of `evaluate`.

    Returns
    -------
    Validation
        A `Report` for each split, and means and deviations over them.

    Examples
    --------
    >>> import fastrec as fr
    >>> rng = np.random.default_rng(0)
    >>> data = fr.Interactions(rng.integers(0, 50, 900), rng.integers(0, 30, 900), duplicates="sum")
    >>> found = cross_validate(fr.Popularity(), data, cv=3, metrics=["ndcg@10"])
    >>> len(found.reports)
    3
    """
    named = dict(models) if isinstance(models, Mapping) else {type(models).__name__: models}
    for name, model in named.items():
        if isinstance(model, type) or not hasattr(model, "fit"):
            raise TypeError(f"models must be a recommender or a dictionary of them by name, got {model!r} as {name!r}")
    parts = make_parts(data, cv, groups, random_state)
    reports, seconds = [], []
    with epoch_progress("cross_validate", len(parts), bool(verbose)) as advance:
        for part in parts:
            fitted, took = {}, {}
            for name, model in named.items():
                began = time.perf_counter()
                fitted[name] = clone(model).fit(part.train)
                took[name] = time.perf_counter() - began
            reports.append(evaluate_part(fitted, part, metrics, **options))
            seconds.append(took)
            first = reports[-1].metrics[0]
            advance(", ".join(f"{name} {first} {reports[-1].mean(first, name):.4f}" for name in named))
    return Validation(tuple(reports), tuple(seconds))


def make_parts(data: Any, cv: Any, groups: Any = None, random_state: int = 0) -> list[Part]:
    """Makes the splits of `cross_validate` and `search`."""
    refuse_table(data, "data")
    if not isinstance(data, Interactions):
        data = Interactions.from_matrix(data)
    if isinstance(cv, float):
        return [Part(*split_random(data, cv, random_state))]
    if isinstance(cv, int | np.integer) and not isinstance(cv, bool):
        cv = InteractionKFold(int(cv), random_state=random_state)
    if isinstance(cv, InteractionSplitter):
        return [Part(*pair) for pair in cv.split(data, groups=groups)]
    if hasattr(cv, "split") and hasattr(cv, "get_n_splits"):
        return list(_parts_of_rows(data, cv, groups))
    return list(_given_parts(cv))


def _parts_of_rows(data: Interactions, cv: Any, groups: Any) -> Iterator[Part]:
    for train, test in cv.split(data, None, groups):
        tested = data[test]
        hidden = is_in(hide_part(tested.matrix)[1], tested)
        yield Part(data[train], tested.select(hidden), tested.select(~hidden))


def _given_parts(cv: Any) -> Iterator[Part]:
    pairs = [cv] if isinstance(cv, tuple) and len(cv) == 2 and isinstance(cv[0], Interactions) else cv
    if not isinstance(pairs, Iterable) or isinstance(pairs, str):
        raise TypeError(f"cv must be a number, a splitter, or pairs of Interactions, got {cv!r}")
    for pair in pairs:
        if not (isinstance(pair, tuple) and len(pair) in (2, 3) and isinstance(pair[0], Interactions)):
            raise TypeError(f"cv must give pairs (train, test) of Interactions, got {type(pair).__name__}")
        yield Part(*pair)


def evaluate_part(fitted: Mapping[str, Any], part: Part, metrics: Sequence[str] | str, **options: Any) -> Report:
    """Evaluates models, or pipelines that end in one, fitted on the training side of a split."""
    if part.histories is not None:
        return evaluate(fitted, part.test, metrics, histories=part.histories, **options)
    # A Pipeline's steps may drop or sample events; that changes neither the users' items nor the items to find.
    seen = part.train if any(is_plain_pipeline(model) for model in fitted.values()) else None
    known = {name: _with_users(model, part.train) for name, model in fitted.items()}
    return evaluate(known, part.test, metrics, **{"seen": seen} | options)


def _with_users(model: Any, data: Any) -> Any:
    """Returns the model as it can be asked for the users of the data, whom a private one does not keep."""
    return model.with_users(data) if isinstance(model, PrivateRecommender) else model


@dataclass(frozen=True, eq=False, repr=False)
class Validation:
    """The result of `cross_validate`.

    Attributes
    ----------
    reports
        A `Report` for each split.
    seconds
        The seconds of each model's fit, for each split.
    """

    reports: tuple[Report, ...]
    seconds: tuple[Mapping[str, float], ...]

    @property
    def models(self) -> tuple[str, ...]:
        """The names of the models."""
        return self.reports[0].models

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics, in the order in which they were given."""
        return self.reports[0].metrics

    def scores(self, metric: str, model: str | None = None) -> NDArray[np.float64]:
        """Returns the mean of a metric in each split, of shape (n_splits,)."""
        return np.array([report.mean(metric, model) for report in self.reports])

    def mean(self, metric: str, model: str | None = None) -> float:
        """Returns the mean over the splits."""
        return float(np.mean(self.scores(metric, model)))

    def deviation(self, metric: str, model: str | None = None) -> float:
        """Returns the standard deviation over the splits; NaN for a single one.

        Training sets overlap, so it is no standard error: for the uncertainty of a difference, see
        `Report.compare` of a single split.
        """
        scores = self.scores(metric, model)
        return float(np.std(scores, ddof=1)) if len(scores) > 1 else float("nan")

    def table(self) -> Table:
        """Returns mean and deviation over splits as a table of texts."""
        rows = []
        for metric in self.metrics:
            cells = []
            for model in self.models:
                spread = self.deviation(metric, model)
                tail = "" if np.isnan(spread) else f" ± {spread:.4f}"
                cells.append(f"{self.mean(metric, model):.4f}{tail}")
            rows.append([metric, *cells])
        n = len(self.reports)
        caption = f"Means over {n} split{'' if n == 1 else 's'}" + (" ± standard deviation" if n > 1 else "")
        return Table(["metric", *self.models], rows, caption, range(1 + len(self.models)))

    def __repr__(self) -> str:
        table = self.table()
        return f"Validation: {table.caption}\n{table.text('  ')}"

    def _repr_html_(self) -> str:
        return show(self.table(), [f"{self.reports[0].notes[0]} (first split)"])

    def to_frame(self, backend: Backend | None = None) -> Any:
        """Returns a data frame with a row per split, model and metric: the estimate, and the seconds of the fit."""
        rows = [
            (split, *estimate, self.seconds[split][estimate.model])
            for split, report in enumerate(self.reports)
            for estimate in report.estimates
        ]
        names = ("split", "model", "metric", "mean", "low", "high", "users", "fit_seconds")
        columns = dict(zip(names, zip(*rows, strict=True), strict=True))
        return make_frame(
            {
                name: np.array(column, object if name in ("model", "metric") else None)
                for name, column in columns.items()
            },
            backend,
        )

    def plot(self, metric: str | None = None, ax: Any = None, **options: Any) -> Any:
        """Plots each split's mean as a dot, by model; see `fastrec.plots.validation_dots`."""
        return validation_dots(self, metric, ax=ax, **options)
