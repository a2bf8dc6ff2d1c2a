"""Model files of commands: loaded and saved, with a line of progress if it takes long."""

from pathlib import Path
from typing import Any

from fastrec.cli.working import working
from fastrec.permissions import parse_mode


def load_model(file: Path) -> Any:
    """The model of a file."""
    from fastrec import load

    with working(f"loading {file}"):
        return load(file)


def save_model(model: Any, file: Path, mode: str) -> None:
    """Writes a model to a file, with the permissions of `--mode`."""
    with working(f"writing {file}"):
        model.save(file, mode=parse_mode(mode))
