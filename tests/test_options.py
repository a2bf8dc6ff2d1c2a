"""The declared options of classes: the page docs/reference/options.md, docstrings, and what `fit` refuses.

`python -m tests.test_options` writes the table anew.
"""

import importlib
import inspect
import math
import pkgutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrec.data import Interactions
from fastrec.models import ImplicitALS, Popularity
from fastrec.models.composed.compressed import Compressed
from fastrec.models.ranking import Feature, TwoStage
from fastrec.options import (
    ByColumn,
    Choice,
    Flag,
    Function,
    Integer,
    Jobs,
    Number,
    OptionsMixin,
    Other,
    Pair,
    Seed,
    Verbosity,
    Widths,
    describe_parameters,
    options_of,
    parse_options,
)
from fastrec.preprocessing import UserKFold
from fastrec.preprocessing.folds import InteractionSplitter
from fastrec.retrieval import TopK
from fastrec.retrieval.diversity import RULES

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "options.md"
MARK = "<!-- made by tests/test_options.py -->\n"
ROOMS = ("models", "compression", "retrieval", "preprocessing", "features")


def discovered():
    """Returns all public classes with options, by a walk over the files of the package."""
    found = {}
    for room in ROOMS:
        package = importlib.import_module(f"fastrec.{room}")
        for info in pkgutil.walk_packages(package.__path__, f"fastrec.{room}."):
            module = importlib.import_module(info.name)
            found |= {kind.__name__: kind for _, kind in inspect.getmembers(module, inspect.isclass)}
    concrete = {name: kind for name, kind in found.items() if not name.startswith("_") and not inspect.isabstract(kind)}
    return [kind for _, kind in sorted(concrete.items()) if issubclass(kind, OptionsMixin) and parameters_of(kind)]


def parameters_of(kind):
    return [] if kind.__init__ is object.__init__ else list(inspect.signature(kind).parameters)


def made(kind):
    """Returns an instance with its own defaults; options without one get a suitable value."""
    if kind.__name__ == "Reranked":
        return kind(Popularity(), lambda top, k, histories: top)
    if "column" in parameters_of(kind):
        return kind("genres")
    return kind()


KINDS = discovered()
every = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


# -- the page and the docstrings


def default_of(kind, name):
    default = inspect.signature(kind).parameters[name].default
    return "" if default is inspect.Parameter.empty else f"`{default!r}`"


def table():
    head = ["| class | option | type | numbers | default | search |", "|---|---|---|---|---|---|"]
    rows = [
        f"| {kind.__name__} | `{name}` | {option.kind()} | {option.bounds()} | {default_of(kind, name)} | "
        f"{'log' * option.by_log} |"
        for kind in KINDS
        for name, option in options_of(kind).items()
    ]
    return "\n".join(head + rows) + "\n"


def test_the_page_has_what_classes_declare():
    assert PAGE.read_text(encoding="utf-8").partition(MARK)[2].strip() == table().strip(), "run this file to write it"


@every
def test_docstrings_say_what_is_declared(kind):
    texts, options = describe_parameters(kind), options_of(kind)
    assert sorted(texts) == sorted(options)
    for name, (told, text) in texts.items():
        assert told in ("", options[name].kind()), name
        assert text, name


@every
def test_the_table_has_the_parameters_and_defaults_are_allowed(kind):
    assert list(options_of(kind)) == parameters_of(kind)
    assert set(vars(kind).get("_options", {})) <= set(parameters_of(kind))
    made(kind)._check_options()


# -- what is refused

SOME = {"a": 1.0}  # a mapping of columns, which few options may be


def bad_values(option):
    """Returns values that an option may not have, by its kind."""
    bad = [] if None in option.also else [None]
    match option:
        case Integer():
            bad += [True, 1.5, math.nan, math.inf, "some", [1], SOME]
            bad += [] if option.least is None else [option.least - 1]
            bad += [10**18] if option.memory else [] if option.most is None else [option.most + 1]
        case Number():
            bad += [True, math.nan, math.inf, -math.inf, "some", [1.0], SOME]
            bad += [] if option.least is None else [option.least - 1e-3, *([option.least] if option.above else [])]
            bad += [] if option.most is None else [option.most + 1e-3, *([option.most] if option.below else [])]
        case Pair():
            bad += [(), (1.0, 1.0, 1.0), *((value, 0.0) for value in bad_values(option.one))]
            bad += [value for value in bad_values(option.one) if value is not None]
        case Choice():
            bad += ["some", 0.5, [1], SOME, True]
            bad = [value for value in bad if value is not None or None not in option.choices]
        case Flag():
            bad += [1, 0, "True", [], math.nan]
        case Widths():
            bad += [3, "64", [0], [1.5], [True], [1 << 20], ["64"], SOME]
        case ByColumn():
            bad += [3, "some", [("a", 1)], *({"a": value} for value in bad_values(option.one))]
        case Jobs():
            bad += [0, 1.5, "2", True, 5000, -5000, [1], math.nan]
        case Seed():
            bad += [-1, 1.5, "some", True, 1 << 32, [1], math.nan]
        case Verbosity():
            bad += ["some", 1.5, [1]]
        case Function():
            bad += [3, "some", [print]]
        case Other():
            bad = [object()] if option.look else []
    return bad


def edges(option):
    """Returns values at the edges of an option's range."""
    match option:
        case Integer():
            low = 0 if option.least is None else option.least
            values = [low, np.int64(low), *([] if option.most is None else [option.most])]
        case Number():
            low, high = option.least or 0.0, option.most or 1e30
            values = [
                np.nextafter(low, high) if option.above else low,
                np.float64(high - 1e-9 if option.below else high),
            ]
        case Pair():
            values = [*edges(option.one), tuple(edges(option.one)[:2]), edges(option.one)[:2]]
        case Choice():
            values = list(option.choices)
        case Flag():
            values = [True, False, np.True_]
        case Widths():
            values = [(), [1], (1, 1 << 14), np.array([64, 32])]
        case ByColumn():
            values = [{}, {"a": edges(option.one)[0]}]
        case Jobs():
            values = [1, -1, 4096, -4096, np.int64(2)]
        case Seed():
            values = [0, (1 << 32) - 1, np.int64(3), np.random.RandomState(0), np.random]
        case Verbosity():
            values = [True, False, 0, 10, -1]
        case _:
            values = []
    return [*values, *option.also]


def some_rows():
    return (np.random.default_rng(0).random((12, 8)) < 0.5).astype(np.float32)


def use(one):
    """Fits an estimator, splits by a splitter, or asks a rule, which looks at options before anything else."""
    if type(one) in RULES.values():
        return one(TopK([[0, 1]], [[0.9, 0.8]]), k=1, histories=[[1, 0]])
    if isinstance(one, Feature):
        return TwoStage(features=[one]).fit(some_rows())
    if isinstance(one, InteractionSplitter):
        return one.split(Interactions([0, 1], [0, 1]))
    return type(one)(**vars(one)) if isinstance(one, UserKFold) else one.fit(some_rows())


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if getattr(kind, "fit", None) is not Compressed.fit], ids=lambda k: k.__name__
)
def test_bad_options_are_refused_by_name_and_nothing_is_done(kind):
    if getattr(kind, "fit", None) is Compressed.fit:
        return  # the model is not fitted
    for name, option in options_of(kind).items():
        for value in bad_values(option):
            model = kind(**{name: value}) if kind in RULES.values() else made(kind)
            object.__setattr__(model, name, value)
            before = dict(vars(model))
            with pytest.raises((TypeError, ValueError), match=rf"\b{kind.__name__}\.{name}\b"):
                use(model)
            assert vars(model) == before or all(vars(model)[key] is before[key] for key in before | vars(model))


@every
def test_values_at_the_edges_are_allowed(kind):
    for name, option in options_of(kind).items():
        for value in edges(option):
            option.check(name, value)


@given(st.floats(), st.floats(-5, 5), st.floats(-5, 5), st.booleans(), st.booleans())
def test_numbers_are_within_bounds(value, least, most, above, below):
    option = Number(least, most, above=above, below=below)
    inside = (least < value if above else least <= value) and (value < most if below else value <= most)
    if inside:
        option.check("x", value)
    else:
        with pytest.raises(ValueError, match=r"x must be a finite number"):
            option.check("x", value)


# -- classes of a user's own


class Window(Popularity):
    """A user's own class, with undeclared options."""

    def __init__(self, window="wide", *, weighting="count"):
        super().__init__(weighting=weighting)
        self.window = window


class Steady(ImplicitALS):
    """A user's own class, without a constructor."""


def test_classes_without_a_table_work():
    X = some_rows()
    assert Window().fit(X).recommend(0).codes.shape == (1, 10)
    with pytest.raises(ValueError, match=r"Window\.weighting must be one of"):
        Window(weighting="some").fit(X)
    with pytest.raises(ValueError, match=r"Steady\.factors .* must be an integer of at least 1, got 0"):
        Steady(factors=0).fit(X)
    assert list(options_of(Window)) == ["weighting"]


def test_recommending_looks_at_no_table(monkeypatch):
    model = ImplicitALS(4, iterations=1, random_state=0).fit(some_rows())
    monkeypatch.setattr(ImplicitALS, "_check_options", lambda self: pytest.fail("options were looked at"))
    model.recommend([0, 1])
    model.transform(some_rows())


# -- texts


@pytest.mark.parametrize(
    ("option", "text", "value"),
    [
        (Integer(1), "8", 8),
        (Number(0), "1e-3", 0.001),
        (Number(0, also=("auto",)), "auto", "auto"),
        (Choice((8, 4)), "4", 4),
        (Choice(("a", None)), "None", None),
        (Flag(), "True", True),
        (Widths(), "64x32", (64, 32)),
        (Widths(), "64", (64,)),
        (Pair(Number(0)), "0.1x0.2", (0.1, 0.2)),
        (Pair(Number(0)), "0.1", 0.1),
        (Jobs(), "-1", -1),
    ],
)
def test_texts_are_values(option, text, value):
    assert option.parse(text) == value
    option.check("x", option.parse(text))


def test_options_of_a_model_are_read_by_their_names():
    assert parse_options(ImplicitALS, ["alpha=auto", "factors=8", "tol=0.1"]) == {
        "alpha": "auto",
        "factors": 8,
        "tol": 0.1,
    }
    assert parse_options(Window, ["window=3"]) == {"window": 3}
    with pytest.raises(ValueError, match="ImplicitALS has no option 'n_factors'; here it is called 'factors'"):
        parse_options(ImplicitALS, ["n_factors=3"])
    with pytest.raises(ValueError, match=r"ImplicitALS\.factors .* must be an integer of at least 1, got 0"):
        parse_options(ImplicitALS, ["factors=0"])
    with pytest.raises(TypeError, match=r"ImplicitALS\.factors .* must be an integer of at least 1, got 'many'"):
        parse_options(ImplicitALS, ["factors=many"])
    with pytest.raises(ValueError, match="must be like factors=64, got factors"):
        parse_options(ImplicitALS, ["factors"])


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    PAGE.write_text(page + MARK + table(), encoding="utf-8")
