"""`search`: the options of a model that do best on held-out parts of the data."""

import importlib
import inspect
import itertools
import math
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Literal, NamedTuple

import numpy as np
from sklearn.base import clone

from fastrec.data.frames import Backend, make_frame
from fastrec.evaluation.evaluate import evaluate, recommender_of
from fastrec.evaluation.ledger import Ledger
from fastrec.evaluation.tables import Table
from fastrec.evaluation.validation import Part, evaluate_part, make_parts
from fastrec.fingerprint import IDLE, fingerprint
from fastrec.metrics import PAIRS, parse_metric
from fastrec.plots import search_slice
from fastrec.progress import epoch_progress
from fastrec.validation import check_choice, check_flag, check_integer, suggest_option

METHODS = ("random", "grid", "halving", "optuna")

# Where less is better: errors, and how far lists keep from the user's taste, from evenness, from the rare.
LOWEST = frozenset((*PAIRS, "calibration", "gini", "average_popularity"))


class Trial(NamedTuple):
    """A choice of options, and what it reached.

    `score` is the mean of the searched metric over the splits, NaN where the fit failed (`error` says how); `epochs`
    is None where all of the model's own were run.
    """

    number: int
    options: dict[str, Any]
    epochs: int | None
    score: float
    deviation: float
    metrics: dict[str, float]
    seconds: float
    error: str | None = None


def search(
    model: Any,
    space: Mapping[str, Any],
    data: Any,
    *,
    metric: str = "ndcg@10",
    metrics: Sequence[str] = (),
    method: Literal["random", "grid", "halving", "optuna"] = "random",
    n_trials: int = 20,
    cv: Any = 3,
    groups: Any = None,
    reduction: int = 3,
    refit: bool = True,
    store: str | os.PathLike[str] | None = None,
    sampler: Any = None,
    random_state: int = 0,
    n_jobs: int = 1,
    verbose: bool | int = False,
    **options: Any,
) -> "Search":
    """The options that do best on held-out parts of the data.

    Parameters
    ----------
    model
        A recommender, or a `Pipeline` that ends in one; options that are not searched stay as they are.
    space
        For each option its candidates: a list, or a distribution of `scipy.stats` (such as ``loguniform(1e-3, 1)``;
        anything with ``rvs``). In a Pipeline as ``implicitals__factors``.
    data
        What to train and validate on: Interactions, or a matrix. Keep a test set out of it.
    metric
        What decides, as `evaluate` names it. Of ``rmse``, ``mae``, ``calibration`` (a divergence), ``gini``
        (unevenness) and ``average_popularity`` the lowest is best, of all others the highest.
    metrics
        Further metrics to note.
    method
        "random": `n_trials` draws (all combinations once, where there are no more). "grid": all combinations of lists.
        "halving": `n_trials` draws with few epochs; the best of them, one in `reduction`, go on with `reduction` times
        as many, until the model's own `iterations` are reached. Models with `warm_start`, also at the end of a
        Pipeline, go on from where they were; the model of `refit` is fitted in the same stages.
        "optuna": draws by an Optuna sampler (``pip install 'fastrec[search]'``).
    n_trials
        How many draws.
    cv, groups
        The splits, as in `cross_validate`; all trials have the same ones.
    reduction
        For "halving", at least 2.
    refit
        Whether to fit the model with the best options on all of the data.
    store
        A file that takes each result as it comes, under the options that gave it. A search that was killed goes on from
        there to the same end as if it had not been (a halving runs the survivors' first stages again), and one that is
        asked for more trials keeps those it has. Results of another search (model, space, data, metric, seed) are
        refused.
    sampler
        For "optuna": a sampler of its own; by default its TPE sampler with the seed.
    random_state
        The seed of the draws, an integer: the same one gives the same trials.
    n_jobs
        Trials at a time, in threads. 1 leaves all cores to each fit, which is best for models that use them well; more
        pay for small data or models that run on one core.
    verbose
        Whether to show progress, with the best so far.
    **options
        Further options of `evaluate`.

    Returns
    -------
    Search
        `best_options`, `best_score`, `model`, `trials`; a frame by `to_frame`, pictures by `plot`.

    Raises
    ------
    ValueError
        For an option that the model does not have, an empty space, a store of another search, or where no trial gave a
        score. A trial that fails, with whatever error, is noted in its `Trial.error`, and the search goes on.
    TypeError
        For a class instead of a model, or what is no recommender.

    Examples
    --------
    >>> import fastrec as fr
    >>> rng = np.random.default_rng(0)
    >>> data = fr.Interactions(rng.integers(0, 50, 900), rng.integers(0, 30, 900), duplicates="sum")
    >>> model = fr.ImplicitALS(iterations=2, random_state=0)
    >>> found = search(model, {"factors": [2, 4]}, data, method="grid", cv=0.2)
    >>> sorted(found.best_options)
    ['factors']
    """
    _check_model(model)
    _check_options(options)
    if isinstance(space, Mapping):
        space = {name: _check_candidates(name, candidates) for name, candidates in space.items()}
    _check_space(model, space)
    check_choice("method", method, METHODS)
    check_flag("refit", refit)
    n_trials = check_integer("n_trials", n_trials, minimum=1)
    reduction = check_integer("reduction", reduction, minimum=2)
    random_state = check_integer("random_state", random_state, minimum=0)
    n_jobs = check_integer("n_jobs", n_jobs, minimum=1)
    labels = list(dict.fromkeys([metric, *metrics]))
    for label in labels:
        parse_metric(label)
    parts = make_parts(data, cv, groups, random_state)
    ledger = Ledger(store, {} if store is None else _header(model, space, parts, labels, method, random_state, options))
    job = _Job(model, parts, labels, options, ledger, random_state, n_jobs)
    runs = {"random": _run_random, "grid": _run_grid, "halving": _run_halving, "optuna": _run_optuna}
    trials = _followed(job, runs[method](job, space, n_trials, reduction, sampler), bool(verbose))
    best = _best(trials, metric)
    chosen = job.fit(clone(model).set_params(**best.options), data, job.stages_to(best.epochs)) if refit else None
    return Search(metric, tuple(labels), method, tuple(sorted(space)), tuple(trials), best, chosen)


# --- what is searched ------------------------------------------------------------------------------------------------


def _check_model(model: Any) -> None:
    if isinstance(model, type):
        raise TypeError(f"search takes a model, {model.__name__}(...), not the class")
    if not (hasattr(model, "get_params") and hasattr(recommender_of(model), "recommend")):
        raise TypeError(
            f"search takes one recommender, or a Pipeline that ends in one, got {type(model).__name__}; "
            "for several models search one after the other"
        )


def _check_options(options: Mapping[str, Any]) -> None:
    known = set(inspect.signature(evaluate).parameters) - {"models", "test", "metrics"}
    for name in options:
        if name not in known:
            right = suggest_option(name, known)
            hint = f"; it is called {right!r}" if right else f"; it has {', '.join(sorted(known))}"
            raise TypeError(f"neither search nor evaluate has an option {name!r}{hint}")


def _check_candidates(name: str, candidates: Any) -> Any:
    if hasattr(candidates, "rvs"):
        if getattr(candidates, "numargs", 0):  # those that are frozen have none
            name_of, wanted = candidates.name, candidates.shapes
            raise TypeError(f"space[{name!r}] is {name_of} without its arguments: give {name_of}({wanted})")
        return candidates
    if isinstance(candidates, str) or not isinstance(candidates, Iterable):
        raise TypeError(
            f"space[{name!r}] must be a list of candidates or a distribution of scipy.stats, got {candidates!r}"
        )
    if isinstance(candidates, set | frozenset):  # in an order that is the same in each process
        candidates = sorted(candidates, key=fingerprint)
    listed = [candidate.item() if isinstance(candidate, np.generic) else candidate for candidate in candidates]
    if not listed:
        raise ValueError(f"space[{name!r}] is empty")
    return listed


def _check_space(model: Any, space: Any) -> None:
    if not isinstance(space, Mapping) or not space:
        raise ValueError("space must map at least one option to its candidates")
    known = model.get_params()
    for name in space:
        if name not in known:
            right = suggest_option(name, known)
            hint = f"; here it is called {right!r}" if right else f"; it has {', '.join(sorted(known))}"
            raise ValueError(f"{type(model).__name__} has no option {name!r}{hint}")


def _header(
    model: Any,
    space: Mapping[str, Any],
    parts: Sequence[Part],
    labels: Sequence[str],
    method: str,
    seed: int,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """What the results of a store are of: texts for people, with fingerprints of all that the texts leave out."""
    return {
        "search": 3,
        "model": _identity(clone(model)),  # of its options alone: it is fitted anew
        "space": {name: _identity(candidates) for name, candidates in space.items()},
        "data": fingerprint(parts),
        "metrics": list(labels),
        "method": method,
        "seed": seed,
        "evaluation": {name: _identity(value) for name, value in options.items()},
    }


def _identity(value: Any) -> str:
    """A value in words, with its fingerprint where the words could stand for another one, too."""
    words = _words(value)
    plain = all(_is_plain(part) for part in (value if isinstance(value, list) else [value]))
    return words if plain else f"{_cut(words)} #{fingerprint(value)}"


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _words(value: Any) -> str:
    """A value for people, the same in each process: no addresses, no order of a set, no options of printing."""
    if _is_plain(value):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_words, value))}]"
    frozen = getattr(value, "dist", None)
    if frozen is not None:
        arguments = [*map(_words, value.args), *(f"{name}={_words(one)}" for name, one in value.kwds.items())]
        return f"{frozen.name}({', '.join(arguments)})"
    if isinstance(value, type) or not hasattr(value, "get_params"):
        return getattr(value, "__name__", type(value).__name__)
    usual = inspect.signature(type(value)).parameters
    chosen = {name: one for name, one in value.get_params(deep=False).items() if name not in IDLE}
    for name, one in list(chosen.items()):
        if _is_plain(one) and name in usual and one == usual[name].default:
            del chosen[name]
    return f"{type(value).__name__}({', '.join(f'{name}={_words(one)}' for name, one in chosen.items())})"


def _cut(words: str, width: int = 300) -> str:
    return words if len(words) <= width else f"{words[:width]}…"


def _draw(space: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    drawn = {}
    for name in sorted(space):
        candidates = space[name]
        if isinstance(candidates, list):
            drawn[name] = candidates[int(rng.integers(len(candidates)))]
        else:
            value = candidates.rvs(random_state=rng)
            drawn[name] = value.item() if hasattr(value, "item") else value
    return drawn


def _draws(space: Mapping[str, Any], n: int, seed: int) -> list[dict[str, Any]]:
    """`n` draws, of which the first do not hang on `n`; where all is listed, no combination twice."""
    if all(isinstance(candidates, list) for candidates in space.values()):
        return [_combination(space, place) for place in _places(math.prod(map(len, space.values())), n, seed)]
    rng = np.random.default_rng(seed)
    return [_draw(space, rng) for _ in range(n)]


def _places(total: int, n: int, seed: int) -> list[int]:
    """`n` different numbers below `total`, or all: the first of a shuffled range (Fisher and Yates) that is not made.

    >>> sorted(_places(5, 9, seed=0))
    [0, 1, 2, 3, 4]
    """
    rng = random.Random(seed)  # whose integers have no greatest one
    moved: dict[int, int] = {}
    places = []
    for first in range(min(n, total)):
        other = rng.randrange(first, total)
        places.append(moved.get(other, other))
        moved[other] = moved.get(first, first)
    return places


def _combination(space: Mapping[str, Any], place: int) -> dict[str, Any]:
    """The combination at a place of the grid, whose last option turns fastest."""
    chosen = {}
    for name in sorted(space, reverse=True):
        place, candidate = divmod(place, len(space[name]))
        chosen[name] = space[name][candidate]
    return dict(sorted(chosen.items()))


def _grid(space: Mapping[str, Any]) -> list[dict[str, Any]]:
    for name, candidates in space.items():
        if not isinstance(candidates, list):
            raise ValueError(f"method='grid' needs lists, and space[{name!r}] is a distribution: take method='random'")
    names = sorted(space)
    return [dict(zip(names, chosen, strict=True)) for chosen in itertools.product(*(space[name] for name in names))]


# --- trials ----------------------------------------------------------------------------------------------------------


@dataclass
class _Job:
    """What all trials share."""

    model: Any
    parts: Sequence[Part]
    labels: Sequence[str]
    options: Mapping[str, Any]
    ledger: Ledger
    seed: int
    n_jobs: int
    stages: tuple[int, ...] = ()  # the epochs at which a halving looks at its trials, ascending
    fitted: dict[tuple[int, int], tuple[int, Any]] = field(default_factory=dict)  # epochs and model by trial and part
    total: int = 0

    @property
    def metric(self) -> str:
        return self.labels[0]

    def run(self, number: int, chosen: dict[str, Any], epochs: int | None = None, keep: bool = False) -> Trial:
        """The trial: from the ledger, or fitted and evaluated on each split, and noted there."""
        stages = self.stages_to(epochs)
        key = ", ".join(f"{name}={_identity(value)}" for name, value in sorted(chosen.items()))
        key += f" @{'+'.join(map(str, stages))}" if stages else ""
        entry = self.ledger.get(key)
        if entry is None:
            entry = self._measured(number, chosen, stages, keep)
            self.ledger.add(key, entry)
        return _as_trial(number, chosen, epochs, entry)

    def stages_to(self, epochs: int | None) -> tuple[int, ...]:
        """The stages in which that many epochs are run; none where the model runs all of its own at once."""
        if epochs is None:
            return ()
        return tuple(stage for stage in self.stages if stage <= epochs) if _warm_option(self.model) else (epochs,)

    def _measured(self, number: int, chosen: dict[str, Any], stages: tuple[int, ...], keep: bool) -> dict[str, Any]:
        began = time.perf_counter()
        entry: dict[str, Any] = {}
        try:
            scores = [self._score(number, place, part, chosen, stages, keep) for place, part in enumerate(self.parts)]
            entry["scores"] = {label: [score[label] for score in scores] for label in self.labels}
        except MemoryError:  # of this moment, and not of the options
            raise
        except Exception as error:  # a combination that does not work, or diverges
            entry["error"] = f"{type(error).__name__}: {error}"
        entry["seconds"] = round(time.perf_counter() - began, 4)
        return entry

    def _score(
        self, number: int, place: int, part: Part, chosen: dict[str, Any], stages: tuple[int, ...], keep: bool
    ) -> dict[str, float]:
        done, model = self.fitted.pop((number, place), (0, None))
        if model is None:
            model = clone(self.model).set_params(**chosen)
        self.fit(model, part.train, stages, done)
        if keep and _warm_option(model):
            self.fitted[number, place] = (stages[-1], model)
        report = evaluate_part({"model": model}, part, self.labels, **self.options)
        return {label: report.mean(label) for label in self.labels}

    def fit(self, model: Any, data: Any, stages: Sequence[int], done: int = 0) -> Any:
        """The model fitted by one stage after another, of which those up to `done` epochs are behind it.

        Each stage goes on from the one before (warm_start). That is not what a fit of all epochs at once gives, as
        step sizes, draws and over-relaxation begin anew: so all who come to some epochs take the same stages.
        """
        if not stages:
            return model.fit(data)
        option, warm = epochs_option(model), _warm_option(model)
        own = {warm: model.get_params()[warm]} if warm else {}
        for stage in stages:
            if stage > done:
                model.set_params(**{option: stage - done}, **dict.fromkeys(own, done > 0)).fit(data)
                done = stage
        return model.set_params(**{option: done}, **own)

    def run_all(self, tasks: Sequence[tuple[Any, ...]]) -> Iterator[Trial]:
        """The trials of the tasks (arguments of `run`), as they come."""
        if self.n_jobs == 1 or len(tasks) < 2:
            yield from (self.run(*task) for task in tasks)
            return
        from joblib import Parallel, delayed

        parallel = Parallel(n_jobs=self.n_jobs, backend="threading", return_as="generator_unordered")
        yield from parallel(delayed(self.run)(*task) for task in tasks)


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str | None) else repr(value)


def _as_trial(number: int, chosen: dict[str, Any], epochs: int | None, entry: Mapping[str, Any]) -> Trial:
    seconds = float(entry["seconds"])
    if "error" in entry:
        return Trial(number, chosen, epochs, math.nan, math.nan, {}, seconds, entry["error"])
    scores = {label: np.array(values, np.float64) for label, values in entry["scores"].items()}
    first = next(iter(scores.values()))
    spread = float(first.std(ddof=1)) if len(first) > 1 else math.nan
    means = {label: float(values.mean()) for label, values in scores.items()}
    return Trial(number, chosen, epochs, float(first.mean()), spread, means, seconds)


def _followed(job: _Job, trials: Iterator[Trial], shown: bool) -> list[Trial]:
    """All trials in the order of their numbers, with progress as they come."""
    found: list[Trial] = []
    first = next(trials, None)  # by now the number of trials is known
    with epoch_progress("search", job.total, shown) as advance:
        for trial in itertools.chain([] if first is None else [first], trials):
            found.append(trial)
            best = min(found, key=_order(job.metric))
            chosen = ", ".join(f"{name}={_short(value)}" for name, value in best.options.items())
            advance(f"best {job.metric} {best.score:.4f} ({chosen})")
    return sorted(found, key=lambda trial: (trial.number, trial.epochs or 0))


def _order(metric: str) -> Callable[[Trial], tuple[float, float, int]]:
    """The best first: of those with most epochs, by score."""
    sign = 1.0 if parse_metric(metric).name in LOWEST else -1.0

    def place(trial: Trial) -> tuple[float, float, int]:
        return (
            math.inf if math.isnan(trial.score) else -(trial.epochs or 0),
            math.inf if math.isnan(trial.score) else sign * trial.score,
            trial.number,
        )

    return place


def _best(trials: Sequence[Trial], metric: str) -> Trial:
    best = min(trials, key=_order(metric))
    if math.isnan(best.score):
        raise ValueError(f"no trial gave a {metric}; the first: {trials[0].error or 'there is nothing to find'}")
    return best


def _run_random(job: _Job, space: Mapping[str, Any], n: int, reduction: int, sampler: Any) -> Iterator[Trial]:
    draws = _draws(space, n, job.seed)
    job.total = len(draws)
    return job.run_all(list(enumerate(draws)))


def _run_grid(job: _Job, space: Mapping[str, Any], n: int, reduction: int, sampler: Any) -> Iterator[Trial]:
    draws = _grid(space)
    job.total = len(draws)
    return job.run_all(list(enumerate(draws)))


# --- successive halving ----------------------------------------------------------------------------------------------


def epochs_option(model: Any) -> str:
    """What the model, or the last step of a Pipeline, calls its epochs."""
    own = _last_step(model) + "iterations"
    names = [name for name in model.get_params() if name.rpartition("__")[2] == "iterations"]
    if not names:
        raise ValueError(f"method='halving' goes by epochs, and {type(model).__name__} has no option 'iterations'")
    return own if own in names else str(names[-1])


def _warm_option(model: Any) -> str | None:
    """What says that the next fit goes on from the last; None where there is no such thing.

    Only of the model itself or the last step of a Pipeline: those within others are cloned before they are fitted.
    """
    warm = _last_step(model) + "warm_start"
    return warm if {warm, _last_step(model) + "iterations"} <= set(model.get_params()) else None


def _last_step(model: Any) -> str:
    return f"{model.steps[-1][0]}__" if hasattr(model, "steps") else ""


def rungs(n: int, epochs: int, reduction: int) -> list[tuple[int, int]]:
    """How many trials go how many epochs, round by round.

    >>> rungs(9, 18, 3)
    [(9, 2), (3, 6), (1, 18)]
    """
    count = min(math.floor(math.log(n, reduction) + 1e-9), math.floor(math.log(epochs, reduction) + 1e-9)) + 1
    return [(max(1, n // reduction**step), max(1, epochs // reduction ** (count - 1 - step))) for step in range(count)]


def _run_halving(job: _Job, space: Mapping[str, Any], n: int, reduction: int, sampler: Any) -> Iterator[Trial]:
    option = epochs_option(job.model)
    if option in space:
        raise ValueError(f"method='halving' sets {option!r} itself: take it out of the space")
    draws = _draws(space, n, job.seed)
    steps = rungs(len(draws), job.model.get_params()[option], reduction)
    job.stages = tuple(sorted({epochs for _, epochs in steps}))
    job.total = sum(count for count, _ in steps)
    return _climb(job, draws, steps)


def _climb(job: _Job, draws: list[dict[str, Any]], steps: list[tuple[int, int]]) -> Iterator[Trial]:
    alive = list(range(len(draws)))
    for step, (_, epochs) in enumerate(steps):
        last = step == len(steps) - 1
        trials = []
        for trial in job.run_all([(number, draws[number], epochs, not last) for number in alive]):
            trials.append(trial)
            yield trial
        if not last:
            trials.sort(key=_order(job.metric))
            alive = [trial.number for trial in trials[: steps[step + 1][0]] if not math.isnan(trial.score)]
            job.fitted = {key: kept for key, kept in job.fitted.items() if key[0] in alive}


# --- Optuna ----------------------------------------------------------------------------------------------------------


def _run_optuna(job: _Job, space: Mapping[str, Any], n: int, reduction: int, sampler: Any) -> Iterator[Trial]:
    try:
        optuna = importlib.import_module("optuna")  # an extra
    except ImportError as error:
        raise ImportError("method='optuna' needs Optuna: pip install 'fastrec[search]'") from error
    job.total = n
    distributions = {name: _optuna_distribution(optuna, name, space[name]) for name in sorted(space)}
    lower = parse_metric(job.metric).name in LOWEST
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(
            direction="minimize" if lower else "maximize",
            sampler=sampler if sampler is not None else optuna.samplers.TPESampler(seed=job.seed),
        )
    finally:
        optuna.logging.set_verbosity(level)
    return _ask(job, space, n, study, distributions, optuna)


def _ask(
    job: _Job, space: Mapping[str, Any], n: int, study: Any, distributions: Mapping[str, Any], optuna: Any
) -> Iterator[Trial]:
    for start in range(0, n, job.n_jobs):
        asked = [study.ask(distributions) for _ in range(start, min(start + job.n_jobs, n))]
        tasks = [(one.number, {name: _meant(space[name], one.params[name]) for name in distributions}) for one in asked]
        by_number = {one.number: one for one in asked}
        # Told in the order in which they were asked for, so that threads do not change what is asked next.
        for trial in sorted(job.run_all(tasks), key=lambda trial: trial.number):
            failed = math.isnan(trial.score)
            state = optuna.trial.TrialState.FAIL if failed else None
            study.tell(by_number[trial.number], None if failed else trial.score, state=state)
            yield trial


def _optuna_distribution(optuna: Any, name: str, candidates: Any) -> Any:
    """The distribution as Optuna has it; candidates of a list are told apart by their place."""
    kinds = optuna.distributions
    if isinstance(candidates, list):
        return kinds.CategoricalDistribution(tuple(range(len(candidates))))
    kind = getattr(getattr(candidates, "dist", None), "name", type(candidates).__name__)
    if kind in ("uniform", "loguniform", "reciprocal"):
        low, high = map(float, candidates.support())
        return kinds.FloatDistribution(low, high, log=kind != "uniform")
    if kind == "randint":
        low, high = candidates.support()
        return kinds.IntDistribution(int(low), int(high))
    raise ValueError(f"space[{name!r}]: Optuna takes lists, uniform, loguniform and randint, not {kind}")


def _meant(candidates: Any, value: Any) -> Any:
    return candidates[value] if isinstance(candidates, list) else value


# --- the result ------------------------------------------------------------------------------------------------------


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
        return sorted(self.trials, key=_order(self.metric))

    def table(self, n: int = 10) -> Table:
        """The best `n` trials as texts."""
        epochs = any(trial.epochs is not None for trial in self.trials)
        rows = []
        for place, trial in enumerate(self.ranked()[:n], 1):
            spread = "" if math.isnan(trial.deviation) else f" ± {trial.deviation:.4f}"
            score = f"failed ({trial.error})" if trial.error else f"{trial.score:.4f}{spread}"
            chosen = [_short(trial.options[name]) for name in self.searched]
            rows.append([str(place), *chosen, *([str(trial.epochs)] if epochs else []), score, f"{trial.seconds:.1f}"])
        columns = ["rank", *self.searched, *(["epochs"] if epochs else []), self.metric, "seconds"]
        return Table(columns, rows, f"The best of {len(self.trials)} trials ({self.method})", (0,))

    def __repr__(self) -> str:
        table = self.table()
        return f"Search: {table.caption}\n{table.text('  ')}"

    def _repr_html_(self) -> str:
        best = ", ".join(f"{name}={_short(value)}" for name, value in self.best_options.items())
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
            columns[name] = np.array(values) if numeric else _objects([_plain(value) for value in values])
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


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
