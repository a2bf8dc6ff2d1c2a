"""``fastrec info``: the content of a model file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from fastrec.cli.app import app, examples
from fastrec.cli.models import load_model
from fastrec.cli.options import Format, ModelFile, Output
from fastrec.cli.output import as_plain, write_rows


@app.command(epilog=examples("fastrec info model.fastrec --format json"))
def info(model_file: ModelFile, output_format: Output = Format.table) -> None:
    """Show the content of a model file.

    It prints the class, options, shapes, sizes and ids, and tells whether the checksums are right.
    """
    from fastrec import load
    from fastrec.storage import FileError

    try:
        model, state = load_model(model_file), "right"
    except FileError as error:
        try:  # an undamaged header still says which class the file holds
            model, state = load(model_file, verify="header"), f"wrong: {error}"
        except FileError:
            raise error from None
    facts = _collect_facts(model, model_file, state)
    if output_format is Format.table:
        _write_facts(facts)
    else:
        write_rows([facts], output_format)
    if state != "right":
        raise typer.Exit(1)


def _collect_facts(model: Any, path: Path, state: str) -> dict[str, Any]:
    users, items = model.seen_.shape
    arrays = {
        name: f"{'x'.join(map(str, value.shape))} {value.dtype}"
        for name, value in vars(model).items()
        if name.endswith("_") and hasattr(value, "shape") and hasattr(value, "dtype")
    }
    return {
        "file": str(path),
        "size": path.stat().st_size,
        "checksums": state,
        "class": type(model).__name__,
        "options": {name: as_plain(value) for name, value in model.get_params(deep=False).items()},
        "users": users,
        "user_ids": "codes" if model.users_ is None else {"int": "integers", "str": "strings"}[model.users_.kind],
        "items": items,
        "item_ids": "codes" if model.items_ is None else {"int": "integers", "str": "strings"}[model.items_.kind],
        "interactions": model.seen_.nnz,
        "item_info": sorted(model.item_info_ or {}),
        **_describe_codecs(model),
        **_describe_choice(model),
        "arrays": arrays,
    }


def _describe_choice(model: Any) -> dict[str, str]:
    """Describes who answers, of several models."""
    chosen = model.choice_in_words()
    return {"answers come from": chosen} if chosen else {}


def _describe_codecs(model: Any) -> dict[str, str]:
    """Describes the codecs of a compressed model."""
    if not hasattr(model, "codecs_"):
        return {}
    codecs = {name.strip("_"): repr(codec) for name, codec in model.codecs_.items()}
    return {"compressed": repr(model.origin_[0]), **codecs}


def _write_facts(facts: Mapping[str, Any]) -> None:
    from fastrec.storage import size_in_words

    shown = dict(facts, size=size_in_words(facts["size"]))
    shown["options"] = ", ".join(f"{name}={value!r}" for name, value in facts["options"].items()) or "none"
    shown["item_info"] = ", ".join(facts["item_info"]) or "none"
    arrays = shown.pop("arrays")
    for name in ("users", "items", "interactions"):
        shown[name] = f"{facts[name]:,}"
    lines = [*shown.items(), *arrays.items()]
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        print(f"{name.replace('_ids', ' ids').ljust(width)}  {value}")
