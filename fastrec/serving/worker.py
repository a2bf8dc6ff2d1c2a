"""Where a worker of the server begins: only what it needs is imported, which is most of the time until it is ready."""

import gc
import multiprocessing
import os
import shutil
import signal
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from uvicorn.config import STARTUP_FAILURE

from fastrec.serving.settings import FAILED, SHARED_FOLDER


def create_app() -> Any:
    """The ASGI application of one worker, by the settings in the environment."""
    gc.disable()  # what is made until it is ready stays; `Server` switches it on again
    end_with_parent()
    import_sklearn()
    from fastrec.serving.http import create_app as create

    return create()


def end_with_parent() -> None:
    """Where this is one of several workers: end, as by SIGTERM, when the process ends that started them.

    Killed, it could not tell them; they would keep the port, and nobody would start those anew that fail.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        shutil.rmtree(os.environ.get(SHARED_FOLDER, ""), ignore_errors=True)  # which the parent would have removed
        signal.raise_signal(signal.SIGTERM)

    threading.Thread(target=wait, name="fastrec-parent", daemon=True).start()


def end_in_failure() -> NoReturn:
    """End the process at once; with several workers, the parent and with it the others."""
    if SHARED_FOLDER in os.environ:
        Path(os.environ[SHARED_FOLDER], FAILED).touch()
    os._exit(STARTUP_FAILURE)


def import_sklearn() -> None:
    """Import scikit-learn's base without `scipy.stats` and pandas.

    It imports both for functions of its own that no worker calls, and they take longer than all the rest. Where a
    scikit-learn should need them after all, it is imported as usual.
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
    """What is put in the place of modules: None, so that they seem not to be installed, or an empty one."""
    return {"pandas": None, "scipy.stats": ModuleType("scipy.stats")}
