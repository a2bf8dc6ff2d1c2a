"""Starts a server: checks the settings, publishes the first version, starts workers."""

import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn

from fastrec.online.opening import is_published, open_versions
from fastrec.permissions import check_mode
from fastrec.serving.access import SHORTEST_ADVISED, is_short, read_tokens
from fastrec.serving.protocol import WholeAnswers
from fastrec.serving.settings import SHARED_FOLDER, Settings, is_loopback, name_model
from fastrec.serving.shares import Shares
from fastrec.serving.supervisor import Supervisor
from fastrec.serving.worker import run_worker

log = logging.getLogger(__name__)

# BLAS reads these when a worker loads it, before any of our code could set a limit.
BLAS_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
OPTIONS: Mapping[str, Any] = {
    "http": WholeAnswers,
    "loop": "auto",
    "lifespan": "on",
    "ws": "none",
    "proxy_headers": False,
    "access_log": False,
    "server_header": False,
    "backlog": 4096,
    "timeout_keep_alive": 30,
    "timeout_graceful_shutdown": 30,
}


def run_server(
    settings: Settings,
    *,
    versions: str | None = None,
    port: int = 8000,
    workers: int = 1,
    token_file: Path | None = None,
) -> None:
    """Serves until SIGTERM or Ctrl-C; then waiting requests are answered, and the journal is written out.

    Parameters
    ----------
    settings
        The settings of the server.
    versions
        The address at which to publish new models, and first the settings' model if that is a file.
    port
        The port to listen on.
    workers
        The number of processes.
    token_file
        A file with tokens, as `read_tokens` reads it; by default the tokens of the environment.

    Raises
    ------
    ValueError
        If the settings are inconsistent: events from other machines need a token, new models a folder.
    """
    check_mode(settings.mode)
    check_models(settings, versions)
    source = settings.model if versions is None else publish_first(settings, versions)
    if settings.makes_models and not is_published(source):
        raise ValueError("new models need a folder for versions: give --versions FOLDER")
    if settings.makes_models and settings.journal is None:
        raise ValueError("new models are made from events: give --journal FILE")
    tokens = read_tokens(token_file)
    if settings.journal is not None and not tokens and not is_loopback(settings.host):
        raise ValueError(
            f"on {settings.host} anybody could write and delete events: give --token-file, set "
            "FASTREC_TOKEN, or listen on 127.0.0.1"
        )
    if is_short(tokens):
        log.warning(
            "a token of fewer than %d characters can be guessed: openssl rand -hex 32 makes a safe one",
            SHORTEST_ADVISED,
        )
    settings = replace(settings, model=source, tokens=tokens)
    for name in BLAS_VARIABLES:
        os.environ.setdefault(name, "1")
    options = {**OPTIONS, "host": settings.host, "port": port, "workers": workers}
    if workers == 1:
        run_worker(settings, options)
    else:
        raise SystemExit(run_workers(settings, options, workers))


def check_models(settings: Settings, versions: str | None) -> None:
    """Refuses several models with equal names, or of which new ones would be made."""
    names = [name_model(model) for model in (settings.model, *settings.beside)]
    if len(settings.shares) != len(names):
        raise ValueError(f"{len(names)} models need as many shares (--share 0.9,0.1), got {len(settings.shares)}")
    Shares(settings.shares)
    if len(set(names)) < len(names):
        raise ValueError(f"models that are served together need different names, got {', '.join(names)}")
    if settings.beside and (settings.makes_models or versions is not None):
        raise ValueError(
            "a server of several models makes no new ones: leave out --versions and the options of "
            "the schedule, and publish new models from elsewhere"
        )


def run_workers(settings: Settings, options: Mapping[str, Any], n_workers: int) -> int:
    """Serves with several processes; returns the exit code."""
    shared = tempfile.mkdtemp(prefix="fastrec-metrics-")
    os.environ[SHARED_FOLDER] = shared
    try:
        listener = uvicorn.Config("fastrec", **options).bind_socket()
        return Supervisor(partial(run_worker, settings, options), listener, n_workers).run()
    finally:
        shutil.rmtree(shared, ignore_errors=True)


def publish_first(settings: Settings, address: str) -> str:
    """Returns the address of the versions; the settings' model becomes the first version if there is none."""
    from fastrec.online.versions import load_published

    versions = open_versions(address, cache=settings.cache, mode=settings.mode)
    if versions.current() is None:
        published = load_published(settings.model)
        versions.publish(published.model, marks=published.marks)
    else:
        log.warning("%s already has %s, which is served instead of %s", address, versions.current(), settings.model)
    return address
