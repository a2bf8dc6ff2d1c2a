import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from scipy.stats import loguniform, norm, randint, uniform
from sklearn.pipeline import make_pipeline

import fastrec as fr
from fastrec.evaluation.search import rungs


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    taste = rng.integers(0, 2, 60)
    user = rng.integers(0, 60, 1200)
    item = (rng.integers(0, 25, 1200) // 2 * 2 + taste[user]) % 25
    return fr.Interactions(user, item, users=range(60), items=range(25))


def als(**options):
    return fr.ImplicitALS(**{"factors": 4, "iterations": 2, "random_state": 0, **options})


def told(found):
    return [(trial.number, trial.options, trial.epochs, trial.score) for trial in found.trials]


def test_a_grid_finds_what_a_loop_finds(data):
    space = {"factors": [2, 4], "alpha": [1.0, 10.0]}
    found = fr.search(als(), space, data, method="grid", metric="recall@5", cv=2, metrics=["ndcg@5"])
    direct = {
        (f, a): fr.cross_validate(als(factors=f, alpha=a), data, 2, "recall@5").mean("recall@5")
        for f in (2, 4)
        for a in (1.0, 10.0)
    }
    assert {(t.options["factors"], t.options["alpha"]): t.score for t in found.trials} == direct
    best = max(direct, key=direct.get)
    assert found.best_score == direct[best]
    assert found.best_options == {"factors": best[0], "alpha": best[1]}
    whole = als(factors=best[0], alpha=best[1]).fit(data)
    np.testing.assert_array_equal(found.model.item_factors_, whole.item_factors_)
    frame = found.to_frame()
    assert list(frame["rank"]) == [1, 2, 3, 4]
    assert frame["recall@5"].iloc[0] == found.best_score
    assert "ndcg@5" in frame.columns
    assert "rank" in repr(found)


def test_draws_are_the_same_by_seed_and_come_from_the_distributions(data):
    space = {"alpha": loguniform(0.1, 100), "factors": randint(2, 6), "regularization": [0.01, 0.1]}
    first = fr.search(als(), space, data, n_trials=6, cv=0.2, refit=False)
    again = fr.search(als(), space, data, n_trials=6, cv=0.2, refit=False, n_jobs=2)
    other = fr.search(als(), space, data, n_trials=6, cv=0.2, refit=False, random_state=1)
    assert told(first) == told(again)
    assert [t.options for t in first.trials] != [t.options for t in other.trials]
    for trial in first.trials:
        assert 0.1 <= trial.options["alpha"] <= 100
        assert type(trial.options["factors"]) is int
        assert 2 <= trial.options["factors"] < 6
    assert first.model is None


def test_lists_alone_are_drawn_without_repeats(data):
    found = fr.search(als(), {"factors": [2, 3]}, data, n_trials=9, cv=0.2, refit=False)
    assert sorted(trial.options["factors"] for trial in found.trials) == [2, 3]


def test_errors_are_searched_for_the_lowest(data):
    found = fr.search(als(), {"factors": [1, 8]}, data, method="grid", metric="rmse", cv=0.2)
    assert found.best_score == min(trial.score for trial in found.trials)


def test_pipelines_are_searched_by_their_steps(data):
    pipeline = make_pipeline(fr.LogWeight(), als())
    space = {"logweight__scale": [0.5, 2.0], "implicitals__factors": [2, 4]}
    found = fr.search(pipeline, space, data, method="grid", cv=fr.UserKFold(2))
    assert len(found.trials) == 4
    assert found.model[-1].factors == found.best_options["implicitals__factors"]


def test_a_combination_that_fails_is_noted_and_the_search_goes_on(data, tmp_path):
    found = fr.search(als(), {"alpha": [-1.0, 1.0]}, data, method="grid", cv=0.2, store=tmp_path / "s", refit=False)
    failed = next(trial for trial in found.trials if trial.options["alpha"] < 0)
    assert math.isnan(failed.score)
    assert "ImplicitALS.alpha" in failed.error
    assert found.best_options == {"alpha": 1.0}
    assert found.ranked()[-1] == failed
    with pytest.raises(ValueError, match=r"no trial gave a ndcg@10; the first: ValueError: ImplicitALS.alpha"):
        fr.search(als(), {"alpha": [-1.0]}, data, cv=0.2)


# -- halving


def test_rungs_end_with_all_epochs():
    assert rungs(9, 18, 3) == [(9, 2), (3, 6), (1, 18)]
    assert rungs(16, 4, 2) == [(16, 1), (8, 2), (4, 4)]
    assert rungs(1, 10, 2) == [(1, 10)]
    assert rungs(50, 1, 3) == [(50, 1)]


def test_halving_keeps_the_best_and_runs_them_longer(data):
    space = {"alpha": loguniform(0.1, 100)}
    found = fr.search(als(iterations=9), space, data, method="halving", n_trials=9, cv=0.2, reduction=3)
    by_epochs = {}
    for trial in found.trials:
        by_epochs.setdefault(trial.epochs, {})[trial.number] = trial.score
    assert {epochs: len(trials) for epochs, trials in by_epochs.items()} == {1: 9, 3: 3, 9: 1}
    for few, more in ((1, 3), (3, 9)):
        best = sorted(by_epochs[few], key=by_epochs[few].get)[-len(by_epochs[more]) :]
        assert set(by_epochs[more]) == set(best)
    assert found.best.epochs == 9
    assert found.model.iterations == 9
    assert found.model.warm_start is False
    assert "epochs" in found.to_frame().columns


def test_halving_goes_on_from_where_a_model_was(data, monkeypatch):
    run = []
    fit = fr.ImplicitALS.fit

    def counted(self, X, y=None, **options):
        run.append((self.iterations, self.warm_start))
        return fit(self, X, y, **options)

    monkeypatch.setattr(fr.ImplicitALS, "fit", counted)
    fr.search(als(iterations=4), {"alpha": [1.0, 3.0]}, data, method="halving", reduction=2, cv=0.2, refit=False)
    assert run == [(2, False), (2, False), (2, True)]


def test_halving_needs_epochs(data):
    with pytest.raises(ValueError, match="Popularity has no option 'iterations'"):
        fr.search(fr.Popularity(), {"weighting": ["count"]}, data, method="halving")
    with pytest.raises(ValueError, match="sets 'iterations' itself"):
        fr.search(als(), {"iterations": [1, 2]}, data, method="halving")


# -- Optuna


def test_optuna_searches_by_its_sampler_and_goes_on(data, tmp_path):
    optuna = pytest.importorskip("optuna")
    space = {
        "alpha": loguniform(0.1, 100),
        "factors": randint(2, 5),
        "regularization": uniform(0.01, 0.1),
        "dtype": ["float16", "float32"],
    }
    options = {"method": "optuna", "cv": 0.2, "refit": False}
    whole = fr.search(als(), space, data, n_trials=6, **options)
    assert len(whole.trials) == 6
    for trial in whole.trials:
        assert trial.options["factors"] in (2, 3, 4)
        assert trial.options["dtype"] in ("float16", "float32")
    fr.search(als(), space, data, n_trials=3, store=tmp_path / "o.jsonl", **options)
    later = fr.search(als(), space, data, n_trials=6, store=tmp_path / "o.jsonl", **options)
    assert told(later) == told(whole)
    random = fr.search(als(), space, data, n_trials=3, sampler=optuna.samplers.RandomSampler(seed=3), **options)
    assert [t.options for t in random.trials] != [t.options for t in whole.trials][:3]
    with pytest.raises(ValueError, match=r"space\['alpha'\]: Optuna takes lists, uniform, loguniform and randint"):
        fr.search(als(), {"alpha": norm(3, 1)}, data, **options)


# -- resuming


@pytest.mark.parametrize("method", ["random", "halving"])
def test_what_is_on_disk_is_not_run_again(data, tmp_path, method, monkeypatch):
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
    assert len(run) == 2 * (len(whole.trials) - 2)
    assert [t[:3] for t in told(again)] == [t[:3] for t in told(whole)]
    if method == "random":
        assert told(again) == told(whole)
    run.clear()
    assert told(fr.search(als(iterations=4), space, data, n_trials=4, store=store, **options)) == told(again)
    assert not run


def test_more_trials_keep_those_that_are_there(data, tmp_path):
    space = {"alpha": loguniform(0.1, 100)}
    few = fr.search(als(), space, data, n_trials=2, cv=0.2, store=tmp_path / "s", refit=False)
    more = fr.search(als(n_jobs=1), space, data, n_trials=4, cv=0.2, store=tmp_path / "s", refit=False)
    assert told(more)[:2] == told(few)


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
    with pytest.raises(ValueError, match="is no file of search results"):
        fr.search(als(), {"alpha": [1.0]}, data, store=tmp_path / "s")


@pytest.mark.skipif(os.name == "nt", reason="kills by a signal")
def test_a_killed_search_goes_on(tmp_path):
    script = textwrap.dedent("""
        import sys, time, numpy as np, fastrec as fr
        rng = np.random.default_rng(0)
        data = fr.Interactions(rng.integers(0, 60, 1200), rng.integers(0, 25, 1200), users=range(60), items=range(25))
        slow = float(sys.argv[2])
        model = fr.ImplicitALS(4, iterations=1, random_state=0, callback=None)
        fit = fr.ImplicitALS.fit
        fr.ImplicitALS.fit = lambda self, X, y=None, **o: (time.sleep(slow), fit(self, X, y, **o))[1]
        found = fr.search(model, {"alpha": [float(a) for a in range(1, 9)]}, data, method="grid", cv=0.2,
                          store=sys.argv[1], refit=False)
        print(repr([(t.number, t.options, t.score) for t in found.trials]))
    """)
    store = tmp_path / "search.jsonl"
    command = [sys.executable, "-c", script, str(store)]
    process = subprocess.Popen([*command, "0.5"])
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (store.exists() and store.read_bytes().count(b"\n") >= 3):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = [json.loads(line) for line in store.read_bytes().splitlines()[1:3]]
    resumed = subprocess.run([*command, "0"], check=True, capture_output=True, text=True).stdout
    fresh = subprocess.run(
        [*command[:3], str(tmp_path / "fresh"), "0"], check=True, capture_output=True, text=True
    ).stdout
    assert resumed == fresh
    after = [json.loads(line) for line in store.read_bytes().splitlines()]
    assert after[1:3] == before
    assert len(after) == 9


# -- bad input


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, "space must map at least one option"),
        ({"n_factors": [2]}, "ImplicitALS has no option 'n_factors'; here it is called 'factors'"),
        ({"factors": []}, r"space\['factors'\] is empty"),
        ({"factors": 3}, r"space\['factors'\] must be a list of candidates or a distribution"),
        ({"dtype": "float16"}, r"space\['dtype'\] must be a list"),
    ],
)
def test_a_bad_space_is_named(data, space, message):
    with pytest.raises((ValueError, TypeError), match=message):
        fr.search(als(), space, data)


def test_a_grid_takes_lists_alone(data):
    with pytest.raises(ValueError, match=r"space\['alpha'\] is a distribution: take method='random'"):
        fr.search(als(), {"alpha": loguniform(1, 2)}, data, method="grid")


def test_progress_tells_the_best_so_far(data, capsys):
    fr.search(als(), {"factors": [2, 4]}, data, method="grid", cv=0.2, verbose=True, refit=False)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("search 1/2 best ndcg@10 0.")
    assert "factors=" in lines[1]
