"""What a model works out of its learned arrays when it is first asked for."""

import threading
from collections.abc import Callable, Iterable
from typing import Any


class Derived:
    """What is worked out of the learned arrays when first asked for: never saved, pickled, or compared."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._made: dict[str, Any] = {}

    def get(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make` returned when this name was first asked for, by whichever thread came first."""
        if name not in self._made:
            with self._lock:
                if name not in self._made:
                    self._made[name] = make()
        return self._made[name]

    def kept(self, names: Iterable[str]) -> "Derived":
        """Another one, with what has been made of these names."""
        new = Derived()
        with self._lock:
            new._made = {name: self._made[name] for name in names if name in self._made}
        return new

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return Derived, ()
