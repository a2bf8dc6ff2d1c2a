"""Combinations that Optuna proposes."""

import importlib
import math
from collections.abc import Iterator, Mapping
from typing import Any

from fastrec.evaluation.search.job import GIVEN, SearchJob
from fastrec.evaluation.search.texts import LogIntegers
from fastrec.evaluation.search.trial import LOWEST, Trial
from fastrec.metrics.naming import parse_metric

# The number of combinations whose models are kept, since Optuna may propose others in between.
MOST_KEPT = 8


def run_optuna(job: SearchJob, space: Mapping[str, Any], n: int, reduction: int, sampler: Any) -> Iterator[Trial]:
    """Yields the given model's trial, and trials of the proposals of an Optuna sampler."""
    try:
        optuna = importlib.import_module("optuna")  # an extra
    except ImportError as error:
        raise ImportError("method='optuna' needs Optuna: pip install 'fastrec[search]'") from error
    job.total = 1 + n
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
    job: SearchJob, space: Mapping[str, Any], n: int, study: Any, distributions: Mapping[str, Any], optuna: Any
) -> Iterator[Trial]:
    keep = bool(job.answering)  # a proposal may repeat the options that a fit depends on
    job.most_kept = MOST_KEPT
    yield from job.run_all([(GIVEN, dict(job.given), None, keep)])
    for start in range(0, n, job.n_jobs):
        asked = [study.ask(distributions) for _ in range(start, min(start + job.n_jobs, n))]
        tasks = [
            (_number(one), {name: _choose(space[name], one.params[name]) for name in distributions}, None, keep)
            for one in asked
        ]
        by_number = {_number(one): one for one in asked}
        # Results are reported in the order of the proposals, so that threads do not change the next proposals.
        for trial in sorted(job.run_all(tasks), key=lambda trial: trial.number):
            failed = math.isnan(trial.score)
            state = optuna.trial.TrialState.FAIL if failed else None
            study.tell(by_number[trial.number], None if failed else trial.score, state=state)
            yield trial


def _number(proposed: Any) -> int:
    """Returns the number of the trial of a proposal."""
    return int(proposed.number) + GIVEN + 1


def _optuna_distribution(optuna: Any, name: str, candidates: Any) -> Any:
    """Returns Optuna's form of the distribution; candidates of a list are told apart by their place."""
    kinds = optuna.distributions
    if isinstance(candidates, list):
        return kinds.CategoricalDistribution(tuple(range(len(candidates))))
    kind = getattr(getattr(candidates, "dist", None), "name", type(candidates).__name__)
    if kind in ("uniform", "loguniform", "reciprocal"):
        low, high = map(float, candidates.support())
        return kinds.FloatDistribution(low, high, log=kind != "uniform")
    if isinstance(candidates, LogIntegers):
        return kinds.IntDistribution(candidates.low, candidates.high, log=True)
    if kind == "randint":
        low, high = candidates.support()
        return kinds.IntDistribution(int(low), int(high))
    raise ValueError(f"space[{name!r}]: Optuna takes lists, uniform, loguniform and randint, not {kind}")


def _choose(candidates: Any, value: Any) -> Any:
    return candidates[value] if isinstance(candidates, list) else value
