"""The package is whole: in a checkout, in a copy of it without links, and in the files that setuptools takes."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"fastrec": ROOT / "fastrec", "fastrec.kernels": ROOT / "src_numba" / "fastrec" / "kernels"}

pytestmark = pytest.mark.skipif(not PACKAGES["fastrec.kernels"].is_dir(), reason="needs the checkout")


def test_every_package_is_listed():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    on_disk = [
        ".".join([name, *Path(folder).relative_to(place).parts])
        for name, place in PACKAGES.items()
        for folder, _, files in os.walk(place)
        if "__init__.py" in files
    ]
    assert sorted(listed) == sorted([*on_disk, "fastrec.serving.page"])  # the last folder holds files of the page alone


def test_a_copy_without_links_runs_without_being_installed(tmp_path):
    """Such a copy is a zip download, or a clone on a system that has no links."""
    for folder in ("fastrec", "src_numba"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"), symlinks=True)
    for path in tmp_path.rglob("*"):
        if path.is_symlink():
            path.unlink()
    code = """
import numpy as np, fastrec as fr, fastrec.kernels.als as kernels
fr.ImplicitALS(4, iterations=1).fit(np.eye(6)).recommend([0], k=2)
print(fr.__file__, kernels.__file__)
"""
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, cwd=tmp_path.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(str(tmp_path)) == 2, "another fastrec was found"


def test_the_parts_of_the_suite_that_are_named_are_there():
    lists = ("Makefile", "tests/chosen.txt", ".ci/run", ".ci/arm")
    named = {path for file in lists for path in re.findall(r"\btests/[\w/.]+\w", (ROOT / file).read_text())}
    assert len(named) > 10
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
