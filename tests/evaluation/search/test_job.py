"""Trials that fail."""

import math

import pytest

import fastrec as fr
from tests.evaluation.search.models import als


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
