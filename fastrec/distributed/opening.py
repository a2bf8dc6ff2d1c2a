"""Opens a run: prepares it in its folder, or resumes the one found there."""

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from numbers import Integral
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa

from fastrec.distributed.alternation import Alternation
from fastrec.distributed.blocks import SCHEMA, deal_pieces
from fastrec.distributed.engine import Frame, Session, count_tasks, map_batches, read_frame
from fastrec.distributed.events import Digest
from fastrec.distributed.exchange import ITEMS, SIDES, Exchange, FileExchange, FrameExchange, Layout
from fastrec.distributed.files import READ_ERRORS, add_file, empty_folder, read_rows
from fastrec.distributed.half_epoch import STATE
from fastrec.distributed.journal import Journal, Line
from fastrec.distributed.preparing import prepare_data
from fastrec.distributed.run import Run
from fastrec.distributed.sums import collect_sums
from fastrec.solvers.als import PIECES
from fastrec.solvers.als_bases import Gramians
from fastrec.solvers.epochs import seed_of

TRIES = pa.schema([("pieces", pa.int32())])


def open_run(model: Any, kind: type[Alternation], events: Frame, digest: Digest, resume: bool) -> Run:
    """Opens the run of a model's options on checked events: resumes that of its folder, or starts it.

    `kind` is the alternation of the model.

    Raises a ValueError if the folder holds another job, or executors need it and cannot read it.
    """
    spark, folder = events.sparkSession, place_folder(model.path)
    journal = Journal(spark, folder)
    lines = journal.read() if resume else []
    job = _describe_job(model, kind, digest)
    if lines:
        _check_job(folder, lines[0].facts["job"], job)
    else:
        lines = [_prepare(model, kind, events, folder, journal, job)]
    facts = lines[0].facts
    layout = _lay_out(spark, folder, (facts["n_users"], facts["n_items"]), model.shards)
    exchange = choose_exchange(spark, layout, model.exchange, facts["entries"])
    journal = replace(journal, by_files=isinstance(exchange, FileExchange))
    return Run(spark, layout, exchange, journal, lines, kind(model, facts))


def place_folder(path: str | os.PathLike[str]) -> str:
    """The folder under a name that engine and Arrow share: an address, or a path from the root.

    >>> place_folder("s3a://bucket/run/")
    's3a://bucket/run'
    """
    text = os.fspath(path).rstrip("/")
    return text if ":/" in text else os.path.abspath(text)


def _describe_job(model: Any, kind: type[Alternation], digest: Digest) -> dict[str, Any]:
    """Describes the job of a run: factors of another job must not be mixed with its own."""
    given = {name: getattr(model, name) for name in kind.job}
    seed = int(model.random_state) if isinstance(model.random_state, Integral) else None
    return {**given, "random_state": seed, "events": digest.events, "content": digest.content}


def _check_job(folder: str, known: dict[str, Any], job: dict[str, Any]) -> None:
    for name, value in job.items():
        if known.get(name) != value and not (name == "random_state" and value is None):
            raise ValueError(
                f"{folder} holds another job: its {name} is {known.get(name)!r}, not {value!r}. Take "
                "another path, or start again with resume=False"
            )


def _prepare(
    model: Any, kind: type[Alternation], events: Frame, folder: str, journal: Journal, job: dict[str, Any]
) -> Line:
    """Writes data and first factors, and the line that records them."""
    journal.begin()
    spark = events.sparkSession
    sizes = prepare_data(events, folder, kind.keeps_zeros, kind.adds_up)
    chosen = kind.choose(model, sizes)
    users, items = (f"{folder}/{side}-0" for side in SIDES)
    shape = sizes.n_users, sizes.n_items
    kind(model, chosen).write_start(spark, (users, items), shape, seed_of(model.random_state))
    gram = collect_sums(read_frame(spark, items, STATE), items, sizes.n_items).gram
    kinds = dict(events.dtypes)
    facts = {**sizes._asdict(), **chosen, "user": kinds["user"], "item": kinds["item"], "job": job}
    line = Line(0, facts, Gramians.first(gram))
    journal.add(line)
    return line


def _lay_out(spark: Session, folder: str, shape: tuple[int, int], shards: int | str) -> Layout:
    """The shards of a run's pieces, of about equal cost."""
    wanted = count_tasks(spark) if shards == "auto" else int(shards)
    sizes = []
    for side in SIDES:
        blocks: Any = read_frame(spark, f"{folder}/blocks-{side}", SCHEMA)
        rows = sorted(blocks.select("piece", "rows", "entries").collect())
        sizes.append(np.array([(row["rows"], row["entries"]) for row in rows], np.int64))
    wanted = min(wanted, PIECES, max(map(len, sizes)))
    users, items = (deal_pieces(rows, entries, wanted) for rows, entries in (size.T for size in sizes))
    most_users, most_items = (int(size[:, 1].max()) for size in sizes)
    return Layout(folder, shape, wanted, (users, items), (most_users, most_items))


def choose_exchange(spark: Session, layout: Layout, wish: str, entries: int) -> Exchange:
    """Chooses the exchange; "auto" is files if all tasks see them, otherwise the way that moves less."""
    if wish in ("auto", "files"):
        seen = _see_folder(spark, layout)
        if seen:
            return FileExchange(spark, layout)
        if wish == "files":
            raise ValueError(
                f"exchange='files' needs a folder that the driver and all executors see, but {layout.folder} is none: "
                "take a path on a shared file system or object store, or exchange='auto'"
            )
    return FrameExchange(spark, layout, wish == "wanted" if wish != "auto" else wants_less(layout, entries))


def wants_less(layout: Layout, entries: int) -> bool:
    """Tells whether shards with only their wanted rows get less than half of all, for entries on random rows."""
    n = np.array(layout.shape, np.float64)
    named = n * -np.expm1(-entries / layout.shards / n)
    return bool(named.sum() < 0.5 * n.sum())


def _see_folder(spark: Session, layout: Layout) -> bool:
    """Checks that all tasks of a job read all blocks of the items, and that the driver reads what they write."""
    probe, claim, wanted = f"{layout.folder}/probe", uuid4().hex, len(layout.places[ITEMS])
    try:
        if _count_pieces(layout.blocks(ITEMS)) != wanted:
            return False  # nothing is written where the folder is not
        empty_folder(probe, claim)
        shards = spark.range(0, layout.shards, 1, layout.shards)
        tries = map_batches(shards, partial(_try_in_tasks, layout.blocks(ITEMS), probe, claim), TRIES).collect()
        counts = [row["pieces"] for row in read_rows(probe, TRIES.names)]
    except READ_ERRORS:
        return False
    return counts == [wanted] * len(tries)


def _count_pieces(folder: str) -> int:
    return sum(1 for _ in read_rows(folder, ("piece",)))


def _try_in_tasks(folder: str, probe: str, claim: str, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Writes the number of pieces that a task reads to the folder `probe`; -1 if it does not see them."""
    for batch in batches:
        for shard in batch.column(0).to_pylist():
            try:
                tried = pa.table({"pieces": [_count_pieces(folder)]}, TRIES)
                add_file(probe, f"shard-{shard:05}", [tried], TRIES, claim)
            except READ_ERRORS:
                tried = pa.table({"pieces": [-1]}, TRIES)
            yield from tried.to_batches()
