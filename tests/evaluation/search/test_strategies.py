"""Strategies: the combinations that are tried, and for how long."""

import numpy as np
import pytest
from scipy.stats import loguniform
from sklearn.pipeline import make_pipeline

import fastrec as fr
from fastrec.evaluation.search.strategies import rungs
from tests.evaluation.search.models import als, told


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
    assert {epochs: len(trials) for epochs, trials in by_epochs.items()} == {1: 9, 3: 3, 9: 2}
    for few, more in ((1, 3), (3, 9)):
        on = set(by_epochs[more]) - {0}  # the unchanged model takes no part until the end
        best = sorted(by_epochs[few], key=by_epochs[few].get)[-len(on) :]
        assert on == set(best)
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
    assert run == [(4, False), (2, False), (2, False), (2, True)]
    run.clear()
    found = fr.search(model, {name: [1.0, 3.0]}, data, **options)
    # The best combination, in the same stages.
    assert run[4:] == ([(4, False)] if found.best is found.given else [(2, False), (2, True)])
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
    assert len(whole.trials) == 14
    store.write_bytes(b"".join(store.read_bytes().splitlines(keepends=True)[:lines]))
    again = fr.search(als(iterations=9), space, data, **options, n_jobs=2)
    assert told(again) == told(whole)
    np.testing.assert_array_equal(again.model.item_factors_, whole.model.item_factors_)


def test_a_halving_asked_for_more_trials_keeps_those_it_has(data, tmp_path, monkeypatch):
    run = counted_fits(monkeypatch)
    options = {"method": "halving", "cv": 0.2, "store": tmp_path / "h", "refit": False}
    space = {"alpha": loguniform(0.1, 100)}
    fr.search(als(iterations=3), space, data, n_trials=3, **options)
    assert len(run) == 5
    run.clear()
    fr.search(als(iterations=3), space, data, n_trials=5, **options)
    assert run[:2] == [(1, False)] * 2


def test_halving_needs_epochs(data):
    with pytest.raises(ValueError, match="Popularity has no option 'iterations'"):
        fr.search(fr.Popularity(), {"weighting": ["count"]}, data, method="halving")
    with pytest.raises(ValueError, match="sets 'iterations' itself"):
        fr.search(als(), {"iterations": [1, 2]}, data, method="halving")
