"""The products of items, summed over users on the engine: each task multiplies the items of a shard of users."""

from functools import partial

import numpy as np
import pyarrow as pa

from fastrec.distributed.blocks import COLUMNS, Block
from fastrec.distributed.cells import array_of, bytes_of, rows_of_table, table_of
from fastrec.distributed.delivery import count_threads
from fastrec.distributed.engine import Frame, apply_to_groups, sql
from fastrec.matrix.arrays import starts_of
from fastrec.matrix.cells import count_codes
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr, drop_zeros
from fastrec.models.ease import ItemProducts, count_common_users, multiply_columns
from fastrec.solvers.als import block_cuts
from fastrec.solvers.gramian import squared_norms

PRODUCTS = pa.schema(
    [("piece", pa.int32()), ("shard", pa.int32())]
    + [(name, pa.binary()) for name in ("gramian", "squares", "counts", "common")]
)


def multiply_items(blocks: Frame, n_items: int, shards: int, common: bool) -> Frame:
    """The products of all users' blocks, as a row for each piece of the items; with `common`, those of ones, too."""
    dealt = blocks.select((sql.col("piece") % shards).cast("int").alias("shard"), *COLUMNS)
    parts = apply_to_groups(dealt, "shard", partial(_multiply_shard, n_items, common), PRODUCTS)
    return apply_to_groups(parts, "piece", _add_shards, PRODUCTS)


def collect_products(frame: Frame, n_items: int) -> ItemProducts:
    """Collects products on the driver, a piece at a time."""
    gramian, cuts = np.zeros((n_items, n_items), np.float32), block_cuts(n_items)
    squares, counts, common = np.empty(n_items), np.empty(n_items, np.int64), None
    for piece in range(len(cuts) - 1):
        row = next(rows_of_table(frame.where(sql.col("piece") == piece).toArrow()))
        first, last = int(cuts[piece]), int(cuts[piece + 1])
        gramian[first:last, :last] = array_of(row["gramian"], np.float32).reshape(-1, last)
        squares[first:last] = array_of(row["squares"], np.float64)
        counts[first:last] = array_of(row["counts"], np.int64)
        if row["common"].size:
            common = np.zeros_like(gramian) if common is None else common
            common[first:last, :last] = array_of(row["common"], np.float32).reshape(-1, last)
    return ItemProducts(gramian, squares, counts, common)


# --- in executors ----------------------------------------------------------------------------------------------------


def _multiply_shard(n_items: int, common: bool, table: pa.Table) -> pa.Table:
    """The products of a shard's users, cut at the pieces of the items."""
    shard, jobs = table["shard"][0].as_py(), count_threads()
    matrix = _join_blocks(table, n_items)
    arrays = multiply_columns(matrix, jobs), count_common_users(matrix, jobs) if common else None
    squares, counts = squared_norms(matrix), count_codes(matrix.indices, n_items)
    cuts, rows = block_cuts(n_items), []
    for piece in range(len(cuts) - 1):
        first, last = int(cuts[piece]), int(cuts[piece + 1])
        products = [pa.py_buffer(b"") if array is None else bytes_of(array[first:last, :last]) for array in arrays]
        of_items = bytes_of(squares[first:last]), bytes_of(counts[first:last].astype(np.int64))
        rows.append((piece, shard, products[0], *of_items, products[1]))
    return table_of(rows, PRODUCTS)


def _join_blocks(table: pa.Table, n_items: int) -> CodeMatrix:
    """The users of a shard, in the order of their codes, without events of value 0."""
    blocks = sorted((Block.of(row) for row in rows_of_table(table)), key=lambda block: block.piece)
    parts = [drop_zeros(block.events(n_items)) for block in blocks]
    indptr = starts_of(np.concatenate([np.diff(part.indptr) for part in parts]))
    data, indices = (np.concatenate([getattr(part, name) for part in parts]) for name in ("data", "indices"))
    return assemble_csr(data, indices, indptr, (len(indptr) - 1, n_items))


def _add_shards(table: pa.Table) -> pa.Table:
    """The sum of a piece's products over the shards, in their order."""
    rows = sorted(rows_of_table(table), key=lambda row: int(row["shard"]))
    kinds = {"gramian": np.float32, "squares": np.float64, "counts": np.int64, "common": np.float32}
    sums = [bytes_of(np.add.reduce([array_of(row[name], kind) for row in rows])) for name, kind in kinds.items()]
    return table_of([(rows[0]["piece"], 0, *sums)], PRODUCTS)
