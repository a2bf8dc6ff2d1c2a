"""Combinations that Optuna proposes."""

import pytest
from scipy.stats import loguniform, norm, randint, uniform

import fastrec as fr
from tests.evaluation.search.models import als, told


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
    assert len(whole.trials) == 1 + 6
    for trial in whole.trials[1:]:
        assert trial.options["factors"] in (2, 3, 4)
        assert trial.options["dtype"] in ("float16", "float32")
    fr.search(als(), space, data, n_trials=3, store=tmp_path / "o.jsonl", **options)
    later = fr.search(als(), space, data, n_trials=6, store=tmp_path / "o.jsonl", **options)
    assert told(later) == told(whole)
    random = fr.search(als(), space, data, n_trials=3, sampler=optuna.samplers.RandomSampler(seed=3), **options)
    assert [t.options for t in random.trials] != [t.options for t in whole.trials][:3]
    with pytest.raises(ValueError, match=r"space\['alpha'\]: Optuna takes lists, uniform, loguniform and randint"):
        fr.search(als(), {"alpha": norm(3, 1)}, data, **options)


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
