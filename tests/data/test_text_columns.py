"""Columns of text: integers and numbers as Python reads them, and distinct fields."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastrec.data.text_columns import NoNumberError, TextColumn


@settings(deadline=None)
@given(st.lists(st.integers(-(10**25), 10**25).map(str) | st.text("0123456789-+_. ", max_size=21), min_size=1))
@example(["9223372036854775807", "-9223372036854775808"])
@example(["9223372036854775808"])
@example(["-9223372036854775809"])
@example(["-0"])
def test_integers_are_those_that_python_writes_the_same(texts):
    stripped = [text.strip(" \t") for text in texts]

    def plain(text):
        try:
            return str(int(text)) == text and -(2**63) <= int(text) < 2**63
        except ValueError:
            return False

    found = TextColumn.of(texts).integers()
    assert (found is not None) == all(map(plain, stripped))
    if found is not None:
        assert found.tolist() == list(map(int, stripped))


@settings(deadline=None)
@given(st.lists(st.floats(allow_nan=False).map(repr) | st.decimals(allow_nan=False).map(str), min_size=1))
@example(["9007199254740993.0", "0.1", "123456789012345678901234567890", "1e-320", "-0.0", "5.", ".5", "+7", "007"])
def test_numbers_are_those_of_python_to_the_last_bit(texts):
    found = TextColumn.of(texts).numbers()
    assert [math.copysign(1, a) * abs(a) for a in map(float, found)] == list(map(float, texts))


@pytest.mark.parametrize("text", ["1_0", "٣", "0x1", "", "1e", "infinite", "1,5", "1 000", "- 1"])
def test_a_text_that_is_not_a_number_is_named_by_its_row(text):
    with pytest.raises(NoNumberError) as told:
        TextColumn.of(["1.5", text]).numbers()
    assert (told.value.row, told.value.text) == (1, text)


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=3), min_size=1, max_size=200))
def test_distinct_fields_are_sorted_and_found(texts):
    stripped = [text.strip(" \t") for text in texts]
    distinct, codes = TextColumn.of(texts).distinct()
    assert distinct == sorted(set(stripped))
    assert [distinct[code] for code in codes] == stripped


def test_many_distinct_fields_are_told_apart():
    texts = [f"id{i * 7919 % 50_000}" for i in range(60_000)]
    distinct, codes = TextColumn.of(texts).distinct()
    assert distinct == sorted(set(texts))
    assert np.array(distinct)[codes].tolist() == texts


DECIMAL = ["3,5", "-0,25", ",5", "12", "1,234", "+7,00"]
OTHER = [
    ["1,234"],
    ["1,234", "5"],
    ["1,234,567", "1,5"],
    ["3,5", "3.5"],
    ["3,5", "4,"],
    ["3,5", "many"],
    ["3,5", "a,b"],
]


@given(st.lists(st.sampled_from(DECIMAL), min_size=1).filter(lambda texts: {*texts} - {"12", "1,234"}))
def test_decimal_commas_are_points(texts):
    assert TextColumn.of(texts).numbers().tolist() == [float(text.replace(",", ".")) for text in texts]


@pytest.mark.parametrize("texts", OTHER)
def test_commas_that_need_a_guess_are_refused(texts):
    with pytest.raises(NoNumberError):
        TextColumn.of(texts).numbers()
