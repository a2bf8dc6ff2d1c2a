"""fastrec.distributed beside MLlib's ALS in one session: CPU seconds of the whole process tree, and its memory.

`python bench/spark.py gowalla --data FOLDER [--engine local[2]|sail] [--exchanges files all wanted] [--peer]`, in the
environment of `make test-spark`. Prints a line of JSON for each part. The first fit warms the engine up, and is not
counted. With `--losses`, a line has the value of MLlib's objective, too: after each epoch of ours, and at MLlib's end.

With `--ratings`, the models are SparkExplicitALS and MLlib's ALS of ratings. With `--ease`, an EASE is fitted, too.

Penalties differ: MLlib's grows with the number of a row's entries, ours with the sum of the weights of all its cells.
They are of one size on average (`matched_penalty`). What an iteration costs does not depend on them.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from data import Folder, codes
from scipy.sparse import csr_array

from fastrec import EASE, ExplicitALS, ImplicitALS
from fastrec.distributed import SparkExplicitALS, SparkImplicitALS, fit_on_spark

Record = dict[str, Any]
ALPHA, PENALTY = 20.0, 0.01  # MLlib's alpha and regParam
servers: list[Any] = []  # a server ends with its object
met: dict[tuple[int, float], float] = {}  # the CPU seconds of each process when it was last seen


def cpu_seconds() -> float:
    """Returns the CPU seconds of this process and its descendants, and of ended ones as far as they were seen."""
    me = psutil.Process()
    for process in [me, *me.children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        met[process.pid, process.create_time()] = times.user + times.system
    return sum(met.values())


def memory_gb() -> float:
    """Returns the memory of this process and its descendants; shared memory is counted once for each."""
    me, total = psutil.Process(), 0
    for process in [me, *me.children(recursive=True)]:
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue
    return total / 1e9


class Peak:
    """The largest memory within a block, looked at five times a second."""

    def __enter__(self) -> "Peak":
        self.gb, self._over = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.2):
            self.gb = max(self.gb, memory_gb())


def open_session(engine: str, heap: str) -> Any:
    """Opens a session of Spark or of Sail."""
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    if engine == "sail":
        from pysail.spark import SparkConnectServer

        server = SparkConnectServer("127.0.0.1", 0)
        server.start(background=True)
        servers.append(server)
        return SparkSession.builder.remote(f"sc://localhost:{server.listening_address[1]}").getOrCreate()
    settings = {
        "ui.enabled": "false", "ui.showConsoleProgress": "false", "driver.memory": heap, "log.level": "ERROR",
        "sql.shuffle.partitions": "4",
    }  # fmt: skip
    builder = SparkSession.builder.master(engine)
    for name, value in settings.items():
        builder = builder.config(f"spark.{name}", value)
    return builder.getOrCreate()


def measured(work: Callable[[], Any]) -> tuple[Any, Record]:
    """Does some work; returns its result and its cost."""
    cpu, began = cpu_seconds(), time.perf_counter()
    result = work()
    spent = {"cpu_s": round(cpu_seconds() - cpu, 2), "wall_s": round(time.perf_counter() - began, 2)}
    return result, spent


def without_empty(matrix: Any) -> Any:
    """Returns the matrix without empty rows and columns, which a table of events cannot have."""
    rows, columns = (np.flatnonzero(matrix.sum(axis=axis)) for axis in (1, 0))
    return matrix[rows][:, columns].tocoo()


def rating_matrix(data: Folder, name: str) -> Any:
    """Returns the matrix of ratings of ml-100k or ml-1m."""
    user, item, rating = data.columns(name, "user", "item", "rating")
    return csr_array((rating.astype(np.float32), (codes(user), codes(item))))


def matched_penalty(matrix: Any) -> float:
    """Our regularization whose penalties are on average MLlib's: of n entries a row, PENALTY · n."""
    share = matrix.nnz / (matrix.shape[0] * matrix.shape[1])
    return float(PENALTY * share / (1 + ALPHA * share))


def mllib_loss(matrix: Any, users: Any, items: Any) -> float:
    """MLlib's objective: all cells weigh 1 + alpha times their value, and a row's penalty is PENALTY for each entry."""
    total = float(((users.T @ users).astype(float) * (items.T @ items)).sum())
    for first in range(0, matrix.nnz, 1 << 20):
        part = slice(first, first + (1 << 20))
        scores = np.einsum("ij,ij->i", users[matrix.coords[0][part]], items[matrix.coords[1][part]]).astype(float)
        total += float(((1 + ALPHA * matrix.data[part]) * (1 - scores) ** 2 - scores**2).sum())
    for rows, factors in zip(matrix.coords, (users, items), strict=True):
        total += PENALTY * float(
            np.bincount(rows, minlength=len(factors)) @ np.square(factors).sum(axis=1, dtype=float)
        )
    return round(total, 1)


def run_ours(frame: Any, exchange: str, matrix: Any, options: argparse.Namespace, folder: Path) -> Record:
    """A fit of one epoch, each further epoch on its own by resuming it, and the lists of all users."""
    marks: list[float] = []
    mark = lambda *_: marks.append(cpu_seconds())
    ours: Record = dict(random_state=0)
    if not options.ratings:
        ours |= dict(alpha=ALPHA, regularization=matched_penalty(matrix))
    kind, single = (SparkExplicitALS, ExplicitALS) if options.ratings else (SparkImplicitALS, ImplicitALS)

    def fit(epochs: int, resume: bool = True) -> Any:
        where = dict(path=str(folder / exchange), exchange=exchange, shards=2, callback=mark)
        model = kind(options.factors, iterations=epochs, **ours, **where)
        return model.fit(frame, value="n", resume=resume)

    losses: list[float] = []
    with Peak() as peak:
        fit(1)
        model, first = measured(lambda: fit(1, resume=False))
        epochs = []
        for epoch in range(2, options.epochs + 1):
            if options.losses:
                losses.append(mllib_loss(matrix, *factors_of(model)))
            model = fit(epoch)
            epochs.append(round(marks[-1] - marks[-2], 2))
        lists = [measured(lambda: model.recommend_to(str(folder / "lists"), k=10))[1] for _ in range(2)]
    if options.losses:
        losses.append(mllib_loss(matrix, *factors_of(model)))
    alone = single(options.factors, iterations=options.epochs, **ours).fit(matrix.tocsr())
    same = [np.array_equal(mine, its) for mine, its in zip(factors_of(model), factors_of(alone), strict=True)]
    return {
        "who": f"fastrec {exchange}", "prepared_and_first_iteration": first, "iteration_cpu_s": epochs,
        "recommend_10": lists[-1], "memory_gb": round(peak.gb, 2), "same_bits": all(same), "mllib_loss": losses,
    }  # fmt: skip


def factors_of(model: Any) -> tuple[Any, Any]:
    """The factors of users and items, which go together."""
    whole = model.to_model() if hasattr(model, "to_model") else model
    return whole.user_factors_, whole.item_factors_


def run_ease(frame: Any, matrix: Any, options: argparse.Namespace, folder: Path) -> Record:
    """EASE from products of items made on the engine, beside EASE on one machine."""
    fit = lambda: fit_on_spark(EASE(200), frame, path=str(folder / "ease"), value="n", shards=2)
    with Peak() as peak:
        fit()
        model, spent = measured(fit)
    alone, itself = measured(lambda: EASE(200).fit(matrix.tocsr()))
    return {
        "who": "fastrec EASE", "fit": spent, "memory_gb": round(peak.gb, 2), "fit_on_one_machine": itself,
        "same_bits": bool(np.array_equal(model.weights_, alone.weights_)),
    }  # fmt: skip


def run_mllib(frame: Any, matrix: Any, options: argparse.Namespace, folder: Path) -> Record:
    """The same of MLlib: an iteration is the difference of a long and a short fit."""
    from pyspark.ml.recommendation import ALS

    def fit(iterations: int) -> Any:
        als = ALS(
            rank=options.factors, maxIter=iterations, regParam=PENALTY, alpha=ALPHA, userCol="user",
            itemCol="item", ratingCol="n", numUserBlocks=2, numItemBlocks=2, seed=0,
            implicitPrefs=not options.ratings,
        )  # fmt: skip
        return als.fit(frame)

    with Peak() as peak:
        fit(1)
        _, short = measured(lambda: fit(1))
        model, spent = measured(lambda: fit(options.epochs))
        write = lambda: model.recommendForAllUsers(10).write.mode("overwrite").parquet(str(folder / "mllib"))
        _, lists = measured(write)
    each = (spent["cpu_s"] - short["cpu_s"]) / max(1, options.epochs - 1)
    factors = [
        read_mllib(part, n) for part, n in zip((model.userFactors, model.itemFactors), matrix.shape, strict=True)
    ]
    return {
        "who": "MLlib", "prepared_and_first_iteration": short, "fit": spent, "iteration_cpu_s": round(each, 2),
        "recommend_10": lists, "memory_gb": round(peak.gb, 2),
        "mllib_loss": [mllib_loss(matrix, *factors)] if options.losses else [],
    }  # fmt: skip


def read_mllib(frame: Any, n: int) -> Any:
    """The factors in a frame of id and features; rows without entries have none, and get zeros."""
    table = frame.toArrow()
    rows = table["features"].combine_chunks().flatten().to_numpy().reshape(table.num_rows, -1)
    factors = np.zeros((n, rows.shape[1]), np.float32)
    factors[table["id"].to_numpy()] = rows
    return factors


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="gowalla, ml-100k, ml-1m or ml-1m-x16")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--engine", default="local[2]")
    parser.add_argument("--heap", default="2g")
    parser.add_argument("--factors", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--exchanges", nargs="*", default=["files", "all", "wanted"])
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--losses", action="store_true")
    parser.add_argument("--ratings", action="store_true")
    parser.add_argument("--ease", action="store_true")
    options = parser.parse_args()
    data = Folder(options.data)
    matrix = without_empty(rating_matrix(data, options.name) if options.ratings else data.matrix(options.name))
    columns = {"user": matrix.coords[0].astype(np.int32), "item": matrix.coords[1].astype(np.int32)}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        pq.write_table(pa.table({**columns, "n": matrix.data.astype(np.float32)}), folder / "events.parquet")
        spark, begun = measured(lambda: open_session(options.engine, options.heap))
        facts = {"set": options.name, "entries": len(matrix.data), "shape": matrix.shape, "engine": options.engine}
        print(json.dumps({**facts, "factors": options.factors, "session": begun}), flush=True)
        frame = spark.read.parquet(str(folder / "events.parquet"))
        for exchange in options.exchanges:
            print(json.dumps(run_ours(frame, exchange, matrix, options, folder)), flush=True)
        if options.ease:
            print(json.dumps(run_ease(frame, matrix, options, folder)), flush=True)
        if options.peer:
            print(json.dumps(run_mllib(frame, matrix, options, folder)), flush=True)
        spark.stop()


if __name__ == "__main__":
    main()
