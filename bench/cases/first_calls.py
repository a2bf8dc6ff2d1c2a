"""The first fit and the first answer of each estimator in a fresh process, with and without a cache of kernels."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from data import Folder

import fastrec as fr
from fastrec.models import estimators

Record = dict[str, Any]
# They answer from other models, from given facts or factors, or without users: their kernels are those of others.
LEFT_OUT = {
    "Blend", "ContentRecommender", "FixedFactors", "Pipeline", "PrivateEASE", "PrivatePopularity", "Slots", "Switch",
    "TwoStage",
}  # fmt: skip
QUICK = {"iterations": 1, "random_state": 0, "verbose": False, "n_jobs": 2}
BENCH = Path(__file__).resolve().parent.parent
CALLS = "import json, sys; from cases.first_calls import time_calls; print(json.dumps(time_calls(sys.argv[1])))"
USERS, ITEMS, EVENTS = 200, 150, 4000


def first_calls(folder: Folder, repeats: int) -> Iterator[Record]:
    """Seconds of the first fit (200 × 150, one iteration) and the first lists: cold with no kernels kept, then cached.

    "CPU s" are those of the cold calls. The modules of Python that a first call imports are counted.
    """
    for name in sorted(set(estimators()) - LEFT_OUT):
        for repeat in range(repeats):
            with tempfile.TemporaryDirectory() as cache:
                cold, cached = (_time_apart(name, cache) for _ in range(2))
                kernels = len(list(Path(cache).rglob("*.nbc")))
            yield {
                "model": name,
                "repeat": repeat,
                "fit, cold": cold["fit"],
                "lists, cold": cold["lists"],
                "CPU s": cold["CPU s"],
                "fit, cached": cached["fit"],
                "lists, cached": cached["lists"],
                "kernels": kernels,
            }


def _time_apart(name: str, cache: str) -> Record:
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
    command = [sys.executable, "-W", "ignore", "-c", CALLS, name]
    out = subprocess.run(command, env=environment, cwd=BENCH, capture_output=True, text=True, check=True).stdout
    record: Record = json.loads(out.splitlines()[-1])
    return record


def time_calls(name: str) -> Record:
    """Returns the seconds of a fit and of two users' lists."""
    random = np.random.default_rng(0)
    items = (ITEMS * random.random(EVENTS) ** 2).astype(int)
    ratings = random.integers(1, 6, EVENTS).astype(np.float32)
    data = fr.Interactions(random.integers(USERS, size=EVENTS), items, ratings, random.permutation(EVENTS))
    model = estimators()[name]()
    model.set_params(**{option: value for option, value in QUICK.items() if option in model.get_params()})
    cpu, began = time.process_time(), time.perf_counter()
    model.fit(data)
    fitted = time.perf_counter()
    model.recommend([0, 1], k=5)
    ended = time.perf_counter()
    return {"fit": fitted - began, "lists": ended - fitted, "CPU s": time.process_time() - cpu}


PARTS = (first_calls,)
