"""Users of other libraries: our side of each row of docs/how-to/migration.md is run, on small data.

The page's blocks of code run in tests/test_docs.py. Here every call, option, attribute and metric is run that stands in
the second column of the page's tables.
"""

import ast
import copy
import inspect
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fastrec as fr
from fastrec.features import FeatureEncoder, align_rows
from fastrec.metrics.naming import parse_metric
from fastrec.models import estimators
from fastrec.options import check_options, options_of

PAGE = Path(__file__).resolve().parents[1] / "docs" / "how-to" / "migration.md"
ON_AN_ENGINE = {
    "SparkImplicitALS",
    "SparkExplicitALS",
    "fastrec.distributed",
    "fit(df)",
    "score_on_spark(model, df)",
    'shards="auto"',
}
ON_AN_ENGINE |= {'model.evaluate(test_df, ["ndcg@10"])'}  # tests/distributed runs these

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="needs the checkout")


def cells():
    """The code in the second column of the page's tables, each text once."""
    rows = PAGE.read_text(encoding="utf-8").splitlines() if PAGE.exists() else []
    ours = [re.split(r"(?<!\\)\|", row)[2] for row in rows if row.startswith("| ")]
    return sorted({text for cell in ours for text in re.findall(r"`([^`]+)`", cell)} - ON_AN_ENGINE)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The names that stand in the cells, with small values."""
    folder, rng = tmp_path_factory.mktemp("migration"), np.random.default_rng(0)
    rows, columns = np.nonzero(rng.random((40, 12)) < 0.4)
    ratings = pd.DataFrame({"user": rows, "item": columns, "rating": 3.0, "time": np.arange(len(rows))})
    users, items = [f"u{code}" for code in range(40)], [f"i{code}" for code in range(12)]
    data = fr.Interactions(rows, columns, ratings["rating"], times=ratings["time"], users=users, items=items)
    train, test = fr.split_last(data, 1)
    genres, ages = np.eye(2)[np.arange(12) % 2], np.eye(2)[np.arange(40) % 2]
    model = fr.ImplicitALS(4, iterations=2, random_state=0).fit(train)
    model.save(folder / "model.fastrec")
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    (folder / "ml-100k.inter").write_text(header + ratings.to_csv(sep="\t", header=False, index=False))
    rated = fr.SGDFactorization(4, loss="squared", iterations=2, random_state=0).fit(train)
    featured = fr.SGDFactorization(4, loss="warp", iterations=2, random_state=0)
    featured.fit(data, item_features=genres, user_features=ages)
    names = {
        "data": data, "train": train, "test": test, "X": data.matrix, "events": data[:1], "frame": ratings,
        "users": ["u1", "u2"], "user": "u1", "items": ["i1", "i2"], "item": "i3", "k": 3, "K": 1, "k1": 1.2, "b": 0.5,
        "histories": model.histories([["i1", "i2"], ["i3"]]), "ids": data.items.ids, "features": genres,
        "facts": pd.DataFrame({"genre": ["drama", "comedy"]}), "path": folder / "model.fastrec",
        "file": folder / "model.fastrec", "model": model, "models": {"ours": rated}, "B": 0.5, "K1": 1.2,
        "item_users": data.matrix.T.tocsr()[:2],
    }  # fmt: skip
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.chdir(folder)
    yield names | {"fr": fr, "FeatureEncoder": FeatureEncoder, "align_rows": align_rows}, (model, rated, featured)
    monkeypatch.undo()


class Complete(ast.NodeTransformer):
    """Leaves out the arguments that a cell only hints at, and keeps the options that it names so."""

    def __init__(self):
        self.named = []

    def visit_Call(self, call):
        self.generic_visit(call)
        self.named += [(ast.unparse(call.func), option.arg) for option in call.keywords]
        call.keywords = [option for option in call.keywords if not is_dots(option.value)]
        return call


def is_dots(node):
    return isinstance(node, ast.Constant) and node.value is ...


def is_an_option(name, value=...):
    """Tells whether a model has the option, and takes the value."""
    kinds = [kind for kind in estimators().values() if name in options_of(kind)]
    if value is not ... and kinds:
        for kind in kinds:
            try:
                check_options(kind(**{name: value}))
                return True
            except (TypeError, ValueError):
                continue
        return False
    return bool(kinds)


def is_an_argument(name):
    """Tells whether a method of models, or a public function, has the argument."""
    functions = [getattr(fr, public) for public in fr.__all__]
    functions += [method for kind in estimators().values() for _, method in inspect.getmembers(kind, callable)]
    return any(name in inspect.signature(function).parameters for function in functions if inspect.isroutine(function))


@pytest.mark.parametrize("text", cells())
def test_our_side_of_each_row_runs(text, world):
    names, models = world
    text = text.replace(", …)", ")").replace("…", "...")
    if match := re.fullmatch(r"(\w+)=(.*)", text):  # an option
        value = ast.literal_eval(match[2]) if match[2] else ...
        assert is_an_option(match[1], value) or is_an_argument(match[1])
        return
    tree = ast.parse(text, mode="eval")
    if isinstance(tree.body, ast.Constant | ast.List):  # metrics
        for label in np.atleast_1d(ast.literal_eval(text)):
            parse_metric(label)
        return
    if isinstance(tree.body, ast.Name) and not hasattr(fr, text):  # an attribute or an option
        assert any(hasattr(model, text) for model in models) or is_an_option(text) or is_an_argument(text)
        return
    complete = Complete()
    tree = ast.fix_missing_locations(complete.visit(tree))
    scope = scope_of(tree, names, models)
    eval(compile(tree, "migration.md", "eval"), scope)
    for function, option in complete.named:
        assert option in inspect.signature(eval(function, scope)).parameters


def scope_of(tree, names, models):
    """The names of an expression: a bare name of a method is that of a model, a copy of which may change."""
    own = {name: getattr(fr, name) for name in fr.__all__} | names
    called = [node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    on_features = any("features" in ast.unparse(node) for node in ast.walk(tree))
    model = copy.copy(models[-1] if on_features else models[0])
    return own | {name: getattr(model, name) for name in called if hasattr(model, name)}
