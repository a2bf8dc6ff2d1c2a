"""`SearchJob`: trials are fitted and evaluated, or read from the store."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sklearn.base import clone

from fastrec.evaluation.search.identity import identify
from fastrec.evaluation.search.result_store import ResultStore
from fastrec.evaluation.search.trial import Trial, as_trial
from fastrec.evaluation.validation import Part, evaluate_part

# The number of the trial of the model as it was given.
GIVEN = 0


@dataclass
class SearchJob:
    """The parts that all trials share.

    `given` are the values that the searched options have in the model as it was given: trial 0.
    """

    model: Any
    given: Mapping[str, Any]
    parts: Sequence[Part]
    labels: Sequence[str]
    options: Mapping[str, Any]
    store: ResultStore
    seed: int
    n_jobs: int
    answering: frozenset[str] = frozenset()  # the searched options that change answers alone
    stages: tuple[int, ...] = ()  # the epochs at which a halving looks at its trials, ascending
    fitted: dict[str, "Fitted"] = field(default_factory=dict)  # by the options that are learned from
    most_kept: int | None = None  # so many of these are kept, the latest ones
    total: int = 0

    @property
    def metric(self) -> str:
        """The metric that decides."""
        return self.labels[0]

    def run(self, number: int, chosen: dict[str, Any], epochs: int | None = None, keep: bool = False) -> Trial:
        """The trial: from the store, or fitted and evaluated on each split, and noted there."""
        stages = self.stages_to(epochs, number)
        key = _name_options(chosen)
        key += f" @{'+'.join(map(str, stages))}" if stages else ""
        entry = self.store.get(key)
        if entry is None:
            entry = self._measure(chosen, stages, keep)
            self.store.add(key, entry)
        return as_trial(number, chosen, epochs, entry)

    def name_learned(self, chosen: Mapping[str, Any]) -> str:
        """The options of a trial that are learned from, in words: trials that share them share their fits."""
        return _name_options({name: value for name, value in chosen.items() if name not in self.answering})

    def stages_to(self, epochs: int | None, number: int) -> tuple[int, ...]:
        """The stages in which a trial runs so many epochs; none where all are run at once, as by the given model."""
        if epochs is None or number == GIVEN:
            return ()
        return tuple(stage for stage in self.stages if stage <= epochs) if warm_option(self.model) else (epochs,)

    def _measure(self, chosen: dict[str, Any], stages: tuple[int, ...], keep: bool) -> dict[str, Any]:
        began = time.perf_counter()
        entry: dict[str, Any] = {}
        try:
            scores = [self._score(place, part, chosen, stages, keep) for place, part in enumerate(self.parts)]
            entry["scores"] = {label: [score[label] for score in scores] for label in self.labels}
        except MemoryError:  # of this moment, and not of the options
            raise
        except Exception as error:  # a combination that does not work, or diverges
            entry["error"] = f"{type(error).__name__}: {error}"
        entry["seconds"] = round(time.perf_counter() - began, 4)
        return entry

    def _score(
        self, place: int, part: Part, chosen: dict[str, Any], stages: tuple[int, ...], keep: bool
    ) -> dict[str, float]:
        kept = self._models_of(self.name_learned(chosen))
        reached, model = kept.pop(place, (None, None))  # one that a fit leaves half done is not kept
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
        """The models of some options that are learned from; the oldest others are forgotten."""
        models = self.fitted[learned] = self.fitted.pop(learned, {})
        if self.most_kept is not None:
            for oldest in list(self.fitted)[: -self.most_kept]:
                self.fitted.pop(oldest, None)
        return models

    def make(self, chosen: Mapping[str, Any]) -> Any:
        """A new model with the options of a trial; what is an estimator among them is a new one too."""
        return clone(self.model).set_params(**{name: clone(value, safe=False) for name, value in chosen.items()})

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
        """The trials of the tasks (a number, options, and more arguments of `run`), as they come.

        Those that share their fits are run one after the other.
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
        for trials in parallel(delayed(list)(self._run_group(group)) for group in groups.values()):
            yield from trials

    def _run_group(self, tasks: Sequence[tuple[Any, ...]]) -> Iterator[Trial]:
        for place, (number, chosen, epochs, keep) in enumerate(tasks):
            yield self.run(number, chosen, epochs, keep or place < len(tasks) - 1)


Fitted: TypeAlias = dict[int, tuple[tuple[int, ...], Any]]
"""The stages behind a model, and the model, by split."""


def _name_options(chosen: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={identify(value)}" for name, value in sorted(chosen.items()))


def epochs_option(model: Any) -> str:
    """The name of the option for epochs, of the model or the last step of a Pipeline."""
    own = _last_step(model) + "iterations"
    names = [name for name in model.get_params() if name.rpartition("__")[2] == "iterations"]
    if not names:
        raise ValueError(f"method='halving' goes by epochs, and {type(model).__name__} has no option 'iterations'")
    return own if own in names else str(names[-1])


def warm_option(model: Any) -> str | None:
    """The name of the option by which the next fit goes on from the last; None where there is none.

    Only of the model itself or the last step of a Pipeline: those within others are cloned before they are fitted.
    """
    warm = _last_step(model) + "warm_start"
    return warm if {warm, _last_step(model) + "iterations"} <= set(model.get_params()) else None


def _last_step(model: Any) -> str:
    return f"{model.steps[-1][0]}__" if hasattr(model, "steps") else ""
