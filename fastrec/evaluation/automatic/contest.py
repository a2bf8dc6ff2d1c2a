"""A contest: families are tried on one hidden part, and the better half goes on with more trials near its best
options.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from fastrec.data import Interactions
from fastrec.evaluation.automatic.families import Family
from fastrec.evaluation.automatic.planning import ROUNDS, Plan
from fastrec.evaluation.evaluate import evaluate
from fastrec.models.base.weighting import Form
from fastrec.preprocessing.splitting import order_by_user_and_time, pairs_of, parted, times_of

Values = NDArray[np.float64]

# The kinds of hidden events: each user's last ones, or random ones.
Part = Literal["last", "random"]

# The share of a user's events that is hidden. The users whose hidden events decide: as many as have so many hidden
# events, between the least and the greatest number of users.
HIDDEN, HIDDEN_EVENTS = 0.2, 40_000
FEWEST_JUDGES, MOST_JUDGES = 1000, 4000

# The largest number of trials of a family in a later round, for each of its options.
PER_OPTION = 3

# Of so many best families, the best trial is repeated on all users after rounds on a part of them.
BEST_FAMILIES = 3

# The rounds on a part of the users learn of the most popular items that have this share of the events.
COVERED = 0.95

# If the rounds learn from all users, this many trials of each of the best families are repeated on this many other
# hidden parts.
FINALISTS, OTHER_PARTS = 2, 2


class Entry(NamedTuple):
    """A trial: a family with options on one form of values, and its score on the hidden events; NaN if it failed.

    The score is the mean over `parts` hidden parts, and `hidden` says which events these hide.
    """

    family: str
    form: Form
    options: dict[str, Any]
    round: int
    share: float
    score: float
    seconds: float
    error: str | None = None
    parts: int = 1
    hidden: Part = "random"


class Hidden(NamedTuple):
    """The part to learn from, and the part to find."""

    train: Interactions
    test: Interactions


def hide_events(data: Interactions, seed: int, part: Part) -> Hidden:
    """Hides a part of the events of some users: the last ones of each, which needs times, or random ones.

    Raises
    ------
    ValueError
        If no user has enough events to hide some.
    """
    rng = np.random.default_rng(seed)
    counts = np.bincount(data.user_codes, minlength=len(data))
    able = rng.permutation(np.flatnonzero(counts >= 3))
    wanted = np.zeros(len(data), np.int64)
    wanted[able] = np.maximum(1, (HIDDEN * counts[able]).astype(np.int64))
    judges = int(np.clip(np.searchsorted(np.cumsum(wanted[able]), HIDDEN_EVENTS) + 1, FEWEST_JUDGES, MOST_JUDGES))
    wanted[able[judges:]] = 0
    if part == "last":
        keys = times_of(data, "to hide the last events")
    else:
        pair, n_pairs = pairs_of(data)
        keys = rng.permutation(n_pairs)
        keys = keys if pair is None else keys[pair]  # the events of a pair go together
    order = order_by_user_and_time(data.user_codes, keys)
    from_end = np.cumsum(counts).repeat(counts) - np.arange(data.n_interactions)
    hidden = np.zeros(data.n_interactions, bool)
    hidden[order] = from_end <= wanted.repeat(counts)
    if not hidden.any():
        raise ValueError(
            "no user has three interactions, so none can be hidden to choose a model by: name a model instead"
        )
    return Hidden(*parted(data, hidden))


def _merit(entry: Entry) -> tuple[float, int, float]:
    """Returns what ranks entries with a score: the least is the best."""
    return -entry.share, -entry.parts, -entry.score


def _sample(data: Interactions, share: float, rng: np.random.Generator) -> Interactions:
    """Returns the events of a share of the users, without the rarest items: few users leave more items rare, and the
    time of a fit can grow with the third power of the items.
    """
    kept = rng.permutation(len(data))[: max(1, round(share * len(data)))]
    part = data[np.sort(kept)]
    counts = np.bincount(part.item_codes, minlength=part.shape[1])
    order = np.argsort(-counts, kind="stable")
    n = int(np.searchsorted(np.cumsum(counts[order]), COVERED * part.n_interactions)) + 1
    popular = np.isin(np.arange(part.shape[1]), order[:n])
    return part.select(popular[part.item_codes]).compact()


def _as_found(hidden: Hidden) -> Hidden:
    """Returns the same parts with equal values for all events to find."""
    return hidden._replace(test=hidden.test._replace(values=None))


class Contest:
    """Families, forms and options tried on hidden events of one kind.

    Parameters
    ----------
    data
        The data to learn from.
    families, forms
        The families of models and the forms of values to try.
    plan
        The number of trials, and the share of the users that the first rounds learn from.
    part
        The events that are hidden.
    metric
        The metric that decides, one that is best when high.
    seed, n_jobs
        The seed of all random draws, and the threads of each fit.
    tell
        Called with each entry as it comes.
    """

    def __init__(
        self,
        data: Interactions,
        families: Sequence[Family],
        forms: Sequence[Form],
        plan: Plan,
        *,
        part: Part,
        metric: str,
        seed: int,
        n_jobs: int | None,
        tell: Callable[[Entry], None],
    ) -> None:
        self.families, self.forms, self.plan, self.metric = list(families), list(forms), plan, metric
        self.part: Part = part
        self.seed, self.n_jobs, self.tell = seed, n_jobs, tell
        self.entries: list[Entry] = []
        self._by_user: list[Values] = []  # of each entry, the scores of the users of all its hidden parts
        self._data, self._others = data, list[Hidden]()
        self._rng = np.random.default_rng(seed)
        self._hidden = {1.0: _as_found(hide_events(data, seed, part))}
        if plan.share < 1:
            self._hidden[plan.share] = _as_found(hide_events(_sample(data, plan.share, self._rng), seed, part))

    @property
    def whole(self) -> Hidden:
        """The whole data with a part hidden."""
        return self._hidden[1.0]

    @property
    def sample(self) -> Hidden:
        """The users and items that the rounds learn from, with a part hidden; the whole data if these are all users."""
        return self._hidden[self.plan.share]

    def run(self) -> list[Entry]:
        """Runs the rounds; returns the entries in the order in which they were tried.

        Raises
        ------
        ValueError
            If every trial failed.
        """
        alive, trials = list(enumerate(self.families)), self.plan.trials
        for round_ in range(1, ROUNDS + 1):
            for place, family in alive:
                for options, form in self._draws(place, family, trials, round_):
                    self._try(place, options, form, round_, self.plan.share)
            alive = sorted(alive, key=lambda pair: -self._best_of(pair[0]))[: math.ceil(len(alive) / 2)]
            trials *= 2
        if self.plan.share < 1:
            for entry, *_ in self._best_families():
                self._try(self._place_of(entry), entry.options, entry.form, ROUNDS + 1, 1.0)
        self._repeat_best()
        if not self.ranked():
            raise ValueError(f"no model could be fitted; the first failed with: {self.entries[0].error}")
        return self.entries

    def ranked(self) -> list[Entry]:
        """Returns the entries that have a score, best first; those on the largest share and on most parts precede
        all others.
        """
        return [self.entries[place] for place in self._ranked_places()]

    def _ranked_places(self) -> list[int]:
        scored = [place for place, entry in enumerate(self.entries) if not math.isnan(entry.score)]
        return sorted(scored, key=lambda place: _merit(self.entries[place]))

    def best(self) -> Entry:
        """Returns the entry to take: the best one, or its family's defaults if they are within a standard error of it.

        The best of many trials owes a part of its lead to luck, and the defaults were found on other data. The
        standard error is that of the paired differences of users (the rule of one standard error: Breiman, Friedman,
        Olshen, Stone, *Classification and Regression Trees*, 1984).
        """
        first, *others = self._ranked_places()
        best = self.entries[first]
        for place in others if best.options else ():
            entry = self.entries[place]
            if entry.options or (entry.family, entry.share, entry.parts) != (best.family, best.share, best.parts):
                continue
            ahead = self._by_user[first] - self._by_user[place]
            if np.nanmean(ahead) <= np.nanstd(ahead) / len(ahead) ** 0.5:
                return entry
        return best

    def _repeat_best(self) -> None:
        """Repeats the best trials on other hidden parts if the data are few, so that the mean score decides among them.

        There is only one part of last events.
        """
        if self.plan.share < 1 or self.part == "last":
            return
        seeds = range(self.seed + 1, self.seed + 1 + OTHER_PARTS)
        self._others = [_as_found(hide_events(self._data, seed, self.part)) for seed in seeds]
        for entries in self._best_families():
            defaults = [entry for entry in entries[FINALISTS:] if not entry.options][:1]
            for entry in entries[:FINALISTS] + defaults:
                known = self._by_user[self.entries.index(entry)]
                self._record(entry._replace(round=ROUNDS + 1, parts=1 + OTHER_PARTS), [known], self._others)

    def _best_families(self) -> list[list[Entry]]:
        """Returns the entries of each of the best families, best first."""
        entries: dict[str, list[Entry]] = {}
        for entry in self.ranked():
            entries.setdefault(entry.family, []).append(entry)
        return list(entries.values())[:BEST_FAMILIES]

    def _draws(self, place: int, family: Family, trials: int, round_: int) -> Iterator[tuple[dict[str, Any], Form]]:
        """Draws options: the defaults on each form first, then any; from the second round on mostly near the
        family's best.
        """
        if not family.space:
            yield from [({}, self.forms[-1])] * (round_ == 1)
            return
        forms = self.forms if family.reads_values else self.forms[-1:]
        tried = [entry.form for entry in self.entries if self._place_of(entry) == place and not entry.options]
        defaults = [form for form in forms if form not in tried][:trials]
        yield from (({}, form) for form in defaults)
        if round_ == 1:
            for number in range(trials - len(defaults)):
                yield family.draw(self._rng), forms[number % len(forms)]
            return
        for number in range(min(trials, PER_OPTION * len(family.space)) - len(defaults)):
            best = max(self._of(place), key=lambda entry: entry.score, default=None)
            if best is None:  # the whole family failed
                return
            drawn = family.near(best.options, self._rng) if number % 4 < 3 else family.draw(self._rng)
            yield drawn, best.form

    def _of(self, place: int) -> list[Entry]:
        return [entry for entry in self.ranked() if self._place_of(entry) == place]

    def _best_of(self, place: int) -> float:
        return max((entry.score for entry in self._of(place)), default=-math.inf)

    def _place_of(self, entry: Entry) -> int:
        return next(place for place, family in enumerate(self.families) if family.name == entry.family)

    def _try(self, place: int, options: dict[str, Any], form: Form, round_: int, share: float) -> None:
        entry = Entry(self.families[place].name, form, options, round_, share, math.nan, 0.0, hidden=self.part)
        self._record(entry, [], [self._hidden[share]])

    def make(self, entry: Entry) -> Any:
        """Makes a new estimator of a trial."""
        return self.families[self._place_of(entry)].make(entry.options, entry.form, self.seed, self.n_jobs)

    def _record(self, entry: Entry, known: list[Values], parts: Sequence[Hidden]) -> None:
        """Adds an entry with the mean of the users' known scores and of those on some hidden parts."""
        begun = time.perf_counter()
        found, score, error = list(known), math.nan, None
        try:
            found.extend(self._judge(self.make(entry).fit(hidden.train), hidden) for hidden in parts)
            score = float(np.nanmean(np.concatenate(found)))
        except (ValueError, MemoryError, FloatingPointError) as failed:
            error = f"{type(failed).__name__}: {failed}"
        self.entries.append(entry._replace(score=score, seconds=time.perf_counter() - begun, error=error))
        self._by_user.append(np.concatenate(found) if found else np.empty(0))
        self.tell(self.entries[-1])

    def score(self, fitted: Any) -> float:
        """Returns the score of a model that was fitted on the training part of `sample`."""
        return float(np.nanmean(self._judge(fitted, self.sample)))

    def _judge(self, model: Any, hidden: Hidden) -> Values:
        """Returns the score of each user; if the metric has but one for all users, that one."""
        report = evaluate(model, hidden.test, [self.metric], n_jobs=self.n_jobs)
        by_all = report.totals[report.models[0]]
        return np.array([by_all[self.metric]]) if self.metric in by_all else report.per_user(self.metric)

    def score_new(self, model: Any) -> float:
        """Returns the score of another model as the best trials got theirs: the mean over all hidden parts. The
        model stays fitted.
        """
        found = [self._judge(clone(model).fit(hidden.train), hidden) for hidden in self._others]
        return float(np.nanmean(np.concatenate([*found, self._judge(model.fit(self.whole.train), self.whole)])))
