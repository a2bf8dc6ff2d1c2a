"""Values that a model works out of its learned arrays when it is first asked for them."""

import threading
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")


class Key(str, Generic[T]):
    """The name of something derived, which is of type T: a constant of the module that makes it.

    >>> LENGTHS: Key[list[int]] = Key("lengths")
    >>> derived = Derived()
    >>> derived.get(LENGTHS, lambda: [1, 2]) is derived.get(LENGTHS, lambda: [3])
    True
    """

    __slots__ = ()


class Derived:
    """Values worked out of the learned arrays when first asked for: never saved, pickled, or compared."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._made: dict[Key[Any], Any] = {}

    def get(self, key: Key[T], make: Callable[[], T]) -> T:
        """The result of `make` when this key was first asked for, by whichever thread came first."""
        if key not in self._made:
            with self._lock:
                if key not in self._made:
                    self._made[key] = make()
        return cast("T", self._made[key])

    def peek(self, key: Key[T]) -> T | None:
        """The value of this key, if it has been made."""
        return cast("T | None", self._made.get(key))

    def kept(self, keys: Iterable[Key[Any]] = ()) -> "Derived":
        """Another one, with what has been made of these keys."""
        new = Derived()
        with self._lock:
            new._made = {key: self._made[key] for key in keys if key in self._made}
        return new

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return Derived, ()
