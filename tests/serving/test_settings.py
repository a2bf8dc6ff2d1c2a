"""Settings of a server."""

import dataclasses

import pytest

from fastrec.online import SchedulePlan
from fastrec.serving.settings import Settings, is_loopback


def test_settings_are_a_plan_of_new_models():
    settings = Settings(model="m", checkpoint_every=3, refit_share=0.5)
    assert isinstance(settings, SchedulePlan)
    assert settings.makes_models
    assert not Settings(model="m").makes_models
    assert settings.options() == SchedulePlan(checkpoint_every=3, refit_share=0.5).options()
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.model = "other"


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.8.9.1", True),
        ("::1", True),
        ("localhost", True),
        ("192.168.0.1", False),
        ("::", False),
        ("example.org", False),
    ],
)
def test_only_a_loopback_is_this_machine_alone(host, local):
    assert is_loopback(host) is local
