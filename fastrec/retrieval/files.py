"""Indexes in files: named arrays and a record, which a process maps into memory."""

import os
from abc import ABC, abstractmethod
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from fastrec.fields import Fields, check_fields
from fastrec.kernels.topk import measure_rows
from fastrec.matrix.arrays import readonly
from fastrec.options import OptionsMixin, check_options
from fastrec.permissions import PRIVATE
from fastrec.retrieval.packed import ROTATION
from fastrec.storage import read_arrays, refused, write_arrays

Arrays = dict[str, NDArray[Any]]
Record = dict[str, Any]


class Filed(OptionsMixin, ABC):
    """An object that can be kept in a file: it describes itself by arrays and a record, and is rebuilt from them."""

    @abstractmethod
    def describe(self) -> tuple[Arrays, Record]:
        """The fitted index as named arrays, and as a record for JSON: what `save` writes."""

    @abstractmethod
    def _fields(self) -> Fields:
        """The declarations of the arrays, for the given options."""

    @abstractmethod
    def _check(self, arrays: Arrays, record: Record, *, ranges: bool) -> None:
        """Raises a KeyError, TypeError or ValueError if options or parts do not fit, beyond the checks of the
        fields.
        """

    @abstractmethod
    def _restore(self, arrays: Arrays, record: Record) -> None:
        """Takes over the checked arrays."""

    @abstractmethod
    def _is_rotated(self) -> bool:
        """Tells whether packed vectors are rotated, as queries must be, too."""

    @classmethod
    def rebuild(cls, arrays: Arrays, record: Record, *, ranges: bool = True) -> Self:
        """Rebuilds the index that `describe` described; without `ranges` no number of its arrays is checked.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it is no index, or its arrays do not fit each other.
        """
        if record.get("class") != cls.__name__:
            raise ValueError(f"its class is {record.get('class')!r}")
        index = cls(**record["options"])
        check_options(index)
        if index._is_rotated() and record["rotation"] != ROTATION:
            raise ValueError(f"its vectors are rotated by {record['rotation']!r}, this version knows {ROTATION!r}")
        check_fields(index._fields(), arrays, {}, ranges=ranges)
        index._check(arrays, record, ranges=ranges)
        index._restore(arrays, record)
        return index

    def save(self, path: str | os.PathLike[str], *, mode: int = PRIVATE) -> None:
        """Writes the fitted index to a file that `load` maps; `mode` is the file's permissions.

        Raises
        ------
        NotFittedError
            Before `fit`.
        """
        write_arrays(path, *self.describe(), mode=mode)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, verify: bool | Literal["header"] = True) -> Self:
        """Loads the index of a file of `save`, memory-mapped: processes that load it share its arrays.

        Parameters
        ----------
        path
            The file.
        verify
            As in `fastrec.load`.

        Raises
        ------
        FileError
            (A ValueError.) If the file is damaged, or holds no index of this class.
        """
        arrays, record = read_arrays(path, verify=verify)
        with refused(path, cls.__name__):
            return cls.rebuild(arrays, record, ranges=verify is True)


def check_codes_once(order: NDArray[Any], alive: NDArray[Any]) -> None:
    """Raises a ValueError unless an order holds each existing code once, and -1 in all other places."""
    codes = order[order >= 0]
    if not np.array_equal(np.bincount(codes, minlength=len(alive)), alive.astype(bool)):
        raise ValueError("its array 'order' does not hold each code once")


def check_norms(vectors: NDArray[Any], norms: NDArray[np.float64]) -> None:
    """Raises a ValueError unless the norms are those of the vectors, and finite."""
    found = np.empty(len(norms))
    bad = measure_rows(readonly(vectors.view(np.uint16) if vectors.dtype == np.float16 else vectors), found)
    if bad >= 0 or not np.allclose(found, norms, rtol=1e-5, atol=0):
        raise ValueError("its array 'norms' does not hold the norms of its vectors, or these are not finite")
