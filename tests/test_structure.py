"""What holds of the source as a whole: no circle of imports."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import fastrec

PACKAGE = Path(fastrec.__file__).parent


def modules() -> dict[str, Path]:
    """The modules of the package by name."""
    named = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        named[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return named


def imported_modules(path: Path, known: set[str]) -> set[str]:
    """The package's modules that a file imports anywhere: at its top, inside functions, or for type checkers alone."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            found.update(name if name in known else node.module for name in inner)
    return found & known


def find_circle(graph: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_no_module_imports_itself_by_way_of_others_not_even_inside_a_function():
    known = modules()
    graph = {name: imported_modules(path, set(known)) - {name} for name, path in known.items()}
    assert len(graph) > 100
    assert sum(map(len, graph.values())) > 500
    assert find_circle(graph) == []


def test_a_circle_would_be_found(tmp_path):
    (tmp_path / "a.py").write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p.b import B\n")
    (tmp_path / "b.py").write_text("def f():\n    from p import a\n")
    known = {"p.a", "p.b"}
    graph = {f"p.{name}": imported_modules(tmp_path / f"{name}.py", known) for name in "ab"}
    assert graph == {"p.a": {"p.b"}, "p.b": {"p.a"}}
    assert set(find_circle(graph)) == known
