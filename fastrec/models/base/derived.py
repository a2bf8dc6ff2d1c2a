"""Values that a model derives from its learned arrays on first use."""

import threading
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")


class Key(str, Generic[T]):
    """The name of a derived value, which has type T: a constant of the module that makes the value.

    >>> LENGTHS: Key[list[int]] = Key("lengths")
    >>> derived = Derived()
    >>> derived.get(LENGTHS, lambda: [1, 2]) is derived.get(LENGTHS, lambda: [3])
    True
    """

    __slots__ = ()


class Derived:
    """The derived values of a model, each made on first use: they are never saved, pickled, or compared."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._made: dict[Key[Any], Any] = {}

    def get(self, key: Key[T], make: Callable[[], T]) -> T:
        """The value of this key; the first thread that asks for it runs `make`."""
        if key not in self._made:
            with self._lock:
                if key not in self._made:
                    self._made[key] = make()
        return cast("T", self._made[key])

    def put(self, key: Key[T], value: T) -> None:
        """Keeps a value that is known already. This waits for no other thread, so a caller may hold any lock."""
        self._made.setdefault(key, value)

    def peek(self, key: Key[T]) -> T | None:
        """The value of this key, if it has been made."""
        return cast("T | None", self._made.get(key))

    def kept(self, keys: Iterable[Key[Any]] = ()) -> "Derived":
        """A copy with the values of these keys only."""
        new = Derived()
        with self._lock:
            new._made = {key: self._made[key] for key in keys if key in self._made}
        return new

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return Derived, ()
