"""A run's model on one machine, made from the run's folder."""

from typing import Any

import numpy as np
import pyarrow as pa

from fastrec.data import Interactions, Vocabulary
from fastrec.distributed.blocks import SCHEMA, Block, names_of
from fastrec.distributed.cells import Cells, rows_of_table
from fastrec.distributed.delivery import BLOCK_IDS, in_order
from fastrec.distributed.engine import read_frame
from fastrec.distributed.exchange import ITEMS, USERS, FileExchange
from fastrec.distributed.files import read_rows
from fastrec.distributed.half_epoch import STATE, rows_of
from fastrec.distributed.run import Run
from fastrec.matrix.cells import row_numbers


def collect_model(run: Run, model: Any) -> Any:
    """Turns `model` into one fitted with the events of a run."""
    width = run.alternation.width
    state = _collect(run, run.layout.state(ITEMS, run.last_epoch()), STATE, ("piece", "factors"))
    items = np.concatenate([rows_of(row["factors"], width) for row in state])
    blocks = _collect(run, run.layout.blocks(USERS), SCHEMA, BLOCK_IDS)
    names = _collect(run, run.layout.blocks(ITEMS), SCHEMA, ("piece", "ids"))
    factors = run.alternation.item_factors(items)
    return model.fit_users(_interactions(blocks, names, run.layout.shape[ITEMS]), factors)


def _collect(run: Run, folder: str, schema: pa.Schema, columns: tuple[str, ...]) -> list[Cells]:
    """Collects the rows of a folder on the driver, in the order of their pieces: from files if these are visible."""
    if isinstance(run.exchange, FileExchange):
        return in_order(read_rows(folder, columns))
    frame: Any = read_frame(run.spark, folder, schema)
    return in_order(rows_of_table(frame.select(*columns).toArrow()))


def _interactions(blocks: list[Cells], names: list[Cells], n_items: int) -> Interactions:
    matrices = [Block.of(row).events(n_items) for row in blocks]
    firsts = np.cumsum([0, *(len(matrix.indptr) - 1 for matrix in matrices)])
    users = [row_numbers(matrix) + first for matrix, first in zip(matrices, firsts, strict=False)]
    return Interactions(
        np.concatenate(users),
        np.concatenate([matrix.indices for matrix in matrices]),
        np.concatenate([matrix.data for matrix in matrices]),
        users=vocabulary_of(names_of(blocks), "user"),
        items=vocabulary_of(names_of(names), "item"),
        duplicates="sum",
    )


def vocabulary_of(ids: pa.Array, side: str) -> Vocabulary:
    """The vocabulary of ids, which must be integers or strings; `side` is "user" or "item"."""
    if not (pa.types.is_integer(ids.type) or pa.types.is_string(ids.type)):
        raise TypeError(f"a model on one machine has ids that are integers or strings, but {side} ids are {ids.type}")
    return Vocabulary(ids.to_pylist() if pa.types.is_string(ids.type) else ids.to_numpy().astype(np.int64))
