"""A driver of its own process, with a fault: `python -m tests.distributed.driver ENGINE FOLDER EVENTS [FAULT]`.

At the end it writes the item factors to FOLDER-items.npy. FAULT may be

- `dying`: the first task of the second epoch kills its own executor with SIGKILL, once it has solved a piece.
- `full`: after the first epoch no process can write a file that is larger than 100 kB; once `fit` has failed, they can
  again, and the run is resumed.
- `uncached`: no process finds a folder for compiled kernels.
- `small`: the events are long ids made on the engine, larger than the heap of the driver; EVENTS is not read.

FASTREC_EXCHANGE is the exchange, "all" by default.
"""

import os
import signal
import sys
import time
from typing import NamedTuple

import numpy as np
import psutil
import pyarrow.parquet as pq

SETTINGS = {
    "ui.enabled": "false", "driver.memory": "512m", "driver.maxResultSize": "16m", "sql.shuffle.partitions": "2",
    "log.level": "ERROR",
}  # fmt: skip
SMALL = {"driver.memory": "160m", "testing.reservedMemory": "16777216", "sql.autoBroadcastJoinThreshold": "1m"}
COLUMNS = dict(user="who", item="what", value="n")
LARGEST_FILE = 100_000
servers = []  # a server ends with its object


class Dying(NamedTuple):
    """The work of half an epoch whose first task kills its executor, and makes the file `mark`."""

    work: object
    mark: str

    @property
    def schema(self):
        return self.work.schema

    def do(self, delivery):
        for table in self.work.do(delivery):
            yield table
            self.die_once()

    def die_once(self):
        try:
            os.close(os.open(self.mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        executor = psutil.Process().parent().parent()  # of this worker its daemon, of this the executor
        os.kill(executor.pid, signal.SIGKILL)
        time.sleep(60)


def open_session(engine: str, **settings: str):
    from pyspark.sql import SparkSession

    if engine == "sail":
        from pysail.spark import SparkConnectServer

        server = SparkConnectServer("127.0.0.1", 0)
        server.start(background=True)
        servers.append(server)
        return SparkSession.builder.remote(f"sc://localhost:{server.listening_address[1]}").getOrCreate()
    builder = SparkSession.builder.master(engine)
    for name, value in (SETTINGS | settings).items():
        builder = builder.config(f"spark.{name}", value)
    return builder.getOrCreate()


def kill_an_executor_in_the_second_epoch(folder: str) -> None:
    from fastrec.distributed import exchange

    solving, made = exchange.Solving, []

    def make(*given):
        made.append(given)
        return Dying(solving(*given), folder + "-killed") if len(made) == 3 else solving(*given)

    exchange.Solving = make


def limit_files(size: int) -> None:
    """Limits the files of this process and of all below it."""
    me = psutil.Process()
    for process in [me, *me.children(recursive=True)]:
        try:
            process.rlimit(psutil.RLIMIT_FSIZE, (size, psutil.RLIM_INFINITY))
        except psutil.NoSuchProcess:
            continue


def hide_caches() -> None:
    from fastrec.kernels import _jit

    _jit._writable = lambda folder: False


def long_ids(spark):
    """150 000 events of 2 200 users and 1 200 items, whose ids have 1 000 letters each: 300 MB."""
    from pyspark.sql import functions as sql

    id = sql.col("id")
    name = lambda letter, code: sql.concat(sql.repeat(sql.lit(letter), 1000), code.cast("string"))
    user, item = name("u", sql.pmod(id * 7919, sql.lit(2200))), name("i", sql.pmod(id * id, sql.lit(1200)))
    return spark.range(150_000).select(user.alias("who"), item.alias("what"), sql.lit(1.0).alias("n"))


def try_to_collect(frame) -> None:
    try:
        frame.toArrow()
    except Exception as error:
        print("the driver cannot hold the events:", "maxResultSize" in str(error), flush=True)


def fit_in_spite_of_a_full_folder(model, frame):
    try:
        model.fit(frame, **COLUMNS)
    except Exception as error:
        print("failed:", type(error).__name__, "too large" in str(error), flush=True)
    limit_files(psutil.RLIM_INFINITY)
    left = [name for _, _, names in os.walk(model.path) for name in names if name.startswith(".users")]
    print("left behind:", left, flush=True)
    model.set_params(callback=None)


def main(engine: str, folder: str, events: str, fault: str = "") -> None:
    if fault == "uncached":
        hide_caches()
    from fastrec.distributed import SparkImplicitALS

    spark = open_session(engine, **(SMALL if fault == "small" else {}))

    def tell(epoch, seconds, loss):
        print("epoch", epoch, flush=True)
        if fault == "full":
            limit_files(LARGEST_FILE)

    frame = long_ids(spark) if fault == "small" else spark.createDataFrame(pq.read_table(events))
    if fault == "small":
        try_to_collect(frame)
    if fault == "dying":
        kill_an_executor_in_the_second_epoch(folder)
    exchange = os.environ.get("FASTREC_EXCHANGE", "all")
    model = SparkImplicitALS(20, path=folder, random_state=3, iterations=2, shards=2, exchange=exchange, callback=tell)
    if fault == "full":
        fit_in_spite_of_a_full_folder(model, frame)
    model.fit(frame, **COLUMNS)
    np.save(folder + "-items.npy", model.to_model().item_factors_)
    spark.stop()
    for server in servers:
        server.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
