"""Groups of options: one function declares those that belong together, and makes one value of them."""

import inspect
from collections.abc import Callable
from typing import Any

Command = Callable[..., None]


def groups_options(**groups: Callable[..., Any]) -> Callable[[Command], Command]:
    """A decorator: the command's parameter of a group's name becomes the options of a function.

    Parameters
    ----------
    **groups
        For each such parameter the function whose parameters are the options, and whose result is its value.
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
