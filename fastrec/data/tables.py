"""Opened tables: text files, Parquet files and frames, with the names of their columns and access to each."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from fastrec.data.frames import installed_backends, open_frame
from fastrec.data.recognition import Selector
from fastrec.data.text import TextFile
from fastrec.validation import check_flag

BATCH = 1 << 18  # rows of Parquet read at a time


@contextmanager
def naming(source: Any) -> Iterator[None]:
    """Makes errors name the file that is read, with the exceptions of Python itself, whatever library raised them."""
    is_file = isinstance(source, str | os.PathLike)
    try:
        yield
    except (OSError, MemoryError):
        raise
    except Exception as error:
        kind = next((kind for kind in (TypeError, ImportError) if isinstance(error, kind)), ValueError)
        text = str(error).split("\n")[0] if type(error).__module__ != "builtins" else str(error)
        named = text if not is_file or str(source) in text else f"{os.fspath(source)}: {text}"
        if type(error) is kind and named == str(error):
            raise
        raise kind(named) from None


class FrameTable:
    """A frame as `read_interactions` reads it: the names of its columns, and each column."""

    def __init__(self, source: Any) -> None:
        self.names, self.frame = open_frame(source)

    def read(self, places: list[int]) -> list[Any]:
        """The columns at the given places, as narwhals Series."""
        return [self.frame[:, place] for place in places]


class ParquetTable:
    """A Parquet file, of which pyarrow reads only the wanted columns, one at a time.

    Parameters
    ----------
    path
        A file whose columns have distinct names, and no nested fields.
    """

    def __init__(self, path: Path) -> None:
        from pyarrow import default_memory_pool, parquet

        self._file, self._pool = parquet.ParquetFile(path), default_memory_pool()
        self.names: list[str] = self._file.schema_arrow.names

    @property
    def is_plain(self) -> bool:
        """Tells whether names identify the columns."""
        return bool(self._file.metadata.num_columns == len(set(self.names)) == len(self.names))

    def read(self, places: list[int]) -> list[Any]:
        """The columns at the given places, as narwhals Series."""
        self._pool.release_unused()  # pyarrow would keep the memory of earlier columns
        return [open_frame(self._file.read(columns=[self.names[place]]))[1][:, 0] for place in places]

    def integers(self, place: int) -> NDArray[Any] | None:
        """Reads a column of integers without gaps, a batch at a time, into one array; returns None for any other
        column.
        """
        from pyarrow import types

        if not types.is_integer(self._file.schema_arrow.field(place).type):
            return None
        self._pool.release_unused()
        values, first = None, 0
        for batch in self._file.iter_batches(BATCH, columns=[self.names[place]]):
            column = batch.column(0)
            if column.null_count:
                return None
            part = column.to_numpy()
            values = np.empty(self._file.metadata.num_rows, part.dtype) if values is None else values
            values[first : first + len(part)] = part
            first += len(part)
        return values


Table: TypeAlias = TextFile | FrameTable | ParquetTable


class Columns(Mapping[int, Any]):
    """The columns of a table at some places; a Parquet column is read on demand, and only the caller keeps it.

    Parameters
    ----------
    table, places
        The table, and the places of its columns that may be read.
    """

    def __init__(self, table: Table, places: list[int]) -> None:
        self._table, self._places = table, places
        self._read = {} if isinstance(table, ParquetTable) else dict(zip(places, table.read(places), strict=True))

    def __getitem__(self, place: int) -> Any:
        return self._read[place] if place in self._read else self._table.read([place])[0]

    def ids(self, place: int) -> Any:
        """A column of ids; integers of Parquet become a plain array, without further memory."""
        integers = self._table.integers(place) if isinstance(self._table, ParquetTable) else None
        return self[place] if integers is None else integers

    def __iter__(self) -> Iterator[int]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def open_table(
    source: Any, form: Mapping[str, Any], chosen: Mapping[str, Selector]
) -> TextFile | FrameTable | ParquetTable:
    """Opens a file or a frame, with the names of its columns; `chosen` are the columns asked for, by role."""
    if form["header"] is not None:
        check_flag("header", form["header"])
    if not isinstance(source, str | os.PathLike):
        return FrameTable(source)
    path = Path(source)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, not a file")
    if path.suffix.lower() in (".parquet", ".pq") or _begins(path, b"PAR1"):
        return _open_parquet(path)
    return TextFile(path, **form, chosen=chosen)


def _begins(path: Path, magic: bytes) -> bool:
    if not path.is_file():  # a pipe can be read only once
        return False
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


def _open_parquet(path: Path) -> FrameTable | ParquetTable:
    for backend in ("pyarrow", "polars"):
        if backend in installed_backends():
            return _open_parquet_by(backend, path)
    raise ImportError(f"{path}: Parquet needs pyarrow or polars: pip install 'fastrec[frames]'")


def _open_parquet_by(backend: Any, path: Path) -> FrameTable | ParquetTable:
    if not _begins(path, b"PAR1"):
        raise ValueError(f"{path} is not a Parquet file: it does not begin with PAR1")
    if backend == "polars":
        return FrameTable(nw.read_parquet(str(path), backend=backend).to_native())
    table = ParquetTable(path)
    if table.is_plain:
        return table
    from pyarrow import parquet

    return FrameTable(parquet.read_table(str(path)))
