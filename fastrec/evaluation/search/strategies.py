"""Which combinations are tried: random ones, a grid, or many for few epochs and the best for more."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from fastrec.evaluation.search.job import SearchJob, epochs_option, warm_option
from fastrec.evaluation.search.space import draw_combinations, list_grid
from fastrec.evaluation.search.trial import Trial, make_order


def run_random(job: SearchJob, space: Mapping[str, Any], n: int, reduction: int, sampler: Any) -> Iterator[Trial]:
    """Trials of random combinations."""
    draws = draw_combinations(space, n, job.seed)
    job.total = len(draws)
    return job.run_all([(number, drawn, None, False) for number, drawn in enumerate(draws)])


def run_grid(job: SearchJob, space: Mapping[str, Any], n: int, reduction: int, sampler: Any) -> Iterator[Trial]:
    """Trials of all combinations."""
    draws = list_grid(space)
    job.total = len(draws)
    return job.run_all([(number, drawn, None, False) for number, drawn in enumerate(draws)])


def rungs(n: int, epochs: int, reduction: int) -> list[tuple[int, int]]:
    """How many trials go how many epochs, round by round.

    >>> rungs(9, 18, 3)
    [(9, 2), (3, 6), (1, 18)]
    """
    count = min(math.floor(math.log(n, reduction) + 1e-9), math.floor(math.log(epochs, reduction) + 1e-9)) + 1
    return [(max(1, n // reduction**step), max(1, epochs // reduction ** (count - 1 - step))) for step in range(count)]


def run_halving(job: SearchJob, space: Mapping[str, Any], n: int, reduction: int, sampler: Any) -> Iterator[Trial]:
    """Trials of random combinations for few epochs, and of the best ones for more."""
    option = epochs_option(job.model)
    if option in space:
        raise ValueError(f"method='halving' sets {option!r} itself: take it out of the space")
    draws = draw_combinations(space, n, job.seed)
    steps = rungs(len(draws), job.model.get_params()[option], reduction)
    job.stages = tuple(sorted({epochs for _, epochs in steps}))
    job.total = sum(count for count, _ in steps)
    return _climb(job, draws, steps)


def _climb(job: SearchJob, draws: list[dict[str, Any]], steps: list[tuple[int, int]]) -> Iterator[Trial]:
    alive = list(range(len(draws)))
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
