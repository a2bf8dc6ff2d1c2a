"""Attributes of models that take in events in place: reading one brings its value up to date first."""

from typing import Any

MISSING = object()


class Settled:
    """An attribute of a class that calls the object's `settle` before each reading.

    >>> class Total:
    ...     total_ = Settled()
    ...
    ...     def __init__(self):
    ...         self.total_, self.more = 1, 2
    ...
    ...     def settle(self):
    ...         vars(self)["total_"] += self.more
    ...         self.more = 0
    >>> Total().total_
    3

    Parameters
    ----------
    default
        The value for an object that lacks it; without a default, an AttributeError is raised.
    """

    def __init__(self, default: object = MISSING) -> None:
        self._default = default

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, model: Any, kind: type) -> Any:
        if model is None:
            return self
        model.settle()
        found = vars(model).get(self._name, self._default)
        if found is MISSING:
            raise AttributeError(f"{type(model).__name__!r} object has no attribute {self._name!r}")
        return found

    def __set__(self, model: Any, value: object) -> None:
        vars(model)[self._name] = value

    def __delete__(self, model: Any) -> None:
        if vars(model).pop(self._name, MISSING) is MISSING:
            raise AttributeError(self._name)
