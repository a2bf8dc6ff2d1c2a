"""Runs a driver in a process that can be killed: `python -m tests.distributed.driver ENGINE FOLDER EVENTS [KILL]`.

With KILL, it kills an executor with SIGKILL after the first epoch, and goes on. It prints the digest of the factors.
"""

import os
import signal
import sys
import zlib

import psutil
import pyarrow.parquet as pq

servers = []  # a server ends with its object


def open_session(engine: str):
    from pyspark.sql import SparkSession

    if engine == "sail":
        from pysail.spark import SparkConnectServer

        server = SparkConnectServer("127.0.0.1", 0)
        server.start(background=True)
        servers.append(server)
        return SparkSession.builder.remote(f"sc://localhost:{server.listening_address[1]}").getOrCreate()
    builder = SparkSession.builder.master(engine)
    settings = {"ui.enabled": "false", "driver.memory": "512m", "sql.shuffle.partitions": "2", "log.level": "ERROR"}
    for name, value in settings.items():
        builder = builder.config(f"spark.{name}", value)
    return builder.getOrCreate()


def kill_executor() -> int:
    children = psutil.Process().children(recursive=True)
    executors = [child for child in children if "CoarseGrainedExecutorBackend" in " ".join(child.cmdline())]
    os.kill(executors[0].pid, signal.SIGKILL)
    return len(executors)


def main(engine: str, folder: str, events: str, kill: str = "") -> None:
    from fastrec.distributed import SparkImplicitALS

    spark = open_session(engine)

    def tell(epoch, seconds, loss):
        print("epoch", epoch, flush=True)
        if kill and epoch == 1:
            print("killed one of", kill_executor(), flush=True)

    frame = spark.createDataFrame(pq.read_table(events))
    model = SparkImplicitALS(20, path=folder, random_state=3, iterations=2, shards=2, exchange="all", callback=tell)
    model.fit(frame, user="who", item="what", value="n")
    print("digest", zlib.crc32(model.to_model().item_factors_.tobytes()), flush=True)
    spark.stop()
    for server in servers:
        server.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
