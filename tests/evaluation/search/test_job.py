"""Trials that fail."""

import importlib.util
import math

import pytest
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

import fastrec as fr
from fastrec.evaluation.search.job import SearchJob
from fastrec.evaluation.search.optuna_strategy import MOST_KEPT
from tests.evaluation.search.models import als


def test_a_combination_that_fails_is_noted_and_the_search_goes_on(data, tmp_path):
    model = als(alpha=1.0)
    found = fr.search(model, {"alpha": [-1.0, 1.0]}, data, method="grid", cv=0.2, store=tmp_path / "s", refit=False)
    failed = next(trial for trial in found.trials if trial.options["alpha"] < 0)
    assert math.isnan(failed.score)
    assert "ImplicitALS.alpha" in failed.error
    assert found.best_options == {"alpha": 1.0}
    assert found.ranked()[-1] == failed
    with pytest.raises(ValueError, match=r"no trial gave a ndcg@10; the first: ValueError: ImplicitALS.alpha"):
        fr.search(als(alpha=-1.0), {"alpha": [-1.0, -2.0]}, data, cv=0.2)


def test_failures_of_all_kinds_are_noted_alike(data):
    found = fr.search(als(alpha="much"), {"alpha": ["much", 1.0]}, data, method="grid", cv=0.2, refit=False)
    assert found.given.error.startswith("TypeError: ImplicitALS.alpha")
    assert found.best_options == {"alpha": 1.0}
    with pytest.raises(ValueError, match=r"no trial gave a ndcg@10; the first: TypeError: ImplicitALS.alpha"):
        fr.search(als(alpha="much"), {"alpha": ["much"]}, data, cv=0.2)


@pytest.mark.parametrize("stop", [MemoryError, KeyboardInterrupt])
def test_a_lack_of_memory_or_a_person_ends_the_search(data, monkeypatch, stop):
    def fit(self, X, y=None):
        raise stop

    monkeypatch.setattr(fr.ImplicitALS, "fit", fit)
    with pytest.raises(stop):
        fr.search(als(), {"alpha": [1.0]}, data, cv=0.2)


def count_fits(monkeypatch, kind):
    """Records the arguments of each fit from now on."""
    run = []
    fit = kind.fit

    def counted(self, X, y=None, **options):
        run.append(self.regularization)
        return fit(self, X, y, **options)

    monkeypatch.setattr(kind, "fit", counted)
    return run


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("method", ["random", "grid", "optuna"])
@pytest.mark.parametrize("piped", [False, True])
def test_options_of_answers_alone_cost_no_fit(timed, monkeypatch, method, piped, n_jobs):
    if method == "optuna":
        pytest.importorskip("optuna")
    model = fr.EASE(regularization=10.0)
    model, step = (make_pipeline(fr.LogWeight(), model), "ease__") if piped else (model, "")
    space = {f"{step}regularization": [1.0, 10.0], f"{step}recency": [1.0, 0.8, 0.4, 0.2]}
    options = {"method": method, "cv": 2, "n_trials": 12, "refit": False, "n_jobs": n_jobs}
    run = count_fits(monkeypatch, fr.EASE)
    found = fr.search(model, space, timed, **options)
    tried = {trial.options[f"{step}regularization"] for trial in found.trials}
    assert sorted(run) == sorted([*tried, *tried])  # once for each of the two splits
    assert len(found.trials) in (8, 13)
    monkeypatch.undo()
    for trial in found.trials:
        one = clone(model).set_params(**trial.options)
        names = {name: [value] for name, value in trial.options.items()}
        assert fr.search(one, names, timed, cv=2, refit=False).best_score == trial.score


def test_halving_fits_once_for_each_stage_of_what_is_learned_from(timed, monkeypatch):
    space = {"regularization": [0.01, 0.1], "recency": [1.0, 0.6]}
    model = fr.ImplicitALS(4, regularization=0.5, iterations=4, random_state=0)
    run = count_fits(monkeypatch, fr.ImplicitALS)
    found = fr.search(model, space, timed, method="halving", reduction=2, cv=0.2, refit=False)
    assert [trial.epochs for trial in found.trials].count(1) == 4
    alive = {trial.options["regularization"] for trial in found.trials if trial.epochs == 2}
    assert run[0] == model.regularization
    assert sorted(run[1:3]) == [0.01, 0.1]
    assert len(run) == 1 + 2 + len(alive) + 1
    monkeypatch.undo()
    best = found.best.options
    space = {name: [value] for name, value in best.items()}
    again = fr.search(model, space, timed, cv=0.2, refit=False)
    assert again.trials[-1].options == best


def test_a_model_that_a_fit_left_half_done_is_not_gone_on_with(timed, monkeypatch):
    epochs, fit = [], fr.ImplicitALS.fit

    def failing(self, X, y=None, **options):
        epochs.append((self.iterations, self.warm_start))
        fit(self, X, y, **options)
        if epochs.count((1, True)) == 1 and epochs[-1] == (1, True):
            raise RuntimeError("in the middle of it")
        return self

    monkeypatch.setattr(fr.ImplicitALS, "fit", failing)
    space = {"recency": [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]}
    model = fr.ImplicitALS(4, regularization=0.5, iterations=4, random_state=0)
    found = fr.search(model, space, timed, method="halving", reduction=2, cv=0.2, refit=False)
    assert "in the middle of it" in "".join(trial.error or "" for trial in found.trials)
    failed = epochs.index((1, True))
    assert epochs[failed + 1 : failed + 3] == [(1, False), (1, True)]


def test_a_search_that_goes_on_fits_nothing_that_it_does_not_need(timed, monkeypatch, tmp_path):
    space = {"regularization": [1.0, 10.0], "recency": [1.0, 0.6]}
    options = {"method": "grid", "cv": 0.2, "store": tmp_path / "s.jsonl", "refit": False}
    model = fr.EASE(regularization=1.0)
    whole = fr.search(model, space, timed, **options)
    lines = (tmp_path / "s.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "s.jsonl").write_bytes(b"".join(lines[:4]))
    run = count_fits(monkeypatch, fr.EASE)
    again = fr.search(model, space, timed, **options)
    assert len(run) == 1
    assert [trial.score for trial in again.trials] == [trial.score for trial in whole.trials]


def test_no_more_models_are_kept_than_are_asked_for_again(timed, monkeypatch):
    kept = []
    score = SearchJob._score

    def watched(self, *arguments):
        found = score(self, *arguments)
        kept.append(sum(map(len, self.fitted.values())))
        return found

    monkeypatch.setattr(SearchJob, "_score", watched)
    fr.search(fr.EASE(), {"regularization": [1.0, 10.0, 100.0]}, timed, cv=3, refit=False)
    assert set(kept) == {0}
    kept.clear()
    fr.search(fr.EASE(), {"regularization": [1.0, 10.0], "recency": [1.0, 0.5]}, timed, cv=2, refit=False)
    assert max(kept) == 2
    assert kept[-1] == 0
    if importlib.util.find_spec("optuna"):
        space = {"regularization": loguniform(1, 1000), "recency": [1.0, 0.5]}
        fr.search(fr.EASE(), space, timed, method="optuna", n_trials=12, cv=0.2, refit=False)
        assert max(kept) == MOST_KEPT
