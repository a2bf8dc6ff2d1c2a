"""The view of a model in a notebook: its data, its options, and the time of its fit."""

import inspect
from typing import Any

import numpy as np

from fastrec.fields import Fields, fields_of
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.models.base.derived import Key
from fastrec.models.base.persistence import Team
from fastrec.notebook import show_facts

FIT_SECONDS: Key[float] = Key("seconds of the fit")
LONGEST = 200  # characters of a text that is shown


def show_model(model: Any, common: Fields, seconds: float | None) -> str:
    """The HTML of a model; `common` names the fields of every fitted model, `seconds` is the time of its fit."""
    name = type(model).__name__
    if not model.__sklearn_is_fitted__():
        return show_facts(f"{name}, not fitted", {"options": _options(model)})
    time = {} if seconds is None else {"fitted in": f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"}
    return show_facts(name, _data(model) | {"options": _options(model)} | _learned(model, common) | time)


def describe_options(model: Any) -> str:
    """The class of a model, and its options that are not at their defaults, in one line.

    >>> from fastrec.models import EASE
    >>> describe_options(EASE(regularization=7.0))
    'EASE(regularization=7.0)'
    """
    return _shorten(" ".join(repr(model).split()))


def _data(model: Any) -> dict[str, str]:
    """The data that the model was fitted to."""
    users, items = model.seen_.shape
    facts = {"users": f"{users:,}"} if users else {"users": "none are kept"}
    return facts | {"items": f"{items:,}", "interactions": f"{model.seen_.nnz:,}"}


def _options(model: Any) -> str:
    """The options that are not at their defaults."""
    usual = inspect.signature(type(model)).parameters
    own = {name: value for name, value in model.get_params(deep=False).items() if name in usual}
    chosen = [f"{name}={_in_words(own[name])}" for name in usual if name in own and _differs(own[name], usual[name])]
    return _shorten(", ".join(chosen)) or "all at their defaults"


def _differs(value: Any, usual: inspect.Parameter) -> bool:
    if isinstance(value, np.ndarray | CodeMatrix):
        return True
    return value is not usual.default and repr(value) != repr(usual.default)


def _learned(model: Any, common: Fields) -> dict[str, str]:
    """The learned values of the family: the shapes of arrays, numbers, and other models."""
    facts = {}
    for name in fields_of(type(model)):
        value = vars(model).get(name)
        if name in common:
            continue
        if isinstance(value, Team):
            facts[name] = ", ".join(type(member).__name__ for member in value)
        elif isinstance(value, np.ndarray | int | float | CodeMatrix):
            facts[name] = _in_words(value)
    return facts


def _in_words(value: Any) -> str:
    if isinstance(value, np.ndarray | CodeMatrix):
        entries = f", {value.nnz:,} entries" if isinstance(value, CodeMatrix) else ""
        return f"{' × '.join(f'{side:,}' for side in value.shape)} {value.dtype}{entries}"
    return _shorten(" ".join(repr(value).split()))


def _shorten(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
