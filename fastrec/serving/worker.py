"""The start of a server's worker: it imports only what it needs, since imports take most of the start."""

import contextlib
import gc
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection
from socket import socket
from types import ModuleType
from typing import Any

import uvicorn

from fastrec.serving.draining import DrainingServer
from fastrec.serving.failure import STARTUP_FAILURE
from fastrec.serving.settings import Settings


def run_worker(
    settings: Settings, options: Mapping[str, Any], listener: socket | None = None, line: Connection | None = None
) -> None:
    """Serves until a signal, or until the parent closes its end of the connection.

    Parameters
    ----------
    settings
        The settings of the server.
    options
        Options of uvicorn's `Config`.
    listener, line
        For one of several workers: the shared socket, and the connection to the parent.
    """
    gc.disable()  # objects made until it is ready stay; `Server` switches it on again
    import_sklearn()
    from fastrec.parallel import keep_all_cores
    from fastrec.serving.app import create_app

    keep_all_cores()
    app = create_app(settings)
    server = DrainingServer(uvicorn.Config(app, **options), app.server.begin_to_drain, settings.drain)
    if line is not None:
        server.follow(line)
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again once it has ended
        server.run(None if listener is None else [listener])
    if not server.started:
        sys.exit(STARTUP_FAILURE)


def import_sklearn() -> None:
    """Imports scikit-learn's base without `scipy.stats` and pandas.

    It imports both for functions that no worker calls, and they take longer than all the rest. If a version of
    scikit-learn needs them after all, it is imported as usual.
    """
    absent = {name: module for name, module in _stand_ins().items() if name not in sys.modules}
    sys.modules.update(absent)  # type: ignore[arg-type]
    try:
        import sklearn.base  # noqa: F401
    except (ImportError, AttributeError):
        for name in [name for name in sys.modules if name.partition(".")[0] == "sklearn"]:
            del sys.modules[name]
    finally:
        for name, module in absent.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


def _stand_ins() -> dict[str, ModuleType | None]:
    """Yields stand-ins for modules: None, which looks like a missing one, or an empty one."""
    return {"pandas": None, "scipy.stats": ModuleType("scipy.stats")}
