"""Results on disk."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from scipy.stats import loguniform

import fastrec as fr
from tests.evaluation.search.models import als, told


@pytest.mark.parametrize("method", ["random", "halving"])
def test_results_on_disk_are_not_run_again(data, tmp_path, method, monkeypatch):
    space = {"alpha": loguniform(0.1, 100)}
    options = {"method": method, "cv": 2, "refit": False}
    store = tmp_path / "search.jsonl"
    whole = fr.search(als(iterations=4), space, data, n_trials=4, store=store, **options)
    lines = store.read_bytes().splitlines(keepends=True)
    assert len(lines) == 1 + len(whole.trials)
    # Killed in the middle of a line.
    store.write_bytes(b"".join(lines[:3]) + lines[3][: len(lines[3]) // 2])
    run = []
    fit = fr.ImplicitALS.fit
    monkeypatch.setattr(fr.ImplicitALS, "fit", lambda self, X, y=None, **o: (run.append(1), fit(self, X, y, **o))[1])
    again = fr.search(als(iterations=4), space, data, n_trials=4, store=store, **options)
    if method == "random":
        assert len(run) == 2 * (len(whole.trials) - 2)
    assert told(again) == told(whole)
    run.clear()
    assert told(fr.search(als(iterations=4), space, data, n_trials=4, store=store, **options)) == told(again)
    assert not run


def test_more_trials_keep_those_that_are_there(data, tmp_path):
    space = {"alpha": loguniform(0.1, 100)}
    few = fr.search(als(), space, data, n_trials=2, cv=0.2, store=tmp_path / "s", refit=False)
    more = fr.search(als(n_jobs=1), space, data, n_trials=4, cv=0.2, store=tmp_path / "s", refit=False)
    assert told(more)[:3] == told(few)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"model": als(factors=5)}, "its model is"),
        ({"space": {"alpha": [1.0, 2.0]}}, "its space is"),
        ({"cv": 0.3}, "its data is"),
        ({"metric": "recall@5"}, "its metrics is"),
        ({"random_state": 9}, "its data is"),
        ({"method": "grid"}, "its method is"),
        ({"exclude_seen": False}, "its evaluation is"),
    ],
)
def test_the_results_of_another_search_are_refused(data, tmp_path, change, named):
    options = {"model": als(), "space": {"alpha": [1.0, 3.0]}, "data": data, "cv": 0.2, "store": tmp_path / "s"}
    fr.search(**options, refit=False)
    with pytest.raises(ValueError, match=named):
        fr.search(**{**options, **change}, refit=False)


def test_a_file_of_something_else_is_refused(data, tmp_path):
    (tmp_path / "s").write_text('{"a": 1}\n')
    with pytest.raises(ValueError, match="is not a file of search results"):
        fr.search(als(), {"alpha": [1.0]}, data, store=tmp_path / "s")


@pytest.mark.skipif(os.name == "nt", reason="kills by a signal")
def test_a_killed_search_goes_on(tmp_path):
    script = textwrap.dedent("""
        import sys, time, numpy as np, fastrec as fr
        rng = np.random.default_rng(0)
        users, items = rng.integers(0, 60, 1200), rng.integers(0, 25, 1200)
        data = fr.Interactions(users, items, users=range(60), items=range(25), duplicates="sum")
        slow = float(sys.argv[2])
        model = fr.ImplicitALS(4, iterations=1, random_state=0, callback=None)
        fit = fr.ImplicitALS.fit
        fr.ImplicitALS.fit = lambda self, X, y=None, **o: (time.sleep(slow), fit(self, X, y, **o))[1]
        for store in sys.argv[1].split(","):
            found = fr.search(model, {"alpha": [float(a) for a in range(1, 9)]}, data, method="grid", cv=0.2,
                              store=store, refit=False)
            print(repr([(t.number, t.options, t.score) for t in found.trials]))
    """)
    store = tmp_path / "search.jsonl"
    command = [sys.executable, "-c", script]
    process = subprocess.Popen([*command, str(store), "0.5"])
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (store.exists() and store.read_bytes().count(b"\n") >= 3):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = [json.loads(line) for line in store.read_bytes().splitlines()[1:3]]
    stores = f"{store},{tmp_path / 'fresh'}"
    resumed, fresh = subprocess.run(
        [*command, stores, "0"], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert resumed == fresh
    after = [json.loads(line) for line in store.read_bytes().splitlines()]
    assert after[1:3] == before
    assert len(after) == 10
