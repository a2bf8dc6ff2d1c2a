"""`Refusal`: an error that becomes the answer to a request."""

import re


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


def refuse_field(message: str) -> Refusal:
    """Turns a sentence of msgspec, "Expected `int`, got `str` - at `$.k`", into a refusal of that field."""
    said, _, place = message.partition(" - at `")
    field = place.rstrip("`").removeprefix("$").removeprefix(".").removeprefix("[...]") or "body"
    missing = re.search(r"(?:missing required|contains unknown) field `([^`]*)`", said)
    if missing and missing[1]:  # a field may have an empty name
        field = missing[1] if field == "body" else f"{field}.{missing[1]}"
    return Refusal(422, said, field)
