"""`SearchJob`: fits and evaluates trials, or reads them from the store."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sklearn.base import clone

from fastrec.evaluation.search.identity import identify
from fastrec.evaluation.search.result_store import ResultStore
from fastrec.evaluation.search.trial import Trial, as_trial
from fastrec.evaluation.validation import Part, evaluate_part

# The number of the trial of the given model.
GIVEN = 0


@dataclass
class SearchJob:
    """The parts that all trials share.

    `given` holds the values of the searched options in the given model, which is trial 0.
    """

    model: Any
    given: Mapping[str, Any]
    parts: Sequence[Part]
    labels: Sequence[str]
    options: Mapping[str, Any]
    store: ResultStore
    seed: int
    n_jobs: int
    answering: frozenset[str] = frozenset()  # the searched options that change only answers
    stages: tuple[int, ...] = ()  # the epochs at which a halving evaluates its trials, ascending
    fitted: dict[str, "Fitted"] = field(default_factory=dict)  # by the options that a fit depends on
    most_kept: int | None = None  # the number of these that are kept, the latest ones
    total: int = 0

    @property
    def metric(self) -> str:
        """The metric that decides."""
        return self.labels[0]

    def run(self, number: int, chosen: dict[str, Any], epochs: int | None = None, keep: bool = False) -> Trial:
        """Returns the trial: from the store, or fitted and evaluated on each split, and stored."""
        stages = self.stages_to(epochs, number)
        key = _name_options(chosen)
        key += f" @{'+'.join(map(str, stages))}" if stages else ""
        entry = self.store.get(key)
        if entry is None:
            entry = self._measure(chosen, stages, keep)
            self.store.add(key, entry)
        return as_trial(number, chosen, epochs, entry)

    def name_learned(self, chosen: Mapping[str, Any]) -> str:
        """Describes the options of a trial that a fit depends on: trials that share them share their fits."""
        return _name_options({name: value for name, value in chosen.items() if name not in self.answering})

    def stages_to(self, epochs: int | None, number: int) -> tuple[int, ...]:
        """Returns the stages of a trial with this many epochs; none if all epochs run at once, as in the given
        model.
        """
        if epochs is None or number == GIVEN:
            return ()
        return tuple(stage for stage in self.stages if stage <= epochs) if warm_option(self.model) else (epochs,)

    def _measure(self, chosen: dict[str, Any], stages: tuple[int, ...], keep: bool) -> dict[str, Any]:
        began = time.perf_counter()
        entry: dict[str, Any] = {}
        try:
            scores = [self._score(place, part, chosen, stages, keep) for place, part in enumerate(self.parts)]
            entry["scores"] = {label: [score[label] for score in scores] for label in self.labels}
        except MemoryError:  # the moment's fault, not the options'
            raise
        except Exception as error:  # a combination that does not work, or diverges
            entry["error"] = f"{type(error).__name__}: {error}"
        entry["seconds"] = round(time.perf_counter() - began, 4)
        return entry

    def _score(
        self, place: int, part: Part, chosen: dict[str, Any], stages: tuple[int, ...], keep: bool
    ) -> dict[str, float]:
        kept = self._models_of(self.name_learned(chosen))
        reached, model = kept.pop(place, (None, None))  # a model that a fit leaves half done is not kept
        if model is None or (reached != stages and not warm_option(model)):
            reached, model = None, self.make(chosen)
        model.set_params(**{name: chosen[name] for name in self.answering})
        if reached != stages:
            self.fit(model, part.train, stages, reached[-1] if reached else 0)
        if keep:
            kept[place] = stages, model
        report = evaluate_part({"model": model}, part, self.labels, **self.options)
        return {label: report.mean(label) for label in self.labels}

    def _models_of(self, learned: str) -> "Fitted":
        """Returns the models of some options that a fit depends on; the oldest others are dropped."""
        models = self.fitted[learned] = self.fitted.pop(learned, {})
        if self.most_kept is not None:
            for oldest in list(self.fitted)[: -self.most_kept]:
                self.fitted.pop(oldest, None)
        return models

    def make(self, chosen: Mapping[str, Any]) -> Any:
        """Makes a new model with the options of a trial; estimators among the options are new ones, too."""
        return clone(self.model).set_params(**{name: clone(value, safe=False) for name, value in chosen.items()})

    def fit(self, model: Any, data: Any, stages: Sequence[int], done: int = 0) -> Any:
        """Fits the model by one stage after another; the stages up to `done` epochs are done already.

        Each stage continues the one before (warm_start). A fit of all epochs at once gives another result, since step
        sizes, draws and over-relaxation begin anew in each stage. So all trials with the same epochs run the same
        stages.
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
        """Yields the trials of the tasks (a number, options, and more arguments of `run`), as they are done.

        Trials that share their fits run one after the other.
        """
        groups: dict[str, list[tuple[Any, ...]]] = {}
        for task in tasks:
            groups.setdefault(self.name_learned(task[1]), []).append(task)
        if self.n_jobs == 1 or len(groups) < 2:
            for group in groups.values():
                yield from self._run_group(group)
            return
        from joblib import Parallel, delayed

        parallel = Parallel(n_jobs=self.n_jobs, backend="threading", return_as="generator_unordered")
        # In the context of this call, so that threads know which warnings it has given.
        jobs = (delayed(copy_context().run)(list, self._run_group(group)) for group in groups.values())
        for trials in parallel(jobs):
            yield from trials

    def _run_group(self, tasks: Sequence[tuple[Any, ...]]) -> Iterator[Trial]:
        for place, (number, chosen, epochs, keep) in enumerate(tasks):
            yield self.run(number, chosen, epochs, keep or place < len(tasks) - 1)


Fitted: TypeAlias = dict[int, tuple[tuple[int, ...], Any]]
"""The finished stages of a model, and the model, by split."""


def _name_options(chosen: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={identify(value)}" for name, value in sorted(chosen.items()))


def epochs_option(model: Any) -> str:
    """Returns the name of the option for epochs, of the model or the last step of a Pipeline."""
    own = _last_step(model) + "iterations"
    names = [name for name in model.get_params() if name.rpartition("__")[2] == "iterations"]
    if not names:
        raise ValueError(f"method='halving' goes by epochs, and {type(model).__name__} has no option 'iterations'")
    return own if own in names else str(names[-1])


def warm_option(model: Any) -> str | None:
    """Returns the name of the option with which the next fit continues the last; None if there is none.

    Only the model itself or the last step of a Pipeline has it: models within others are cloned before a fit.
    """
    warm = _last_step(model) + "warm_start"
    return warm if {warm, _last_step(model) + "iterations"} <= set(model.get_params()) else None


def _last_step(model: Any) -> str:
    return f"{model.steps[-1][0]}__" if hasattr(model, "steps") else ""
