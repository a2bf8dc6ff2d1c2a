"""Scenarios: named requests of a file, which fill in the fields that a request leaves out."""

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import msgspec

from fastrec.serving import messages as m
from fastrec.serving.refusal import Refusal, refuse_field

Scenarios: TypeAlias = Mapping[str, Mapping[str, Any]]
Body = TypeVar("Body")

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Scenario(m.ListRequest, kw_only=True):
    """The fields that a scenario may set."""

    exclude_seen: m.ExcludeSeen = None
    explain: bool = False


def read_scenarios(path: Path) -> Scenarios:
    """Reads the scenarios of a file, JSON by its ending or TOML: a table of fields for each name.

    Raises
    ------
    ValueError
        If the file is neither, a name does not consist of letters, digits, "-" and "_", or a request has no such field;
        the message names scenario and field.
    """
    text = path.read_text(encoding="utf-8")
    try:
        tables = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except ValueError as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    if not isinstance(tables, dict):
        raise ValueError(f"{path} must be an object of scenarios by their names")
    for name, table in tables.items():
        _check_scenario(f"{path}: {name}", name, table)
    return tables


def _check_scenario(where: str, name: str, table: Any) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{where}: a name of a scenario must be of 1 to 64 letters, digits, '-' and '_'")
    try:
        scenario = msgspec.convert(table, Scenario)
    except msgspec.ValidationError as error:
        raise ValueError(f"{where}: {error}") from None
    if scenario.scenario is not None:
        raise ValueError(f"{where}: a scenario cannot name another one: leave out scenario")


def complete(scenarios: Scenarios, name: str, raw: bytes, kind: type[Body]) -> Body:
    """Completes the request of a body with its scenario's values of missing fields.

    Raises
    ------
    Refusal
        If there is no such scenario, or it does not fit the request.
    """
    if name not in scenarios:
        known = ", ".join(sorted(scenarios)) or "none: give --scenarios FILE"
        raise Refusal(422, f"there is no scenario {name!r:.80}; there are {known}", "scenario")
    fields = set(kind.__struct_fields__)  # type: ignore[attr-defined]
    said = {field: value for field, value in scenarios[name].items() if field in fields}
    try:
        return msgspec.convert({**said, **msgspec.json.decode(raw)}, kind)
    except msgspec.ValidationError as error:
        raise refuse_field(str(error), kind) from None
