"""The events that a model takes in."""

from fastrec.models import (
    EASE,
    compress,
)
from fastrec.online import Event, Snapshot, Updater
from tests.online.following import USERS, data, same


def test_values_that_the_model_takes_no_notice_of(model):
    snapshot = Snapshot(model).after([Event("u1", "i3", 1e-300, seq=1), Event("u1", "i3", -2.0, seq=2)])
    assert snapshot.changed_users == 0
    assert snapshot.seq == 2


def test_models_that_take_no_new_items_leave_events_about_them_out(journal):
    updater = Updater(compress(EASE(10.0).fit(data()), "int8"), journal)
    journal.append([("new", "unheard of"), ("new", "i3")])
    snapshot = updater.checkpoint()
    assert snapshot.history("new").codes.tolist() == [3]
    assert snapshot.model.n_features_in_ == 25


def test_an_absurd_value_changes_nothing(model, journal):
    updater = Updater(model, journal)
    journal.append([("u1", "i3", 1e30), ("u2", "i4", 1e-300)])
    assert updater.catch_up().changed_users == 0
    same(updater.checkpoint().recommend(USERS), Snapshot(model).recommend(USERS))
