"""The questions to a model in executors: recommendations, metrics, factors. Each kind is a `Work`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from fastrec.distributed.delivery import Delivery
from fastrec.distributed.part_model import Learned, Part, parts_of, read_items
from fastrec.matrix.arrays import Codes
from fastrec.matrix.cells import common_entries
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr, keep_entries
from fastrec.matrix.pairs import build_csr
from fastrec.matrix.rows import pick_rows
from fastrec.metrics import measure
from fastrec.metrics.naming import parse_metric
from fastrec.retrieval import TopK


def lists_schema(user: pa.DataType, item: pa.DataType) -> pa.Schema:
    """The schema of recommendations, as `Recommender.recommend_to` writes them."""
    return pa.schema([("user", user), ("item", item), ("score", pa.float32()), ("rank", pa.int32())])


def table_of_lists(top: TopK, users: pa.Array, items: pa.Array, schema: pa.Schema) -> pa.Table:
    """Recommendations as rows with the ids of users and items, from codes."""
    valid = top.valid
    rows, places = np.nonzero(valid)
    columns = [users.take(pa.array(rows)), items.take(pa.array(top.codes[valid]))]
    ranks = (places + 1).astype(np.int32)
    return pa.table([*columns, pa.array(top.scores[valid]), pa.array(ranks)], schema=schema)


@dataclass(frozen=True)
class Recommending:
    """The best items for each user."""

    learned: Learned
    k: int
    exclude_seen: bool
    allow: Codes | None
    deny: Codes | None
    schema: pa.Schema

    def do(self, delivery: Delivery) -> Iterator[pa.Table]:
        """See `Work.do`."""
        rows = delivery.blocks()
        if not rows:
            return
        model, names = read_items(delivery, self.learned)
        for row in rows:
            for part in parts_of(model, row):
                top = part.model.recommend(
                    np.arange(len(part.ids)), self.k, exclude_seen=self.exclude_seen, allow=self.allow, deny=self.deny
                )
                yield table_of_lists(top, part.ids, names, self.schema)


@dataclass(frozen=True)
class Folding:
    """The factors of each user."""

    learned: Learned
    schema: pa.Schema

    def do(self, delivery: Delivery) -> Iterator[pa.Table]:
        """See `Work.do`."""
        rows = delivery.blocks()
        if not rows:
            return
        model, _ = read_items(delivery, self.learned)
        for row in rows:
            for part in parts_of(model, row):
                yield pa.table([part.ids, lists_of(part.model.user_factors_)], schema=self.schema)


def lists_of(factors: Any) -> pa.Array:
    """Rows of factors as lists."""
    ends = np.arange(0, factors.size + 1, factors.shape[1], dtype=np.int32)
    return pa.ListArray.from_arrays(ends, pa.array(np.ascontiguousarray(factors).reshape(-1)))


MEASURED = pa.schema(
    [("piece", pa.int32()), ("metric", pa.string()), ("users", pa.int64())]
    + [(name, pa.float64()) for name in ("total", "squares")]
)
TRUTH = pa.schema([("row", pa.int32()), ("column", pa.int32()), ("value", pa.float64())])


@dataclass(frozen=True)
class Measuring:
    """Sums of metrics over the users of each piece, whose test events are the `extra` of a delivery."""

    learned: Learned
    metrics: tuple[str, ...]
    exclude_seen: bool

    @property
    def schema(self) -> pa.Schema:
        """See `Work.schema`."""
        return MEASURED

    def do(self, delivery: Delivery) -> Iterator[pa.Table]:
        """See `Work.do`."""
        truths = delivery.extra()
        if not truths:
            return
        model, _ = read_items(delivery, self.learned)
        for row in delivery.blocks():
            cell = truths.get(row["piece"])
            if cell is not None:
                events = pa.ipc.open_stream(cell).read_all()
                for part in parts_of(model, row):
                    yield self._measure(part, _truth_of(part, events))

    def _measure(self, part: Part, truth: CodeMatrix) -> pa.Table:
        if self.exclude_seen:
            seen = part.model.seen_
            wider = assemble_csr(seen.data, seen.indices, seen.indptr, truth.shape)
            truth = keep_entries(truth, ~common_entries(truth, wider))
        users = np.flatnonzero(np.diff(truth.indptr))
        k = min(max(parse_metric(label).k for label in self.metrics), part.model.n_features_in_)
        codes = part.model.recommend(users, k, exclude_seen=self.exclude_seen).codes
        found = measure(codes, pick_rows(truth, users), self.metrics, n_jobs=part.model.n_jobs)
        rows = [
            (part.piece, label, len(values), values.sum(), np.square(values).sum()) for label, values in found.items()
        ]
        columns = zip(*rows, strict=True)
        return pa.table(
            [pa.array(column, field.type) for column, field in zip(columns, MEASURED, strict=True)], MEASURED
        )


def _truth_of(part: Part, events: pa.Table) -> CodeMatrix:
    """The test events of a part's users, by places; items unknown to the model get codes after its own."""
    row, column, value = (events[name].to_numpy() for name in TRUTH.names)
    row = row - np.int32(part.first)
    mine = (row >= 0) & (row < len(part.ids)) & (value > 0)
    shape = (len(part.ids), max(part.model.n_features_in_, int(column.max(initial=0)) + 1))
    indptr, indices, data = build_csr(row[mine], column[mine], value[mine].astype(np.float32), shape)
    return assemble_csr(data, indices, indptr, shape)
