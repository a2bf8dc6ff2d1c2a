"""Events since a model was made are the newest of a user's history, in the order of their arrival."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.data import Interactions
from fastrec.models import LinearSequence
from fastrec.online import Event, Snapshot
from fastrec.online.user_state import WAITING
from tests.online.following import ITEMS, USERS, data, same
from tests.reference.last_item import LastItem

BASE = data()
TIMED = Interactions(
    BASE.user_codes, BASE.item_codes, BASE.values, times=np.random.default_rng(1).permutation(BASE.n_interactions),
    users=USERS, items=ITEMS,
)  # fmt: skip
MODELS = [LastItem().fit(TIMED), LinearSequence(regularization=1, n_jobs=1).fit(TIMED)]
WHO = ["u3", "u4", "new"]
logs = st.lists(st.tuples(st.sampled_from(WHO), st.sampled_from(ITEMS[:8])), min_size=1, max_size=20)


def updated(model, log):
    """Returns the model with the same events taken in by update_users, last event by last event."""
    users = sorted({user for user, _ in log})
    parts = [users.index(user) for user, _ in log], [ITEMS.index(item) for _, item in log]
    new = Interactions(*parts, times=range(len(log)), users=users, items=ITEMS, duplicates="sum", time_unit="s")
    return copy.copy(model).update_users(users, new)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(WHO), st.sampled_from(ITEMS[:8])), min_size=1, max_size=20), st.integers(0, 20)
)
@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_a_snapshot_answers_as_a_model_that_was_updated(model, log, cut):
    events = [Event(user, item, seq=place + 1) for place, (user, item) in enumerate(log)]
    snapshot = Snapshot(model).after(events[:cut]).after(events[cut:])
    other = updated(model, log)
    for who in WHO[: 2 + any(user == "new" for user, _ in log)]:
        same(snapshot.recommend([who], 5, on_unknown="popular"), other.recommend([who], 5))
        same(
            snapshot.recommend([who, "u7"], 5, exclude_seen=False), other.recommend([who, "u7"], 5, exclude_seen=False)
        )


def test_many_events_of_one_user_keep_their_order():
    items = np.random.default_rng(0).choice(ITEMS, 3 * WAITING).tolist()
    events = [Event("u3", item, seq=place + 1) for place, item in enumerate(items)]
    snapshot = Snapshot(MODELS[0])
    for start in range(0, len(events), 7):
        snapshot = snapshot.after(events[start : start + 7])
    history = snapshot.history("u3")
    newest_first = [ITEMS[code] for code in history.codes[np.argsort(-history.order)]]
    assert newest_first[: len(set(items))] == list(dict.fromkeys(reversed(items)))


def test_an_explanation_follows_the_order_too():
    snapshot = Snapshot(MODELS[1]).after([Event("u3", "i7", seq=1), Event("u3", "i2", seq=2)])
    other = updated(MODELS[1], [("u3", "i7"), ("u3", "i2")])
    mine, theirs = snapshot.explain("u3", "i4"), other.explain("u3", "i4")
    assert mine.score == theirs.score
    assert mine.items.tolist() == theirs.items.tolist()
