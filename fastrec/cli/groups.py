"""Groups of options: one function declares the options of a group and makes one value of them."""

import inspect
from collections.abc import Callable
from typing import Any

Command = Callable[..., None]


def groups_options(**groups: Callable[..., Any]) -> Callable[[Command], Command]:
    """Returns a decorator that replaces a command's parameters by groups of options.

    Parameters
    ----------
    **groups
        For each parameter of that name, the function whose parameters are the options and whose result is its value.
    """

    def decorate(command: Command) -> Command:
        parameters: list[inspect.Parameter] = []
        for name, parameter in inspect.signature(command).parameters.items():
            parameters.extend(_options_of(groups[name]) if name in groups else [parameter])

        def with_options(**given: Any) -> None:
            made = {
                name: make(**{option.name: given.pop(option.name) for option in _options_of(make)})
                for name, make in groups.items()
            }
            command(**given, **made)

        with_options.__name__, with_options.__doc__ = command.__name__, command.__doc__
        ordered = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
        with_options.__signature__ = inspect.Signature(ordered)  # type: ignore[attr-defined]
        with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in ordered}
        return with_options

    return decorate


def _options_of(make: Callable[..., Any]) -> list[inspect.Parameter]:
    return list(inspect.signature(make).parameters.values())
