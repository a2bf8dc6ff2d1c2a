"""The number of threads for `n_jobs`: in containers, by the environment, and in the workers of every kind of pool."""

import concurrent.futures
import multiprocessing
import os
import subprocess
import sys
import threading

import joblib
import pytest

from fastrec import parallel
from fastrec.parallel import effective_jobs

METHODS = multiprocessing.get_all_start_methods()
NONE, ALL = (None, None), (-1, -1)
quiet_fork = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of a process that has threads


@pytest.fixture(autouse=True)
def four_cores(monkeypatch):
    """Sets four cores, which forked workers see, too; other workers see the machine's."""
    monkeypatch.setattr(parallel, "cpu_count", lambda: 4)
    for name in ("PYTHON_CPU_COUNT", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("n_jobs", "threads"), [(None, 4), (-1, 4), (-2, 3), (-9, 1), (7, 7)])
def test_none_is_all_cores_and_negative_numbers_count_back(n_jobs, threads):
    assert effective_jobs(n_jobs) == threads


@pytest.mark.parametrize("name", ["PYTHON_CPU_COUNT", "OMP_NUM_THREADS"])
@pytest.mark.parametrize(
    ("asked", "threads"), [("3", 3), ("1", 1), ("9", 4), ("", 4), ("0", 4), ("default", 4), ("-2", 4), ("2,1", 2)]
)
def test_the_environment_bounds_the_cores(monkeypatch, name, asked, threads):
    monkeypatch.setenv(name, asked)
    assert effective_jobs(None) == effective_jobs(-1) == threads


ASK = "from fastrec.parallel import effective_jobs; print(effective_jobs(None))"


@pytest.mark.parametrize(
    ("options", "environment"),
    [([], {"PYTHON_CPU_COUNT": "1"}), (["-X", "cpu_count=1"], {}), ([], {"LOKY_MAX_CPU_COUNT": "1"})],
)
def test_every_python_knows_what_newer_ones_are_told_of_cores(options, environment):
    asked = subprocess.run(
        [sys.executable, *options, "-c", ASK], env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert asked.stdout.strip() == "1", asked.stderr


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_affinity_bounds_the_cores(monkeypatch):
    monkeypatch.undo()
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert effective_jobs(None) == 1
    finally:
        os.sched_setaffinity(0, allowed)


def test_the_quota_of_a_container_bounds_the_cores(monkeypatch):
    monkeypatch.undo()
    context = joblib.externals.loky.backend.context
    if not hasattr(context, "_cpu_count_cgroup"):
        pytest.skip("joblib has another name for it")
    monkeypatch.setattr(context, "_cpu_count_cgroup", lambda _: 1)
    assert effective_jobs(None) == 1


@quiet_fork
@pytest.mark.parametrize("method", METHODS)
def test_none_is_one_in_every_child_of_multiprocessing(method):
    context = multiprocessing.get_context(method)
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        assert list(pool.map(effective_jobs, NONE)) == [1, 1]
        assert min(pool.map(effective_jobs, ALL)) >= 1
    with context.Pool(2) as pool:
        assert pool.map(effective_jobs, NONE) == [1, 1]
    assert effective_jobs(None) == 4


@quiet_fork
@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_none_is_one_in_every_worker_of_joblib(backend):
    asked = joblib.Parallel(2, backend=backend)(joblib.delayed(effective_jobs)(None) for _ in range(4))
    assert asked == [1] * 4


@pytest.mark.parametrize(("name", "threads"), [("Dask-Default-Threads-12-0", 1), ("ThreadPoolExecutor-0_0", 4)])
def test_none_is_one_in_a_worker_thread_of_dask(name, threads):
    asked = []
    thread = threading.Thread(target=lambda: asked.append(effective_jobs(None)), name=name)
    thread.start()
    thread.join()
    assert asked == [threads]


def keep_and_ask(n_jobs):
    parallel.keep_all_cores()
    return effective_jobs(n_jobs) == effective_jobs(-1)


@quiet_fork
@pytest.mark.parametrize("method", METHODS)
def test_a_child_that_is_a_worker_of_no_pool_can_say_so(method):
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.map(keep_and_ask, [None]) == [True]
