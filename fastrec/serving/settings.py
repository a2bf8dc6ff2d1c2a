"""The settings of a server."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from fastrec.online.plan import SchedulePlan
from fastrec.permissions import PRIVATE

# The folder for the metrics of several workers; prometheus-client chose the name.
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
        The part of the users for `model` and for each model in `beside`.
    share_key
        The key of the random choice of users for shares.
    journal
        The address of the events, as `fastrec.online.open_log` takes it; None serves a model without events.
    cache
        The folder of this machine for versions downloaded from a store; None: one in the user's cache folder.
    host
        The host to listen on.
    tokens
        The tokens, sent as ``Authorization: Bearer …``: up to two for each of the scopes "read", "write" and "admin".
        Without tokens, a server that only this machine reaches asks for none; a server that others reach neither writes
        nor shows data of users.
    on_unknown : {"popular", "error"}
        The default answer to unknown ids: popular items (unknown items are left out), or an error.
    duplicates : {"sum", "last", "max"} or None
        The policy to merge several events of one user and item; None: the last one for models of ratings, otherwise the
        sum.
    checkpoint_every, refit_every, refit_share, refit_drift
        As in `fastrec.online.SchedulePlan`; for a folder of versions.
    largest_body
        The maximum number of bytes of a request.
    largest_queue
        Events that may wait for the disk, before writers are told to wait (429).
    body_seconds
        The seconds in which a client must send a body.
    watch_seconds
        The seconds between checks for a newer model file.
    access_log
        A file for a line of JSON per request; "-" is standard output, None no log.
    rate_limit
        Requests per second that each token or address may send to each worker; None: any number.
    drain
        The seconds after SIGTERM in which requests are still accepted.
    mode
        The permissions of the files that the server makes.
    skip_damaged
        Whether to leave out damaged events of the journal, which would otherwise keep the server from starting.
    scenarios
        The named requests that fill in missing fields, from `read_scenarios`.
    explore
        The share of the answers of `/recommend` in which some places are filled at random.
    new_users, new_items, support, force
        As in `fastrec.online.Updater`.
    pseudonym_key
        Users are asked about and told of by their ids, and the model and the journal know them by the pseudonyms that
        this key gives; None: they know ids.

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
    explore: float = 0.0
    new_users: str = "hold"
    new_items: str = "hold"
    support: int = 5
    force: bool = False
    pseudonym_key: bytes | None = field(default=None, repr=False)


def name_model(address: str) -> str:
    """Returns the name of a model among those that are served together.

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
