"""Starts an engine for the tests: Sail, or the one that FASTREC_ENGINE names ("spark" or "connect")."""

import os
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

HERE = Path(__file__).parent
ENGINE = os.environ.get("FASTREC_ENGINE", "sail")


def pytest_collection_modifyitems(items):
    """Ignores warnings about sockets that py4j leaves to the garbage collector."""
    for item in items:
        if item.path.parent == HERE and ENGINE != "sail":
            item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))


def start_sail():
    server_module = pytest.importorskip("pysail.spark", reason="pysail is not installed: make test-spark has it")
    from pyspark.sql import SparkSession

    server = server_module.SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    return SparkSession.builder.remote(f"sc://localhost:{server.listening_address[1]}").getOrCreate(), server.stop


def start_spark():
    from pyspark.sql import SparkSession

    builder = (
        SparkSession.builder.remote("local[2]") if ENGINE == "connect" else SparkSession.builder.master("local[2]")
    )
    settings = {
        "spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.driver.memory": "1g",
        "spark.driver.maxResultSize": "16m", "spark.sql.shuffle.partitions": "3", "spark.log.level": "ERROR",
    }  # fmt: skip
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate(), lambda: None


@pytest.fixture(scope="session")
def spark():
    pytest.importorskip("pyspark", reason="pyspark is not installed: make test-spark has it")
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    session, stop = start_sail() if ENGINE == "sail" else start_spark()
    yield session
    session.stop()
    stop()


@pytest.fixture(scope="session")
def events():
    """Returns events of three pieces of users and two of items: some of value 0, some repeated, few heavy users."""
    rng = np.random.default_rng(0)
    n = 9000
    users = np.where(rng.random(n) < 0.1, rng.integers(0, 5, n), rng.integers(0, 2200, n)) * 3 - 60
    items = (rng.random(n) ** 2 * 1200).astype(int)
    names = [f"i{item}" for item in items]
    return pa.table({"who": users, "what": names, "n": rng.integers(0, 4, n).astype(np.float64)})
