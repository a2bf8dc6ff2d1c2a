"""Kinds of events are weighted or filtered; several kinds never count as one without a warning."""

import warnings

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastrec as fr
from fastrec.data.events import check_where, read_labels, weigh_kinds

ROWS = {
    "user": ["a", "a", "b", "b", "c"],
    "item": [1, 2, 1, 3, 2],
    "event": ["view", "buy", "view", "view", "cart"],
    "n": [1, 2, 3, 4, 5],
}
MAKERS = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "pyarrow": pa.table,
    "text": lambda rows: rows,
}


@pytest.fixture(params=MAKERS)
def table(request, tmp_path):
    if request.param != "text":
        return MAKERS[request.param](ROWS)
    path = tmp_path / "events.csv"
    lines = [",".join(map(str, row)) for row in zip(*ROWS.values(), strict=True)]
    path.write_text("\n".join([",".join(ROWS), *lines]) + "\n")
    return path


def events_of(data):
    users, items = data.users.decode(data.user_codes).tolist(), data.items.decode(data.item_codes).tolist()
    return list(zip(users, items, strict=True)), None if data.values is None else data.values.tolist()


def test_several_kinds_are_told_and_all_count_alike(table):
    with pytest.warns(
        fr.EventKindsWarning, match="3 kinds of events: view 3, buy 1, cart 1. Each event counts the same"
    ):
        data = fr.read_interactions(table)
    assert events_of(data) == ([("a", 1), ("a", 2), ("b", 1), ("b", 3), ("c", 2)], None)
    assert "event=event (view 3, buy 1, cart 1)" in repr(data)


def test_weights_multiply_values_and_leave_out_what_counts_nothing(table):
    data = fr.read_interactions(table, weights={"view": 0, "buy": 5, "cart": 3})
    assert events_of(data) == ([("a", 2), ("c", 2)], [5, 3])
    assert data.shape == (2, 1)
    data = fr.read_interactions(table, value="n", weights={"view": 1, "buy": 5, "cart": 3})
    assert events_of(data)[1] == [1, 10, 3, 4, 15]
    assert "view × 1" in repr(data)


def test_a_filter_takes_what_it_names(table):
    for where in ({"event": ["buy", "cart"]}, {2: ("buy", "cart")}, {"event": {"buy", "cart"}, "n": [2, 5]}):
        assert events_of(fr.read_interactions(table, where=where)) == ([("a", 2), ("c", 2)], None)
    assert events_of(fr.read_interactions(table, where={"n": 4}, event=False)) == ([("b", 3)], None)


def test_kinds_are_taken_no_notice_of_where_that_is_said(table):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fr.read_interactions(table, event=False).n_interactions == 5


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"weights": {"view": 1}}, ValueError, "and lack 'buy', 'cart': the kinds are view 3"),
        ({"weights": {"view": np.nan}}, ValueError, r"weights\['view'\] must be a finite number"),
        ({"weights": 3}, TypeError, "weights must be a mapping"),
        ({"weights": {"view": 1}, "event": False}, ValueError, "has no column of kinds: name it with event="),
        ({"where": {"event": "bye"}, "event": False}, ValueError, "no row has 'bye' in column 'event': its labels are"),
        ({"where": {"kind": "buy"}, "event": False}, ValueError, "there is no column 'kind' for where"),
        ({"where": {"event": []}, "event": False}, ValueError, r"where\['event'\] must name at least one label"),
        ({"where": ["event"]}, TypeError, "where must be a mapping"),
        ({"where": {1.5: "buy"}}, TypeError, "where must name columns by name or number"),
    ],
)
def test_contradictory_arguments_are_refused(table, given, error, said):
    with pytest.raises(error, match=said):
        fr.read_interactions(table, **given)


def test_flags_and_gaps_are_labels():
    frame = pd.DataFrame({"user": [1, 2, 3], "item": [1, 1, 2], "ok": [True, False, True], "kind": ["x", None, "y"]})
    assert fr.read_interactions(frame, where={"ok": True}).shape == (2, 2)
    assert fr.read_interactions(frame, where={"kind": ""}).users.ids.tolist() == [2]
    with pytest.raises(TypeError):
        fr.read_interactions(frame.assign(kind=[0.5, 1.5, 2.5]), where={"kind": 1})


def test_only_the_kinds_of_the_wanted_rows_need_a_weight(table):
    data = fr.read_interactions(table, where={"event": ["view", "cart"]}, weights={"view": 1, "cart": 3})
    assert events_of(data) == ([("a", 1), ("b", 1), ("b", 3), ("c", 2)], [1, 1, 1, 3])
    assert "cart × 3, view × 1" in repr(data)
    data = fr.read_interactions(table, where={"n": [4, 5]}, weights={"view": 0, "cart": 3}, value="n")
    assert events_of(data) == ([("c", 2)], [15])
    with pytest.raises(ValueError, match="and lack 'cart': the kinds are cart 1, view 1; a weight"):
        fr.read_interactions(table, where={"n": [4, 5]}, weights={"view": 1})
    with pytest.warns(fr.EventKindsWarning, match="2 kinds of events: cart 1, view 1"):
        data = fr.read_interactions(table, where={"n": [4, 5]})
    assert "event=event (cart 1, view 1)" in repr(data)


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table, None])
def test_an_empty_kind_is_left_out_by_where_or_by_a_weight(make, tmp_path):
    cells = {"user": ["a", "b", "c"], "item": ["x", "y", "x"], "event": ["view", None, "buy"]}
    path = tmp_path / "events.csv"
    path.write_text("user,item,event\na,x,view\nb,y,\nc,x,buy\n")
    source = path if make is None else make(cells)
    weights = {"view": 1, "buy": 5}
    said = r'lack \'\': the kinds are .*\(empty\) 1.* leaves a kind out; an empty .* such as weights=\{"": 0, …\}'
    with pytest.raises(ValueError, match=said):
        fr.read_interactions(source, weights=weights)
    for options in ({"weights": {**weights, "": 0}}, {"weights": weights, "where": {"event": ["view", "buy"]}}):
        assert events_of(fr.read_interactions(source, **options)) == ([("a", "x"), ("c", "x")], [1, 5])
    assert events_of(fr.read_interactions(source, weights={**weights, "": 2}))[1] == [1, 2, 5]


def test_a_column_of_many_labels_holds_no_kinds():
    frame = pd.DataFrame({"user": range(60), "item": range(60), "event": [f"concert {n}" for n in range(60)]})
    assert fr.read_interactions(frame).n_interactions == 60


@given(st.lists(st.sampled_from(["view", "buy", "", "é"]), min_size=1, max_size=30), st.data())
def test_rows_count_as_their_kinds_do(kinds, data):
    weights = {kind: data.draw(st.floats(-5, 5)) for kind in set(kinds)}
    labels = read_labels(nw.from_native(pd.Series(kinds, dtype=object), series_only=True), "kinds")
    assert weigh_kinds(labels, weights, "kinds")[labels.codes].tolist() == [weights[kind] for kind in kinds]
    assert labels.counts() == {kind: kinds.count(kind) for kind in labels.counts()}


def test_labels_may_stand_alone():
    assert check_where({"a": "x", 1: 7}) == {"a": ["x"], 1: ["7"]}
    assert check_where(None) == {}


FLAG_SPELLINGS = [("true", "false"), ("TRUE", "FALSE"), ("True", "False"), ("yes", "no"), ("1", "0"), ("t", "f")]


@pytest.mark.parametrize("spelling", FLAG_SPELLINGS, ids="/".join)
@pytest.mark.parametrize("wanted", [True, "true", "yes", "1"])
def test_flags_are_found_however_they_are_written(spelling, wanted, tmp_path):
    path = tmp_path / "events.csv"
    rows = zip(ROWS["user"], ROWS["item"], (spelling[k] for k in (0, 1, 1, 0, 1)), strict=True)
    path.write_text("user,item,bought\n" + "".join(f"{','.join(map(str, row))}\n" for row in rows))
    assert events_of(fr.read_interactions(path, where={"bought": wanted})) == ([("a", 1), ("b", 3)], None)
    weighed = fr.read_interactions(path, event="bought", weights={wanted: 5, False: 1})
    assert weighed.values.tolist() == [5, 1, 1, 5, 1]
    with pytest.raises(ValueError, match="no row has 'maybe' in column 'bought'"):
        fr.read_interactions(path, where={"bought": "maybe"})


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table])
def test_flags_of_frames_are_found_by_what_the_command_line_writes(make):
    frame = make({**ROWS, "bought": [True, False, False, True, False]})
    for wanted in (True, "true", "True"):
        assert fr.read_interactions(frame, where={"bought": wanted}, event=False).n_interactions == 2


def test_labels_that_are_no_flags_mean_what_is_written(table):
    assert fr.read_interactions(table, where={"n": 1}, event=False).n_interactions == 1
