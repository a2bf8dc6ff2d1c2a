"""`SearchJob`: trials are fitted and evaluated, or read from the store."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sklearn.base import clone

from fastrec.evaluation.search.identity import identify
from fastrec.evaluation.search.result_store import ResultStore
from fastrec.evaluation.search.trial import Trial, as_trial
from fastrec.evaluation.validation import Part, evaluate_part


@dataclass
class SearchJob:
    """What all trials share."""

    model: Any
    parts: Sequence[Part]
    labels: Sequence[str]
    options: Mapping[str, Any]
    store: ResultStore
    seed: int
    n_jobs: int
    stages: tuple[int, ...] = ()  # the epochs at which a halving looks at its trials, ascending
    fitted: dict[tuple[int, int], tuple[int, Any]] = field(default_factory=dict)  # epochs and model by trial and part
    total: int = 0

    @property
    def metric(self) -> str:
        """What decides."""
        return self.labels[0]

    def run(self, number: int, chosen: dict[str, Any], epochs: int | None = None, keep: bool = False) -> Trial:
        """The trial: from the store, or fitted and evaluated on each split, and noted there."""
        stages = self.stages_to(epochs)
        key = ", ".join(f"{name}={identify(value)}" for name, value in sorted(chosen.items()))
        key += f" @{'+'.join(map(str, stages))}" if stages else ""
        entry = self.store.get(key)
        if entry is None:
            entry = self._measure(number, chosen, stages, keep)
            self.store.add(key, entry)
        return as_trial(number, chosen, epochs, entry)

    def stages_to(self, epochs: int | None) -> tuple[int, ...]:
        """The stages in which that many epochs are run; none where the model runs all of its own at once."""
        if epochs is None:
            return ()
        return tuple(stage for stage in self.stages if stage <= epochs) if warm_option(self.model) else (epochs,)

    def _measure(self, number: int, chosen: dict[str, Any], stages: tuple[int, ...], keep: bool) -> dict[str, Any]:
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
        if keep and warm_option(model):
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
        option, warm = epochs_option(model), warm_option(model)
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


def epochs_option(model: Any) -> str:
    """What the model, or the last step of a Pipeline, calls its epochs."""
    own = _last_step(model) + "iterations"
    names = [name for name in model.get_params() if name.rpartition("__")[2] == "iterations"]
    if not names:
        raise ValueError(f"method='halving' goes by epochs, and {type(model).__name__} has no option 'iterations'")
    return own if own in names else str(names[-1])


def warm_option(model: Any) -> str | None:
    """What says that the next fit goes on from the last; None where there is no such thing.

    Only of the model itself or the last step of a Pipeline: those within others are cloned before they are fitted.
    """
    warm = _last_step(model) + "warm_start"
    return warm if {warm, _last_step(model) + "iterations"} <= set(model.get_params()) else None


def _last_step(model: Any) -> str:
    return f"{model.steps[-1][0]}__" if hasattr(model, "steps") else ""
