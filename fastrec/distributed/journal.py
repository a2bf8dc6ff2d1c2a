"""The journal of a run: a line after each half epoch, written once all its factors are there."""

import json
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastrec.distributed.cells import array_of
from fastrec.distributed.engine import Session, read_frame, sql, write_frame
from fastrec.matrix.arrays import Floats

LINES = pa.schema([("step", pa.int32()), ("facts", pa.string()), ("gram", pa.binary()), ("basis", pa.binary())])
BEGUN = -1  # the step of a run whose data are not prepared yet


class Line(NamedTuple):
    """The state after a step: step 0 are the data, then users and items take turns.

    Parameters
    ----------
    step
        The number of half epochs that are done.
    facts
        Values for JSON: for step 0 the job, its sizes and its seed; for others loss and penalty.
    gram
        The Gramian of the step's factors, of shape (width, width); None if it was not read.
    basis
        The basis into which all factors were rotated before it; None likewise.
    """

    step: int
    facts: dict[str, Any]
    gram: NDArray[np.float64] | None = None
    basis: Floats | None = None


class Journal:
    """The journal in the folder of a run."""

    def __init__(self, spark: Session, folder: str) -> None:
        self._spark, self._folder = spark, f"{folder}/journal"

    def read(self) -> list[Line]:
        """Reads the lines in order, the last one with its arrays; no lines for an unprepared run."""
        frame = read_frame(self._spark, self._folder, LINES)
        if frame is None:
            return []
        lines = sorted((int(row["step"]), row["facts"]) for row in frame.select("step", "facts").collect())
        if not lines or lines[-1][0] == BEGUN:
            return []
        found = [Line(step, json.loads(facts)) for step, facts in lines if step != BEGUN]
        return [*found[:-1], self._whole(frame, found[-1])]

    def begin(self) -> None:
        """Discards the state of the folder: from now on nothing in it counts."""
        self._write(Line(BEGUN, {}), "overwrite")

    def add(self, line: Line) -> None:
        """Records that a step is done."""
        self._write(line, "append")

    def _write(self, line: Line, mode: str) -> None:
        gram = b"" if line.gram is None else line.gram.tobytes()
        basis = b"" if line.basis is None else line.basis.tobytes()
        row = {"step": line.step, "facts": json.dumps(line.facts), "gram": gram, "basis": basis}
        table = pa.Table.from_pylist([row], LINES)
        write_frame(self._spark.createDataFrame(table).coalesce(1), self._folder, mode)

    def _whole(self, frame: Any, line: Line) -> Line:
        row = frame.where(sql.col("step") == line.step).select("gram", "basis").first()
        gram, basis = array_of(bytes(row["gram"]), np.float64), array_of(bytes(row["basis"]), np.float32)
        width = round(len(gram) ** 0.5)
        return line._replace(gram=gram.reshape(width, width), basis=basis.reshape(width, width) if len(basis) else None)
