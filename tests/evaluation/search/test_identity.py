"""Values are recognised as equal to earlier ones."""

import subprocess
import sys
import textwrap

import pytest
from sklearn.pipeline import make_pipeline

import fastrec as fr
from tests.evaluation.search.models import Always, als, fixed, marked, timed


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
    assert len((tmp_path / "s").read_bytes().splitlines()) == 4


def test_values_that_cannot_be_identified_are_refused_if_results_are_kept(data, tmp_path):
    space = {"factors": Always(lambda: 2)}
    with pytest.raises(ValueError, match="cannot be identified"):
        fr.search(als(), space, data, store=tmp_path / "s")
