"""`Refusal`: an error that becomes the answer to a request."""

import re
from typing import Any

import msgspec


class Refusal(Exception):  # noqa: N818  (an answer, not a fault)
    """An error that becomes the answer to a request.

    Parameters
    ----------
    status
        The HTTP status.
    message
        The message: the given value, the wanted one, and the remedy.
    field
        The field of the request.
    headers
        More headers of the answer.
    """

    def __init__(self, status: int, message: str, field: str | None = None, **headers: str) -> None:
        super().__init__(message)
        self.status, self.message, self.field, self.headers = status, message, field, headers


def refuse_field(message: str, kind: type) -> Refusal:
    """Turns a sentence of msgspec about a body of a type, "Expected `int`, got `str` - at `$.k`", into a refusal of
    that field. Where a field is missing or unknown, or no object was given, the refusal names the fields there are.
    """
    said, _, place = message.partition(" - at `")
    place = place.rstrip("`").removeprefix("$")
    field = place.removeprefix(".").removeprefix("[...]") or "body"
    wrong = re.match(r"Object (missing required|contains unknown) field `([^`]*)`|Expected `object`", said)
    if wrong:
        said += _name_fields(kind, place)
        if wrong[2]:  # a field may have an empty name
            field = wrong[2] if field == "body" else f"{field}.{wrong[2]}"
    return Refusal(422, said, field)


def _name_fields(kind: type, place: str) -> str:
    """Names the fields of the object at a place such as ".events[...]" of a body; "" where there is none."""
    info: Any = _container(msgspec.inspect.type_info(kind))
    for step in re.findall(r"\.[^.\[]+|\[[^\]]*\]", place):
        if isinstance(info, msgspec.inspect.StructType):
            info = next((field.type for field in info.fields if field.encode_name == step[1:]), None)
        else:
            info = getattr(info, "item_type", None)
        info = _container(info)
    if not isinstance(info, msgspec.inspect.StructType):
        return ""
    names = [f"`{field.encode_name}`" + " (required)" * field.required for field in info.fields]
    return f"; the fields of {'the body' if not place else 'this object'} are {', '.join(names)}"


def _container(info: Any) -> Any:
    """The object or list that a type may be, without its bounds and without null."""
    while isinstance(info, msgspec.inspect.Metadata):
        info = info.type
    if isinstance(info, msgspec.inspect.UnionType):
        return next((_container(kind) for kind in info.types if hasattr(_container(kind), "fields")), info.types[0])
    return info
