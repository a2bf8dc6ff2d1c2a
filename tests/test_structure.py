"""Rules for the source as a whole: no circle of imports, short functions, files of one concept."""

import ast
import importlib.util
import io
import statistics
import tokenize
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import fastrec

PACKAGE = Path(fastrec.__file__).parent
KERNELS = Path(next(iter(importlib.util.find_spec("fastrec.kernels").submodule_search_locations)))
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# Lines of code, without docstrings, comments and blank lines.
LONGEST_FUNCTION, LONGEST_FILE = 60, 450
LONG_FUNCTIONS = {  # and the reasons
    "step_pairs": "one pass over samples: split, its state would be handed on through memory",
    "step_lists": "as step_pairs",
    "step_labels": "as step_pairs",
    "solve_ratings_cg": "four rows at a time in registers: a function call for each step would spill them",
    "solve_rows_cg": "as solve_ratings_cg",
    "fold_rows": "as solve_ratings_cg",
}
UNTESTED = {  # modules without a file of tests, and where they are tested
    "cli/app": "cli/test_program", "distributed/asking": "distributed/test_spark_als",
    "distributed/part_model": "distributed/test_spark_als", "distributed/preparing": "distributed/test_opening",
    "distributed/alternation": "distributed/test_implicit_alternation",
    "distributed/questions": "distributed/test_spark_als", "distributed/solving": "distributed/test_spark_als",
    "distributed/item_products": "distributed/test_fitting",
    "distributed/spark_implicit_als": "distributed/test_spark_als",
    "distributed/whole_model": "distributed/test_spark_als", "evaluation/search/found": "evaluation/search/test_search",
    "kernels/arrays": "types alone", "kernels/slim": "models/test_slim", "solvers/slim": "models/test_slim",
    "online/journal/errors": "online/journal/test_database",
    "models/composed/ensemble": "models/composed/test_blend", "models/ranking/activity": "models/ranking/test_features",
    "models/ranking/affinity": "models/ranking/test_features",
    "models/ranking/candidates": "models/ranking/test_two_stage",
    "models/ranking/category_counts": "models/ranking/test_features",
    "models/ranking/counts": "models/ranking/test_features", "models/ranking/facts": "models/ranking/test_features",
    "models/ranking/scores": "models/ranking/test_features",
    "plots/compression": "plots/test_style", "plots/titles": "plots/test_user",
    "serving/asgi": "types alone", "serving/endpoint": "serving/test_routes",
    "serving/failure": "serving/test_supervisor", "serving/messages": "serving/test_openapi",
}  # fmt: skip


def modules() -> dict[str, Path]:
    """Returns the modules of the package by name."""
    named = {}
    for folder, prefix in ((PACKAGE, ("fastrec",)), (KERNELS, ("fastrec", "kernels"))):
        for path in sorted(folder.rglob("*.py")):
            parts = (*prefix, *path.relative_to(folder).with_suffix("").parts)
            named[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return named


def imported_modules(path: Path, known: set[str]) -> set[str]:
    """Returns the modules that a file imports anywhere: at its top, inside functions, or for type checkers alone."""
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


def code_lines(source: str, nodes: list[ast.AST]) -> set[int]:
    """Returns the numbers of the lines with code on them, of a source and the nodes of its tree."""
    blank = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    tokens = [token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type not in blank]
    lines = {line for token in tokens for line in range(token.start[0], token.end[0] + 1)}
    for node in nodes:
        if isinstance(node, (*FUNCTIONS, ast.ClassDef, ast.Module)) and ast.get_docstring(node):
            lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return lines


def count_code(path: Path) -> tuple[int, dict[str, int]]:
    """Counts the lines of code of a file, and of each of its functions."""
    source = path.read_text(encoding="utf-8")
    nodes = list(ast.walk(ast.parse(source)))
    lines = code_lines(source, nodes)
    return len(lines), {
        f"{node.name}:{node.lineno}": len(lines & set(range(node.lineno, node.end_lineno + 1)))
        for node in nodes
        if isinstance(node, FUNCTIONS)
    }


def test_lines_of_code_are_counted():
    source = '"""A module."""\n\n\ndef f(\n    a,\n):\n    """Of f."""\n    # why\n    return [\n        a,\n    ]\n'
    assert code_lines(source, list(ast.walk(ast.parse(source)))) == {4, 5, 6, 9, 10, 11}


def test_functions_are_short_and_files_are_of_one_concept():
    files = {path: count_code(path) for path in {*PACKAGE.rglob("*.py"), *KERNELS.rglob("*.py")}}
    functions = {(path.name, name): size for path, (_, sizes) in files.items() for name, size in sizes.items()}
    long = {key: size for key, size in functions.items() if size > LONGEST_FUNCTION}
    assert {key: size for key, size in long.items() if key[1].partition(":")[0] not in LONG_FUNCTIONS} == {}
    assert {path: size for path, (size, _) in files.items() if size > LONGEST_FILE} == {}
    assert statistics.median(functions.values()) <= 7
    assert statistics.quantiles(functions.values(), n=20)[-1] <= 28


def test_tests_lie_as_the_source_does():
    tests = Path(__file__).parent
    modules = [path.relative_to(PACKAGE) for path in PACKAGE.rglob("[a-z]*.py")]
    modules += [path.relative_to(KERNELS.parent) for path in KERNELS.rglob("[a-z]*.py")]
    missing = {module.with_suffix("").as_posix() for module in modules
               if not (tests / module.with_name(f"test_{module.name}")).exists()}  # fmt: skip
    assert missing == set(UNTESTED)
