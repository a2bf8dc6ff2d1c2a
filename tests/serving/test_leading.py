"""The process that makes the models."""

import contextlib

import pytest

pytest.importorskip("starlette", reason="needs fastrec[serve]")
from fastrec.models import ImplicitALS, PureSVD
from fastrec.online import Journal, SchedulePlan, Updater, Versions
from fastrec.serving.leading import Leading
from fastrec.serving.refusal import Refusal
from tests.online.following import data

NEVER = SchedulePlan(checkpoint_every=3600)


@pytest.fixture
def process(tmp_path):
    """Returns the parts of each process: an updater of the same journal and folder."""
    Versions(tmp_path / "models").publish(ImplicitALS(3, iterations=1, random_state=0, n_jobs=1).fit(data()))
    with contextlib.ExitStack() as stack:

        def make(plan=NEVER, **options):
            journal = stack.enter_context(contextlib.closing(Journal(tmp_path / "events.db")))
            told = []
            leading = Leading(plan, lambda how, seconds: told.append(how))
            stack.callback(leading.end)
            return leading, Updater(Versions(tmp_path / "models"), journal, **options), told

        yield make


def test_the_leader_makes_a_model_when_it_is_asked_to_and_others_refuse(process):
    (one, updater, told), (other, follower, _) = process(), process()
    one.look(updater)
    other.look(follower)
    updater.journal.append([("u1", "i3"), ("new", "i4")])
    with pytest.raises(Refusal, match="another process makes the models"):
        other.make(follower, "checkpoint")
    made = one.make(updater, "checkpoint")
    assert (made.model_seq, told) == (2, ["checkpoint"])
    assert updater.journal.trimmed_seq() == 2
    assert one.make(updater, "checkpoint").model is made.model  # no event is new
    assert one.make(updater, "refit").version == "v000003"
    assert follower.reload()
    one.end()
    updater.journal.close()  # now the other process can
    other.look(follower)
    assert other.make(follower, "refit").version == "v000004"
    with pytest.raises(Refusal, match="another process"):
        one.make(updater, "refit")


def test_without_a_plan_whoever_is_asked_leads_for_that_long(process):
    (one, updater, _), (other, follower, _) = process(SchedulePlan()), process(SchedulePlan())
    for leading, own in ((one, updater), (other, follower)):
        leading.look(own)
        own.journal.append([("u1", "i3")])
        own.reload()
        leading.make(own, "checkpoint")
    assert follower.snapshot.version == "v000003"


def test_models_that_cannot_be_made_are_refused(tmp_path, process):
    leading, updater, told = process()
    model = ImplicitALS(3, iterations=1, random_state=0, n_jobs=1).fit(data())
    for alone in (Updater(model), Updater(model, updater.journal), Updater(Versions(tmp_path / "models"))):
        with pytest.raises(Refusal, match="need a journal and versions"):
            leading.make(alone, "checkpoint")
    versions = Versions(tmp_path / "others")
    versions.publish(PureSVD(3).fit(data()))
    with pytest.raises(Refusal, match="PureSVD has no partial_fit"):
        leading.make(Updater(versions, updater.journal), "checkpoint")
    assert told == []
