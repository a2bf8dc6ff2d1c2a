import datetime
import enum
import functools
import os
import pathlib
import subprocess
import sys
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.pipeline import make_pipeline

import fastrec as fr
from fastrec.fingerprint import IDLE, fingerprint
from tests.choosing import choose


def spoilt(array, place, value):
    array = np.array(array)
    array[place] = value
    return array


class Color(enum.Enum):
    RED = 1
    GREEN = 2


def scaled(factor):
    @functools.wraps(spoilt)
    def wrapper(array):
        return array * factor

    return wrapper


LONG = np.zeros(5000)
STRUCTURED = np.zeros(3, np.dtype([("a", "i1"), ("b", "f8")], align=True))
KEPT_ZERO = sp.csr_array((np.zeros(1, np.float32), ([0], [1])), shape=(1, 2))
PAIRS = fr.Interactions([0, 0, 1], [0, 1, 1])

UNLIKE = [
    (1, 1.0),
    (1, True),
    (1, "1"),
    ("ab", ["a", "b"]),
    (["ab", "c"], ["a", "bc"]),
    (["astr:b", "c"], ["a", "bstr:c"]),
    ([1, [2]], [[1], 2]),
    ([[1], 2], [[1, 2]]),
    ([1], (1,)),
    ({"a": 1}, {"a": 2}),
    ({1, 2}, {1, 3}),
    (LONG, spoilt(LONG, 2500, 1)),
    (LONG, LONG.reshape(50, 100)),
    (LONG, LONG.astype(np.float32)),
    (np.array(["a", "bc"], object), np.array(["ab", "c"], object)),
    (sp.csr_array(np.eye(3)), sp.csr_array(np.eye(3, k=1))),
    (PAIRS, fr.Interactions([0, 0, 1], [0, 1, 0], items=range(2))),
    (PAIRS, fr.Interactions([0, 0, 1], [0, 1, 1], users=["a", "b"])),
    (PAIRS, fr.Interactions([0, 0, 1], [0, 1, 1], times=[1, 2, 3])),
    (PAIRS, fr.Interactions([0, 0, 1], [0, 1, 1], item_info={"title": ["a", "b"]})),
    (fr.ImplicitALS(4), fr.ImplicitALS(5)),
    (fr.ImplicitALS(random_state=0), fr.ImplicitALS(random_state=1)),
    (fr.ImplicitALS(), fr.ExplicitALS()),
    (fr.FixedFactors(LONG, LONG), fr.FixedFactors(LONG, spoilt(LONG, 2500, 1))),
    (make_pipeline(fr.KCore(2, 2), fr.EASE()), make_pipeline(fr.KCore(2, 3), fr.EASE())),
    (stats.uniform(0, 1), stats.uniform(0, 2)),
    (stats.uniform(0, 1), stats.norm(0, 1)),
    (stats.rv_discrete(values=([1, 2], [0.5, 0.5]))(), stats.rv_discrete(values=([1, 3], [0.5, 0.5]))()),
    (stats.uniform, stats.norm),
    (stats.rv_discrete(values=([1, 2], [0.5, 0.5])), stats.rv_discrete(values=([1, 3], [0.5, 0.5]))),
    (partial(max, 1), partial(max, 2)),
    (datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)),
    (np.random.default_rng(0), np.random.default_rng(1)),
    (np.add, np.multiply),
    ([1, 2].index, [1, 3].index),
    (np.array(["a", "b"]), np.array(["a", "c"])),
    (np.arange(3), np.arange(3).tolist()),
    (STRUCTURED, spoilt(STRUCTURED, 1, (1, 2.5))),
    (pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [1, 3]})),
    (pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"b": [1, 2]})),
    (pl.DataFrame({"a": [1.0, None]}), pl.DataFrame({"a": [1.0, float("nan")]})),
    (pa.array([1, 2]), pa.array([1, 3])),
    (fr.MMR(0.3), fr.MMR(0.4)),
    (fr.MMR(0.3, LONG[:, None]), fr.MMR(0.3, spoilt(LONG, 2500, 1)[:, None])),
    (pathlib.PurePath("a"), pathlib.PurePath("b")),
    (Color.RED, Color.GREEN),
    (Color.RED, 1),
    (scaled(2), scaled(3)),
    (KEPT_ZERO, sp.csr_array((1, 2), dtype=np.float32)),
    (fr.Popularity(), fr.Popularity().fit(np.eye(2))),
    (fr.Popularity().fit(np.eye(2)), fr.Popularity().fit(2 * np.eye(2))),
    (fr.UserKNN(2).fit(np.eye(3)), fr.UserKNN(30).fit(np.eye(3))),
]


@pytest.mark.parametrize(("one", "other"), UNLIKE)
def test_unlike_values_have_unlike_fingerprints(one, other):
    assert fingerprint(one) != fingerprint(other)
    assert fingerprint([one]) != fingerprint(one)


@pytest.mark.parametrize("array", [np.zeros(25), np.array(["a"] * 25, object)])
def test_long_arrays_are_told_by_their_last_entries(array, monkeypatch):
    monkeypatch.setattr("fastrec.fingerprint.ENTRIES_AT_ONCE", 10)
    last = spoilt(array, 24, array[0] * 2 or 1)
    assert fingerprint(array) != fingerprint(last)


def test_values_that_give_the_same_result_have_the_same_fingerprint():
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint(sp.csr_array(np.eye(3))) == fingerprint(sp.coo_array(np.eye(3)))
    assert fingerprint(LONG[::2]) == fingerprint(LONG[:2500])
    assert fingerprint(fr.ImplicitALS(n_jobs=1, verbose=True)) == fingerprint(fr.ImplicitALS(n_jobs=2))
    assert fingerprint({"b", "a"}) == fingerprint(frozenset(["a", "b"]))
    assert fingerprint(np.float64(2.5)) == fingerprint(2.5)
    assert fingerprint(np.arange(3)) == fingerprint(np.arange(3, dtype=">i8"))
    assert fingerprint(np.array(["a", "b"])) == fingerprint(np.array(["a", "b"], "U9"))
    assert fingerprint(np.array(["a", "b"])) == fingerprint(np.array(["a", "b"], object))
    assert fingerprint(pl.Series([1, 2])) == fingerprint(pd.Series([1, 2])) == fingerprint(pa.array([1, 2]))
    padded = np.frombuffer(bytes([7]) * STRUCTURED.nbytes, STRUCTURED.dtype).copy()
    padded[:] = STRUCTURED
    assert fingerprint(padded) == fingerprint(STRUCTURED)


def test_a_sparse_matrix_is_told_by_its_entries_in_any_order_and_form():
    split = sp.coo_array(([1.0, 1.0, 3.0], ([1, 1, 0], [2, 2, 0])), shape=(2, 3))
    whole = sp.csc_array(np.array([[3.0, 0, 0], [0, 0, 2]]))
    disorder = sp.csr_array((np.array([1.0, 2.0]), np.array([1, 0]), np.array([0, 2])), shape=(1, 2))
    disorder.has_sorted_indices = True  # it is not
    assert fingerprint(split) == fingerprint(whole)
    assert fingerprint(disorder) == fingerprint(sp.csr_array([[2.0, 1.0]]))
    assert disorder.indices.tolist() == [1, 0]


GOLDEN = ["675b38", "23520e", "fdf7e0", "7f1971", "8bca30", "830a92", "21e74f", "e658ff"]

MADE = """[
    stats.norm(0), stats.uniform, fr.EASE(3), {'b', 'a', 'c'}, {'x': {1, 2}, 'y': 'é'}, np.arange(3), print,
    np.random.default_rng(0), functools.partial(fr.split_random, n=2), datetime.date(2020, 1, 1), pathlib.Path("a/b"),
    sp.csr_array(np.eye(3)), fr.Interactions([0, 1], [1, 0], users=["ann", "bob"]), fr.MMR(0.5), [1.5, True, None, 1j],
    frozenset({("a", 1), ("b", 2)}), pd.DataFrame({"a": ["x", None]}), fr.ItemKNN(2).fit(np.eye(3)), ValueError,
]"""


def test_a_fingerprint_is_the_same_in_another_process():
    code = "import datetime, functools, pathlib, sys, numpy as np, pandas as pd, scipy.sparse as sp, fastrec as fr\n"
    code += f"from scipy import stats; from fastrec.fingerprint import fingerprint\nprint([*map(fingerprint, {MADE})])"
    expected = repr(list(map(fingerprint, eval(MADE))))
    for seed in ("1", "2"):
        told = {**os.environ, "PYTHONHASHSEED": seed}
        shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=told)
        assert shown.stdout.decode().strip() == expected


def test_a_fingerprint_is_the_same_in_every_python_and_on_every_platform():
    text = "\U0001fae9 \U0001fadf"  # letters that repr shows or escapes, depending on the Unicode of its Python
    values = [0, 1.5, text, b"x", {"a": {1, 2}}, {text: None}, np.arange(4), sp.eye_array(2, format="csr")]
    assert [fingerprint(value)[:6] for value in values] == GOLDEN


@pytest.mark.parametrize("value", [lambda: 1, (n for n in ())])
def test_values_that_pickle_cannot_keep_are_refused(value):
    with pytest.raises(ValueError, match="cannot be identified"):
        fingerprint(value)


def test_a_circle_is_refused():
    circle = []
    circle.append(circle)
    with pytest.raises(ValueError, match="refers to itself"):
        fingerprint(circle)


# -- one difference anywhere is a difference

numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False)
leaves = numbers | st.text(max_size=3) | st.booleans() | st.none() | st.binary(max_size=3)
nested = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=8,
)


def told(value):
    """Returns a value with all that distinguishes it, as text: the order of mappings and sets does not count."""
    if isinstance(value, dict):
        return f"dict{sorted((told(key), told(one)) for key, one in value.items())}"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}{[told(one) for one in value]}"
    return f"{type(value).__name__} {value!r}"


@settings(deadline=None)
@given(nested, nested)
def test_fingerprints_are_equal_where_values_are(one, other):
    assert (fingerprint(one) == fingerprint(other)) == (told(one) == told(other))


@settings(deadline=None)
@given(st.sets(st.text(max_size=2) | st.integers(0, 9), min_size=1), st.randoms())
def test_a_set_is_told_by_its_members(members, random):
    shuffled = list(members)
    random.shuffle(shuffled)
    assert fingerprint(set(shuffled)) == fingerprint(members)
    assert fingerprint(set(shuffled[1:])) != fingerprint(members)


@settings(deadline=None, max_examples=30)
@given(st.sampled_from("?bhilBdf"), st.integers(1, 40), st.data())
def test_one_entry_of_an_array_tells_it_from_others(kind, n, data):
    array = np.random.default_rng(n).integers(0, 2, n).astype(kind)
    place = data.draw(st.integers(0, n - 1))
    assert fingerprint(spoilt(array, place, 1 - array[place].astype(int))) != fingerprint(array)
    assert fingerprint(np.repeat(array, 2)[::2]) == fingerprint(array)


# -- models

KINDS = fr.models.estimators()


def quick(kind, seed=0):
    options = {"factors": 4, "iterations": 2, "random_state": 0, "epsilon": 100.0, "delta": 1e-3, "noise_seed": 0}
    X = sp.csr_array((np.random.default_rng(seed).random((30, 20)) < 0.3).astype(np.float32))
    return choose(kind(), options).fit(X)


def places_of_arrays(model):
    """Returns the arrays that a model has learned, each with a function that sets another in its place."""
    for name, value in vars(model).items():
        if not name.endswith("_") or name.startswith("_"):
            continue
        if isinstance(value, np.ndarray) and value.size:
            yield value, lambda array, name=name: setattr(model, name, array)
        elif sp.issparse(value) and value.nnz:
            yield (
                value.data,
                lambda array, name=name, value=value: setattr(
                    model, name, sp.csr_array((array, value.indices, value.indptr), shape=value.shape)
                ),
            )


@pytest.mark.filterwarnings("ignore::fastrec.privacy.NotPrivateWarning")
@pytest.mark.parametrize("name", KINDS)
def test_a_model_is_told_by_all_that_it_has_learned(name, tmp_path):
    model = quick(KINDS[name])
    own = fingerprint(model)
    assert fingerprint(quick(KINDS[name])) == own
    assert fingerprint(quick(KINDS[name], seed=1)) != own
    model.save(tmp_path / "model")
    assert fingerprint(fr.load(tmp_path / "model")) == own
    options = {name: 2 for name in IDLE if name in model.get_params() and name != "callback"}
    assert fingerprint(model.set_params(**options)) == own
    for array, put in list(places_of_arrays(model)):
        if array.dtype != object:
            for place in {0, array.size - 1}:
                other = array.copy()
                other.reshape(-1)[place] = ~other.reshape(-1)[place] if other.dtype.kind in "bi" else 77.5
                put(other)
                assert fingerprint(model) != own
            put(array)
    assert fingerprint(model) == own


def test_options_that_no_file_holds_have_done_their_work_once_a_model_is_fitted():
    X = np.kron(np.eye(2), np.ones((6, 3)))

    def fitted(hide):
        members = [fr.PureSVD(2, random_state=0), fr.Popularity()]
        return fr.Blend(members, validation=hide, random_state=0).fit(fr.Interactions.from_matrix(X))

    given = fingerprint(fitted(partial(fr.split_random, random_state=0)))
    assert fingerprint(fitted(lambda X: fr.split_random(X, random_state=0))) == given
