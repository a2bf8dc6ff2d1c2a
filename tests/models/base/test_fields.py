"""What classes declare of their arrays: the table in docs/model-file.md, and what is refused.

`python -m tests.models.test_fields` writes the table anew.
"""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrec.compression.codec import VectorCodec
from fastrec.compression.files import CLASSES
from fastrec.data import Vocabulary
from fastrec.data.strings import check_strings, is_rising, pack_strings
from fastrec.fields import Array, Matrix, Nothing, Value, check_fields, check_range, check_rows, fields_of
from fastrec.matrix.code_matrix import assemble_csr
from fastrec.models import Recommender
from fastrec.models.base.registry import loadable
from fastrec.retrieval import exact, ivf_state
from fastrec.solvers.network_layout import NetworkLayout

PAGE = Path(__file__).parents[3] / "docs" / "model-file.md"
MARK = "<!-- made by tests/models/base/test_fields.py -->\n"


def lines(kind, done):
    """The classes in a class's line that declare anything, the most general first."""
    bases = [base for base in reversed(kind.__mro__) if vars(base).get("_learned") and base not in done]
    return [base for base in bases if base.__module__.startswith("fastrec.")]


def rows(name, fields):
    told = {attribute: field for attribute, field in fields.items() if not isinstance(field, Nothing)}
    return [f"| {name} | `{attribute}` | {' | '.join(field.words())} |" for attribute, field in told.items()]


def table():
    text, done = [], set()
    for kind in [Recommender, *loadable().values(), VectorCodec, *CLASSES.values()]:
        for base in lines(kind, done):
            done.add(base)
            text += rows(base.__name__, base._learned)
    for name, fields in {
        "ExactIndex, float32": exact.fields_by(exact.METRICS["l2"], "float32"),
        "ExactIndex, int8": exact.fields_by(exact.METRICS["l2"], "int8"),
        "IVFIndex": ivf_state.fields_by("float32"),
    }.items():
        text += rows(name, fields)
    head = ["| class | attribute | type | shape | numbers |", "|---|---|---|---|---|"]
    return "\n".join(head + text) + "\n"


def test_the_page_has_what_classes_declare():
    assert PAGE.read_text(encoding="utf-8").partition(MARK)[2].strip() == table().strip(), "run this file to write it"


# -- what is refused


def refused(field, value, sizes=None):
    with pytest.raises(ValueError, match=r"must|lacks"):
        check_fields({"x": field}, {"x": value}, sizes or {}, ranges=True)


def test_arrays_are_of_their_type_shape_and_range():
    field = Array(("n", 2), least=0)
    check_fields({"x": field}, {"x": np.ones((3, 2), "f4")}, {"n": 3}, ranges=True)
    for bad in (np.ones((3, 2)), np.ones((2, 2), "f4"), np.ones(6, "f4"), -np.ones((3, 2), "f4"), [[1, 2]], None):
        refused(field, bad, {"n": 3})
    for number in (np.nan, np.inf, 1e30):
        refused(Array(("n",)), np.array([1, number], "f4"))
    refused(Array(("n",), "int64", order="distinct"), np.array([3, 1, 3]))
    refused(Array(("n",), "int64", order="rising"), np.array([3, 1, 3]))
    refused(Array(("n",), "int64", below="m"), np.array([3]), {"m": 3})


def test_symbols_are_one_number_in_all_arrays():
    fields = {"a": Array(("n", "d")), "b": Array(("d + 1",))}
    check_fields(fields, {"a": np.ones((2, 3), "f4"), "b": np.ones(4, "f4")}, {}, ranges=True)
    with pytest.raises(ValueError, match=r"b must be of shape \(d \+ 1\), where d \+ 1 is 4, got \(3,\)"):
        check_fields(fields, {"a": np.ones((2, 3), "f4"), "b": np.ones(3, "f4")}, {}, ranges=False)
    with pytest.raises(ValueError, match="it lacks b"):
        check_fields(fields, {"a": np.ones((2, 3), "f4")}, {}, ranges=False)


def test_values_are_of_their_kind():
    for field, bad in [
        (Value(int, least=0), True),
        (Value(int, least=0), -1),
        (Value(float), float("nan")),
        (Value(float, least=0, above=True), 0.0),
        (Value(str, choices=("a",)), "b"),
        (Value(bool), 1),
    ]:
        refused(field, bad)


@given(st.integers(0, 5), st.integers(1, 6), st.data())
def test_rows_are_sound_where_a_plain_look_says_so(n_rows, n_columns, data):
    indptr = np.array(data.draw(st.lists(st.integers(-1, 6), min_size=n_rows + 1, max_size=n_rows + 1)), np.int64)
    if data.draw(st.booleans()):
        indptr = np.sort(np.abs(indptr))
        indptr[0] = 0
    n = max(0, int(indptr[-1])) if data.draw(st.booleans()) else data.draw(st.integers(0, 6))
    codes = st.integers(-1, n_columns)
    indices = np.array(data.draw(st.lists(codes, min_size=n, max_size=n)), np.int32)
    matrix = assemble_csr(np.ones(n, np.float32), indices, indptr, (n_rows, n_columns))
    sound = indptr[0] == 0 and indptr[-1] == n and (np.diff(indptr) >= 0).all()
    sound = sound and all(
        all(0 <= code < n_columns for code in row) and sorted(set(row)) == row
        for row in (indices[a:b].tolist() for a, b in itertools.pairwise(indptr))
    )
    if sound:
        check_rows("x", matrix)
        Matrix(("n", "m")).check("x", matrix, {}, ranges=True)
    else:
        with pytest.raises(ValueError, match=r"x\.ind"):
            check_rows("x", matrix)


@given(st.lists(st.text(st.sampled_from("a\0é\ud800𐀀z"), max_size=20), max_size=8), st.randoms())
def test_strings_rise_where_python_says_so(strings, random):
    order = list(range(len(strings)))
    if random.random() < 0.7:
        order.sort(key=lambda code: strings[code].encode("utf-8", "surrogatepass"))
    listed = [strings[code].encode("utf-8", "surrogatepass") for code in order]
    utf8, offsets = pack_strings(strings)
    check_strings(utf8, offsets)
    expected = all(a < b for a, b in itertools.pairwise(listed))
    assert is_rising(utf8, offsets, np.array(order, np.int32)) == expected


@given(st.binary(max_size=12), st.lists(st.integers(-1, 13), min_size=1, max_size=6))
def test_strings_are_sound_where_each_can_be_read(block, bounds):
    utf8, offsets = np.frombuffer(block, np.uint8), np.array(bounds, np.int64)
    sound = offsets[0] == 0 and offsets[-1] == len(utf8) and (np.diff(offsets) >= 0).all()
    try:
        texts = [block[a:b].decode("utf-8", "surrogatepass") for a, b in itertools.pairwise(bounds)]
    except UnicodeDecodeError:
        sound = False
    if sound:
        check_strings(utf8, offsets)
        assert len(texts) == len(bounds) - 1
    else:
        with pytest.raises(ValueError):  # noqa: PT011 (of Python's decoder, or our own)
            check_strings(utf8, offsets)


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


@given(st.sampled_from(["dot", "gmf", "mlp", "neumf"]), st.integers(1, 20), st.lists(st.integers(1, 20), max_size=3))
def test_a_network_counts_its_parameters_without_making_them(architecture, factors, layers):
    if not layers and architecture in ("mlp", "neumf"):
        layers = [3]
    for normalization in (None, "batch"):
        layout = NetworkLayout(architecture, factors, tuple(layers), normalization)
        assert layout.n_parameters == len(layout.places)
        assert layout.width == len(layout.columns)


def test_ranges_are_of_all_numbers():
    values = np.zeros(1 << 17, np.float32)
    values[-1] = np.nan
    with pytest.raises(ValueError, match="must hold finite numbers from 0 to 1, got nan"):
        check_range("x", values, 0, 1)


def test_every_class_declares_its_own():
    for kind in loadable().values():
        assert fields_of(kind).keys() >= {"seen_", "item_counts_"}


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(page.partition(MARK)[0] + MARK + "\n" + table(), encoding="utf-8")
