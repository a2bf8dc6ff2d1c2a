import copy
import importlib.util
import io
import itertools
import pickle
from pathlib import Path

import joblib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.model_selection import train_test_split
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples, check_consistent_length

from fastrec import Blend, EmptyCodesWarning, Interactions, Popularity, SequenceRules, TiedTimesWarning, Vocabulary
from fastrec.data import interactions
from fastrec.preprocessing.splitting import order_by_user_and_time


def _load_reference():
    path = Path(__file__).parents[1] / "reference" / "interactions.py"
    spec = importlib.util.spec_from_file_location("reference_interactions", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reference = _load_reference()


@st.composite
def events(draw, max_users=6, max_items=6, max_events=30):
    n_users, n_items = draw(st.integers(1, max_users)), draw(st.integers(1, max_items))
    n = draw(st.integers(0, max_events))
    column = lambda top: draw(st.lists(st.integers(0, top), min_size=n, max_size=n))
    return column(n_users - 1), column(n_items - 1), column(9), column(4), n_users, n_items


@given(events(), st.sampled_from(["sum", "last", "max"]), st.booleans())
def test_the_matrix_merges_repeated_pairs_by_the_policy(table, policy, timed):
    users, items, values, times, n_users, n_items = table
    timed = timed and len(set(times)) != 2  # two times of many events are refused as a flag
    times = times if timed else None
    data = Interactions(users, items, values, times, users=range(n_users), items=range(n_items), duplicates=policy)
    cells = reference.merge(users, items, values, times, policy)
    expected = np.zeros((n_users, n_items), np.float32)
    for cell, value in cells.items():
        expected[cell] = value
    np.testing.assert_array_equal(data.matrix.toarray(), expected)
    assert data.matrix.nnz == len(cells)


@given(events())
def test_the_matrix_is_canonical_and_read_only(table):
    users, items, values, _, n_users, n_items = table
    matrix = Interactions(users, items, values, users=range(n_users), items=range(n_items)).matrix
    assert (matrix.data.dtype, matrix.indices.dtype, matrix.indptr.dtype) == (np.float32, np.int32, np.int64)
    for row in range(n_users):
        assert (np.diff(matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]]) > 0).all()
    assert not any(array.flags.writeable for array in (matrix.data, matrix.indices, matrix.indptr))


def test_sorted_events_give_the_matrix_of_shuffled_ones():
    rng = np.random.default_rng(0)
    cells = np.sort(rng.choice(5000, 800, replace=False))
    users, items, values = cells // 50, cells % 50, rng.random(800)
    order = rng.permutation(800)
    a = Interactions(users, items, values, users=range(100), items=range(50)).matrix
    b = Interactions(users[order], items[order], values[order], users=range(100), items=range(50)).matrix
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_without_values_every_interaction_counts_one():
    assert Interactions([0, 0, 1], [1, 1, 0]).matrix.toarray().tolist() == [[0, 2], [1, 0]]


def test_stored_zeros_stay_in_the_matrix():
    assert Interactions([0, 1], [0, 0], [0.0, 2.0]).matrix.nnz == 2


def test_sums_are_made_in_double_precision():
    data = Interactions(np.zeros(10_001, int), np.zeros(10_001, int), [2**24, *[1] * 10_000])
    assert data.matrix[0, 0] == np.float32(2**24 + 10_000)


def test_a_sum_beyond_float32_is_an_error_not_an_infinity():
    with pytest.raises(ValueError, match="more than float32 holds"):
        _ = Interactions([0, 0], [0, 0], [3e38, 3e38]).matrix


def test_the_error_policy_names_the_pair_and_its_rows_at_once():
    with pytest.raises(ValueError, match="user 'bob' and item 7 meet more than once, in rows 1 and 3"):
        Interactions([0, 1, 1, 1], [0, 1, 0, 1], users=["ann", "bob"], items=[9, 7], duplicates="error")
    assert Interactions([0, 1], [0, 0], duplicates="error").matrix.nnz == 2


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (([0], [0], [np.nan]), {}, ValueError, "values must be finite numbers, got nan in row 0"),
        (([0, 0], [0, 1], [1, -np.inf]), {}, ValueError, "got -inf in row 1"),
        (([0], [0], [1e300]), {}, ValueError, "within float32, got 1e.300 in row 0"),
        (([0], [0], ["5"]), {}, TypeError, "values must be numbers"),
        (([0], [0], [1, 2]), {}, ValueError, r"values must have shape \(1,\)"),
        (([0], [0, 1]), {}, ValueError, "one length, got 1 and 2"),
        (([0, -1], [0, 1]), {}, ValueError, "user_codes must be .* got -1 at position 1"),
        (([0, 1], [0, 2]), {"items": ["a", "b"]}, ValueError, "item_codes must be codes from 0 to 1, got 2"),
        (([0.5], [0]), {}, TypeError, "user_codes must be integer codes"),
        (([[0]], [0]), {}, ValueError, "user_codes must be one-dimensional"),
        (([0], [0], None, [np.nan]), {}, ValueError, "times must be finite, got nan in row 0"),
        (([0], [0], None, [0.5]), {}, TypeError, "times must be integers"),
        (([0], [0], None, [np.datetime64("NaT", "s")]), {}, ValueError, "times must not be missing"),
        (
            ([0, 0], [0, 1], None, np.array(["2020", "9999"], "M8[Y]")),
            {"time_unit": "ns"},
            ValueError,
            "times must fit in int64 as ns, got 9999-01-01T00:00:00 in row 1",
        ),
        (([0], [0]), {"duplicates": "first"}, ValueError, "duplicates must be one of 'sum', 'last', 'max', 'error'"),
        (([0], [0]), {"time_unit": "minutes"}, ValueError, "time_unit must be one of"),
        (([0], [0]), {"item_info": {"title": ["a", "b"]}}, ValueError, "one entry for each of 1 items"),
    ],
)
def test_bad_input_is_named_by_row(arguments, options, error, message):
    with pytest.raises(error, match=message):
        Interactions(*arguments, **options)


def test_nothing_of_the_callers_can_change_it():
    users, values = np.array([0, 1], np.int32), np.array([1, 2], np.float32)
    data = Interactions(users, [0, 0], values)
    users[:] = 0
    values[:] = 9
    assert data.user_codes.tolist() == [0, 1]
    assert data.matrix.toarray().tolist() == [[1], [2]]
    for array in (data.user_codes, data.item_codes, data.values):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    with pytest.raises(AttributeError):
        data.values = values


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint16, np.uint64])
def test_codes_of_any_integer_type_are_taken(dtype):
    data = Interactions(np.array([0, 1], dtype)[::-1], np.array([1, 0], dtype))
    assert data.user_codes.dtype == np.int32
    assert data.user_codes.tolist() == [1, 0]


def test_datetimes_keep_their_unit():
    data = Interactions([0], [0], times=np.array(["2020-01-01"], "M8[ms]"))
    assert (data.time_unit, data.times.tolist()) == ("ms", [1_577_836_800_000])
    data = Interactions([0], [0], times=np.array(["2020-01-01"], "M8[D]"))
    assert (data.time_unit, data.times.tolist()) == ("s", [1_577_836_800])


@pytest.mark.parametrize("code", [2**31 - 1, 10**11, 2**63 - 1])
def test_a_code_that_no_vocabulary_reaches_is_refused(code):
    with pytest.raises(ValueError, match=rf"the largest of user_codes must be .*got {code}"):
        Interactions([0, code], [0, 1])


@pytest.mark.parametrize("unsigned", [False, True])
def test_ids_given_for_codes_are_told_with_the_way_from_ids(unsigned):
    ids = np.arange(600)[::-1] * 20 + 7
    with pytest.warns(EmptyCodesWarning, match=r"user_codes has 600 different codes up to 11,987.*from_ids.*read_int"):
        data = Interactions(ids.astype(np.uint32) if unsigned else ids, np.zeros(600, int))
    assert data.shape == (11_988, 1)
    assert Interactions(ids, np.zeros(600, int), users=np.arange(11_988)).shape == (11_988, 1)
    assert Interactions.from_ids(ids, np.zeros(600, int)).shape == (600, 1)


def test_few_codes_and_codes_of_which_half_are_met_are_taken_as_such():
    assert Interactions([998], [0]).shape == (999, 1)
    assert Interactions(np.arange(0, 5000, 2), np.zeros(2500, int)).shape == (4999, 1)


def test_codes_nearly_all_of_which_are_empty_are_refused():
    with pytest.raises(ValueError, match=r"item_codes has 2 different codes up to 5,000,000, .*give items=numpy"):
        Interactions([0, 1], [3, 5_000_000])


@pytest.mark.parametrize("ids", [["b", "a", "b"], np.array(["b", "a", "b"]), [20, 10, 20], np.array([20, 10, 20])])
def test_ids_become_codes_in_their_order(ids):
    data = Interactions.from_ids(ids, [7, 5, 5], [1, 2, 3], [30, 10, 20], time_unit="s", duplicates="last")
    assert data.users.ids.tolist() == sorted(set(np.asarray(ids).tolist()))
    assert (data.user_codes.tolist(), data.item_codes.tolist()) == ([1, 0, 1], [1, 0, 0])
    assert (data.values.tolist(), data.times.tolist(), data.time_unit) == ([1, 2, 3], [30, 10, 20], "s")
    assert data.duplicates == "last"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([1.5], [0]), TypeError, "users must be integers or strings"),
        (([1], [None]), ValueError, "items must not be missing"),
        (([1, 2], [0]), ValueError, "one length, got 2 and 1"),
    ],
)
def test_ids_that_are_none_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        Interactions.from_ids(*arguments)


def small():
    return Interactions(
        [0, 0, 1, 2, 2], [0, 1, 1, 2, 0], [1, 2, 3, 4, 5], [50, 40, 30, 20, 10],
        users=["ann", "bob", "cat"], items=[10, 20, 30, 40], item_info={"title": ["Alien", "Brazil", "Clue", ""]},
    )  # fmt: skip


ROWS = [
    slice(1, None), slice(None, None, -1), [2, 0], [-1], np.array([True, False, True]), 1, np.int64(-1), [],
    slice(0, 0), [True, False, False],
]  # fmt: skip


@pytest.mark.parametrize("rows", ROWS)
def test_rows_are_picked_as_from_an_array(rows):
    data = small()
    picked = data[rows]
    numbers = np.atleast_1d(np.arange(3)[np.array(rows, int) if isinstance(rows, list) and not rows else rows])
    np.testing.assert_array_equal(picked.matrix.toarray(), data.matrix.toarray()[numbers])
    assert picked.users.ids.tolist() == data.users.ids[numbers].tolist()
    assert picked.items is data.items
    assert picked.titles([0]) == ["Alien"]


@pytest.mark.parametrize(
    ("rows", "error"), [([3], IndexError), ([0, 0], ValueError), ((0, 1), IndexError), ([0.5], IndexError)]
)
def test_rows_that_cannot_be_picked_are_refused(rows, error):
    with pytest.raises(error):
        small()[rows]


def test_scikit_learn_takes_it_as_an_x():
    data = small()
    assert _num_samples(data) == 3
    check_consistent_length(data, [0, 1, 2])
    assert _safe_indexing(data, [2, 1]).users.ids.tolist() == ["cat", "bob"]
    assert _safe_indexing(data, np.array([True, False, False])).shape == (1, 4)
    assert _safe_indexing(data, slice(0, 2)).shape == (2, 4)
    train, test = train_test_split(data, test_size=1, random_state=0)
    assert (train.shape, test.shape) == ((2, 4), (1, 4))
    assert {*train.users.ids, *test.users.ids} == {"ann", "bob", "cat"}


def test_select_keeps_vocabularies_and_takes_masks_and_places():
    data = small()
    for events in (data.values > 3, [3, 4], np.array([3, 4], np.uint8)):
        chosen = data.select(events)
        assert chosen.shape == data.shape
        assert chosen.users is data.users
        assert chosen.values.tolist() == [4, 5]
        assert chosen.times.tolist() == [20, 10]
    assert data.select([]).n_interactions == 0
    theirs = data.select([3, 4, 3], user_codes=[2, 0, 0], users=["x", "y", "z"])
    assert theirs.users.ids.tolist() == ["x", "y", "z"]
    assert theirs.user_codes.tolist() == [2, 0, 0]
    assert theirs.times.tolist() == [20, 10, 20]
    with pytest.raises(ValueError, match="user_codes must have one for each of 2 interactions, got 1"):
        data.select([3, 4], user_codes=[0])
    with pytest.raises(ValueError, match="user_codes must be codes from 0 to 1, got 2"):
        data.select([3], user_codes=[2], users=["x", "y"])
    for wrong in ([5], [-1], [True]):
        with pytest.raises(IndexError):
            data.select(wrong)
    with pytest.raises(TypeError):
        data.select([0.5])


def test_compact_drops_who_and_what_is_not_met():
    compact = small()[[2, 0]].select([0, 3]).compact()
    assert compact.users.ids.tolist() == ["cat", "ann"] or compact.shape[0] <= 2
    kept = small().select([3, 4]).compact()
    assert kept.users.ids.tolist() == ["cat"]
    assert kept.items.ids.tolist() == [10, 30]
    assert kept.matrix.toarray().tolist() == [[5, 4]]
    assert kept.titles([0, 1]) == ["Alien", "Clue"]


@pytest.mark.parametrize("backend", ["pandas", "polars", "pyarrow", None])
def test_frames_come_back_as_the_same_interactions(backend):
    import fastrec as fr

    data = Interactions([1, 0], [0, 1], [2.5, 1], [5, 7], users=["a", "b"], items=[3, 4], time_unit="ms")
    again = fr.read_interactions(data.to_frame(backend))
    assert again.users == data.users
    assert again.items == data.items
    assert again.time_unit == "ms"
    for name in ("user_codes", "item_codes", "values", "times"):
        np.testing.assert_array_equal(getattr(again, name), getattr(data, name))


@pytest.mark.parametrize("compressed", [False, True])
def test_pickles_and_copies_are_equal_and_frozen(compressed):
    data = small()
    _ = data.matrix
    buffer = io.BytesIO()
    joblib.dump(data, buffer, compress=compressed)
    buffer.seek(0)
    for again in (joblib.load(buffer), pickle.loads(pickle.dumps(data)), copy.deepcopy(data), copy.copy(data)):
        np.testing.assert_array_equal(again.matrix.toarray(), data.matrix.toarray())
        assert again.users == data.users
        assert again.titles([1]) == ["Brazil"]
        assert repr(again) == repr(data)
        arrays = (again.user_codes, again.item_codes, again.values, again.times, again.item_info["title"])
        assert not any(array.flags.writeable for array in arrays)


def test_a_memory_mapped_joblib_file_can_be_used(tmp_path):
    joblib.dump(small(), tmp_path / "data")
    data = joblib.load(tmp_path / "data", mmap_mode="r")
    assert data.matrix.sum() == 15


def test_titles_fall_back_to_ids():
    assert small().titles([3, 0]) == ["40", "Alien"]
    assert Interactions([0], [0]).titles([0]) == ["0"]
    with pytest.raises(ValueError, match="codes"):
        small().titles([4])


def test_a_matrix_becomes_interactions():
    matrix = sparse.csc_array(np.array([[0, 2.0], [1, 0], [0, 0]]))
    data = Interactions.from_matrix(matrix, users=["a", "b", "c"])
    np.testing.assert_array_equal(data.matrix.toarray(), matrix.toarray())
    assert data.users.ids.tolist() == ["a", "b", "c"]
    assert Interactions.from_matrix(sparse.csr_matrix(matrix)).shape == (3, 2)
    again = Interactions.from_matrix(sparse.csr_matrix(data.matrix))  # SciPy keeps two types of indices there
    np.testing.assert_array_equal(again.matrix.toarray(), matrix.toarray())


def test_repr_answers_first_questions():
    data = Interactions(
        [0, 0, 1], [0, 0, 1], [1, 2, 4.5], np.array(["2020-01-01", "2020-01-03", "2020-01-02"], "M8[s]"),
        users=["<b>", "x"], items=["p", "q", "r"], duplicates="max", item_info={"title": ["a", "b", "c"]},
    )  # fmt: skip
    text = repr(data)
    for fact in ("users        2 (strings)", "interactions 3", "33.333%", '1, duplicates="max"', "1 to 4.5"):
        assert fact in text
    assert "title; items without an event: 1" in text
    assert "2020-01-01T00:00:00 to 2020-01-03T00:00:00 (UTC, kept in s)" in text
    html = data._repr_html_()
    assert "<table>" in html
    assert "duplicates=&quot;max&quot;" in html


def test_no_interactions_at_all_are_no_error():
    data = Interactions([], [])
    assert (data.shape, data.n_interactions, len(data)) == ((0, 0), 0, 0)
    assert data.matrix.shape == (0, 0)
    assert "no pairs" in repr(data)
    data = Interactions([], [], [], [], users=["a"], items=["b", "c"], time_unit="s")
    assert data.matrix.toarray().tolist() == [[0, 0]]
    assert "interactions 0" in repr(data)
    assert data[[0]].shape == (1, 2)
    assert data.compact().shape == (0, 0)


def test_one_sort_orders_as_two_do():
    rng = np.random.default_rng(0)
    users, times = rng.integers(0, 9, 200).astype(np.int32), rng.integers(-3, 3, 200)
    np.testing.assert_array_equal(order_by_user_and_time(users, times), np.lexsort((times, users)))
    times = times * 2**60
    np.testing.assert_array_equal(order_by_user_and_time(users, times), np.lexsort((times, users)))


def test_vocabularies_are_shared_not_copied():
    users = Vocabulary(["a"])
    assert Interactions([0], [0], users=users).users is users


def test_times_beyond_int64_are_refused():
    with pytest.raises(ValueError, match="times must fit in int64, got 18446744073709551615 in row 1"):
        Interactions([0, 1], [0, 1], times=np.array([1, 2**64 - 1], np.uint64))


def test_a_matrix_of_one_dimension_is_refused():
    with pytest.raises(ValueError, match=r"matrix must be two-dimensional, users × items, got the shape \(3,\)"):
        Interactions.from_matrix(np.ones(3))


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(-2, 2)), min_size=1, max_size=25),
    st.sampled_from(["sum", "last", "max", None]),
)
def test_order_is_that_of_each_pairs_last_event(events, duplicates):
    users, items, times = zip(*events, strict=True)
    data = Interactions(users, items, times=times, duplicates=duplicates, users=range(3), items=range(4))
    order, matrix = data.order(), data.matrix
    for user in range(3):
        last = {}
        for row, (who, item, time) in enumerate(events):
            if who == user and (time, row) >= last.get(item, (time, -1)):
                last[item] = (time, row)
        entries = slice(*matrix.indptr[user : user + 2])
        found = sorted(zip(order[entries].tolist(), matrix.indices[entries].tolist(), strict=True))
        assert found == list(enumerate(sorted(last, key=last.get)))
    assert data.order() is order
    assert not order.flags.writeable
    assert data._replace(times=-data.times).order() is not order


def test_without_times_there_is_no_order():
    assert Interactions([0, 1], [1, 0]).order() is None


def tied(n_users=60, n=40, each=2):
    """Returns histories in which several events share each time."""
    users, items = np.repeat(np.arange(n_users), n), np.tile(np.arange(n), n_users)
    return Interactions(users, items, times=items // each)


def test_the_share_of_tied_neighbours_is_told():
    assert tied(each=1).tied_share() == 0
    assert tied(each=2).tied_share() == 20 / 39
    assert "ties         51.3% of neighbours in a user's history have one time" in repr(tied())
    assert np.isnan(Interactions([0, 0], [0, 1]).tied_share())
    assert np.isnan(Interactions([0, 1], [0, 1], times=[5, 5]).tied_share())
    assert "ties" not in Interactions([0, 1], [0, 1], times=[5, 5]).describe()
    data = tied()
    assert data[[0, 1]].select(np.arange(0, 80, 2)).tied_share() == 0
    # Of several events of an item, the last one counts.
    assert Interactions([0, 0, 0], [1, 0, 1], times=[5, 5, 9]).tied_share() == 0
    assert Interactions([0, 0, 0], [1, 0, 1], times=[9, 9, 5]).tied_share() == 1


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6), st.integers(0, 3)), min_size=1, max_size=25))
def test_the_share_of_ties_is_that_of_the_sorted_events(log):
    users, items, times = (list(column) for column in zip(*log, strict=True))
    last = {}
    for user, item, time in sorted(log, key=lambda event: event[2]):
        last[user, item] = time
    pairs = []
    for user in set(users):
        row = sorted(time for (who, _), time in last.items() if who == user)
        pairs += [before == after for before, after in itertools.pairwise(row)]
    share = Interactions(users, items, times=times).tied_share()
    assert np.isnan(share) if not pairs else share == np.mean(pairs)


def test_models_of_order_are_warned_of_ties_once_for_a_data_set():
    data = tied()
    with pytest.warns(TiedTimesWarning, match="51% of the events .* equal times, and SequenceRules takes them") as told:
        SequenceRules().fit(data)
    assert told[0].filename == __file__
    SequenceRules().fit(data)
    Popularity().fit(tied())
    SequenceRules().fit(tied(each=1))
    SequenceRules().fit(tied(n_users=20))
    with pytest.warns(TiedTimesWarning, match="Blend") as told:
        Blend([SequenceRules(), Popularity()]).fit(tied())
    assert len(told) == 1


@pytest.mark.parametrize("duplicates", [None, "sum", "max", "last"])
def test_many_events_without_values_are_the_same_matrix(duplicates, monkeypatch):
    rng = np.random.default_rng(0)
    events = rng.integers(0, 9, 300), rng.integers(0, 7, 300)
    few = Interactions(*events, duplicates=duplicates)
    expected, repeated = few.matrix, few.n_repeated
    monkeypatch.setattr(interactions, "MANY", 0)
    many = Interactions(*events, duplicates=duplicates)
    for field in ("indptr", "indices", "data"):
        np.testing.assert_array_equal(getattr(many.matrix, field), getattr(expected, field))
    assert many.n_repeated == repeated
