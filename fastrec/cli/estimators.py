"""The estimator of a command: its class, and its options as texts."""

import inspect
import sys
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
    find_estimator,
    read_options,
)

DEFAULT_MODEL = "ImplicitALS"


class ModelPlan(NamedTuple):
    """A class of models, the options that were chosen for it, and the seed and threads of the command."""

    kind: Any
    options: dict[str, Any]
    seed: int
    jobs: int | None

    def __repr__(self) -> str:
        return f"{self.kind.__name__}({', '.join(f'{name}={value!r}' for name, value in self.options.items())})"

    def make(self) -> Any:
        """A new estimator."""
        return make_estimator(self.kind, self.options, self.seed, self.jobs)


def model_plan(
    model_name: Annotated[
        str, typer.Option("--model", help="The estimator; `fastrec options` lists the options of each.")
    ] = DEFAULT_MODEL,
    factors: Factors = None,
    regularization: Regularization = None,
    alpha: Alpha = None,
    iterations: Iterations = None,
    option: ModelOptions = None,
    seed: Seed = 0,
    jobs: Jobs = None,
) -> ModelPlan:
    """The group of options that say which model is trained."""
    kind = find_estimator(model_name, "--model")
    short = {"factors": factors, "regularization": regularization, "alpha": alpha, "iterations": iterations}
    texts = [f"{name}={value}" for name, value in short.items() if value is not None]
    return ModelPlan(kind, _parse(kind, [*texts, *(option or [])]), seed, jobs)


def parse_model(text: str, seed: int, jobs: int | None) -> ModelPlan:
    """The plan of a text such as "EASE" or "ImplicitALS:factors=64,alpha=10"."""
    name, _, options = text.partition(":")
    kind = find_estimator(name, "--model")
    return ModelPlan(kind, _parse(kind, [part for part in options.split(",") if part]), seed, jobs)


def make_estimator(kind: Any, options: dict[str, Any], seed: int, jobs: int | None) -> Any:
    """An estimator with the seed and threads of the command, where it takes them."""
    common = {"random_state": seed, "n_jobs": jobs, "verbose": sys.stderr.isatty()}
    taken = inspect.signature(kind).parameters
    return kind(**{name: value for name, value in common.items() if name in taken} | options)


def _parse(kind: Any, texts: list[str]) -> dict[str, Any]:
    from fastrec.options import parse_options

    return read_options(lambda: parse_options(kind, texts))
