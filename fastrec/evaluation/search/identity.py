"""Values in words that are the same in every process, so that results on disk can be found again."""

import inspect
from typing import Any

from fastrec.fingerprint import IDLE, fingerprint


def identify(value: Any) -> str:
    """Describes a value in words, with its fingerprint if the words could describe another value, too."""
    words = _words(value)
    plain = all(is_plain(part) for part in (value if isinstance(value, list) else [value]))
    return words if plain else f"{_shorten(words)} #{fingerprint(value)}"


def is_plain(value: Any) -> bool:
    """Tells whether the words describe a value completely."""
    return value is None or isinstance(value, bool | int | float | str)


def _words(value: Any) -> str:
    """Describes a value for people, the same in each process: without addresses, orders of sets, or print options."""
    if is_plain(value):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_words, value))}]"
    frozen = getattr(value, "dist", None)
    if frozen is not None:
        arguments = [*map(_words, value.args), *(f"{name}={_words(one)}" for name, one in value.kwds.items())]
        return f"{frozen.name}({', '.join(arguments)})"
    if isinstance(value, type) or not hasattr(value, "get_params"):
        return getattr(value, "__name__", type(value).__name__)
    usual = inspect.signature(type(value)).parameters
    chosen = {name: one for name, one in value.get_params(deep=False).items() if name not in IDLE}
    for name, one in list(chosen.items()):
        if is_plain(one) and name in usual and one == usual[name].default:
            del chosen[name]
    return f"{type(value).__name__}({', '.join(f'{name}={_words(one)}' for name, one in chosen.items())})"


def _shorten(words: str, width: int = 300) -> str:
    return words if len(words) <= width else f"{words[:width]}…"
