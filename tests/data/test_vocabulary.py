import copy
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrec import Vocabulary
from fastrec.data.vocabulary import CodeVocabulary

INTEGERS = st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, max_size=40)
# All letters of Unicode except lone surrogates, which are refused; NULs and empty strings are included.
STRINGS = st.lists(st.text(st.characters(exclude_categories=("Cs",))), unique=True, max_size=40)


@given(INTEGERS | STRINGS)
def test_codes_and_ids_are_each_others_inverse(ids):
    vocabulary = Vocabulary(ids)
    assert vocabulary.encode(ids).tolist() == list(range(len(ids)))
    assert vocabulary.decode(np.arange(len(ids))).tolist() == ids
    assert all(id in vocabulary for id in ids)


@given(INTEGERS | STRINGS)
def test_arrays_bring_back_the_same_vocabulary(ids):
    vocabulary = Vocabulary(ids)
    again = Vocabulary.from_arrays(vocabulary.to_arrays())
    assert again == vocabulary
    assert again.kind == vocabulary.kind
    assert again.ids.tolist() == ids
    # One id at a time, before any Python string is made, is found by bisection in the bytes.
    for code, id in enumerate(ids):
        lazy = Vocabulary.from_arrays(vocabulary.to_arrays())
        assert lazy.encode([id]).tolist() == [code]
        assert lazy.decode([code]).tolist() == [id]


@given(INTEGERS | STRINGS, st.lists(st.integers(-(2**70), 2**70) | st.text(), max_size=5))
def test_one_id_and_a_few_codes_are_looked_up_as_many_are(ids, others):
    whole = Vocabulary(ids)
    made = [whole, Vocabulary.from_arrays(whole.to_arrays()), Vocabulary.from_sorted(whole.ids[np.argsort(whole.ids)])]
    for vocabulary in made:
        listed = vocabulary.ids.tolist()
        lazy = vocabulary if vocabulary is made[2] else Vocabulary.from_arrays(vocabulary.to_arrays())
        assert [lazy.find(id) for id in listed] == list(range(len(ids)))
        codes = list(range(len(ids)))[::-3]
        assert lazy.decode_few(codes) == [listed[code] for code in codes]
        for other in [*others, True, None]:
            assert lazy.find(other) == (listed.index(other) if type(other) in (int, str) and other in listed else -1)


def test_one_code_is_looked_up_where_there_are_no_ids():
    assert [CodeVocabulary(3).find(asked) for asked in (0, 2, 3, -1, "0")] == [0, 2, -1, -1, -1]
    assert CodeVocabulary(3).decode_few([2, 0]) == [2, 0]


@given(STRINGS, st.integers(0, 400))
def test_lookup_by_halving_agrees_with_lookup_by_table(strings, more):
    ids = sorted({*strings, *(f"id{i}" for i in range(more))}, reverse=True)
    lazy = Vocabulary.from_arrays(Vocabulary(ids).to_arrays())
    for id in (*ids[::37], "not there", "", "\uffff", "id7"):
        expected = ids.index(id) if id in ids else -1
        assert lazy.encode([id], unknown="code").tolist() == [expected]


@given(st.lists(st.integers(-1000, 1000), unique=True, max_size=30), st.integers(1, 10**15))
def test_integers_are_found_in_any_order_spread_and_number(ids, spread):
    ids = [id * spread for id in ids]
    vocabulary = Vocabulary(ids)
    asked = [*ids, 7, -(2**63), 2**63 - 1, *(id + 1 for id in ids)]
    expected = [ids.index(id) if id in ids else -1 for id in asked]
    assert vocabulary.encode(asked, unknown="code").tolist() == expected
    many = vocabulary.encode(asked * 100, unknown="code").tolist()  # enough ids for the table
    assert many == expected * 100


@pytest.mark.parametrize(
    "ids",
    [
        np.array(["a", "b"]),
        np.array(["a", "b"], object),
        np.array(["a", "b"], np.dtypes.StringDType()),
        ("a", "b"),
        pd.Series(["a", "b"]),
        pd.Series(["a", "b"], dtype="category"),
        pd.Index(["a", "b"]),
        pl.Series(["a", "b"]),
        pa.array(["a", "b"]),
        pa.chunked_array([["a"], ["b"]]),
        [np.str_("a"), "b"],
    ],
)
def test_strings_of_any_make_are_strings(ids):
    vocabulary = Vocabulary(ids)
    assert vocabulary == Vocabulary(["a", "b"])
    assert [type(id) for id in vocabulary.ids] == [str, str]


@pytest.mark.parametrize(
    "ids", [range(3, 5), np.array([3, 4], "u1"), pd.Series([3, 4]), pl.Series([3, 4]), [np.int8(3), 4], (3, 4)]
)
def test_integers_of_any_make_are_int64(ids):
    assert Vocabulary(ids).ids.dtype == np.int64
    assert Vocabulary(ids) == Vocabulary([3, 4])


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        (["a", 1], TypeError, "1 .int. in row 1 after strings"),
        ([1, "a"], TypeError, "'a' .str. in row 1 after integers"),
        ([1.0, 2.0], TypeError, "integers or strings, got 1.0 .float. in row 0"),
        (np.array([1.0]), TypeError, "integers or strings, got float64"),
        ([True], TypeError, "True"),
        (np.array([True]), TypeError, "bool"),
        ([b"a"], TypeError, "bytes"),
        (np.array([b"a"]), TypeError, "S1"),
        ([1, None], ValueError, "missing, got None in row 1"),
        (["a", float("nan")], ValueError, "missing, got nan in row 1"),
        (["a", pd.NA], ValueError, "missing, got <NA> in row 1"),
        (np.array([1.0, np.nan]), ValueError, "missing, got nan in row 1"),
        ([1, 2**63], ValueError, "int64, got 9223372036854775808 in row 1"),
        (np.array([2**63], np.uint64), ValueError, "int64, got 9223372036854775808 in row 0"),
        (np.array([[1]]), ValueError, "one-dimensional"),
        ([3, 5, 3], ValueError, "unique, got 3 twice"),
        (["b", "a", "b"], ValueError, "unique, got 'b' twice"),
    ],
)
def test_an_invalid_id_is_refused_by_row(ids, error, message):
    with pytest.raises(error, match=message):
        Vocabulary(ids)


def test_an_unknown_id_is_named():
    with pytest.raises(ValueError, match="unknown id 'Dune'"):
        Vocabulary(["Alien", "Brazil"]).encode(["Alien", "Dune"])


@pytest.mark.parametrize(
    ("ids", "asked", "message"),
    [
        ([41, 42], ["42"], "'42': the ids here are integers, 42 among them"),
        (["41", "42"], [42], "42: the ids here are strings, '42' among them"),
        ([41], ["x"], "'x': the ids here are integers$"),
    ],
)
def test_types_are_strict_and_the_error_says_so(ids, asked, message):
    vocabulary = Vocabulary(ids)
    assert asked[0] not in vocabulary
    assert vocabulary.encode(asked, unknown="code").tolist() == [-1]
    with pytest.raises(ValueError, match=message):
        vocabulary.encode(asked)


@pytest.mark.parametrize("codes", [[-1], [0, 2], [[0, 1], [1, 5]]])
def test_a_code_out_of_range_is_refused(codes):
    with pytest.raises(ValueError, match="codes from 0 to 1"):
        Vocabulary(["a", "b"]).decode(codes)


@given(STRINGS, STRINGS)
def test_an_extended_vocabulary_moves_no_code(old, new):
    vocabulary = Vocabulary(old)
    larger = vocabulary.extended(new + new)
    assert larger.ids.tolist() == old + [id for id in new if id not in old]
    assert vocabulary.ids.tolist() == old
    if old:
        assert larger.encode(old).tolist() == list(range(len(old)))


def test_a_vocabulary_is_extended_by_its_own_type_only():
    with pytest.raises(TypeError, match="'int' cannot be extended with ids of type 'str'"):
        Vocabulary([1]).extended(["a"])


@pytest.mark.parametrize("ids", [[3, 1, 2], ["c", "a", "b\0"], []])
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
def test_copies_are_equal_and_frozen(ids, copied):
    vocabulary = copied(Vocabulary(ids))
    assert vocabulary == Vocabulary(ids)
    assert not vocabulary.ids.flags.writeable


def test_ids_cannot_be_changed_from_inside_or_outside():
    given = np.array([5, 6])
    vocabulary = Vocabulary(given)
    given[0] = 7
    assert vocabulary.ids.tolist() == [5, 6]
    with pytest.raises(ValueError, match="read-only"):
        vocabulary.ids[0] = 7
    with pytest.raises(AttributeError):
        vocabulary.ids = given


def test_memory_mapped_arrays_are_not_read_before_they_are_asked_for(tmp_path):
    n = 1000
    for name, array in Vocabulary([f"id{i:04}" for i in range(n)]).to_arrays().items():
        np.save(tmp_path / f"{name}.npy", array)
    arrays = {name: np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("utf8", "offsets")}
    vocabulary = Vocabulary.from_arrays(arrays)
    assert vocabulary.encode(["id0500"]).tolist() == [500]
    assert vocabulary.decode([999]).tolist() == ["id0999"]
    assert vocabulary._ids is None  # no Python string for each id
    assert vocabulary._lookup is None


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"ids": np.array([1.0])},
        {"ids": np.array([[1]])},
        {"utf8": np.zeros(2, np.uint8)},
        {"utf8": np.zeros(2, np.uint8), "offsets": np.array([0, 1])},
        {"utf8": np.zeros(2, np.uint8), "offsets": np.array([0.0, 2.0])},
        {"utf8": np.zeros(2, np.uint8), "offsets": np.array([0, 2]), "order": np.array([0, 1], np.int32)},
    ],
)
def test_arrays_of_another_make_are_refused(arrays):
    with pytest.raises(ValueError, match=r"vocabulary|block of strings|must be"):
        Vocabulary.from_arrays(arrays)


def test_bad_utf8_in_a_block_is_an_error():
    vocabulary = Vocabulary.from_arrays({"utf8": np.array([255, 254], np.uint8), "offsets": np.array([0, 2])})
    with pytest.raises(ValueError, match="utf-8"):
        _ = vocabulary.ids


def test_equality_needs_the_same_ids_in_the_same_order():
    assert Vocabulary([1, 2]) == Vocabulary([1, 2])
    assert Vocabulary([1, 2]) != Vocabulary([2, 1])
    assert Vocabulary([1, 2]) != Vocabulary(["1", "2"])
    assert Vocabulary([1]) != "1"


def test_repr_shows_kind_and_first_ids():
    assert repr(Vocabulary(["a", "b", "c", "d"])) == "Vocabulary(4 strings: 'a', 'b', 'c', …)"


def test_unknown_must_be_a_known_word():
    with pytest.raises(ValueError, match="unknown must be one of"):
        Vocabulary([1]).encode([1], unknown="skip")


def test_vocabularies_of_others_are_looked_at():
    good = Vocabulary(["b", "a", "c"]).to_arrays()
    Vocabulary.from_arrays(good).check_content()
    for name, bad in {
        "order": good["order"][::-1].copy(),
        "utf8": np.frombuffer(b"bab", np.uint8),
        "offsets": np.array([0, 2, 1, 3]),
    }.items():
        with pytest.raises(ValueError, match="must"):
            Vocabulary.from_arrays({**good, name: bad}).check_content()
    with pytest.raises(ValueError, match="each number once"):
        Vocabulary.from_arrays({"ids": np.array([1, 2, 1])}).check_content()
