"""Ids as callers give them, in every method that takes some."""

from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastrec as fr
from fastrec.data.ids import as_ids, parse_id, parse_integer

INTEGERS = {
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "generator": lambda ids: (id for id in ids),
    "keys": lambda ids: dict.fromkeys(ids).keys(),
    "range": lambda ids: range(ids[0], ids[-1] + 1),
    **{f"numpy {kind}": lambda ids, kind=kind: np.array(ids, kind) for kind in ("i1", "u1", "i4", ">i8", "u8", "O")},
    "numpy scalars": lambda ids: list(np.array(ids)),
    "numpy masked": lambda ids: np.ma.masked_array(ids, mask=[False] * len(ids)),
    "numpy read-only": lambda ids: np.broadcast_to(np.array(ids), (len(ids),)),
    "pandas": pd.Series,
    "pandas index": pd.Index,
    "pandas Int64": lambda ids: pd.Series(ids, dtype="Int64"),
    "pandas array": lambda ids: pd.array(ids, dtype="UInt16"),
    "pandas arrow": lambda ids: pd.Series(ids, dtype=pd.ArrowDtype(pa.int32())),
    "pandas category": lambda ids: pd.Series(ids, dtype="category"),
    "pandas categorical": pd.Categorical,
    "pandas objects": lambda ids: pd.Series(ids, dtype=object),
    "polars": pl.Series,
    "polars Int128": lambda ids: pl.Series(ids, dtype=pl.Int128),
    "polars UInt8": lambda ids: pl.Series(ids, dtype=pl.UInt8),
    "polars decimal": lambda ids: pl.Series(list(map(Decimal, ids)), dtype=pl.Decimal(38, 0)),
    "arrow": pa.array,
    "arrow chunks": lambda ids: pa.chunked_array([ids[:1], ids[1:]]),
    "arrow dictionary": lambda ids: pa.array(ids).dictionary_encode(),
    "arrow decimal": lambda ids: pa.array(list(map(Decimal, ids)), pa.decimal128(38, 0)),
    "arrow scalars": lambda ids: list(pa.array(ids)),
    "decimals": lambda ids: list(map(Decimal, ids)),
}
STRINGS = {
    "list": list,
    "set": set,
    "numpy U": np.array,
    "numpy O": lambda ids: np.array(ids, object),
    "numpy StringDType": lambda ids: np.array(ids, np.dtypes.StringDType()),
    "pandas": pd.Series,
    "pandas objects": lambda ids: pd.Series(ids, dtype=object),
    "pandas string[pyarrow]": lambda ids: pd.Series(ids, dtype="string[pyarrow]"),
    "pandas string[python]": lambda ids: pd.Series(ids, dtype="string[python]"),
    "pandas category": lambda ids: pd.Series(ids, dtype="category"),
    "pandas arrow": lambda ids: pd.Series(ids, dtype=pd.ArrowDtype(pa.large_string())),
    "pandas arrow dictionary": lambda ids: pd.Series(ids, dtype=pd.ArrowDtype(pa.dictionary(pa.int8(), pa.string()))),
    "polars": pl.Series,
    "polars category": lambda ids: pl.Series(ids, dtype=pl.Categorical),
    "polars enum": lambda ids: pl.Series(ids, dtype=pl.Enum(sorted(ids))),
    "arrow": pa.array,
    "arrow view": lambda ids: pa.array(ids, pa.string_view()),
    "arrow dictionary": lambda ids: pa.array(ids).dictionary_encode(),
    "arrow chunks of dictionaries": lambda ids: pa.chunked_array([pa.array([id]).dictionary_encode() for id in ids]),
}


@pytest.mark.parametrize("make", INTEGERS.values(), ids=INTEGERS)
def test_integers_in_any_collection_are_int64(make):
    ids = as_ids(make([3, 4, 5]))
    assert ids.dtype == np.int64
    assert sorted(ids.tolist()) == [3, 4, 5]


@pytest.mark.parametrize("make", STRINGS.values(), ids=STRINGS)
def test_strings_in_any_collection_are_objects(make):
    ids = as_ids(make(["b", "a"]))
    assert ids.dtype == object
    assert sorted(ids.tolist()) == ["a", "b"]
    assert set(map(type, ids.tolist())) == {str}


MISSING = {
    "None": [1, None],
    "pandas Int64": pd.Series([1, None], dtype="Int64"),
    "pandas float": pd.Series([1, None]),
    "pandas strings": pd.Series(["a", None]),
    "pandas arrow": pd.Series([1, None], dtype=pd.ArrowDtype(pa.int64())),
    "polars": pl.Series([1, None]),
    "polars Int128": pl.Series([1, None], dtype=pl.Int128),
    "arrow": pa.array([1, None]),
    "arrow chunks": pa.chunked_array([[1], [None]]),
    "numpy masked": np.ma.masked_array([1, 2], mask=[False, True]),
    "decimal": [Decimal(1), Decimal("nan")],
}


@pytest.mark.parametrize("ids", MISSING.values(), ids=MISSING)
def test_a_missing_id_is_named_by_its_row(ids):
    with pytest.raises(ValueError, match=r"must not be missing, got .* in row 1"):
        as_ids(ids)


@pytest.mark.parametrize(
    "ids",
    [
        [1, 2**63],
        pl.Series([1, 2**70], dtype=pl.Int128),
        pa.array([Decimal(1), Decimal(2**70)], pa.decimal128(38, 0)),
        np.array([1, 2**63], np.uint64),
        pd.Series([1, 2**63], dtype="UInt64"),
    ],
)
def test_an_id_beyond_int64_is_named_by_its_row(ids):
    with pytest.raises(ValueError, match=r"must fit in int64, got \d+ in row 1"):
        as_ids(ids)


@pytest.mark.parametrize(
    "ids", [[1.0], np.array([1.0]), pl.Series([1.5]), pa.array([True]), [Decimal("1.0")], [b"a"], pd.Series([1.0, 2.0])]
)
def test_an_invalid_id_is_a_type_error(ids):
    with pytest.raises(TypeError, match="must be integers or strings"):
        as_ids(ids)


X = (np.random.default_rng(0).random((30, 20)) < 0.4) * 1.0
MODELS = {
    "codes": fr.ItemKNN().fit(X),
    "integers": fr.ItemKNN().fit(fr.Interactions.from_matrix(X, users=range(30), items=range(20))),
}
METHODS = {
    "users": lambda model, ids: model.recommend(ids, 4).codes[np.argsort(as_ids(model.recommend(ids, 4).users))],
    "allow": lambda model, ids: model.recommend([0, 1], 2, allow=ids).codes,
    "deny": lambda model, ids: model.recommend([0, 1], 5, deny=ids).codes,
    "allow for each": lambda model, ids: model.recommend([0], 2, allow=[ids]).codes,
    "predict_pairs": lambda model, ids: np.sort(model.predict_pairs(0, ids)),
    "similar_items": lambda model, ids: np.sort(model.similar_items(ids, 2).scores, axis=0),
    "histories": lambda model, ids: model.histories([ids]).toarray(),
}


def once(make):
    """Makes the kinds of collections that can be read only once anew."""
    return make([3, 4, 5])


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", [kind for kind in INTEGERS if kind != "generator"])
def test_every_method_takes_any_collection(model, method, kind):
    ask = METHODS[method]
    np.testing.assert_array_equal(ask(model, once(INTEGERS[kind])), ask(model, [3, 4, 5]))


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("option", ["allow", "deny"])
def test_iterators_are_taken_too(model, option):
    found = model.recommend(iter([0, 1]), 3, **{option: iter([3, 4, 5])})
    expected = model.recommend([0, 1], 3, **{option: [3, 4, 5]})
    np.testing.assert_array_equal(found.codes, expected.codes)
    for_each = model.recommend([0, 1], 3, **{option: ({code} for code in (3, 4))})
    np.testing.assert_array_equal(for_each.codes, model.recommend([0, 1], 3, **{option: [[3], [4]]}).codes)


# -- texts that stand for ids


@given(st.integers(-(2**63), 2**63 - 1))
def test_an_integer_is_read_as_it_is_written(number):
    assert parse_integer(str(number)) == number


@given(st.text(st.characters(categories=["Nd", "Zs", "Cc"], include_characters="+-_.eE"), max_size=6))
def test_no_two_texts_stand_for_one_integer(text):
    number = parse_integer(text)
    assert number is None or str(number) == text


@pytest.mark.parametrize("text", ["0100", "1_0", " 5", "5 ", "+5", "５", "-0", "", "5.0", "0x5", str(2**63), "٣"])
def test_a_text_that_is_not_a_plain_integer_is_refused(text):
    assert parse_id(text, "int") is None
    assert parse_id(text, "str") == text


# -- lone surrogates: no file and no answer holds them

BROKEN = "a\ud800"


@pytest.mark.parametrize(
    "make",
    [
        lambda: fr.Vocabulary([BROKEN]),
        lambda: fr.Vocabulary(["a"]).extended([BROKEN]),
        lambda: fr.Interactions([0], [0], users=["ok"], items=[BROKEN]),
        lambda: fr.Interactions([0], [0], item_info={"title": [BROKEN]}),
        lambda: fr.read_interactions(pd.DataFrame({"user": pd.Series([BROKEN], dtype=object), "item": [1]})),
        lambda: fr.read_interactions(
            pd.DataFrame({"user": [1], "item": [1]}), item_info={"item": [1], "title": [BROKEN]}
        ),
    ],
)
def test_a_lone_surrogate_is_refused_where_it_comes_in(make):
    with pytest.raises(ValueError, match=r"'a\\ud800', which has a lone surrogate"):
        make()


def test_an_id_with_a_lone_surrogate_is_unknown():
    assert BROKEN not in fr.Vocabulary(["a"])
    with pytest.raises(ValueError, match="unknown id"):
        fr.Vocabulary(["a"]).encode([BROKEN])


LONE = "a\ud800"


@pytest.mark.parametrize(
    "columns",
    [{"genre": [LONE, "b"]}, {"genre": [[LONE], ["b", "c"]]}, {"genre": [("b", LONE), None]}, {LONE: ["a", "b"]}],
)
def test_no_lone_surrogate_gets_in_by_facts_about_items(columns):
    with pytest.raises(ValueError, match="must be strings of Unicode characters"):
        fr.features.FeatureEncoder().fit(columns)
    column = np.empty(2, object)
    for name, values in columns.items():
        column[:] = values
        with pytest.raises(ValueError, match="must be strings of Unicode characters"):
            fr.Interactions([0], [1], item_info={name: column})
