import numpy as np
import pytest
from sklearn.pipeline import make_pipeline

import fastrec as fr
from tests.evaluation.search.models import als


def test_a_grid_finds_what_a_loop_finds(data):
    space = {"factors": [2, 4], "alpha": [1.0, 10.0]}
    model = als(alpha=10.0)
    found = fr.search(model, space, data, method="grid", metric="recall@5", cv=2, metrics=["ndcg@5"])
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


def test_pipelines_are_searched_by_their_steps(data):
    pipeline = make_pipeline(fr.LogWeight(scale=2.0), als())
    space = {"logweight__scale": [0.5, 2.0], "implicitals__factors": [2, 4]}
    found = fr.search(pipeline, space, data, method="grid", cv=fr.UserKFold(2))
    assert len(found.trials) == 4
    assert found.model[-1].factors == found.best_options["implicitals__factors"]


def test_options_that_evaluate_has_not_are_named_before_anything_is_fitted(data):
    with pytest.raises(TypeError, match="neither search nor evaluate has an option 'colour'; it has batch_size"):
        fr.search(als(), {"factors": [2]}, data, colour="red")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (fr.ImplicitALS, r"search takes a model, ImplicitALS\(\.\.\.\), not the class"),
        ([fr.ImplicitALS()], "takes one recommender, or a Pipeline that ends in one, got list"),
        ({"a": fr.ImplicitALS()}, "got dict; for several models"),
        (fr.LogWeight(), "got LogWeight"),
    ],
)
def test_an_object_that_is_not_a_model_is_named(data, model, message):
    with pytest.raises(TypeError, match=message):
        fr.search(model, {"factors": [2]}, data)


def test_progress_tells_the_best_so_far(data, capsys):
    fr.search(als(), {"factors": [2, 4]}, data, method="grid", cv=0.2, verbose=True, refit=False)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("search 1/2 best ndcg@10 0.")
    assert "factors=" in lines[1]


@pytest.mark.parametrize("method", ["random", "grid", "halving", "optuna"])
def test_the_best_is_the_given_model_where_nothing_is_better(data, method):
    if method == "optuna":
        pytest.importorskip("optuna")
    good = als(factors=6, iterations=3, regularization=0.01)
    found = fr.search(good, {"regularization": [1e7, 1e8]}, data, method=method, n_trials=2, cv=0.2)
    assert found.best is found.given
    assert found.best_options == {"regularization": good.regularization}
    np.testing.assert_array_equal(found.model.item_factors_, good.fit(data).item_factors_)
    before, edge = found.notes
    assert before.startswith("The model as it was given (regularization=0.01) reaches ndcg@10 0.")
    assert before.endswith("no other trial is better.")
    assert edge.startswith("regularization=0.01 lies beyond the lower end of what was searched, 1e+07 to 1e+08")
    assert all(note in repr(found) and note in found._repr_html_() for note in found.notes)


def test_the_gain_of_the_best_is_shown(data):
    bad = als(regularization=1e8)
    found = fr.search(bad, {"regularization": [0.01, 0.02, 0.04]}, data, method="grid", cv=0.2, refit=False)
    assert found.given.options == {"regularization": 1e8}
    assert f"the best {found.best_score:.4f} ({found.best_score - found.given.score:+.4f})" in found.notes[0]
    failing = fr.search(als(alpha=-1.0), {"alpha": [1.0, 2.0]}, data, cv=0.2, refit=False)
    assert failing.notes[0].startswith("The model as it was given (alpha=-1) failed: ValueError")


@pytest.mark.parametrize("backend", ["pandas", "polars", "pyarrow"])
def test_a_frame_has_numbers_where_the_given_model_has_a_word(data, backend):
    pytest.importorskip(backend)
    found = fr.search(als(factors="auto"), {"factors": [2, 4]}, data, method="grid", cv=0.2, refit=False)
    frame = found.to_frame(backend)
    factors = dict(zip(*(np.asarray(frame[name]).tolist() for name in ("trial", "factors")), strict=True))
    assert np.isnan(factors.pop(0))
    assert factors == {1: 2.0, 2: 4.0}
    assert [row["factors"] for row in found.rows() if row["trial"] == 0] == ["auto"]


def test_steps_that_are_candidates_are_cloned_for_each_trial(data):
    weight = fr.LogWeight(scale=3.0)
    pipeline = make_pipeline(fr.Binarize(), als())
    found = fr.search(pipeline, {"binarize": [weight, "passthrough"]}, data, method="grid", cv=0.2)
    assert len(found.trials) == 3
    assert not hasattr(weight, "n_features_in_")
    assert not hasattr(pipeline[0], "n_features_in_")


def test_a_search_is_saved_as_a_page(data, tmp_path):
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    found = fr.search(als(), {"factors": [2, 4], "alpha": [1.0, 9.0]}, data, method="grid", cv=0.2, refit=False)
    found.save(tmp_path / "search.html")
    text = (tmp_path / "search.html").read_text(encoding="utf-8")
    assert text.count("data:image/svg+xml") == 8  # two options, light and dark, wide and narrow
    assert all(note.split(":")[0] in text for note in found.notes)
