"""Packs: events of one piece in one row of a table. An engine moves and sorts rows, and few of them cost it little."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastrec.distributed.cells import array_of, bytes_of, rows_of_table, table_of
from fastrec.matrix.arrays import Codes

PACKS = pa.schema(
    [("piece", pa.int32()), ("kind", pa.string())] + [(name, pa.binary()) for name in ("rows", "columns", "values")]
)
EVENTS_AT_ONCE = 1 << 21  # events that are packed together: 32 MB


class Events(NamedTuple):
    """Events of one side's rows, in any order."""

    rows: Codes
    columns: Codes
    values: NDArray[Any]  # float64 or float32


def pack_events(rows_of_piece: int, parts: Iterable[Events]) -> Iterator[pa.RecordBatch]:
    """Packs events by pieces of so many rows; a task has one part of them at a time."""
    for some in _join_parts(parts):
        pieces = some.rows // rows_of_piece
        order = np.argsort(pieces.astype(np.uint8), kind="stable")  # a radix sort; there are at most 64 pieces
        cuts = np.cumsum(np.bincount(pieces))
        packs = [
            (piece, *_pack_of(Events(*(array[mine] for array in some))))
            for piece, mine in enumerate(np.split(order, cuts[:-1]))
            if len(mine)
        ]
        yield from table_of(packs, PACKS).to_batches()


def unpack_events(packs: pa.Table) -> Events:
    """The events of packs, one after the other."""
    parts = [_events_of(row) for row in rows_of_table(packs)]
    return Events(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _join_parts(parts: Iterable[Events]) -> Iterator[Events]:
    """Joins parts into fewer ones of about `EVENTS_AT_ONCE` events."""
    waiting: list[Events] = []
    for part in parts:
        waiting.append(part)
        if sum(len(events.rows) for events in waiting) >= EVENTS_AT_ONCE:
            yield Events(*map(np.concatenate, zip(*waiting, strict=True)))
            waiting.clear()
    if waiting:
        yield Events(*map(np.concatenate, zip(*waiting, strict=True)))


def _pack_of(events: Events) -> tuple[str, pa.Buffer, pa.Buffer, pa.Buffer]:
    """The cells of a pack: values are float32 if that loses nothing, and only one if all are equal."""
    with np.errstate(over="ignore", under="ignore"):
        narrow = events.values.astype(np.float32)
    values = narrow if np.array_equal(narrow, events.values) else events.values
    values = values[:1] if (values == values[0]).all() else values
    return values.dtype.name, bytes_of(events.rows), bytes_of(events.columns), bytes_of(values)


def _events_of(row: dict[str, Any]) -> Events:
    rows, columns = array_of(row["rows"], np.int32), array_of(row["columns"], np.int32)
    return Events(rows, columns, np.broadcast_to(array_of(row["values"], np.dtype(row["kind"])), len(rows)))
