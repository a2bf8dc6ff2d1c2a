import numpy as np
import pytest
from sklearn.pipeline import make_pipeline

import fastrec as fr
from tests.evaluation.search.models import als


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


def test_pipelines_are_searched_by_their_steps(data):
    pipeline = make_pipeline(fr.LogWeight(), als())
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
def test_what_is_no_model_is_named(data, model, message):
    with pytest.raises(TypeError, match=message):
        fr.search(model, {"factors": [2]}, data)


def test_progress_tells_the_best_so_far(data, capsys):
    fr.search(als(), {"factors": [2, 4]}, data, method="grid", cv=0.2, verbose=True, refit=False)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("search 1/2 best ndcg@10 0.")
    assert "factors=" in lines[1]
