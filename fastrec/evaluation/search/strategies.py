"""The strategies of a search: random combinations, a grid, or halving (many for few epochs, the best for more)."""

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

from fastrec.evaluation.search.identity import identify, is_plain
from fastrec.evaluation.search.job import GIVEN, SearchJob, epochs_option, warm_option
from fastrec.evaluation.search.space import draw_combinations, list_grid
from fastrec.evaluation.search.trial import Trial, make_order


def run_random(job: SearchJob, space: Mapping[str, Any], n: int, reduction: int, sampler: Any) -> Iterator[Trial]:
    """Yields trials of random combinations."""
    return _run_whole(job, draw_combinations(space, n, job.seed))


def run_grid(job: SearchJob, space: Mapping[str, Any], n: int, reduction: int, sampler: Any) -> Iterator[Trial]:
    """Yields trials of all combinations."""
    return _run_whole(job, list_grid(space))


def _run_whole(job: SearchJob, draws: list[dict[str, Any]]) -> Iterator[Trial]:
    """Yields the given model's trial, and trials of all draws that differ from it."""
    tried = [dict(job.given), *_others(job, draws)]
    job.total = len(tried)
    return job.run_all([(number, chosen, None, False) for number, chosen in enumerate(tried, GIVEN)])


def _others(job: SearchJob, draws: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the draws whose options are not those of the given model."""
    return [drawn for drawn in draws if not all(_is_same(drawn[name], job.given[name]) for name in drawn)]


def _is_same(one: Any, other: Any) -> bool:
    return bool(one == other) if is_plain(one) and is_plain(other) else identify(one) == identify(other)


def rungs(n: int, epochs: int, reduction: int) -> list[tuple[int, int]]:
    """Returns the number of trials and their epochs, round by round.

    >>> rungs(9, 18, 3)
    [(9, 2), (3, 6), (1, 18)]
    """
    count = min(math.floor(math.log(n, reduction) + 1e-9), math.floor(math.log(epochs, reduction) + 1e-9)) + 1
    return [(max(1, n // reduction**step), max(1, epochs // reduction ** (count - 1 - step))) for step in range(count)]


def run_halving(job: SearchJob, space: Mapping[str, Any], n: int, reduction: int, sampler: Any) -> Iterator[Trial]:
    """Yields trials of random combinations for few epochs, of the best for more, and the given model's with all
    epochs.
    """
    option = epochs_option(job.model)
    if option in space:
        raise ValueError(f"method='halving' sets {option!r} itself: take it out of the space")
    draws = _others(job, draw_combinations(space, n, job.seed))
    steps = rungs(len(draws), job.model.get_params()[option], reduction) if draws else []
    job.stages = tuple(sorted({epochs for _, epochs in steps}))
    job.total = 1 + sum(count for count, _ in steps)
    whole = job.run_all([(GIVEN, dict(job.given), job.model.get_params()[option], False)])
    return itertools.chain(whole, _climb(job, dict(enumerate(draws, GIVEN + 1)), steps))


def _climb(job: SearchJob, draws: Mapping[int, dict[str, Any]], steps: list[tuple[int, int]]) -> Iterator[Trial]:
    alive = list(draws)
    for step, (_, epochs) in enumerate(steps):
        last = step == len(steps) - 1
        trials, goes_on = [], not last and warm_option(job.model) is not None
        for trial in job.run_all([(number, draws[number], epochs, goes_on) for number in alive]):
            trials.append(trial)
            yield trial
        if not last:
            trials.sort(key=make_order(job.metric))
            alive = [trial.number for trial in trials[: steps[step + 1][0]] if not math.isnan(trial.score)]
            learned = {job.name_learned(draws[number]) for number in alive}
            job.fitted = {key: kept for key, kept in job.fitted.items() if key in learned}
