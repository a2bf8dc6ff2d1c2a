"""The plan tells when new models are made."""

import subprocess
import sys

import pytest

from fastrec.models import Popularity, PureSVD
from fastrec.online import Journal, Schedule, SchedulePlan, Updater
from fastrec.online.schedule import check_plan


@pytest.mark.parametrize(
    ("options", "updates", "refits"),
    [
        ({}, False, False),
        ({"checkpoint_every": 0.0}, True, False),
        ({"refit_every": 60}, False, True),
        ({"refit_share": 0.0}, False, True),
        ({"refit_drift": 0.2, "checkpoint_every": 1}, True, True),
    ],
)
def test_a_plan_says_what_it_makes(options, updates, refits):
    plan = SchedulePlan(**options)
    assert (plan.updates, plan.refits, plan.makes_models) == (updates, refits, updates or refits)
    assert {name: value for name, value in plan.options().items() if value is not None} == options


def test_a_schedule_follows_its_plan(tmp_path):
    plan = SchedulePlan(checkpoint_every=5, refit_drift=0.3)
    with Journal(tmp_path / "events.db") as journal:
        schedule = Schedule.of(Updater(Popularity().fit([[1, 0], [1, 1]]), journal), plan)
    assert schedule.plan == plan
    assert schedule.drift.fall == 0.3


def test_a_model_that_cannot_do_what_is_planned_is_refused():
    model = PureSVD(1).fit([[1, 0, 1], [1, 1, 0]])
    with pytest.raises(TypeError, match="no partial_fit"):
        check_plan(SchedulePlan(checkpoint_every=1), model)
    check_plan(SchedulePlan(refit_every=1), model)
    check_plan(SchedulePlan(), model)


def test_a_plan_imports_nothing_heavy():
    code = "import sys, fastrec.online.plan, fastrec.serving.settings; print({'numpy', 'sklearn'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
