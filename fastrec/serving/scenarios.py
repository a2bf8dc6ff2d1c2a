"""Scenarios: requests by name, from a file: what a request does not say is what its scenario says."""

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import msgspec

from fastrec.serving import messages as m
from fastrec.serving.parsing import refuse_field
from fastrec.serving.refusal import Refusal

Scenarios: TypeAlias = Mapping[str, Mapping[str, Any]]
Body = TypeVar("Body")

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Scenario(m.ListRequest, kw_only=True):
    """The fields that a scenario may say."""

    exclude_seen: bool = True
    explain: bool = False


def read_scenarios(path: Path) -> Scenarios:
    """The scenarios of a file: of JSON, where its name ends so, else of TOML; a table of fields for each name.

    Raises
    ------
    ValueError
        If the file is neither, a name is not made of letters, digits, "-" and "_", or a field is no field of a
        request: the message names the scenario and the field.
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
        raise ValueError(f"{where}: a scenario names no other one")


def complete(scenarios: Scenarios, name: str, raw: bytes, kind: type[Body]) -> Body:
    """The request of a body with what its scenario says of the fields that it does not name.

    Raises
    ------
    Refusal
        Where there is no such scenario, or what it says does not go with the request.
    """
    if name not in scenarios:
        known = ", ".join(sorted(scenarios)) or "none: give --scenarios FILE"
        raise Refusal(422, f"there is no scenario {name!r:.80}; there are {known}", "scenario")
    fields = set(kind.__struct_fields__)  # type: ignore[attr-defined]
    said = {field: value for field, value in scenarios[name].items() if field in fields}
    try:
        return msgspec.convert({**said, **msgspec.json.decode(raw)}, kind)
    except msgspec.ValidationError as error:
        raise refuse_field(str(error)) from None
