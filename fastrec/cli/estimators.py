"""The estimator of a command: its class, and its options as texts."""

import sys
from enum import StrEnum
from typing import Annotated, Any, NamedTuple

import typer

from fastrec.cli.options import (
    Alpha,
    Factors,
    Iterations,
    Jobs,
    ModelOptions,
    Regularization,
    Seed,
    Split,
    find_estimator,
    read_options,
)
from fastrec.cli.output import note
from fastrec.cli.working import working

DEFAULT_MODEL = "ImplicitALS"
AUTOMATIC = "auto"


class Validation(StrEnum):
    """The events that a contest of models hides."""

    auto = "auto"
    last = "last"
    random = "random"
    both = "both"


class ModelPlan(NamedTuple):
    """A class of models, the options that were chosen for it, and the seed and threads of the command.

    The class is None if a contest finds the model. Then `budget` is the time of the contest, and `validation` says
    which events it hides.
    """

    kind: Any
    options: dict[str, Any]
    seed: int
    jobs: int | None
    budget: str = "1min"
    validation: Validation = Validation.auto

    @property
    def name(self) -> str:
        """The name of the class, or "auto"."""
        return AUTOMATIC if self.kind is None else str(self.kind.__name__)

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(f'{name}={value!r}' for name, value in self.options.items())})"

    def judged_as(self, split: Split) -> "ModelPlan":
        """The name of the validation; "like" is named "random", as the split of a table that hides such events."""
        if self.validation is not Validation.auto:
            return self
        return self._replace(validation=Validation.random if split is Split.random else Validation.last)

    def fit(self, data: Any) -> Any:
        """Returns a model of the class fitted on the data, or the winner of a contest, which reports its result."""
        from fastrec.options import make_estimator

        common: dict[str, Any] = {"random_state": self.seed, "n_jobs": self.jobs, "verbose": sys.stderr.isatty()}
        if self.kind is not None:
            model = make_estimator(self.kind, self.options, **common)
            with working(f"fitting {self.name}", bar="verbose" in model.get_params()):
                return model.fit(data)
        from fastrec import AutoRecommender

        note(f"no --model was given: trying families of models for about {self.budget} (--budget)")
        found = AutoRecommender(self.budget, validation=self.validation.value, **common).fit(data)
        note(repr(found.report_))
        return found.model_


def model_plan(
    model_name: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="The estimator; `fastrec options` lists the options of each.",
            show_default="the best of a contest within --budget; ImplicitALS if options of a model are given",
        ),
    ] = None,
    factors: Factors = None,
    regularization: Regularization = None,
    alpha: Alpha = None,
    iterations: Iterations = None,
    option: ModelOptions = None,
    budget: Annotated[
        str | None,
        typer.Option(help="Time of the contest of models, such as 30s or 5min.", show_default="1min"),
    ] = None,
    validation: Annotated[
        Validation,
        typer.Option(
            help="Goal of the contest: what users do next (last), what else they like (random), or both. "
            "auto is both for data with times; then the last events come first."
        ),
    ] = Validation.auto,
    seed: Seed = 0,
    jobs: Jobs = None,
) -> ModelPlan:
    """The group of options that say which model is trained."""
    short = {"factors": factors, "regularization": regularization, "alpha": alpha, "iterations": iterations}
    texts = [f"{name}={value}" for name, value in short.items() if value is not None] + (option or [])
    if model_name == AUTOMATIC or (model_name is None and not texts):
        if texts:
            raise typer.BadParameter("options belong to one model: give --model, too", param_hint="--model")
        return ModelPlan(None, {}, seed, jobs, _check_budget(budget or "1min"), validation)
    for hint, given in {"--budget": budget is not None, "--validation": validation is not Validation.auto}.items():
        if given:
            raise typer.BadParameter(
                "belongs to the contest of models: leave it out if --model is given", param_hint=hint
            )
    kind = find_estimator(model_name or DEFAULT_MODEL, "--model")
    return ModelPlan(kind, _parse(kind, texts), seed, jobs)


def _check_budget(text: str) -> str:
    """Returns a budget such as "30s"; a plain number counts seconds."""
    from fastrec.evaluation.automatic.planning import parse_budget

    text = f"{text}s" if text.replace(".", "", 1).isdecimal() else text
    try:
        parse_budget(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--budget") from None
    return text


def parse_model(text: str, seed: int, jobs: int | None) -> ModelPlan:
    """The plan of a text such as "EASE" or "ImplicitALS:factors=64,alpha=10"."""
    name, _, options = text.partition(":")
    if name == AUTOMATIC and not options:
        return ModelPlan(None, {}, seed, jobs)
    kind = find_estimator(name, "--model")
    return ModelPlan(kind, _parse(kind, [part for part in options.split(",") if part]), seed, jobs)


def _parse(kind: Any, texts: list[str]) -> dict[str, Any]:
    from fastrec.options import parse_options

    return read_options(lambda: parse_options(kind, texts))
