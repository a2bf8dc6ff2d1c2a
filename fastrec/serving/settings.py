"""Settings of a server."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from fastrec.online.plan import SchedulePlan
from fastrec.permissions import PRIVATE

# Where the metrics of several workers are; the name is prometheus-client's.
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(SchedulePlan):
    """The settings by which a model is served.

    Parameters
    ----------
    model
        A model file, or the address of versions, as `fastrec.online.open_versions` takes it.
    beside
        More models, which follow the same journal and answer a share of the users each.
    shares
        The part of the users for `model` and for each of those beside it.
    share_key
        Another key chooses other users.
    journal
        The address of the events, as `fastrec.online.open_log` takes it; None serves a model that does not change by
        events.
    cache
        The folder of this machine for versions that are downloaded from a store; None: one in the user's cache folder.
    host
        Where it listens.
    tokens
        What must be sent as ``Authorization: Bearer …``: up to two tokens for each of the scopes "read", "write" and
        "admin". None at all: asks for none where only this machine reaches the server, and neither writes nor shows
        anything of users where others do.
    on_unknown : {"popular", "error"}
        What a request about an unknown id gets that does not say: what is popular (unknown items are left out), or an
        error.
    duplicates : {"sum", "last", "max"} or None
        What several events of one user and item add up to; None: the last counts for models of ratings, else their sum.
    checkpoint_every, refit_every, refit_share, refit_drift
        As in `fastrec.online.SchedulePlan`; for a folder of versions.
    largest_body
        Bytes that a request may have.
    largest_queue
        Events that may wait for the disk, before writers are told to wait (429).
    body_seconds
        How long a client may take to send a body.
    watch_seconds
        How often the model file is looked at; a newer one is taken.
    access_log
        A file to which each request adds a line of JSON; "-" is standard output, None no log.
    rate_limit
        Requests a second that each token or address may send to each worker; None: any number.
    drain
        For how many seconds requests are still taken once it is to end.
    mode
        The permissions of the files that it makes.
    skip_damaged
        Whether damaged events of the journal are left out, where it would else not begin.
    scenarios
        What requests by the name of a scenario say where they say nothing themselves, as `read_scenarios` reads it.
    new_users, new_items, support, force
        As in `fastrec.online.Updater`.

    Examples
    --------
    >>> Settings(model="model.fastrec").on_unknown
    'popular'
    """

    model: str
    beside: tuple[str, ...] = ()
    shares: tuple[float, ...] = (1.0,)
    share_key: str = ""
    journal: str | None = None
    cache: str | None = None
    host: str = "127.0.0.1"
    tokens: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    on_unknown: str = "popular"
    duplicates: str | None = None
    largest_body: int = 4 << 20
    largest_queue: int = 100_000
    body_seconds: float = 10.0
    watch_seconds: float = 1.0
    access_log: str | None = None
    rate_limit: float | None = None
    drain: float = 1.0
    mode: int = PRIVATE
    skip_damaged: bool = False
    scenarios: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    new_users: str = "hold"
    new_items: str = "hold"
    support: int = 5
    force: bool = False


def name_model(address: str) -> str:
    """The name of a model among those that are served at once.

    >>> name_model("models/als.fastrec"), name_model("s3://shop/models/")
    ('als', 'models')
    """
    return re.split(r"[/\\\\]", address.rstrip("/"))[-1].removesuffix(".fastrec")


def is_loopback(host: str) -> bool:
    """Tells whether only this machine can reach a server bound to the host.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
