"""Conversions between requests and models: ids, codes, values, counts; and the refusals of invalid ones."""

import re
from typing import Any
from urllib.parse import unquote_to_bytes

import numpy as np
from starlette.requests import Request

from fastrec.data import Vocabulary
from fastrec.data.ids import parse_id as read_id
from fastrec.matrix.arrays import Codes, Floats
from fastrec.models import Recommender
from fastrec.online import Items
from fastrec.online.acceptance import SMALLEST_VALUE, largest_value, takes_value
from fastrec.online.journal import Id, JournalDiskFullError, JournalError
from fastrec.serving import messages as m
from fastrec.serving.refusal import Refusal

SEQ_HEADER = b"fastrec-seq"


def list_recommended(items: Items, codes: Codes, scores: Floats) -> list[m.Recommended]:
    """Returns one row of a result, up to its end or the first empty place."""
    found = codes.tolist()
    if found and found[-1] < 0:
        found = found[: found.index(-1)]
    ids = items.model.item_vocabulary.decode_few(found)
    return list(map(m.Recommended, ids, scores.tolist(), items.titles(found)))


def decode(model: Recommender, codes: Any) -> list[Id]:
    """Returns ids of items."""
    return model.item_vocabulary.decode(codes).tolist()  # type: ignore[no-any-return]


def vocabulary_of(model: Recommender, side: str) -> Vocabulary:
    """Returns the ids of the model's users or items, or their codes."""
    return model.item_vocabulary if side == "items_" else model.user_vocabulary


def encode(model: Recommender, ids: list[Id], side: str = "items_") -> Any:
    """Returns codes of ids of the right type, -1 for unknown ones."""
    return vocabulary_of(model, side).encode(ids, unknown="code")


def known_codes(model: Recommender, ids: list[Id], policy: str, field: str, unknown: list[Id]) -> Any:
    """Returns codes of the items of a request; unknown ones become -1 and are listed, or are refused."""
    check_types(model, "items_", ids, field)
    codes = encode(model, ids)
    for place in np.flatnonzero(codes < 0).tolist():
        if policy == "error":
            raise Refusal(422, f"unknown item {ids[place]!r}", f"{field}[{place}]")
        unknown.append(ids[place])
    return codes


def check_types(model: Recommender, side: str, ids: list[Id], field: str, rest: str = "") -> None:
    """Refuses ids of another type than the model's, and names the first: "42" is not 42."""
    wanted = str if vocabulary_of(model, side).kind == "str" else int
    if set(map(type, ids)) <= {wanted} and (wanted is str or not ids or _fit_64_bits(ids)):
        return
    for place, given in enumerate(ids):
        check_type(model, side, given, f"{field}[{place}]{rest}")


def check_type(model: Recommender, side: str, given: Id, field: str) -> None:
    """Refuses an id of another type than the model's."""
    wanted = str if vocabulary_of(model, side).kind == "str" else int
    if type(given) is not wanted:
        what = "users" if side == "users_" else "items"
        kinds = ("strings", "an integer") if wanted is str else ("integers", "a string")
        raise Refusal(422, f"the ids of {what} are {kinds[0]} here, got {kinds[1]}: {quote_short(given)}", field)
    check_fits(given, field)


def check_fits(given: Id, field: str) -> None:
    """Refuses an integer that no id could be."""
    if isinstance(given, int) and not -(2**63) <= given < 2**63:
        raise Refusal(422, "an id must fit into 64 bits", field)


def _fit_64_bits(ids: list[Id]) -> bool:
    return min(ids) >= -(2**63) and max(ids) < 2**63  # type: ignore[operator]


def check_item(model: Recommender, item: Id, field: str) -> None:
    """Refuses an item that no model of this lineage could know: in a model without ids, a code far beyond its own."""
    reach = model.item_vocabulary.reach
    if reach is not None and not 0 <= item < reach:  # type: ignore[operator]
        raise Refusal(422, f"a code must be from 0 to {reach - 1}, got {item}", field)


def check_reach(model: Recommender, events: list[m.NewEvent]) -> None:
    """Refuses events that no update would take in: in a model without ids, codes far beyond its own."""
    for name, vocabulary in (("user", model.user_vocabulary), ("item", model.item_vocabulary)):
        if vocabulary.reach is not None:
            largest = vocabulary.reach - 1
            for place, event in enumerate(events):
                if not 0 <= getattr(event, name) <= largest:
                    said = f"a code must be from 0 to {largest}, got {getattr(event, name)}"
                    raise Refusal(422, said, f"events[{place}].{name}")


def check_event_values(model: Recommender, values: list[float], field: str, rest: str = "") -> None:
    """Refuses values that the model could not learn from, and names the first."""
    largest = largest_value(model)
    if not values or (min(values) >= SMALLEST_VALUE and max(values) <= largest):
        return
    for place, value in enumerate(values):
        if not takes_value(model, value):
            least = f"from {-largest:g}" if model.takes_negatives else "from 0"
            said = f"a value must be {least} and at most {largest:g} for this {type(model).__name__}, got {value:g}"
            raise Refusal(422, said, f"{field}[{place}]{rest}")


def parse_path_id(model: Recommender, side: str, text: str, field: str) -> Id:
    """Parses an id of a URL, where all is text: the model's type decides."""
    parsed = read_id(text, vocabulary_of(model, side).kind)
    if parsed is None:
        raise Refusal(422, f"ids are plain integers of 64 bits here, got {quote_short(text)}", field)
    return parsed


def parse_path_text(request: Request) -> str:
    """Returns the id in a path as text; bytes that are no UTF-8 name nothing, nor do their replacement characters."""
    try:
        unquote_to_bytes(request.scope["raw_path"]).decode()
    except UnicodeDecodeError:
        raise Refusal(422, "an id must be UTF-8, percent-encoded", "id") from None
    named: str = request.path_params["id"]
    return named


def check_query(request: Request, known: frozenset[str]) -> None:
    """Refuses a query with a name that the endpoint does not know: an ignored condition would change the answer."""
    for name in request.query_params:
        if name not in known:
            names = f"its names are {', '.join(sorted(known))}" if known else "send a body in JSON"
            raise Refusal(422, f"the query has no parameter {quote_short(name)} here: {names}", name or "query")


def parse_count(request: Request, name: str, default: int, largest: int) -> int:
    """Parses a number of items in a URL."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= largest:
        raise Refusal(422, f"{name} must be an integer from 1 to {largest}, got {quote_short(text)}", name)
    return int(text)


def parse_seq(request: Request) -> int:
    """Parses the place in the journal that an answer must include; 0 if the request names none."""
    for name, value in request.scope["headers"]:
        if name == SEQ_HEADER:
            text = value.decode("latin-1")
            if not re.fullmatch(r"[0-9]{1,18}", text):
                raise Refusal(
                    422, f"it must be a seq from an answer of /events, got {quote_short(text)}", "fastrec-seq"
                )
            return int(text)
    return 0


def refuse_argument(error: Exception) -> Refusal:
    """Turns a sentence that begins with the name of a field into a refusal of that field."""
    field, _, _ = str(error).partition(" ")
    return Refusal(422, str(error), field if "[" in field else "body")


def quote_short(given: Any) -> str:
    """Shortens an id for a message."""
    text = repr(given)
    return text if len(text) <= 60 else text[:57] + "…"


def refuse_writing(error: JournalError) -> Refusal:
    """Returns the refusal for a failed write: the disk is full, or refuses."""
    return Refusal(507 if isinstance(error, JournalDiskFullError) else 503, str(error), **{"retry-after": "5"})
