"""Starting a server: settings checked, the first version published, workers started."""

import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from fastrec.serving.protocol import WholeAnswers
from fastrec.serving.settings import FAILED, SHARED_FOLDER, Settings, is_loopback

log = logging.getLogger(__name__)

TOKEN_VARIABLE = "FASTREC_TOKEN"
APPLICATION = "fastrec.serving.worker:create_app"
# BLAS asks for these when it is loaded, which a worker does before any of our code could tell it.
BLAS_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def run_server(
    model: Path,
    *,
    journal: Path | None = None,
    versions: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: int = 1,
    token_file: Path | None = None,
    on_unknown: str = "popular",
    duplicates: str | None = None,
    schedule: Mapping[str, float | None] | None = None,
) -> None:
    """Serve until SIGTERM or Ctrl-C; then requests under way end, and the journal is written out.

    Parameters
    ----------
    model
        A model file, or a folder of versions.
    journal
        The file of the events.
    versions
        A folder in which to publish `model`, where it is a file, and the models that are made of it.
    host, port
        Where to listen.
    workers
        How many processes.
    token_file
        A file with the token of writers; else the environment's FASTREC_TOKEN is used, where there is one.
    on_unknown, duplicates
        As in `Settings`.
    schedule
        `checkpoint_every`, `refit_every`, `refit_share` and `refit_drift`, as in `fastrec.online.Schedule`.

    Raises
    ------
    ValueError
        Where the settings do not go together: events taken from other machines need a token, new models a folder.
    """
    chosen = {name: value for name, value in (schedule or {}).items() if value is not None}
    source = model if versions is None else publish_first(model, versions)
    if chosen and not source.is_dir():
        raise ValueError("new models need a folder to be published in: give --versions FOLDER")
    if chosen and journal is None:
        raise ValueError("new models are made of events: give --journal FILE")
    token = read_token(token_file)
    if journal is not None and token is None and not is_loopback(host):
        raise ValueError(
            f"on {host} anybody could write and delete events: give --token-file, or set {TOKEN_VARIABLE}, or listen "
            "on 127.0.0.1"
        )
    settings = Settings(
        model=str(source),
        journal=None if journal is None else str(journal),
        host=host,
        token=token,
        on_unknown=on_unknown,
        duplicates=duplicates,
        checkpoint_every=chosen.get("checkpoint_every"),
        refit_every=chosen.get("refit_every"),
        refit_share=chosen.get("refit_share"),
        refit_drift=chosen.get("refit_drift"),
    )
    settings.to_environment()
    for name in BLAS_VARIABLES:
        os.environ.setdefault(name, "1")
    shared = Path(tempfile.mkdtemp(prefix="fastrec-metrics-")) if workers > 1 else None
    try:
        if shared is not None:
            os.environ[SHARED_FOLDER] = str(shared)
        uvicorn.run(
            APPLICATION,
            factory=True,
            host=host,
            port=port,
            workers=workers,
            http=WholeAnswers,
            loop="auto",
            lifespan="on",
            ws="none",
            proxy_headers=False,
            access_log=False,
            server_header=False,
            backlog=4096,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=30,
        )
        if shared is not None and (shared / FAILED).exists():
            raise SystemExit(STARTUP_FAILURE)
    finally:
        if shared is not None:
            shutil.rmtree(shared, ignore_errors=True)


def publish_first(model: Path, versions: Path) -> Path:
    """The folder of versions; a model file becomes its first, where it has none."""
    from fastrec.online.versions import Versions, load_published

    folder = Versions(versions)
    if folder.current() is None:
        published = load_published(model)
        folder.publish(published.model, published.seq, published.refit_seq)
    else:
        log.warning("%s has %s already: that is served, and not %s", versions, folder.current(), model)
    return folder.folder


def read_token(file: Path | None) -> str | None:
    """The token of writers: from the file, else from the environment, else none."""
    token = os.environ.get(TOKEN_VARIABLE, "") if file is None else file.read_text(encoding="utf-8")
    token = token.strip()
    if file is not None and not token:
        raise ValueError(f"{file} has no token in it")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError("a token must be of ASCII letters, digits and signs: a header carries nothing else safely")
    return token or None
