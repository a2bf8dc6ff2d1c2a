"""Options of models as JSON and back: numbers, texts, lists and splits, never code."""

import functools
import inspect
from typing import Any

import numpy as np

from fastrec import preprocessing

Record = dict[str, Any]


def describe_split(value: Any) -> Record | None:
    """Describes a splitter of fastrec, or one of its split functions, by its name and options; None for others."""
    made, options = (value if callable(value) else type(value)), {}
    if isinstance(value, functools.partial) and not value.args:
        made, options = value.func, value.keywords
    name = getattr(made, "__name__", "")
    if name not in preprocessing.__all__ or getattr(preprocessing, name) is not made:
        return None
    if made is not value and isinstance(made, type):
        options = {option: getattr(value, option) for option in inspect.signature(made).parameters}
    return {"split": {"name": name, "options": {key: encode_value(key, option) for key, option in options.items()}}}


def _decode_split(record: Record) -> Any:
    """Makes the splitter that `describe_split` described; its name is looked up in fastrec's own list alone."""
    if record["name"] not in preprocessing.__all__:
        raise ValueError(f"{record['name']!r} is not a split of fastrec")
    made = getattr(preprocessing, record["name"])
    options = {name: decode_value(option) for name, option in record["options"].items()}
    if isinstance(made, type):
        return made(**options)
    return functools.partial(made, **options) if options else made


def encode_value(name: str, value: Any) -> Any:
    """Encodes an option for JSON; raises a TypeError that names it if no file can hold it."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return {"float": repr(value)}  # JSON has no such numbers
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple):  # JSON itself has only lists
        return {"tuple": [encode_value(name, item) for item in value]}
    if isinstance(value, list):
        return [encode_value(name, item) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": {key: encode_value(name, item) for key, item in value.items()}}
    raise TypeError(f"{name} is {value!r}, which a model file cannot hold")


def decode_value(value: Any) -> Any:
    """Decodes the option that `encode_value` encoded."""
    if isinstance(value, list):
        return [decode_value(item) for item in value]
    if isinstance(value, dict):
        if "float" in value:
            return float(value["float"])
        if "split" in value:
            return _decode_split(value["split"])
        if "tuple" in value:
            return tuple(decode_value(item) for item in value["tuple"])
        return {key: decode_value(item) for key, item in value["dict"].items()}
    return value
