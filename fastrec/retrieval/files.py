"""Indexes in files: named arrays and a record, which a process maps instead of reading."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from fastrec.permissions import PRIVATE
from fastrec.retrieval.packed import ROTATION
from fastrec.storage import FileError, read_arrays, write_arrays

Arrays = dict[str, NDArray[Any]]
Record = dict[str, Any]


class Filed(ABC):
    """What can be kept in a file: it says what it is by arrays and a record, and is made of them again."""

    @abstractmethod
    def describe(self) -> tuple[Arrays, Record]:
        """The fitted index as named arrays, and as a record for JSON: what `save` writes."""

    @abstractmethod
    def _restore(self, arrays: Arrays, record: Record) -> None:
        """Takes up what was learned; raises a KeyError or ValueError where the arrays do not fit each other."""

    @abstractmethod
    def _is_rotated(self) -> bool:
        """Whether packed vectors are turned, as queries must be too."""

    @classmethod
    def rebuild(cls, arrays: Arrays, record: Record) -> Self:
        """The index that `describe` described.

        Raises
        ------
        KeyError, TypeError, ValueError
            Where it is none, or its arrays do not fit each other.
        """
        if record.get("class") != cls.__name__:
            raise ValueError(f"its class is {record.get('class')!r}")
        index = cls(**record["options"])
        if index._is_rotated() and record["rotation"] != ROTATION:
            raise ValueError(f"its vectors are rotated by {record['rotation']!r}, this version knows {ROTATION!r}")
        index._restore(arrays, record)
        return index

    def save(self, path: str | os.PathLike[str], *, mode: int = PRIVATE) -> None:
        """Write the fitted index to a file that `load` maps; `mode` is the file's permissions.

        Raises
        ------
        NotFittedError
            Before `fit`.
        """
        write_arrays(path, *self.describe(), mode=mode)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, verify: bool | Literal["header"] = True) -> Self:
        """The index in a file of `save`, its arrays memory-mapped: processes that load it share them.

        Parameters
        ----------
        path
            The file.
        verify
            As for `fastrec.load`.

        Raises
        ------
        FileError
            (A ValueError.) Where the file is damaged, or holds no index of this class.
        """
        arrays, record = read_arrays(path, verify=verify)
        try:
            return cls.rebuild(arrays, record)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise FileError(f"{os.fspath(path)} holds no {cls.__name__} that can be loaded: {error}") from error


def check_arrays(arrays: Arrays, wanted: Mapping[str, tuple[tuple[int, ...], str]]) -> None:
    """Raises a ValueError unless each array is of the shape and type wanted: kernels check no bounds."""
    for name, (shape, dtype) in wanted.items():
        if arrays[name].shape != shape or arrays[name].dtype.name != dtype:
            raise ValueError(f"its array {name!r} is not of the type and shape that it must be")


def check_range(arrays: Arrays, name: str, limit: int) -> None:
    """Raises a ValueError unless an array holds codes below `limit`, or -1."""
    if len(arrays[name]) and not -1 <= arrays[name].min() <= arrays[name].max() < limit:
        raise ValueError(f"its array {name!r} holds codes that there are not")


def check_codes_once(order: NDArray[Any], alive: NDArray[Any]) -> None:
    """Raises a ValueError unless the places of an order hold each code that is alive once, and else -1."""
    codes = order[order >= 0]
    if order.min(initial=-1) < -1 or codes.max(initial=-1) >= len(alive):
        raise ValueError("its array 'order' holds codes that there are not")
    if not np.array_equal(np.bincount(codes, minlength=len(alive)), alive.astype(bool)):
        raise ValueError("its array 'order' does not hold each code once")


def check_finite(arrays: Arrays, names: Iterable[str]) -> None:
    """Raises a ValueError unless all numbers of these arrays are finite."""
    for name in names:
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"its array {name!r} holds numbers that are not finite")
