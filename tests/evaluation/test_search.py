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
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import loguniform, norm, randint, uniform
from sklearn.pipeline import make_pipeline

import fastrec as fr
from fastrec.evaluation.search.space import _combination, _places, draw_combinations, list_grid
from fastrec.evaluation.search.strategies import rungs


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    taste = rng.integers(0, 2, 60)
    user = rng.integers(0, 60, 1200)
    item = (rng.integers(0, 25, 1200) // 2 * 2 + taste[user]) % 25
    return fr.Interactions(user, item, users=range(60), items=range(25), duplicates="sum")


def fixed(column):
    users, items = np.zeros((60, 40), np.float32), np.zeros((25, 40), np.float32)
    users[:, 20 + column] = items[:, 20 + column] = 1
    return fr.FixedFactors(users, items)


def marked(column):
    features = np.eye(25, 60, k=20)
    features[:, column] = 1
    return features


def timed(sign):
    users, items = [0, 0, 1, 1] * 30, [0, 1, 2, 3] * 30
    return fr.Interactions(users, items, times=sign * np.arange(120), items=range(25), duplicates="sum")


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


def test_a_long_grid_is_drawn_from_without_being_made(data):
    space = {
        "factors": [2, 3],
        "alpha": [float(a) for a in range(1, 2000)],
        "regularization": [r / 1000 for r in range(1, 2000)],
        "random_state": list(range(10**6)),
        "warm_start": [False] * 10**6,
        "tol": [0.0] * 10**3,
    }
    few = draw_combinations(space, 3, seed=0)
    more = draw_combinations(space, 50, seed=0)
    assert more[:3] == few
    assert all(sorted(draw) == sorted(space) for draw in more)
    assert len({draw["random_state"] for draw in more}) > 40


@given(st.integers(1, 40), st.integers(1, 50), st.integers(0, 5))
def test_places_of_a_grid_are_drawn_once_each(total, n, seed):
    places = _places(total, n, seed)
    assert len(set(places)) == len(places) == min(n, total)
    assert set(places) <= set(range(total))
    assert _places(total, n + 1, seed)[: len(places)] == places


def test_a_place_is_that_of_the_grid():
    space = {"b": [1, 2, 3], "a": ["x", "y"]}
    assert [_combination(space, place) for place in range(6)] == list_grid(space)


@pytest.mark.parametrize("metric", ["rmse", "gini@5", "average_popularity@5", "calibration@5"])
def test_where_less_is_better_the_lowest_wins(data, metric):
    groups = np.array(["a", "b", "c"], object)[np.arange(25) % 3]
    told = fr.Interactions(
        data.user_codes, data.item_codes, items=range(25), item_info={"genres": groups}, duplicates="sum"
    )
    options = {"item_features": "genres"} if metric.startswith("calibration") else {}
    found = fr.search(als(), {"factors": [1, 8]}, told, method="grid", metric=metric, cv=0.2, refit=False, **options)
    assert found.best_score == min(trial.score for trial in found.trials)
    assert found.trials[0].score != found.trials[1].score


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


def test_failures_of_all_kinds_are_noted_alike(data):
    found = fr.search(als(), {"alpha": ["much", 1.0]}, data, method="grid", cv=0.2, refit=False)
    assert found.trials[0].error.startswith("TypeError: ImplicitALS.alpha")
    assert found.best_options == {"alpha": 1.0}
    with pytest.raises(ValueError, match=r"no trial gave a ndcg@10; the first: TypeError: ImplicitALS.alpha"):
        fr.search(als(), {"alpha": ["much"]}, data, cv=0.2)


@pytest.mark.parametrize("stop", [MemoryError, KeyboardInterrupt])
def test_a_lack_of_memory_or_a_person_ends_the_search(data, monkeypatch, stop):
    def fit(self, X, y=None):
        raise stop

    monkeypatch.setattr(fr.ImplicitALS, "fit", fit)
    with pytest.raises(stop):
        fr.search(als(), {"alpha": [1.0]}, data, cv=0.2)


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


def counted_fits(monkeypatch):
    run = []
    fit = fr.ImplicitALS.fit

    def counted(self, X, y=None, **options):
        run.append((self.iterations, self.warm_start))
        return fit(self, X, y, **options)

    monkeypatch.setattr(fr.ImplicitALS, "fit", counted)
    return run


@pytest.mark.parametrize("piped", [False, True])
def test_halving_goes_on_from_where_a_model_was(data, monkeypatch, piped):
    run = counted_fits(monkeypatch)
    model, name = als(iterations=4), "alpha"
    if piped:
        model, name = make_pipeline(fr.LogWeight(), model), "implicitals__alpha"
    options = {"method": "halving", "reduction": 2, "cv": 0.2}
    found = fr.search(model, {name: [1.0, 3.0]}, data, refit=False, **options)
    assert run == [(2, False), (2, False), (2, True)]
    run.clear()
    found = fr.search(model, {name: [1.0, 3.0]}, data, **options)
    assert run[3:] == [(2, False), (2, True)]  # the best one, in the same stages
    model = found.model[-1] if piped else found.model
    assert (model.iterations, model.warm_start) == (4, False)


def test_the_score_of_a_halving_is_that_of_its_model(data):
    train, test = fr.split_random(data, 0.2, 0)
    found = fr.search(als(iterations=9), {"alpha": [1.0, 3.0, 9.0]}, train, method="halving", cv=(train, test))
    assert found.best.epochs == 9
    assert found.best_score == fr.evaluate(found.model, test, ["ndcg@10"]).mean("ndcg@10")


@pytest.mark.parametrize("lines", [1, 2, 9, 10, 11, 12, 13])
def test_a_halving_ends_alike_wherever_it_was_killed(data, tmp_path, lines):
    store = tmp_path / "h.jsonl"
    options = {"method": "halving", "n_trials": 9, "cv": 2, "store": store}
    space = {"alpha": loguniform(0.1, 100)}
    whole = fr.search(als(iterations=9), space, data, **options)
    assert len(whole.trials) == 13
    store.write_bytes(b"".join(store.read_bytes().splitlines(keepends=True)[:lines]))
    again = fr.search(als(iterations=9), space, data, **options, n_jobs=2)
    assert told(again) == told(whole)
    np.testing.assert_array_equal(again.model.item_factors_, whole.model.item_factors_)


def test_a_halving_asked_for_more_trials_keeps_those_it_has(data, tmp_path, monkeypatch):
    run = counted_fits(monkeypatch)
    options = {"method": "halving", "cv": 0.2, "store": tmp_path / "h", "refit": False}
    space = {"alpha": loguniform(0.1, 100)}
    fr.search(als(iterations=3), space, data, n_trials=3, **options)
    assert len(run) == 4
    run.clear()
    fr.search(als(iterations=3), space, data, n_trials=5, **options)
    assert run[:2] == [(1, False)] * 2


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
    if method == "random":
        assert len(run) == 2 * (len(whole.trials) - 2)
    assert told(again) == told(whole)
    run.clear()
    assert told(fr.search(als(iterations=4), space, data, n_trials=4, store=store, **options)) == told(again)
    assert not run


def test_candidates_in_a_set_have_one_order(data):
    options = {"cv": 0.2, "refit": False, "method": "grid"}
    listed = [fr.search(als(), {"alpha": made}, data, **options).trials for made in ({3.0, 1.0, 2.0}, {2.0, 3.0, 1.0})]
    assert [trial.options for trial in listed[0]] == [trial.options for trial in listed[1]]
    code = (
        "from fastrec.evaluation.search.space import check_candidates as c; "
        "print(c('loss', {'bpr', 'warp', 'logistic'}))"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True
        ).stdout
        for seed in ("1", "2", "3")
    ]
    assert told[0] == told[1] == told[2]


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


class Always:
    """A distribution that is none of SciPy's."""

    def __init__(self, value):
        self.value = value

    def rvs(self, random_state=None):
        return self.value


def test_optuna_results_of_another_sampler_are_not_taken_for_its_own(data, tmp_path):
    optuna = pytest.importorskip("optuna")
    space = {"alpha": loguniform(0.1, 100), "factors": randint(2, 40)}
    options = {"method": "optuna", "n_trials": 4, "cv": 0.2, "refit": False}
    fr.search(als(), space, data, store=tmp_path / "o", **options)
    for change in ({"sampler": lambda: optuna.samplers.RandomSampler(seed=9)}, {"n_jobs": 2}):
        change = {name: value() if callable(value) else value for name, value in change.items()}
        stored = fr.search(als(), space, data, store=tmp_path / "o", **options, **change)
        if "sampler" in change:
            change["sampler"] = optuna.samplers.RandomSampler(seed=9)
        assert told(stored) == told(fr.search(als(), space, data, **options, **change))


@pytest.mark.parametrize(
    ("one", "other", "named"),
    [
        ({"space": {"factors": Always(2)}}, {"space": {"factors": Always(9)}}, "its space is"),
        ({"model": fixed(0)}, {"model": fixed(1)}, "its model is"),
        ({"model": make_pipeline(fixed(0))}, {"model": make_pipeline(fixed(1))}, "its model is"),
        ({"item_features": marked(0)}, {"item_features": marked(30)}, "its evaluation is"),
        ({"data": timed(1)}, {"data": timed(-1)}, "its data is"),
    ],
)
def test_a_search_that_differs_in_its_arrays_alone_is_another_one(data, tmp_path, one, other, named):
    options = {"model": als(), "space": {}, "data": data, "metrics": ["diversity@5"], "item_features": marked(1)}
    options |= {"cv": 0.2, "refit": False, "n_trials": 1, "store": tmp_path / "s"}
    for change in (one, other):
        model = change.get("model", options["model"])
        change.setdefault("space", {next(n for n in model.get_params() if n.endswith("n_jobs")): [1]})
    fr.search(**{**options, **one})
    fr.search(**{**options, **one})
    with pytest.raises(ValueError, match=named):
        fr.search(**{**options, **other})


def test_a_store_is_known_again_in_another_process(tmp_path):
    script = textwrap.dedent("""
        import sys, numpy as np, fastrec as fr
        from scipy import stats
        class Named:
            def __init__(self): self.kept = {"x", "y", "z"}
            def rvs(self, random_state=None): return 2.0
        np.set_printoptions(precision=int(sys.argv[2]))
        rng = np.random.default_rng(0)
        data = fr.Interactions(rng.integers(0, 9, 200), rng.integers(0, 9, 200), duplicates="sum")
        model = fr.ImplicitALS(2, iterations=1, random_state=0)
        space = {"alpha": Named(), "regularization": stats.uniform, "dtype": ["float32"]}
        fr.search(model, space, data, cv=0.2, n_trials=2, store=sys.argv[1], refit=False, metrics=["diversity@5"],
                  item_features=np.arange(18.0).reshape(9, 2) / 7)
    """)
    for precision in ("3", "8"):
        subprocess.run([sys.executable, "-c", script, str(tmp_path / "s"), precision], check=True)
    assert len((tmp_path / "s").read_bytes().splitlines()) == 3


def test_what_cannot_be_told_apart_is_refused_where_results_are_kept(data, tmp_path):
    space = {"factors": Always(lambda: 2)}
    with pytest.raises(ValueError, match="cannot be told from others of its kind"):
        fr.search(als(), space, data, store=tmp_path / "s")


def test_a_file_of_something_else_is_refused(data, tmp_path):
    (tmp_path / "s").write_text('{"a": 1}\n')
    with pytest.raises(ValueError, match="is no file of search results"):
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


def test_options_that_evaluate_has_not_are_named_before_anything_is_fitted(data):
    with pytest.raises(TypeError, match="neither search nor evaluate has an option 'colour'; it has batch_size"):
        fr.search(als(), {"factors": [2]}, data, colour="red")


def test_a_distribution_without_its_arguments_is_named(data):
    with pytest.raises(
        TypeError, match=r"space\['factors'\] is randint without its arguments: give randint\(low, high"
    ):
        fr.search(als(), {"factors": randint}, data)


def test_a_grid_takes_lists_alone(data):
    with pytest.raises(ValueError, match=r"space\['alpha'\] is a distribution: take method='random'"):
        fr.search(als(), {"alpha": loguniform(1, 2)}, data, method="grid")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (fr.ImplicitALS, r"search takes a model, ImplicitALS\(\.\.\.\), not the class"),
        ([fr.ImplicitALS()], "takes one recommender, or a Pipeline that ends in one, got list"),
        ({"a": fr.ImplicitALS()}, "got dict; for several models"),
        (fr.LogWeight(), "got LogWeight"),
    ],
)
def test_what_is_no_model_is_named(data, model, message):
    with pytest.raises(TypeError, match=message):
        fr.search(model, {"factors": [2]}, data)


def test_progress_tells_the_best_so_far(data, capsys):
    fr.search(als(), {"factors": [2, 4]}, data, method="grid", cv=0.2, verbose=True, refit=False)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("search 1/2 best ndcg@10 0.")
    assert "factors=" in lines[1]
