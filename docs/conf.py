"""The settings of the documentation site; `make docs` builds it."""

import re
import subprocess
import sys
from pathlib import Path

from sphinx.application import Sphinx

import fastrec

project = "fastrec"
author = "The fastrec developers"
copyright = author
version = release = fastrec.__version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
]
smartquotes_action = "qe"  # quotes and ellipses; dashes would spoil options such as --budget
exclude_patterns = ["_build", "package.md"]  # the second is the page of the package index
templates_path = ["_templates"]

# Pages: Markdown, with the headings as targets of links.
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

# Executed pages: kept until their code changes, and an error ends the build.
nb_execution_mode = "cache"
nb_execution_cache_path = str(Path(__file__).parent / "_build" / "executed")
nb_execution_raise_on_error = True
nb_execution_timeout = 900  # seconds of a cell, on a machine that others use too
nb_merge_streams = True
nb_execution_in_temp = True

# Reference: one page for each public name. Words in single backticks of docstrings are links where they name an object.
default_role = "autolink"
autosummary_generate = True
# A file system that ignores case holds one page of a function and its result: the result's has another name.
autosummary_filename_map = {"fastrec.Audit": "fastrec.audit-result", "fastrec.Search": "fastrec.search-result"}
autodoc_mock_imports = ["pyspark"]
autodoc_typehints = "none"  # numpydoc's sections say the types
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

html_theme = "pydata_sphinx_theme"
html_title = "fastrec"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
    "show_prev_next": False,
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc"],
    "navbar_align": "left",
    "footer_start": ["copyright"],
    "footer_end": [],
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True

SECTIONS = re.compile(r"^ *(Parameters|Returns|Raises|Examples)\n *-+$", re.MULTILINE)


def _skip_members(app: object, kind: str, name: str, member: object, skip: bool, options: object) -> bool | None:
    """Leaves out members from other packages, and the methods by which models speak to each other."""
    function = getattr(member, "__func__", getattr(member, "fget", member))
    module = getattr(function, "__module__", None) or "fastrec"
    is_inner = module.startswith("fastrec.models") and not SECTIONS.search(getattr(function, "__doc__", None) or "")
    is_inner |= isinstance(member, bool | frozenset)  # what a model can, which the page of models says
    return True if is_inner or not module.startswith("fastrec") else None


def _mark_up(app: object, kind: str, name: str, member: object, options: object, lines: list[str]) -> None:
    """Keeps learned attributes such as n_iter_ from being read as links of reStructuredText, and links named pages."""
    for at, line in enumerate(lines):
        if ">>>" not in line:
            line = re.sub(r"(?<![`\w])([a-z]\w*)_(?![\w`])", r"\1\\_", line)
            lines[at] = re.sub(r"\bdocs/([\w/-]+)\.md\b", r":doc:`/\1`", line)


def _write_command_line(app: Sphinx) -> None:
    """Writes the page of the commands from their own help."""
    command = [sys.executable, "-m", "typer", "fastrec.cli", "utils", "docs", "--name", "fastrec"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    page = Path(app.srcdir) / "reference" / "command-line.md"
    text = text.replace("# `fastrec`", "# The command line", 1)
    if not page.exists() or page.read_text(encoding="utf-8") != text:
        page.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Connects the functions above to Sphinx's events."""
    app.connect("builder-inited", _write_command_line)
    app.connect("autodoc-skip-member", _skip_members)
    app.connect("autodoc-process-docstring", _mark_up, priority=1)  # before numpydoc
