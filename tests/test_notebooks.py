"""The view of every estimator in a notebook, and the quickstart run by a real kernel."""

import gc
import importlib
import inspect
import pkgutil
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline

import fastrec as fr
from fastrec.matrix.code_matrix import check_matrix
from fastrec.models import estimators
from fastrec.models.ranking import Affinity, CategoryCounts, Facts, Feature, Known

QUICK = {"factors": 2, "iterations": 1, "random_state": 0, "verbose": False, "n_probe": 1, "trials": 1}
COUNTS = np.random.default_rng(0).integers(0, 3, (24, 16)).astype(np.float32)
TIMED = fr.Interactions([0, 1, 2], [2, 1, 0], times=[1, 2, 3], time_unit="s")
KNOWN = Known(
    check_matrix(COUNTS),
    None,
    {"year": np.arange(16.0), "genre": np.array(["war", "comedy"] * 8)},
    [fr.Popularity().fit(COUNTS)],
)
COLUMNS = {Affinity: "genre", CategoryCounts: "genre", Facts: "year"}
TAUGHT = {fr.TimeDecay: [TIMED], fr.features.FeatureEncoder: [{"year": [1990, 2000, 2010]}]}
PAGE = Path(__file__).resolve().parents[1] / "docs" / "tutorials" / "quickstart.md"


def kinds():
    """Returns all public estimators of the package, for any purpose, without their base classes."""
    found = {}
    for info in pkgutil.walk_packages(fr.__path__, "fastrec."):
        if not info.name.endswith("__main__") and not info.name.startswith("fastrec.distributed"):  # needs an engine
            module = importlib.import_module(info.name)
            found |= {kind: None for _, kind in inspect.getmembers(module, inspect.isclass) if is_ours(kind)}
    shared = {base for kind in found for base in kind.__mro__[1:]} - {getattr(fr, name) for name in fr.__all__}
    return sorted(found.keys() - shared, key=lambda kind: kind.__name__)


def is_ours(kind):
    is_public = not kind.__name__.startswith("_") and kind.__module__.startswith("fastrec.")
    return issubclass(kind, BaseEstimator) and is_public and not inspect.isabstract(kind)


def made(kind):
    """Returns an instance that is quick to fit; a wrapper of a fitted model wraps one."""
    wanted = {name: option.default is option.empty for name, option in inspect.signature(kind).parameters.items()}
    needs = {name for name, must in wanted.items() if must}
    base = fr.ImplicitALS(2, iterations=1, random_state=0).fit(COUNTS) if "model" in needs else None
    given = {"model": base, "codec": "int8", "rule": fr.MMR(), "column": COLUMNS.get(kind)}
    model = kind(**{name: given[name] for name in needs})
    known = model.get_params(deep=False)
    return model.set_params(**{name: value for name, value in QUICK.items() if name in known})


def shown(model):
    bundle = model._repr_mimebundle_()
    assert bundle["text/plain"] == repr(model)
    assert type(model).__name__ in bundle["text/html"]
    assert model._repr_html_()


every = pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)


def shapes(model):
    """Returns the model alone, in pipelines and in a search; a splitter in a search."""
    if not hasattr(model, "fit"):
        return [model, GridSearchCV(fr.Popularity(), {}, cv=model)]
    return [model, make_pipeline(model), Pipeline([("core", fr.KCore()), ("it", model)]), GridSearchCV(model, {})]


@every
def test_a_notebook_shows_it_alone_in_a_pipeline_and_in_a_search(kind):
    for shape in shapes(made(kind)):
        shown(shape)


@every
def test_a_notebook_shows_it_fitted(kind):
    model = made(kind)
    if not hasattr(model, "fit") or not getattr(model, "learns", True):
        pytest.skip("it is not fitted")
    model.fit(*TAUGHT.get(kind, [KNOWN] if issubclass(kind, Feature) else [COUNTS]))
    for shape in shapes(model):
        shown(shape)


def test_every_estimator_of_models_is_among_them():
    assert {kind for kind in estimators().values() if is_ours(kind)} <= set(kinds())


def test_a_notebook_shows_fitted_pipelines_and_searches():
    model = fr.ImplicitALS(2, iterations=1, random_state=0)
    shown(make_pipeline(fr.Binarize(), clone(model)).fit(COUNTS))
    shown(GridSearchCV(clone(model), {"factors": [2, 3]}, cv=2).fit(COUNTS))
    found = fr.search(model, {"factors": [2, 3]}, fr.Interactions.from_matrix(COUNTS), method="grid", cv=0.2)
    shown(found.model)


@pytest.mark.skipif(not PAGE.exists(), reason="needs the checkout")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::RuntimeWarning")
def test_the_quickstart_runs_as_a_notebook(tmp_path, monkeypatch):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    from jupyter_client.manager import AsyncKernelManager

    try:
        fr.datasets.fetch_movielens_100k()
    except OSError as error:
        pytest.skip(f"MovieLens-100K cannot be had: {error}")
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    blocks = re.findall(
        r"^```{code-cell} python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert blocks
    cells = [*blocks, "import fastrec as fr\nfr.ImplicitALS()"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    kernel = AsyncKernelManager()
    kernel.kernel_spec.argv[0] = sys.executable
    client = nbclient.NotebookClient(notebook, km=kernel, timeout=300, resources={"metadata": {"path": tmp_path}})
    client.execute()
    del client, kernel
    gc.collect()  # the sockets that they leave open are reported here, and not in some later test
    *_, last = notebook.cells[-1].outputs
    assert "ImplicitALS" in last["data"]["text/html"]
    assert not [out for cell in notebook.cells for out in cell.outputs if out.output_type == "error"]
