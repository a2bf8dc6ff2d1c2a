"""The families of models to try: their options, and the time of a fit."""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from fastrec.data import Interactions
from fastrec.models import (
    EASE,
    GraphFilter,
    ImplicitALS,
    ItemKNN,
    LinearSequence,
    Popularity,
    SequenceKNN,
    SequenceRules,
    SGDFactorization,
    UserKNN,
)
from fastrec.models.base.weighting import Form, Weighted
from fastrec.options import make_estimator
from fastrec.solvers.als_settings import DataSize, choose_alpha, choose_regularization

# Items up to which a matrix of items × items is inverted: it takes n³ operations, and 4 n² bytes twice.
DENSE_ITEMS = 8000


class Shape(NamedTuple):
    """The size of a data set, in the numbers that determine the time of a fit."""

    users: int
    items: int
    events: int
    has_times: bool

    def part(self, share: float) -> "Shape":
        """Returns the shape of a share of the users."""
        return self._replace(users=max(1, round(self.users * share)), events=max(1, round(self.events * share)))


@dataclass(frozen=True)
class Range:
    """The values of an option between two numbers; drawn by their logarithm unless `log` is False."""

    low: float
    high: float
    whole: bool = False
    linear: bool = False

    def __contains__(self, value: Any) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high

    def draw(self, rng: np.random.Generator) -> float | int:
        """Draws a value anywhere in the range."""
        return self._rounded(self._value(float(rng.random())))

    def near(self, value: float, rng: np.random.Generator) -> float | int:
        """Draws a value near another one: at most a sixth of the range away."""
        place = self._place(value) + float(rng.uniform(-1, 1)) / 6
        return self._rounded(self._value(min(1.0, max(0.0, place))))

    def _value(self, place: float) -> float:
        if self.linear:
            return self.low + place * (self.high - self.low)
        return float(self.low * (self.high / self.low) ** place)

    def _place(self, value: float) -> float:
        if self.linear:
            return (value - self.low) / (self.high - self.low)
        return math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)

    def _rounded(self, value: float) -> float | int:
        return round(value) if self.whole else float(f"{value:.3g}")


@dataclass(frozen=True)
class OneOf:
    """The listed values of an option."""

    values: tuple[Any, ...]

    def __contains__(self, value: Any) -> bool:
        return value in self.values

    def draw(self, rng: np.random.Generator) -> Any:
        """Draws any of the values."""
        return self.values[int(rng.integers(len(self.values)))]

    def near(self, value: Any, rng: np.random.Generator) -> Any:
        """Returns mostly the same value, and sometimes another one."""
        return value if rng.random() < 0.7 else self.draw(rng)


Space = Mapping[str, Range | OneOf]


@dataclass(frozen=True)
class Family:
    """A family of models.

    Attributes
    ----------
    kind
        The class.
    fixed
        Options that are not searched.
    space
        The options that are searched.
    scaled
        The searched options whose ranges depend on the shape of the data.
    seconds
        The approximate CPU seconds of a fit and its evaluation, for a shape of the data.
    fits
        Tells whether the family suits data of a shape.
    """

    kind: Any
    space: Space
    seconds: Callable[[Shape], float]
    fits: Callable[[Shape], bool] = lambda shape: True
    fixed: Mapping[str, Any] | None = None
    scaled: Callable[[Shape], Space] = lambda shape: {}

    @property
    def name(self) -> str:
        """The name of the class."""
        return str(self.kind.__name__)

    @property
    def reads_values(self) -> bool:
        """Tells whether the form of the values matters."""
        return issubclass(self.kind, Weighted)

    def of(self, shape: Shape) -> "Family":
        """Returns the family for data of a shape. With times, models of sets may count late events for more."""
        space = {**self.space, **self.scaled(shape)}
        recency = inspect.signature(self.kind).parameters.get("recency")
        if shape.has_times and recency is not None and recency.default == 1.0:
            space["recency"] = OneOf((1.0, 0.98, 0.95, 0.9, 0.8))
        return replace(self, space=space)

    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """Draws options from anywhere in the space."""
        return {name: values.draw(rng) for name, values in self.space.items()}

    def near(self, options: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        """Draws options near others, or near the defaults; what the class chooses by the data is drawn anew."""
        from_ = self._defaults() | dict(options)
        return {
            name: values.near(from_[name], rng) if name in from_ else values.draw(rng)
            for name, values in self.space.items()
        }

    def _defaults(self) -> dict[str, Any]:
        """Returns the defaults of the searched options that have one in their range."""
        given = inspect.signature(self.kind).parameters
        return {name: given[name].default for name, values in self.space.items() if given[name].default in values}

    def make(self, options: Mapping[str, Any], form: Form, seed: int, n_jobs: int | None) -> Any:
        """Makes a new estimator; the form of values, the seed and the threads go to classes that take them."""
        common = {"random_state": seed, "n_jobs": n_jobs} | ({"weighting": form} if self.reads_values else {})
        return make_estimator(self.kind, {**(self.fixed or {}), **options}, **common)


# All seconds below are CPU seconds of a slow core (two of them, AVX2, shared with other work), so that a budget is kept
# there, too.

# The seconds of a fit and its evaluation that do not depend on the size.
OVERHEAD = 0.15
# Events up to which BPR is tried: its passes over the events cost most of all, and no larger data are known on which it
# wins.
BPR_EVENTS = 500_000
# The seconds for each event up to which singular vectors are found; many users and items with few events need more. And
# the most seconds: each trial finds them anew.
SPECTRUM, LONGEST = 3e-5, 10.0


def _per_event(factor: float) -> Callable[[Shape], float]:
    return lambda shape: OVERHEAD + factor * shape.events


def _answers(shape: Shape) -> float:
    """Estimates the seconds of ranking all items for the hidden part's users, from the neighbours of each history
    item.
    """
    return OVERHEAD + min(shape.users, 4000) * shape.items * (8e-10 + 1.6e-10 * shape.events / shape.users)


def _spectrum(shape: Shape) -> float:
    """Estimates the seconds of finding as many singular vectors as GraphFilter takes by default: 2.5 √items, at
    most 512.
    """
    return 1e-9 * (shape.users + shape.items) * min(6.25 * shape.items, 512**2)


def _penalty(shape: Shape) -> float:
    """Returns the default penalty of iALS."""
    sides = shape.users, shape.items
    size = DataSize(sides, sides, shape.events, float(shape.events))
    return choose_regularization(size, choose_alpha(size), 1.0)


FADING_PREFIXES: Space = {
    "regularization": Range(3, 1000),
    "memory": Range(0.4, 0.95, linear=True),
    "ahead": Range(0.2, 0.9, linear=True),
    "before": Range(0, 1, linear=True),
}
FAMILIES = (
    Family(Popularity, {}, _per_event(1e-7)),
    Family(
        EASE,
        {"regularization": Range(3, 3000)},
        lambda shape: 1.8 * (shape.items / 3700) ** 3 + 4e-7 * shape.events + _answers(shape),
        lambda shape: shape.items <= DENSE_ITEMS,
    ),
    Family(
        EASE,
        {"regularization": Range(3, 3000)},
        lambda shape: 1.8e-5 * shape.events + _answers(shape),
        lambda shape: shape.items > DENSE_ITEMS,
        {"method": "sparse", "neighbors": 128},
    ),
    Family(
        ImplicitALS,
        {"factors": Range(16, 192, whole=True)},
        lambda shape: 5e-6 * shape.events + 5e-5 * (shape.users + shape.items) + _answers(shape),
        scaled=lambda shape: {"regularization": Range(_penalty(shape) / 3, 3 * _penalty(shape))},
    ),
    Family(
        ItemKNN,
        {
            "neighbors": Range(20, 400, whole=True),
            "similarity": OneOf(("cosine", "jaccard", "tfidf", "bm25", "sppmi", "rp3beta")),
            "shrinkage": Range(0.1, 300),
        },
        lambda shape: 4e-7 * shape.events + _answers(shape),
    ),
    Family(
        UserKNN,
        {"neighbors": Range(20, 800, whole=True), "similarity": OneOf(("cosine", "jaccard", "tfidf", "bm25"))},
        lambda shape: 2e-7 * shape.events + 1.5 * _answers(shape),
        lambda shape: shape.users <= 100_000,
    ),
    Family(
        GraphFilter,
        {
            "ideal_weight": Range(0.05, 2),
            "user_exponent": Range(0, 0.8, linear=True),
            "degree_exponent": Range(0, 0.6, linear=True),
        },
        lambda shape: 6e-7 * shape.events + _spectrum(shape) + 2.5 * _answers(shape),
        lambda shape: shape.items <= 50_000 and _spectrum(shape) <= min(LONGEST, SPECTRUM * shape.events + OVERHEAD),
    ),
    Family(
        SGDFactorization,
        {"factors": Range(2, 128, whole=True), "regularization": Range(1e-5, 1e-1), "learning_rate": Range(0.01, 0.3)},
        lambda shape: 1.2e-5 * shape.events + _answers(shape),
        lambda shape: shape.events <= BPR_EVENTS,
        {"loss": "bpr"},
    ),
    Family(
        SequenceRules,
        {
            "window": Range(2, 40, whole=True),
            "decay": Range(0.4, 0.98, linear=True),
            "recency": Range(0.3, 0.98, linear=True),
            "before": Range(0, 1, linear=True),
            "source_exponent": Range(0, 1, linear=True),
            "target_exponent": Range(0, 0.8, linear=True),
        },
        lambda shape: 4e-7 * shape.events + _answers(shape),
        lambda shape: shape.has_times,
    ),
    Family(
        SequenceKNN,
        {
            "recency": Range(0.4, 0.98, linear=True),
            "decay": Range(0.4, 0.98, linear=True),
            "before": Range(0, 1, linear=True),
        },
        lambda shape: 2e-7 * shape.events + 2 * _answers(shape),
        lambda shape: shape.has_times,
    ),
    Family(
        LinearSequence,
        FADING_PREFIXES,
        lambda shape: 2.8 * (shape.items / 3700) ** 3 + 1.2e-6 * shape.events + _answers(shape),
        lambda shape: shape.has_times and shape.items <= DENSE_ITEMS,
    ),
    Family(
        LinearSequence,
        FADING_PREFIXES,
        lambda shape: 1.2e-5 * shape.events + _answers(shape),
        lambda shape: shape.has_times and shape.items > DENSE_ITEMS,
        {"method": "sparse", "neighbors": 128},
    ),
)
"""All families, the cheapest first."""


def families_for(shape: Shape) -> list[Family]:
    """Returns the families to try on data of a shape."""
    return [family.of(shape) for family in FAMILIES if family.fits(shape)]


def forms_of(data: Interactions) -> list[Form]:
    """Returns the forms of values that differ for some data, the one that most often is best first.

    >>> forms_of(Interactions([0, 1], [0, 1])), forms_of(Interactions([0, 1], [0, 1], [5, 99]))
    (['raw'], ['binary', 'log', 'raw'])
    """
    values = data.matrix.data
    return ["raw"] if not len(values) or values.min() == values.max() else ["binary", "log", "raw"]
