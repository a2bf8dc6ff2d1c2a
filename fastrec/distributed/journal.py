"""The journal of a run: a line after each half epoch, written once all its factors are there."""

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from fastrec.distributed.cells import array_of
from fastrec.distributed.engine import Session, read_frame, sql, write_frame
from fastrec.distributed.files import add_file
from fastrec.matrix.arrays import Floats
from fastrec.solvers.als_bases import Gramians

ARRAYS = ("gram", "weighted", "basis")
LINES = pa.schema([("step", pa.int32()), ("facts", pa.string()), *((name, pa.binary()) for name in ARRAYS)])
BEGUN = -1  # the step of a run whose data are not prepared yet


class Line(NamedTuple):
    """The state after a step: step 0 are the data, then users and items take turns.

    Parameters
    ----------
    step
        The number of half epochs that are done.
    facts
        Values for JSON: for step 0 the job, its sizes and its seed; for others loss and penalty.
    gramians
        The Gramians after the step; None if they were not read.
    basis
        The basis into which all factors were rotated before it; None likewise.
    """

    step: int
    facts: dict[str, Any]
    gramians: Gramians | None = None
    basis: Floats | None = None


@dataclass(frozen=True)
class Journal:
    """The journal of a run.

    Parameters
    ----------
    spark, run
        The engine, and the folder of the run.
    by_files
        Whether the driver sees the folder, and adds lines itself.
    """

    spark: Session
    run: str
    by_files: bool = False

    @property
    def folder(self) -> str:
        """The folder of the lines."""
        return f"{self.run}/journal"

    def read(self) -> list[Line]:
        """Reads the lines in order, the last one with its arrays; no lines for an unprepared run."""
        frame = read_frame(self.spark, self.folder, LINES)
        if frame is None:
            return []
        lines = sorted((int(row["step"]), row["facts"]) for row in frame.select("step", "facts").collect())
        if not lines or lines[-1][0] == BEGUN:
            return []
        found = [Line(step, json.loads(facts)) for step, facts in lines if step != BEGUN]
        return [*found[:-1], self._whole(frame, found[-1])]

    def begin(self) -> None:
        """Discards the state of the folder: from now on nothing in it counts."""
        self._write(_table_of(Line(BEGUN, {})), "overwrite")

    def add(self, line: Line) -> None:
        """Records that a step is done."""
        table = _table_of(line)
        if self.by_files:
            add_file(self.folder, f"step-{line.step:05}", [table], LINES)
        else:
            self._write(table, "append")

    def _write(self, table: pa.Table, mode: str) -> None:
        write_frame(self.spark.createDataFrame(table).coalesce(1), self.folder, mode)

    def _whole(self, frame: Any, line: Line) -> Line:
        row = frame.where(sql.col("step") == line.step).select(*ARRAYS).first()
        gram, weighted = (array_of(bytes(row[name]), np.float64) for name in ("gram", "weighted"))
        basis, width = array_of(bytes(row["basis"]), np.float32), round(len(gram) ** 0.5)
        gramians = Gramians(gram.reshape(width, width), weighted.reshape(2, width, width))
        return line._replace(gramians=gramians, basis=basis.reshape(width, width) if len(basis) else None)


def _table_of(line: Line) -> pa.Table:
    arrays = (*(line.gramians or (None, None)), line.basis)
    cells = (b"" if array is None else array.tobytes() for array in arrays)
    row = {"step": line.step, "facts": json.dumps(line.facts), **dict(zip(ARRAYS, cells, strict=True))}
    return pa.Table.from_pylist([row], LINES)
