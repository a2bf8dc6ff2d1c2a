from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from fastrec.features import FeatureEncoder

FRAME = {
    "title": ["The Long Good Friday", "A long night of it", "Good and evil times", None],
    "genres": [["crime"], ["drama", "crime"], [], None],
    "studio": ["A", "B", "A", None],
    "year": [1980, 1990, 2000, None],
    "embedding": [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]],
}


def test_kinds_are_recognised():
    assert FeatureEncoder().fit(FRAME).kinds_ == {
        "title": "text",
        "genres": "categories",
        "studio": "category",
        "year": "number",
        "embedding": "vector",
    }


def test_each_kind_is_what_it_says():
    encode = lambda name, **options: FeatureEncoder({name: options.pop("kind")}, **options).fit_transform(FRAME)
    np.testing.assert_allclose(encode("year", kind="number")[:, 0], [-(2**0.5), 0, 2**0.5, 0], atol=1e-6)
    np.testing.assert_array_equal(encode("studio", kind="category").toarray(), [[1, 0], [0, 1], [1, 0], [0, 0]])
    half = np.float32(0.5**0.5)
    np.testing.assert_allclose(encode("genres", kind="categories").toarray(), [[1, 0], [half, half], [0, 0], [0, 0]])
    np.testing.assert_array_equal(encode("embedding", kind="vector"), FRAME["embedding"])
    text = encode("title", kind="text").toarray()
    np.testing.assert_allclose(np.linalg.norm(text, axis=1), [1, 1, 1, 0], rtol=1e-6)
    assert text[0] @ text[1] > 0
    assert encode("title", kind="text", text="hashing", max_features=32).shape == (4, 32)


def test_a_bar_in_a_sentence_parts_no_categories():
    sentences = [
        "a long story of two cities",
        "either this happens | or that one does",
        "nothing happens to them at all",
    ]
    assert FeatureEncoder().fit({"plot": sentences}).kinds_ == {"plot": "text"}
    genres = ["Science Fiction|War", "Comedy", "Film Noir|Comedy|Short Film"]
    assert FeatureEncoder().fit({"genres": genres}).kinds_ == {"genres": "categories"}


def test_the_unseen_is_no_feature():
    encoder = FeatureEncoder({"genres": "categories", "studio": "category", "title": "text"}).fit(FRAME)
    unseen = encoder.transform({"genres": [["western"]], "studio": ["Z"], "title": ["zebra"]})
    assert unseen.shape == (1, encoder.n_features_out_)
    assert unseen.nnz == 0


def test_labels_in_one_string():
    features = FeatureEncoder().fit_transform({"genres": ["Action|War", "War", ""]})
    assert (features.toarray() > 0).tolist() == [[True, True], [False, True], [False, False]]


def test_names_weights_and_rare_values():
    encoder = FeatureEncoder({"genres": "categories", "year": "number"}, weights={"genres": 3}, min_frequency=2)
    features = encoder.fit_transform(FRAME)
    assert encoder.get_feature_names_out().tolist() == ["genres=crime", "year"]
    np.testing.assert_allclose(features.toarray()[:, 0], [3, 3, 0, 0])
    assert FeatureEncoder({"studio": "category"}).fit(FRAME).get_feature_names_out().tolist() == [
        "studio=A",
        "studio=B",
    ]


def test_columns_without_anything_are_no_features():
    empty = {"a": [None, None], "b": ["", ""], "c": [[], []], "d": [1, 2]}
    kinds = {"a": "category", "b": "text", "c": "categories", "d": "number"}
    encoder = FeatureEncoder(kinds).fit(empty)
    assert encoder.n_features_out_ == 1
    assert encoder.transform(empty).shape == (2, 1)


def test_every_kind_of_nothing_is_missing():
    nothing = [None, float("nan"), np.float32("nan"), np.datetime64("NaT", "s"), Decimal("NaN")]
    pandas = pytest.importorskip("pandas")
    nothing += [pandas.NA, pandas.NaT]
    filled = {"price": [Decimal("1.5"), Decimal("3.5"), *nothing], "genre": ["war", "fun", *nothing]}
    encoder = FeatureEncoder().fit(filled)
    assert encoder.kinds_ == {"price": "number", "genre": "category"}
    features = encoder.transform(filled).toarray()
    assert features.shape == (9, 3)
    assert not features[2:].any()
    labels = FeatureEncoder({"tags": "categories"}).fit(
        {"tags": [["war", None, "", " fun "], ["fun", float("nan")], "fun|"]}
    )
    assert labels.get_feature_names_out().tolist() == ["tags=fun", "tags=war"]


def test_dates_are_numbers():
    moment = datetime(2020, 1, 1, tzinfo=UTC)
    days = [moment, moment.replace(tzinfo=None), date(2020, 1, 2), None]
    encoder = FeatureEncoder().fit({"released": days, "runs": [timedelta(minutes=90), timedelta(hours=2), None, None]})
    assert encoder.kinds_ == {"released": "number", "runs": "number"}
    features = encoder.transform({"released": days, "runs": [None] * 4})[:, 0]
    assert features[0] == features[1] < features[3] < features[2]
    array = {"released": np.array(["2020-01-01", "2020-01-03", "NaT"], "datetime64[ns]")}
    np.testing.assert_allclose(FeatureEncoder().fit_transform(array)[:, 0], [-1.2247448, 1.2247448, 0], atol=1e-5)


def test_whole_numbers_in_lists_are_categories():
    assert FeatureEncoder().fit({"genres": [[1], [2], [1]]}).kinds_ == {"genres": "categories"}
    assert FeatureEncoder().fit({"genres": np.eye(3, dtype=bool)}).kinds_ == {"genres": "categories"}
    assert FeatureEncoder().fit({"v": [[0, 1], [0.5, 1]]}).kinds_ == {"v": "vector"}
    assert FeatureEncoder({"v": "vector"}).fit_transform({"v": [[0, 1], [2, 1]]}).tolist() == [[0, 1], [2, 1]]


def test_an_object_that_is_not_a_frame_is_named():
    pandas = pytest.importorskip("pandas")
    for wrong in (np.eye(3), pandas.Series([1, 2]), 3):
        with pytest.raises(TypeError, match="frame"):
            FeatureEncoder().fit(wrong)
    with pytest.raises(ValueError, match="columns must have names of their own"):
        FeatureEncoder().fit(pandas.DataFrame([[1, 2]], columns=["a", "a"]))
    assert FeatureEncoder().fit(pandas.DataFrame([[1, 2.0], [3, 4.0]])).kinds_ == {"0": "number", "1": "number"}
    with pytest.raises(NotFittedError):
        FeatureEncoder().get_feature_names_out()


def test_the_blank_is_no_category():
    encoder = FeatureEncoder().fit({"genre": ["", "war", " war", " "]})
    assert encoder.get_feature_names_out().tolist() == ["genre=war"]


def test_pandas_own_missing_values_are_missing():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {"year": pandas.array([1990, None, 2010], "Int64"), "studio": pandas.array(["A", None, "B"], "string")}
    )
    encoder = FeatureEncoder().fit(frame)
    assert encoder.kinds_ == {"year": "number", "studio": "category"}
    assert encoder.transform(frame).toarray()[1].tolist() == [0, 0, 0]


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_frames_are_read_as_mappings_are(library):
    module = pytest.importorskip(library)
    make = module.table if library == "pyarrow" else module.DataFrame
    plain = {name: FRAME[name] for name in ("title", "studio", "year", "genres")}
    features = FeatureEncoder().fit_transform(make(plain))
    np.testing.assert_allclose(features.toarray(), FeatureEncoder().fit_transform(plain).toarray(), rtol=1e-6)


def test_clone_and_repeat():
    encoder = FeatureEncoder({"year": "number"})
    np.testing.assert_array_equal(clone(encoder).fit_transform(FRAME), encoder.fit(FRAME).transform(FRAME))
    with pytest.raises(NotFittedError):
        clone(encoder).transform(FRAME)


@pytest.mark.parametrize(
    ("options", "frame", "message"),
    [
        ({"columns": {"nothing": "text"}}, FRAME, "there is no column 'nothing'"),
        ({"columns": {"year": "date"}}, FRAME, r"FeatureEncoder.columns\['year'\] must be one of"),
        ({"columns": {"title": "number"}}, FRAME, "column 'title' cannot be read as number"),
        ({}, {"v": [[1.0, 2.0], [1.0]]}, None),
        ({"columns": {"v": "vector"}}, {"v": [[1.0, 2.0], [1.0]]}, "its vectors are of several lengths"),
        ({"columns": {"v": "number"}}, {"v": [1.0, float("inf")]}, "it is infinite in row 1"),
        ({"columns": {"v": "number"}}, {"v": [1.0, 1e200]}, r"it is 1e\+200, which is beyond ±1e\+100, in row 1"),
        ({"columns": {"v": "vector"}}, {"v": [[1.0], [1e39]]}, "it is not finite in row 1"),
        ({}, {"n": [1, 10**400]}, "column 'n' cannot be read as number: int too large"),
        ({}, {"a": [1, 2], "b": [1]}, "columns must be of one length"),
        ({"columns": {}}, FRAME, "no column to make features of"),
        ({"weights": {"zzz": 2}}, {"c": ["a", "b"]}, "weights name 'zzz', but the columns are 'c'"),
        ({"text": "words"}, FRAME, "FeatureEncoder.text must be one of"),
    ],
)
def test_bad_input_is_named(options, frame, message):
    if message is None:
        assert FeatureEncoder(**options).fit(frame).kinds_ == {"v": "categories"}
        return
    with pytest.raises(ValueError, match=message):
        FeatureEncoder(**options).fit(frame)


def test_another_length_of_vectors_is_refused():
    encoder = FeatureEncoder({"embedding": "vector"}).fit(FRAME)
    with pytest.raises(ValueError, match="must have 2 numbers, got 3"):
        encoder.transform({"embedding": [[1.0, 2.0, 3.0]]})


def test_numbers_far_from_all_that_was_seen_stay_finite():
    encoder = FeatureEncoder().fit({"n": [1e-30, 2e-30, 3e-30]})
    assert encoder.transform({"n": [1e30, -1e30, None]}).tolist() == [[1e6], [-1e6], [0]]
    assert np.isfinite(FeatureEncoder().fit_transform({"n": [1e99, -1e99, 2]})).all()
