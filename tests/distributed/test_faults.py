"""An executor or the driver is killed in the middle of a run, and the factors still have the same bits."""

import os
import shutil
import signal
import subprocess
import sys
import zlib
from pathlib import Path

import pyarrow.parquet as pq
import pytest

pytest.importorskip("pyspark", reason="pyspark is not installed: make test-spark has it")

import fastrec as fr
from tests.distributed.conftest import ENGINE
from tests.distributed.test_spark_als import COLUMNS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def digest(events):
    data = fr.read_interactions(events, **COLUMNS, duplicates="sum")
    return zlib.crc32(fr.ImplicitALS(20, random_state=3, iterations=2).fit(data).item_factors_.tobytes())


def drive(engine, folder, events, *further):
    """Starts a driver in a process group of its own."""
    path = folder / "events.parquet"
    pq.write_table(events, path)
    command = [sys.executable, "-m", "tests.distributed.driver", engine, str(folder / "run"), str(path), *further]
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def read_digest(process):
    told, errors = process.communicate()
    assert process.returncode == 0, errors[-2000:]
    assert "digest" in told
    return told, int(told.split("digest")[1])


def test_a_driver_is_killed_and_the_run_gone_on_with(tmp_path, events, digest):
    engine = "sail" if ENGINE == "sail" else "local[2]"
    process = drive(engine, tmp_path, events)
    for line in process.stdout:
        if line.startswith("epoch 1"):
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    process.stderr.close()
    assert process.returncode == -signal.SIGKILL
    assert (tmp_path / "run" / "users-1").exists()
    _, found = read_digest(drive(engine, tmp_path, events))
    assert found == digest


@pytest.mark.skipif(ENGINE != "spark" or shutil.which("java") is None, reason="needs Spark's own executors, and Java")
def test_an_executor_is_killed_and_the_fit_ends_all_the_same(tmp_path, events, digest):
    told, found = read_digest(drive("local-cluster[2,1,1024]", tmp_path, events, "kill"))
    assert "killed one of 2" in told
    assert found == digest
