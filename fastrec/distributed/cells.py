"""Arrays in binary cells of a table, which travel between engine and kernels: each row holds a piece of a side."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastrec.matrix.arrays import readonly

Cells = dict[str, Any]
"""A row of a table by the names of its columns: buffers for binary cells, otherwise Python's own values."""


def rows_of_table(table: pa.Table | pa.RecordBatch) -> Iterator[Cells]:
    """The rows of a table; binary cells are not copied."""
    for batch in table.to_batches() if isinstance(table, pa.Table) else [table]:
        columns = [_cells_of(column) for column in batch.columns]
        for row in zip(*columns, strict=True):
            yield dict(zip(batch.schema.names, row, strict=True))


def _cells_of(column: pa.Array) -> list[Any]:
    if not pa.types.is_binary(column.type):
        return column.to_pylist()  # type: ignore[no-any-return]
    _, places, data = column.buffers()
    ends = np.frombuffer(places, np.int32)[column.offset : column.offset + len(column) + 1].tolist()
    whole = pa.py_buffer(b"") if data is None else data
    return [whole.slice(first, last - first) for first, last in pairwise(ends)]


def array_of(cell: Any, dtype: Any) -> NDArray[Any]:
    """The array in a cell: a read-only view of it if it is aligned in memory.

    >>> array_of(bytes_of(np.arange(3, dtype=np.int32)), np.int32)
    array([0, 1, 2], dtype=int32)
    """
    return readonly(np.frombuffer(cell, dtype))


def bytes_of(array: NDArray[Any]) -> pa.Buffer:
    """The memory of an array in the form of a cell."""
    return pa.py_buffer(np.ascontiguousarray(array).data)


def ids_of(cell: Any) -> pa.Array:
    """The ids in a cell, of any type."""
    column = pa.ipc.open_stream(cell).read_all().column(0)
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def bytes_of_ids(ids: Any) -> pa.Buffer:
    """Ids, a column of an Arrow table, in the form of a cell: an Arrow stream, which keeps their type.

    >>> ids_of(bytes_of_ids(pa.chunked_array([["a"], ["b"]]))).to_pylist()
    ['a', 'b']
    """
    table = pa.table({"id": ids}).combine_chunks()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def table_of(rows: Iterable[Sequence[Any]], schema: pa.Schema) -> pa.Table:
    """A table of rows whose binary cells are buffers."""
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [_column(values, field.type) for values, field in zip(columns, schema, strict=True)]
    return pa.table(arrays, schema=schema)


def _column(values: Sequence[Any], kind: pa.DataType) -> pa.ChunkedArray:
    """A column; each binary cell is a chunk around the given buffer, without a copy."""
    if not pa.types.is_binary(kind):
        return pa.chunked_array([pa.array(values, kind)])
    chunks = []
    for value in values:
        offsets = pa.py_buffer(np.array([0, value.size], np.int32))
        chunks.append(pa.Array.from_buffers(kind, 1, [None, offsets, value]))
    return pa.chunked_array(chunks, kind)
