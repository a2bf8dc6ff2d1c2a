"""Reads the benchmark data from a folder of the user's, or makes larger data from them. Nothing is downloaded."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import scipy.sparse as sp


class MissingDataError(Exception):
    """Raised if a data set that a case needs is not in the data folder."""


@dataclass(frozen=True)
class Folder:
    """The data folder: `ml-100k`, `ml-1m`, `gowalla`, each with an `interactions.parquet`."""

    root: Path

    def columns(self, name: str, *columns: str) -> list[np.ndarray]:
        """Returns the named columns of a data set's interactions."""
        return self._read(name, "interactions.parquet", columns)

    def item_columns(self, name: str, *columns: str) -> list[np.ndarray]:
        """Returns the named columns of the facts about a data set's items."""
        return self._read(name, "items.parquet", columns)

    def _read(self, name: str, file: str, columns: tuple[str, ...]) -> list[np.ndarray]:
        path = self.root / name / file
        if not path.exists():
            raise MissingDataError(f"{path} does not exist: --data must name a folder that holds {name}/{file}")
        table = pq.read_table(path, columns=list(columns))
        arrays = {column: table[column].to_numpy() for column in columns}
        tell_read(f"{name}/{file}", arrays)
        return list(arrays.values())

    def matrix(self, name: str) -> sp.csr_array:
        """Returns the matrix of users × items of a data set (of Gowalla its training part), a one for each pair."""
        if name == "ml-1m-x16":
            return expand(self.matrix("ml-1m"))
        if name == "gowalla":
            return self.gowalla()[0]
        user, item = self.columns(name, "user", "item")
        return ones(codes(user), codes(item))

    def gowalla(self) -> tuple[sp.csr_array, sp.csr_array]:
        """Returns the published training and test parts of Gowalla."""
        user, item, split = self.columns("gowalla", "user", "item", "split")
        shape = (int(user.max()) + 1, int(item.max()) + 1)
        train = split.astype(str) == "train"
        parts = ones(user[train], item[train], shape), ones(user[~train], item[~train], shape)
        tell_parts("gowalla", train=parts[0], test=parts[1])
        return parts


@cache
def _tell(text: str) -> None:
    print(text, flush=True)


def tell_read(name: str, columns: dict[str, np.ndarray]) -> None:
    """Prints what was read of a data set, once: the number of rows, and the kinds of its times, flags and parts."""
    facts = [f"{len(next(iter(columns.values()))):,} rows", *filter(None, map(_facts, columns.items()))]
    _tell(f"read {name}: {'; '.join(facts)}")


def _facts(column: tuple[str, np.ndarray]) -> str:
    name, values = column
    if values.dtype.kind == "i" and name == "timestamp":
        days = np.array([values.min(), values.max()]).astype("datetime64[s]").astype("datetime64[D]")
        _, counts = np.unique(values, return_counts=True)
        return f"{name} {days[0]} to {days[1]}, {counts[counts > 1].sum() / len(values):.0%} at a time of another row"
    if values.dtype.kind not in "bO" or name in ("user", "item"):
        return ""
    kinds, counts = np.unique(values.astype(str), return_counts=True)
    return (
        f"{name} " + ", ".join(f"{kind} {n:,}" for kind, n in zip(kinds, counts, strict=True)) if len(kinds) < 9 else ""
    )


def tell_parts(name: str, **parts: Any) -> None:
    """Prints the sizes of the parts of a data set, and the range of their interactions' times, once."""
    _tell(f"{name}: " + ", ".join(f"{part} {_size(data)}" for part, data in parts.items()))


def _size(data: Any) -> str:
    if not hasattr(data, "n_interactions"):
        return f"{data.nnz:,}"
    times = getattr(data, "times", None)
    if times is None or data.time_unit is None:
        return f"{data.n_interactions:,}"
    ends = np.array([times.min(), times.max()]).astype(f"datetime64[{data.time_unit}]").astype("datetime64[D]")
    return f"{data.n_interactions:,} ({ends[0]} to {ends[1]})"


def codes(ids: np.ndarray) -> np.ndarray:
    """Returns the codes 0, 1, 2 … of the distinct ids, in the order of the ids."""
    return np.unique(ids, return_inverse=True)[1]


def ones(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int] | None = None) -> sp.csr_array:
    """Returns a matrix with a one for each pair that occurs."""
    matrix = sp.csr_array((np.ones(len(rows), np.float32), (rows, columns)), shape=shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix


def expand(matrix: sp.csr_array, rows: int = 16, columns: int = 4, kept: int = 16, seed: int = 0) -> sp.csr_array:
    """Expands a matrix as MLPerf does: each cell becomes a block of rows × columns with `kept` random ones."""
    rng = np.random.default_rng(seed)
    cells = matrix.tocoo()
    new_rows, new_columns = [], []
    for start in range(0, matrix.nnz, 1 << 18):
        row, column = cells.row[start : start + (1 << 18)], cells.col[start : start + (1 << 18)]
        place = np.argpartition(rng.random((len(row), rows * columns), np.float32), kept, axis=1)[:, :kept]
        new_rows.append((row[:, None] * rows + place // columns).ravel())
        new_columns.append((column[:, None] * columns + place % columns).ravel())
    shape = (matrix.shape[0] * rows, matrix.shape[1] * columns)
    return ones(np.concatenate(new_rows), np.concatenate(new_columns), shape)


def hide(matrix: sp.csr_array, share: float, seed: int = 0) -> tuple[sp.csr_array, sp.csr_array]:
    """Splits the cells at random into the part that is left and the hidden share."""
    hidden = np.random.default_rng(seed).random(matrix.nnz) < share
    cells = matrix.tocoo()
    left, found = (ones(cells.row[mask], cells.col[mask], matrix.shape) for mask in (~hidden, hidden))
    tell_parts(f"a share of {share:g} hidden", left=left, hidden=found)
    return left, found
