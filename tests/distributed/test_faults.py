"""Faults: executors, drivers, disks and caches fail within a run, and the factors have the same bits all the same."""

import os
import platform
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

pytest.importorskip("pyspark", reason="pyspark is not installed: make test-spark has it")

import fastrec as fr
from tests.distributed.conftest import ENGINE
from tests.distributed.test_spark_als import COLUMNS

ROOT = Path(__file__).resolve().parents[2]
LOCAL = "sail" if ENGINE == "sail" else "local[2]"
CLUSTER = "local-cluster[2,1,1024]"
needs_executors = pytest.mark.skipif(
    ENGINE != "spark" or shutil.which("java") is None, reason="needs Spark's own executors, and Java"
)


@pytest.fixture(scope="module")
def items(events):
    data = fr.read_interactions(events, **COLUMNS, duplicates="sum")
    return fr.ImplicitALS(20, random_state=3, iterations=2).fit(data).item_factors_


def drive(engine, folder, events, fault="", **environment):
    """A driver in a process group of its own; its errors go to a file, since a full pipe would stop it."""
    path = folder / "events.parquet"
    pq.write_table(events, path)
    command = [sys.executable, "-m", "tests.distributed.driver", engine, str(folder / "run"), str(path), fault]
    given = {"PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    with (folder / "errors").open("w") as errors:
        return subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), **given, **environment},
            start_new_session=True, stdout=subprocess.PIPE, stderr=errors, text=True,
        )  # fmt: skip


def result_of(process, folder):
    """Its lines, and the factors that it ended with."""
    told, _ = process.communicate()
    assert process.returncode == 0, (folder / "errors").read_text()[-3000:]
    return told.splitlines(), np.load(folder / "run-items.npy")


def test_a_driver_is_killed_and_the_run_gone_on_with(tmp_path, events, items):
    process = drive(LOCAL, tmp_path, events)
    for line in process.stdout:
        if line.startswith("epoch 1"):
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert process.returncode == -signal.SIGKILL
    assert (tmp_path / "run" / "users-1").exists()
    _, found = result_of(drive(LOCAL, tmp_path, events), tmp_path)
    assert np.array_equal(found, items)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the files of another process")
def test_a_folder_that_fills_ends_the_fit_and_the_run_is_gone_on_with(tmp_path, events, items):
    process = drive(LOCAL, tmp_path, events, "full", FASTREC_EXCHANGE="files")
    lines, found = result_of(process, tmp_path)
    failed = next(line for line in lines if line.startswith("failed"))
    assert failed.endswith("True")  # the error says why
    assert "left behind: []" in lines
    assert lines.count("epoch 1") == 1
    assert np.array_equal(found, items)


@pytest.mark.skipif(ENGINE != "sail", reason="on Sail the driver is the worker, too, and can be denied its folders")
def test_a_worker_without_a_cache_of_kernels_compiles_them(tmp_path, events, items):
    _, found = result_of(drive("sail", tmp_path, events, "uncached"), tmp_path)
    assert "every new process compiles them again" in (tmp_path / "errors").read_text()
    assert np.array_equal(found, items)


@needs_executors
@pytest.mark.parametrize("exchange", ["files", "all"])
def test_an_executor_is_killed_and_the_fit_ends_all_the_same(tmp_path, events, items, exchange):
    lines, found = result_of(drive(CLUSTER, tmp_path, events, "dying", FASTREC_EXCHANGE=exchange), tmp_path)
    assert (tmp_path / "run-killed").exists()
    assert [line for line in lines if line.startswith("epoch")] == ["epoch 1", "epoch 2"]
    assert np.array_equal(found, items)


@needs_executors
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names of other processors")
def test_executors_that_round_differently_agree_to_rounding(tmp_path, events, items):
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\ncase "$PWD" in */0) kind=Haswell;; *) kind=Sandybridge;; esac\ntouch "{tmp_path}/$kind"\n'
        f'OPENBLAS_CORETYPE=$kind exec "{sys.executable}" "$@"\n'
    )
    python.chmod(0o755)
    process = drive(CLUSTER, tmp_path, events, PYSPARK_PYTHON=str(python), FASTREC_EXCHANGE="files")
    _, found = result_of(process, tmp_path)
    assert (tmp_path / "Haswell").exists()
    assert (tmp_path / "Sandybridge").exists()
    products = items @ items.T  # the same in any basis
    assert np.linalg.norm(found @ found.T - products) < 3e-3 * np.linalg.norm(products)


@needs_executors
def test_a_driver_smaller_than_the_events_trains_on_them(tmp_path, events):
    lines, found = result_of(drive(CLUSTER, tmp_path, events, "small"), tmp_path)
    assert lines == ["the driver cannot hold the events: True", "epoch 1", "epoch 2"]
    assert found.shape[1] == 20
    assert np.isfinite(found).all()
