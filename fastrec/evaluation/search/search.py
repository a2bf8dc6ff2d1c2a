"""`search`: finds the options with which a model does best on held-out parts of the data."""

import inspect
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from sklearn.base import clone

from fastrec.evaluation.evaluate import evaluate
from fastrec.evaluation.models import recommender_of
from fastrec.evaluation.search.edges import find_edges
from fastrec.evaluation.search.found import Search
from fastrec.evaluation.search.identity import identify
from fastrec.evaluation.search.job import SearchJob
from fastrec.evaluation.search.optuna_strategy import run_optuna
from fastrec.evaluation.search.result_store import ResultStore
from fastrec.evaluation.search.space import answer_options, check_candidates, check_space, given_options
from fastrec.evaluation.search.strategies import run_grid, run_halving, run_random
from fastrec.evaluation.search.trial import Trial, find_best, make_order
from fastrec.evaluation.validation import Part, make_parts
from fastrec.evaluation.words import format_short
from fastrec.fingerprint import fingerprint
from fastrec.metrics.naming import parse_metric
from fastrec.notices import warn_once_of_a_kind
from fastrec.progress import epoch_progress
from fastrec.validation import check_choice, check_flag, check_integer, name_options, suggest_option

METHODS = ("random", "grid", "halving", "optuna")


@name_options
@warn_once_of_a_kind()
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
) -> Search:
    """Searches for the options that do best on held-out parts of the data.

    Trial 0 is the model with the given options, mostly the defaults, so the best trial is never worse than that.

    Parameters
    ----------
    model
        A recommender, or a `Pipeline` that ends in one; options that are not searched stay as they are.
    space
        The candidates of each option: a list, or a distribution of `scipy.stats` (such as ``loguniform(1e-3, 1)``;
        anything with ``rvs``). In a Pipeline as ``implicitals__factors``.
    data
        The data to train and validate on: Interactions, or a matrix. Keep a test set out of it.
    metric
        The metric that decides, as `evaluate` names it. The lowest is best for ``rmse``, ``mae``, ``calibration`` (a
        divergence), ``gini`` (unevenness) and ``average_popularity``, the highest for all others.
    metrics
        Further metrics to compute.
    method
        "random": `n_trials` draws, or all combinations once if there are fewer. "grid": all combinations of lists. A
        draw with the options of trial 0 is not tried again. "halving": `n_trials` draws with few epochs. The best of
        them, one in `reduction`, get `reduction` times as many, until the model's own `iterations` are reached. Models
        with `warm_start`, also at the end of a Pipeline, continue their earlier fit; the model of `refit` is fitted in
        the same stages. Trial 0 runs all of its epochs at once. "optuna": draws by an Optuna sampler (``pip install
        'fastrec[search]'``).
    n_trials
        The number of draws, without trial 0.
    cv, groups
        The splits, as in `cross_validate`; all trials use the same splits.
    reduction
        The factor of "halving", at least 2.
    refit
        Whether to fit the model with the best options on all of the data.
    store
        A file that keeps each result with its options. A killed search is resumed from the file and reaches the same
        end; a halving runs the survivors' first stages again. With more trials, a search keeps the stored ones. Results
        of another search (model, space, data, metric, seed) are refused.
    sampler
        A sampler of Optuna for "optuna"; the default is its TPE sampler with the seed.
    random_state
        The seed of the draws, an integer: the same seed gives the same trials.
    n_jobs
        The number of trials at a time, in threads. 1 leaves all cores to each fit, which is best for models that use
        them well. More pay off for small data or models that run on one core.
    verbose
        Whether to show progress, with the best so far.
    **options
        Further options of `evaluate`.

    Options that change only answers, such as `recency`, cost no fit: trials that differ in nothing else share one fit.

    Returns
    -------
    Search
        `best_options`, `best_score`, `model`, `trials`; `edges` names options whose best value lies at an end of its
        range, and how far to search next; `to_frame` makes a frame, `plot` pictures, `save` a page.

    Raises
    ------
    ValueError
        If the model has no such option, the space is empty, the store belongs to another search, or no trial gave a
        score. The error of a failed trial is kept in its `Trial.error`, and the search goes on.
    TypeError
        If the model is a class, or no recommender.

    Examples
    --------
    >>> import numpy as np, fastrec as fr
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
        space = {name: check_candidates(name, candidates) for name, candidates in space.items()}
    check_space(model, space)
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
    results = ResultStore(
        store, {} if store is None else _make_header(model, space, parts, labels, method, random_state, options)
    )
    job = SearchJob(
        model, given_options(model, space), parts, labels, options, results, random_state, n_jobs,
        answer_options(model, space),
    )  # fmt: skip
    runs = {"random": run_random, "grid": run_grid, "halving": run_halving, "optuna": run_optuna}
    trials = _follow(job, runs[method](job, space, n_trials, reduction, sampler), bool(verbose))
    best = find_best(trials, metric)
    chosen = job.fit(job.make(best.options), data, job.stages_to(best.epochs, best.number)) if refit else None
    edges = find_edges(model, space, best.options)
    return Search(metric, tuple(labels), method, tuple(sorted(space)), tuple(trials), best, chosen, edges)


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


def _make_header(
    model: Any,
    space: Mapping[str, Any],
    parts: Sequence[Part],
    labels: Sequence[str],
    method: str,
    seed: int,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """Describes the data and options of a store's results: texts for people, with fingerprints of the details."""
    return {
        "search": 3,
        "model": identify(clone(model)),  # its options alone: it is fitted anew
        "space": {name: identify(candidates) for name, candidates in space.items()},
        "data": fingerprint(parts),
        "metrics": list(labels),
        "method": method,
        "seed": seed,
        "evaluation": {name: identify(value) for name, value in options.items()},
    }


def _follow(job: SearchJob, trials: Iterator[Trial], shown: bool) -> list[Trial]:
    """Yields the trials in the order of their numbers, with progress as they come."""
    found: list[Trial] = []
    first = next(trials, None)  # now the number of trials is known
    with epoch_progress("search", job.total, shown) as advance:
        for trial in itertools.chain([] if first is None else [first], trials):
            found.append(trial)
            best = min(found, key=make_order(job.metric))
            chosen = ", ".join(f"{name}={format_short(value)}" for name, value in best.options.items())
            advance(f"best {job.metric} {best.score:.4f} ({chosen})")
    return sorted(found, key=lambda trial: (trial.number, trial.epochs or 0))
