"""Runs SparkImplicitALS beside MLlib's ALS in one session: CPU seconds of the whole process tree, and its memory.

`python bench/spark.py gowalla --data FOLDER [--engine local[2]|sail] [--exchanges files all wanted] [--peer]`, in the
environment of `make test-spark`. Prints a line of JSON for each part. Penalties differ: MLlib's grows with the number
of a row's entries, ours with the sum of its weights. The cost of an iteration does not depend on them.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from data import Folder

from fastrec.distributed import SparkImplicitALS

Record = dict[str, Any]
ITERATIONS = 4
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


def run_ours(frame: Any, exchange: str, factors: int, folder: Path) -> Record:
    """Fits our model and makes the lists of all users."""
    marks: list[tuple[float, float]] = []

    def mark(*_: Any) -> None:
        marks.append((cpu_seconds(), memory_gb()))

    options = dict(alpha=20.0, regularization=0.01, random_state=0, iterations=ITERATIONS, shards=2)
    model = SparkImplicitALS(factors, path=str(folder / exchange), exchange=exchange, callback=mark, **options)
    cpu = cpu_seconds()
    _, spent = measured(lambda: model.fit(frame, value="n", resume=False))
    _, lists = measured(lambda: model.recommend_to(str(folder / "lists"), k=10).count())
    epochs = np.diff([place for place, _ in marks])
    return {
        "who": f"fastrec {exchange}", "fit": spent, "before_second_epoch_cpu_s": round(marks[0][0] - cpu, 2),
        "iteration_cpu_s": [round(float(seconds), 2) for seconds in epochs],
        "recommend_10": lists, "memory_gb": round(max(memory for _, memory in marks), 2),
        "loss": [round(float(loss), 1) for loss in model.loss_curve_],
    }  # fmt: skip


def run_mllib(frame: Any, factors: int, folder: Path) -> Record:
    """Does the same with MLlib: an iteration is the difference of a long and a short fit."""
    from pyspark.ml.recommendation import ALS

    def fit(iterations: int) -> Any:
        als = ALS(
            rank=factors, maxIter=iterations, regParam=0.01, alpha=20.0, implicitPrefs=True, userCol="user",
            itemCol="item", ratingCol="n", numUserBlocks=2, numItemBlocks=2, seed=0,
        )  # fmt: skip
        return als.fit(frame)

    fit(1)  # so that the JVM has compiled what it runs
    _, short = measured(lambda: fit(1))
    model, spent = measured(lambda: fit(1 + ITERATIONS))
    write = lambda: model.recommendForAllUsers(10).write.mode("overwrite").parquet(str(folder / "mllib"))
    _, lists = measured(write)
    each = round((spent["cpu_s"] - short["cpu_s"]) / ITERATIONS, 2)
    return {
        "who": "MLlib",
        "fit": spent,
        "iteration_cpu_s": each,
        "recommend_10": lists,
        "memory_gb": round(memory_gb(), 2),
    }


def main() -> None:
    """Runs the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="gowalla, ml-100k, ml-1m or ml-1m-x16")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--engine", default="local[2]")
    parser.add_argument("--heap", default="2g")
    parser.add_argument("--factors", type=int, default=64)
    parser.add_argument("--exchanges", nargs="*", default=["files", "all", "wanted"])
    parser.add_argument("--peer", action="store_true")
    options = parser.parse_args()
    matrix = Folder(options.data).matrix(options.name).tocoo()
    columns = {"user": matrix.coords[0].astype(np.int32), "item": matrix.coords[1].astype(np.int32)}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        pq.write_table(pa.table({**columns, "n": matrix.data.astype(np.float32)}), folder / "events.parquet")
        spark, begun = measured(lambda: open_session(options.engine, options.heap))
        facts = {"set": options.name, "entries": len(matrix.data), "shape": matrix.shape, "engine": options.engine}
        print(json.dumps({**facts, "factors": options.factors, "session": begun}), flush=True)
        frame = spark.read.parquet(str(folder / "events.parquet"))
        for exchange in options.exchanges:
            print(json.dumps(run_ours(frame, exchange, options.factors, folder)), flush=True)
        if options.peer:
            print(json.dumps(run_mllib(frame, options.factors, folder)), flush=True)
        spark.stop()


if __name__ == "__main__":
    main()
