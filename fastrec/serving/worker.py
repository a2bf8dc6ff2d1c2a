"""Where a worker of the server begins: only what it needs is imported, which is most of the time until it is ready."""

import gc
import sys
from types import ModuleType
from typing import Any


def create_app() -> Any:
    """The ASGI application of one worker, by the settings in the environment."""
    gc.disable()  # what is made until it is ready stays; `Server` switches it on again
    import_sklearn()
    from fastrec.serving.http import create_app as create

    return create()


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
