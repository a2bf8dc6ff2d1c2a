import builtins
import pickle

import numpy as np
import pytest

import fastrec as fr
from fastrec.data import Vocabulary
from fastrec.retrieval import TopK


@pytest.fixture
def codes():
    return np.array([[2, 0], [1, -1], [-1, -1]], np.int32)


@pytest.fixture
def scores():
    return np.array([[0.9, 0.5], [0.7, -np.inf], [-np.inf, -np.inf]], np.float32)


def test_it_unpacks_into_items_and_scores(codes, scores):
    items, found = TopK(codes, scores)
    np.testing.assert_array_equal(items, codes)
    np.testing.assert_array_equal(found, scores)


def test_arrays_have_their_types_and_are_not_copied(codes, scores):
    top = TopK(codes, scores)
    assert np.shares_memory(top.codes, codes)
    assert np.shares_memory(top.scores, scores)
    lists = TopK([[1]], [[2.0]])
    assert (lists.codes.dtype, lists.scores.dtype) == (np.int32, np.float32)


def test_valid_users_and_fallback_have_defaults(codes, scores):
    top = TopK(codes, scores)
    assert top.valid.tolist() == [[True, True], [True, False], [False, False]]
    assert top.users.tolist() == [0, 1, 2]
    assert top.fallback.tolist() == [False] * 3
    assert len(top) == 3


def test_int_ids_stay_int64_with_minus_one_where_nothing_is_left(codes, scores):
    items = TopK(codes, scores, item_vocabulary=Vocabulary([10, 20, 30])).items
    assert items.dtype == np.int64
    assert items.tolist() == [[30, 10], [20, -1], [-1, -1]]


def test_string_ids_are_empty_where_nothing_is_left(codes, scores):
    items = TopK(codes, scores, item_vocabulary=Vocabulary(["a", "bb", "ccc"])).items
    assert items.tolist() == [["ccc", "a"], ["bb", ""], ["", ""]]


def test_items_are_decoded_once_and_only_when_asked(codes, scores):
    class Counting:
        calls = 0

        def decode(self, codes):
            self.calls += 1
            return codes.astype(np.int64) * 10

    vocabulary = Counting()
    top = TopK(codes, scores, item_vocabulary=vocabulary)
    assert vocabulary.calls == 0
    assert top.items is top.items
    assert vocabulary.calls == 1


def test_rows_can_be_chosen(codes, scores):
    top = TopK(codes, scores, users=["u", "v", "w"], fallback=[False, True, False])
    part = top[[1, 0]]
    assert part.users.tolist() == ["v", "u"]
    assert part.codes.tolist() == [[1, -1], [2, 0]]
    assert part.fallback.tolist() == [True, False]
    assert top[1].codes.tolist() == [[1, -1]]
    assert top[1:].users.tolist() == ["v", "w"]
    assert top[np.array([False, False, True])].users.tolist() == ["w"]


def test_it_cannot_be_changed(codes, scores):
    with pytest.raises(AttributeError, match="cannot be changed"):
        TopK(codes, scores).codes = codes


def test_it_survives_pickling_between_processes(codes, scores):
    top = pickle.loads(pickle.dumps(TopK(codes, scores, users=[7, 8, 9])))
    np.testing.assert_array_equal(top.codes, codes)
    assert top.users.tolist() == [7, 8, 9]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (dict(codes=[1, 2], scores=[1.0, 2.0]), "one shape"),
        (dict(codes=[[1, 2]], scores=[[1.0]]), "one shape"),
        (dict(codes=[[1]], scores=[[1.0]], users=[1, 2]), "TopK.users must have one entry for each of 1 rows"),
        (dict(codes=[[1]], scores=[[1.0]], fallback=[]), "TopK.fallback must have one entry"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        TopK(**arguments)


def test_the_frame_holds_the_valid_places(codes, scores):
    titles = {"title": np.array(["one", "two", "three"], object)}
    frame = TopK(codes, scores, users=["u", "v", "w"], item_vocabulary=Vocabulary([10, 20, 30]), item_info=titles)
    frame = frame.to_frame()
    assert list(frame.columns) == ["user", "item", "score", "rank", "title"]
    assert frame["user"].tolist() == ["u", "u", "v"]
    assert frame["item"].tolist() == [30, 10, 20]
    assert frame["rank"].tolist() == [1, 2, 1]
    assert frame["title"].tolist() == ["three", "one", "two"]
    assert frame["score"].dtype == np.float32


def without(monkeypatch, *packages):
    real = builtins.__import__

    def guarded(name, *args, **kwargs):
        if name.split(".")[0] in packages:
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", guarded)


def test_the_frame_is_of_what_is_installed(monkeypatch, codes, scores):
    top = TopK(codes, scores, users=["u", "v", "w"], item_vocabulary=Vocabulary(["a", "bb", "ccc"]))
    without(monkeypatch, "pandas")
    assert top.to_frame()["item"].to_list() == ["ccc", "a", "bb"]
    assert type(top.to_frame()).__module__.startswith("polars")
    without(monkeypatch, "pandas", "polars")
    assert top.to_frame().column("user").to_pylist() == ["u", "u", "v"]
    without(monkeypatch, "pandas", "polars", "pyarrow")
    with pytest.raises(ImportError, match=r"pip install 'fastrec\[frames\]'"):
        top.to_frame()


def test_repr_shows_the_first_rows(codes, scores):
    shown = repr(TopK(codes, scores, users=["u", "v", "w"]))
    assert shown == "TopK of 3 rows, k=2\n  u: 2 (0.9), 0 (0.5)\n  v: 1 (0.7)\n  w: nothing"


@pytest.mark.parametrize(
    ("codes", "kind", "message"),
    [([[2**40]], ValueError, "from -1 to"), ([[-2]], ValueError, "from -1"), ([[0.7]], TypeError, "integers")],
)
def test_codes_that_are_none_are_refused(codes, kind, message):
    with pytest.raises(kind, match=message):
        TopK(codes, [[1.0]])


def test_tables_name_what_was_asked_and_what_was_found():
    X = np.kron(np.eye(2), np.ones((6, 3)))
    model = fr.UserKNN().fit(X)
    assert list(model.recommend([0]).to_frame())[:2] == ["user", "item"]
    assert list(model.similar_items([0], k=2).to_frame())[:2] == ["item", "similar"]
    assert list(model.similar_users([0], k=2).to_frame())[:2] == ["user", "similar"]
    als = fr.ImplicitALS(2, iterations=1, random_state=0).fit(X)
    assert list(pickle.loads(pickle.dumps(als.similar_users([0, 7], k=2)))[1:].to_frame())[:2] == ["user", "similar"]


def test_shown_items_have_titles_and_are_text():
    info = {"title": np.array(["Alien", "<b>Brazil</b>", ""], object)}
    top = TopK([[1, 0, 2], [2, -1, -1]], [[3, 2, 1], [0.5, -np.inf, -np.inf]], users=["<i>ann", "bob"], item_info=info)
    assert "<i>ann: <b>Brazil</b> (3), Alien (2), 2 (1)" in repr(top)
    html = top._repr_html_()
    assert ">&lt;i&gt;ann</th>" in html
    assert '&lt;b&gt;Brazil&lt;/b&gt;<span class="below">3</span>' in html
    assert "the first are shown" not in html
    long = TopK(np.arange(80).reshape(8, 10), np.ones((8, 10)))
    assert long._repr_html_().count("<tr>") == 6
    assert "8 rows (the first are shown)" in long._repr_html_()
    assert repr(long).count("…") == 6
