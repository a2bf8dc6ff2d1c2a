"""`Report`: the result of an evaluation, for a terminal, a notebook, a frame, a picture or a page."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastrec.data.frames import Backend, make_frame
from fastrec.evaluation.comparison import Comparison, Difference
from fastrec.evaluation.page import Page
from fastrec.evaluation.sections import report_sections
from fastrec.evaluation.statistics import RESAMPLES, Estimate, holm, mean_interval, paired_p_value, sums_of_groups
from fastrec.evaluation.words import count_notes, format_estimate
from fastrec.metrics.formulas import RANKING
from fastrec.metrics.naming import parse_metric, upper_bound
from fastrec.notebook import show
from fastrec.plots import metric_bars
from fastrec.tables import Table
from fastrec.validation import check_choice

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Report:
    """The result of `evaluate`: means with confidence intervals, values per user, and the users who were left out.

    Attributes
    ----------
    models, metrics
        Names, in the order in which they were given.
    users
        Ids (or codes) of the evaluated users, shape (n,); for `next_events`, the user of each history. A user who
        occurs several times counts as one in intervals and tests.
    history
        The number of training items of each user, int64, shape (n,).
    values
        For each model and metric float64 of shape (n,); NaN where the metric has no meaning for the user. Metrics over
        all lists together (``coverage``, ``gini``) are in `totals`.
    counts
        The numbers of users and pairs that were evaluated or left out, by reason; `notes` gives them in words.
    seconds
        The time of the recommendations of each model.
    settings
        The class of each model, and its options that differ from the defaults.

    Examples
    --------
    >>> import numpy as np, fastrec as fr
    >>> train = np.array([[1, 1, 0, 0], [1, 0, 1, 0], [1, 1, 1, 0]])
    >>> test = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]])
    >>> report = fr.evaluate(fr.Popularity().fit(train), test, ["recall@1", "coverage@1"])
    >>> report.mean("recall@1")
    1.0
    >>> report.per_user("recall@1")
    array([1., 1.])
    """

    models: tuple[str, ...]
    metrics: tuple[str, ...]
    users: NDArray[Any]
    history: NDArray[np.int64]
    values: Mapping[str, Mapping[str, Values]]
    totals: Mapping[str, Mapping[str, float]]
    counts: Mapping[str, int]
    seconds: Mapping[str, float]
    interval: str = "analytic"
    confidence: float = 0.95
    exclude_seen: bool = True
    random_state: int = 0
    title: str = field(default="Evaluation")
    settings: Mapping[str, str] = field(default_factory=dict)
    by_items: Mapping[str, "Report"] = field(default_factory=dict)

    # --- numbers

    @cached_property
    def estimates(self) -> tuple[Estimate, ...]:
        """Returns mean, ends of the interval and number of users, for each model and metric."""
        return tuple(self._estimate(model, metric) for model in self.models for metric in self.metrics)

    def _estimate(self, model: str, metric: str) -> Estimate:
        if metric in self.totals[model]:
            return Estimate(model, metric, self.totals[model][metric], float("nan"), float("nan"), len(self.users))
        found = mean_interval(
            self.values[model][metric],
            groups=self._groups,
            method=self.interval,
            confidence=self.confidence,
            random_state=self.random_state,
        )
        return Estimate(model, metric, *_within_range(metric, *found))

    @cached_property
    def _groups(self) -> NDArray[np.int64] | None:
        """Returns the number of the user of each value; None if no user has several."""
        distinct, numbers = np.unique(self.users, return_inverse=True)
        return None if len(distinct) == len(numbers) else numbers

    def estimate(self, metric: str, model: str | None = None) -> Estimate:
        """Returns the estimate of one metric; `model` may be left out if there is only one.

        Raises
        ------
        ValueError
            If the report does not have the metric or the model.
        """
        name = self._model(model)
        check_choice("metric", metric, self.metrics)
        return next(e for e in self.estimates if e.model == name and e.metric == metric)

    def mean(self, metric: str, model: str | None = None) -> float:
        """Returns the mean of a metric over users; see `estimate`."""
        return self.estimate(metric, model).mean

    def per_user(self, metric: str, model: str | None = None) -> Values:
        """Returns the values of a metric for each of `users`, NaN where it has no meaning.

        Raises
        ------
        ValueError
            If the name is unknown, or the metric is over all lists together and has no value per user.
        """
        name = self._model(model)
        check_choice("metric", metric, self.metrics)
        if metric in self.totals[name]:
            raise ValueError(f"{metric!r} is one number over all lists together and has no value per user")
        return self.values[name][metric]

    def _model(self, model: str | None) -> str:
        if model is None and len(self.models) > 1:
            raise ValueError(f"the report has several models: name one of {', '.join(map(repr, self.models))}")
        return str(check_choice("model", self.models[0] if model is None else model, self.models))

    def compare(self, test: Literal["wilcoxon", "randomization"] = "wilcoxon") -> Comparison:
        """Compares every pair of models on every metric with values per user; p-values are corrected for their number.

        Parameters
        ----------
        test
            "wilcoxon" is the signed-rank test, which is fast for any number of users. "randomization" is the sign-flip
            test of the mean difference with 9999 resamples; it is slower, and tests exactly the shown mean.

        Returns
        -------
        Comparison
            Mean difference with its paired interval, p-value, and p-value after Holm's correction over the whole table.

        Raises
        ------
        ValueError
            If there are fewer than two models.
        """
        check_choice("test", test, ("wilcoxon", "randomization"))
        if len(self.models) < 2:
            raise ValueError("compare needs a report of at least two models")
        rows = [
            self._difference(a, b, metric, test) for a, b in combinations(self.models, 2) for metric in self._by_user
        ]
        corrected = holm([row.p_value for row in rows])
        rows = [row._replace(p_corrected=float(p)) for row, p in zip(rows, corrected, strict=True)]
        return Comparison(tuple(rows), test, self.confidence)

    @property
    def _by_user(self) -> list[str]:
        return [metric for metric in self.metrics if metric not in self.totals[self.models[0]]]

    def _difference(self, a: str, b: str, metric: str, test: str) -> Difference:
        of_a, of_b = self.values[a][metric], self.values[b][metric]
        values = of_a - of_b
        mean, low, high, n = mean_interval(values, groups=self._groups, confidence=self.confidence)
        scale = np.nanmax(np.abs([of_a, of_b]), initial=0.0)
        if self._groups is not None:
            sums, counts = sums_of_groups(values, self._groups)
            values = sums / counts  # the mean difference of each user
        p = paired_p_value(values, test=test, random_state=self.random_state, scale=float(scale))
        return Difference(metric, a, b, mean, low, high, p, p, n)

    def select(self, users: ArrayLike) -> "Report":
        """Returns the report on some of its users, without the metrics over all lists together.

        Parameters
        ----------
        users
            A boolean mask of shape (n,), or positions in `users`.
        """
        chosen = np.arange(len(self.users))[np.asarray(users)]
        values = {model: {m: v[chosen] for m, v in per.items()} for model, per in self.values.items()}
        if not self._by_user:
            raise ValueError("the report has only metrics over all lists together, which have no values per user")
        return replace(
            self,
            metrics=tuple(self._by_user),
            users=self.users[chosen],
            history=self.history[chosen],
            values=values,
            totals={model: {} for model in self.models},
            counts={},
            by_items={name: part.select(chosen) for name, part in self.by_items.items()},
        )

    def segments(self, by: ArrayLike | Literal["activity", "items"] = "activity") -> dict[str, "Report"]:
        """Returns a report for each group of users, or of items to find.

        Parameters
        ----------
        by
            A label per user of shape (n,), in the order of `users`. "activity" makes four groups of about equal size by
            the number of training items, and one of users without any. "items" takes the groups of items of
            ``evaluate(…, item_groups=…)``; each user's ranking is scored by the items of the group alone.

        Examples
        --------
        >>> import numpy as np, fastrec as fr
        >>> train, test = np.eye(4)[[0, 0, 1, 2]], np.eye(4)[[1, 1, 0, 0]]
        >>> report = fr.evaluate(fr.Popularity().fit(train), test, "recall@1")
        >>> {name: part.mean("recall@1") for name, part in report.segments(["a", "a", "b", "b"]).items()}
        {'a': 1.0, 'b': 1.0}
        """
        if isinstance(by, str):
            check_choice("by", by, ("activity", "items"))
            if by == "items":
                if not self.by_items:
                    raise ValueError("the report knows no groups of items: evaluate with item_groups='popularity'")
                return dict(self.by_items)
            return {name: self.select(mask) for name, mask in _activity_groups(self.history)}
        given: NDArray[Any] = np.asarray(by)
        labels: NDArray[Any] = np.array([str(label) for label in given.ravel().tolist()], dtype=object)
        if given.ndim != 1 or len(given) != len(self.users):
            raise ValueError(f"by must have one label for each of {len(self.users)} users, got shape {given.shape}")
        return {label: self.select(labels == label) for label in np.unique(labels)}

    # --- words and tables

    @property
    def notes(self) -> list[str]:
        """Returns sentences on the users evaluated, those left out and why, and the method of the intervals."""
        evaluated = max(estimate.users for estimate in self.estimates)
        return [*count_notes(self.counts, evaluated, self.exclude_seen), self._interval_note()]

    def _interval_note(self) -> str:
        how = {
            "analytic": "Student's t over users",
            "bootstrap": f"{RESAMPLES} bootstrap resamples of users, percentiles",
        }
        return f"{100 * self.confidence:g} % confidence intervals: {how[self.interval]}."

    def text_of(self, metric: str, model: str | None = None) -> str:
        """Returns the mean of a metric and its interval, as tables show them."""
        return format_estimate(self.estimate(metric, model))

    def table(self) -> Table:
        """Returns the means and intervals as a table of texts; the best model of each metric is highlighted."""
        rows, strong = [], set()
        for r, metric in enumerate(self.metrics):
            found = [self.estimate(metric, model) for model in self.models]
            rows.append([metric, *(format_estimate(e) for e in found)])
            means = [e.mean for e in found]
            if (
                len(found) > 1 and parse_metric(metric).name in RANKING and max(means) > min(means)
            ):  # NaN compares false
                strong.add((r, 1 + int(np.argmax(means))))
        return Table(
            ["metric", *self.models],
            rows,
            "Means over users, with confidence intervals",
            range(1 + len(self.models)),
            frozenset(strong),
        )

    def __repr__(self) -> str:
        lines = ["Report", self.table().text("  ")]
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        return show(self.table(), self.notes)

    def to_frame(self, backend: Backend | None = None) -> Any:
        """Returns a data frame with a row per model and metric: model, metric, mean, low, high, users.

        Parameters
        ----------
        backend
            "pandas", "polars" or "pyarrow"; None for the first one that is installed.
        """
        columns = list(zip(*self.estimates, strict=True))
        arrays = [np.array(c, dtype=object if i < 2 else None) for i, c in enumerate(columns)]
        return make_frame(dict(zip(Estimate._fields, arrays, strict=True)), backend)

    def per_user_frame(self, backend: Backend | None = None) -> Any:
        """Returns a data frame with a row per model and user: model, user, history, and a column per metric."""
        n = len(self.users)
        columns: dict[str, NDArray[Any]] = {
            "model": np.repeat(np.array(self.models, dtype=object), n),
            "user": np.tile(self.users, len(self.models)),
            "history": np.tile(self.history, len(self.models)),
        }
        for metric in self._by_user:
            columns[metric] = np.concatenate([self.values[model][metric] for model in self.models])
        return make_frame(columns, backend)

    # --- pictures and pages

    def plot(self, ax: Any = None, **options: Any) -> Any:
        """Plots bars of the metrics with their intervals; see `fastrec.plots.metric_bars`."""
        return metric_bars(self, ax=ax, **options)

    def save(self, path: str | os.PathLike[str], about: Mapping[str, str] | None = None) -> None:
        """Writes the report as one self-contained HTML page: tables, picture, comparison, rules.

        Its header names the models and their options, the numbers of users and items, and the date.

        Parameters
        ----------
        path
            The page to create or replace.
        about
            Further facts for the header, such as ``{"file": "ratings.csv", "split": "by time, the last 20 %"}``.

        Raises
        ------
        ImportError
            If matplotlib or jinja2 is missing (``pip install 'fastrec[report]'``).
        """
        told = [(str(name), str(value)) for name, value in (about or {}).items()]
        named = [] if self.settings else [("models", ", ".join(self.models))]
        facts = [*told, *named, ("users evaluated", f"{len(self.users):,}")]
        if "pairs" in self.counts:
            facts.append(("items to find", f"{self.counts['pairs']:,}"))
        lead = "How well the models find the items that users turned to later."
        Page(self.title, lead, report_sections(self), facts, list(self.settings.items())).save(path)


def _activity_groups(history: NDArray[np.int64]) -> list[tuple[str, NDArray[np.bool_]]]:
    groups = [("no history", history == 0)] if np.any(history == 0) else []
    active = history[history > 0]
    if active.size == 0:
        return groups
    ends = np.unique(np.quantile(active, [0.25, 0.5, 0.75, 1.0], method="inverted_cdf")).astype(np.int64)
    starts = [1, *(ends[:-1] + 1)]
    for start, end in zip(starts, ends, strict=True):
        name = f"{start} items" if start == end else f"{start}–{end} items"
        groups.append((name, (history >= start) & (history <= end)))
    return [(name, mask) for name, mask in groups if mask.any()]


def _within_range(metric: str, mean: float, low: float, high: float, n: int) -> tuple[float, float, float, int]:
    # Student's interval ignores the range of a metric.
    low, high = np.clip([low, high], 0.0, upper_bound(parse_metric(metric).name)).tolist()
    return mean, low, high, n
