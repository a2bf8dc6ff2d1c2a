"""Folders of Parquet files that executors and the driver read and write themselves, without the engine."""

import posixpath
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.dataset
import pyarrow.fs
import pyarrow.parquet as pq

from fastrec.distributed.cells import Cells, rows_of_table

READ_ERRORS = (OSError, ValueError)
"""The errors of a folder that is not there, or whose file system Arrow does not know."""


def open_folder(folder: str) -> tuple[Any, str]:
    """The Arrow file system of a folder, and its path there."""
    if "://" not in folder and not folder.startswith("file:"):
        return pa.fs.LocalFileSystem(use_mmap=True), folder
    files, path = pa.fs.FileSystem.from_uri(folder.replace("s3a://", "s3://", 1))
    return (pa.fs.LocalFileSystem(use_mmap=True) if files.type_name == "local" else files), path


def read_rows(folder: str, columns: Sequence[str], span: tuple[int, int] | None = None) -> Iterator[Cells]:
    """Reads the rows of a folder, in any order; with a span, only the pieces within it."""
    files, path = open_folder(folder)
    data = pa.dataset.dataset(path, filesystem=files, format="parquet")
    piece = pa.dataset.field("piece")
    wanted = None if span is None else (piece >= span[0]) & (piece < span[1])
    for batch in data.to_batches(columns=list(columns), filter=wanted, batch_size=1, batch_readahead=2):
        yield from rows_of_table(batch)


def empty_folder(folder: str, claim: str) -> None:
    """Removes the content of a folder, and marks it as that of `claim`: only with this claim can files be added.

    So a task that the engine has given up, and that still runs, cannot add old rows.
    """
    files, path = open_folder(folder)
    files.delete_dir_contents(path, missing_dir_ok=True)
    files.create_dir(path, recursive=True)
    files.open_output_stream(_mark(path, claim)).close()


def add_file(folder: str, name: str, tables: Iterable[pa.Table], schema: pa.Schema, claim: str | None = None) -> None:
    """Adds a file of tables to a folder, or replaces it: it appears whole or not at all.

    Raises an OSError if the folder is no longer that of `claim`.
    """
    files, path = open_folder(folder)
    hidden = posixpath.join(path, f".{name}-{uuid.uuid4().hex}")  # readers of Parquet pass over names with a dot
    try:
        with files.open_output_stream(hidden) as sink, _writer(sink, schema) as writer:
            for table in tables:
                writer.write_table(table)
        if claim is not None and files.get_file_info(_mark(path, claim)).type == pa.fs.FileType.NotFound:
            raise FileNotFoundError(f"{folder} is no longer the folder of {claim}: a newer task has it")
        files.move(hidden, posixpath.join(path, f"{name}.parquet"))
    except BaseException:
        if files.get_file_info(hidden).type != pa.fs.FileType.NotFound:
            files.delete_file(hidden)
        raise


def _mark(path: str, claim: str) -> str:
    return posixpath.join(path, f"_{claim}")


def _writer(sink: Any, schema: pa.Schema) -> pq.ParquetWriter:
    """A writer as `write_frame` has it: binary numbers neither shrink nor repeat."""
    numbers = [field.name for field in schema if not pa.types.is_binary(field.type)]
    return pq.ParquetWriter(sink, schema, compression="none", use_dictionary=False, write_statistics=numbers)
