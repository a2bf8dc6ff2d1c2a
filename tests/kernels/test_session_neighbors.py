"""Sessions near a history, and scores by them, against plain Python."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.kernels.session_neighbors import Room, Sessions, Shares, find_sessions, place_visits, score_sessions
from tests.reference import session_neighbors as reference

ITEMS = 6
lists = st.lists(st.lists(st.integers(0, ITEMS - 1), unique=True), min_size=1, max_size=8)


def flatten(rows):
    starts = np.cumsum([0, *map(len, rows)])
    return starts, np.array([item for row in rows for item in row], np.int32)


def index(rows):
    starts, items = flatten(rows)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(items, minlength=ITEMS))])
    numbers, places = np.empty(len(items), np.int32), np.empty(len(items), np.int32)
    place_visits(starts, items, indptr[:-1].copy(), numbers, places)
    return Sessions(starts, items, indptr, numbers, places)


def shares_of(n_sessions, seed, ages=3, after=3, before=2):
    rng = np.random.default_rng(seed)
    sizes = (ages, ITEMS, n_sessions, after, before, ITEMS)
    return Shares(*(rng.choice([0.25, 0.5, 1.0], size).astype(np.float32) for size in sizes))


def room_of(n):
    return Room(np.zeros(n), np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int64), np.zeros(ITEMS))


def test_visits_of_an_item_come_in_the_order_of_the_sessions():
    sessions = index([[2, 0], [], [0], [1, 2]])
    assert sessions.indptr.tolist() == [0, 2, 3, 5, 5, 5, 5]
    assert sessions.numbers.tolist() == [0, 2, 3, 0, 3]
    assert sessions.places.tolist() == [1, 0, 0, 0, 1]


@settings(max_examples=80, deadline=None)
@given(lists, lists, st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_scores_are_those_of_the_twin_and_room_is_left_as_it_was(rows, histories, most, k, seed):
    shares, room = shares_of(len(rows), seed), room_of(len(rows))
    scores = np.full((len(histories), ITEMS), np.nan, np.float32)
    score_sessions(*flatten(histories), 0, len(histories), index(rows), shares, most, k, room, scores)
    assert not room.sums.any()
    assert not room.scores.any()
    expected = [reference.scores(history, rows, shares, most, k) for history in histories]
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


@settings(max_examples=80, deadline=None)
@given(lists, lists, st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_the_most_similar_sessions_are_found_of_equal_ones_the_first(rows, histories, most, k, seed):
    shares, room = shares_of(len(rows), seed), room_of(len(rows))
    starts, items = flatten(histories)
    for row, history in enumerate(histories):
        count = find_sessions(items, starts[row], starts[row + 1], index(rows), shares, most, k, room)
        found = reference.similarities(history, rows, shares, most)
        near = [number for number in range(len(rows)) if found[number][0] > 0]
        near = sorted(near, key=lambda number: (-found[number][0], number))[:k]
        assert sorted(room.found[:count].tolist()) == sorted(near)
        assert {number: room.places[number] for number in near} == {number: found[number][1] for number in near}
