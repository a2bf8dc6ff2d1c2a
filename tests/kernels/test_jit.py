"""The folder of compiled kernels."""

import ast
import collections
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import fastrec
from fastrec.kernels import _jit
from fastrec.kernels._cache import user_cache

ROWS = "fastrec.kernels.rows"


def test_kernels_of_old_versions_are_dropped(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    old, recent, foreign = (tmp_path / name for name in ("fastrec-old", "fastrec-recent", "another-package"))
    for folder in (old, recent, foreign):
        folder.mkdir()
        (folder / "kernel.nbc").write_bytes(b"code")
    long_ago = time.time() - _jit.KEPT - 60
    os.utime(old, (long_ago, long_ago))
    os.utime(foreign, (long_ago, long_ago))
    find = _jit.cache_folder.__wrapped__
    assert find(ROWS).parent == tmp_path
    assert not old.exists()
    assert (recent / "kernel.nbc").exists()
    assert (foreign / "kernel.nbc").exists()
    os.utime(recent, (long_ago, long_ago))
    find(ROWS)  # the folder is there already: no other one is looked for
    assert recent.exists()


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """Writes kernel modules into a folder and returns a function that gives the cache folder's name of one of them."""

    def write(texts):
        for path, text in texts.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        _jit._digest_and_imports.cache_clear()
        return _jit._cache_name

    monkeypatch.setattr(_jit, "SOURCES", tmp_path)
    yield write
    _jit._digest_and_imports.cache_clear()


def test_a_change_in_a_sub_folder_is_a_change(sources, tmp_path):
    found = {sources({"one/a.py": "1"})("tests.all"), sources({"one/a.py": "2"})("tests.all")}
    found.add(sources({"other/a.py": "1"})("tests.all"))
    shutil.rmtree(tmp_path / "one")
    found.add(sources({})("tests.all"))  # a source is moved from one folder to another
    assert len(found) == 4


def test_a_module_depends_on_all_that_it_imports_and_on_nothing_else(sources):
    texts = {
        "rows.py": "from fastrec.kernels.deep.sums import add\nfrom fastrec.kernels import lanes, target\n",
        "deep/sums.py": "from fastrec.kernels.rows import me\nfrom fastrec.kernels.base import (\n    zero,\n)\n",
        **{f"{name}.py": "" for name in ("lanes", "target", "base", "other")},
    }
    before = sources(texts)(ROWS)
    assert sources({"other.py": "1"})(ROWS) == before
    for path in set(texts) - {"other.py"}:
        assert sources({path: texts[path] + "changed = 1\n"})(ROWS) != before, path
        assert sources({path: texts[path]})(ROWS) == before


PROSE_AND_CODE = '''"""A module.

It has a docstring.
"""

# A comment.
def double(number):
    """Twice a number."""
    # It is added to itself.
    return number + number  # and returned


def triple(
    number,
):  # fmt: skip
    """Three times a number."""
    return 3 * number
'''


def test_a_change_of_prose_compiles_nothing(sources):
    before = sources({"rows.py": PROSE_AND_CODE})(ROWS)
    for old in (
        "It has", "A comment", "Twice a", "It is", "and returned", "    # It is added to itself.\n", "Three times",
    ):  # fmt: skip
        assert sources({"rows.py": PROSE_AND_CODE.replace(old, "")})(ROWS) == before, old
    assert sources({"rows.py": PROSE_AND_CODE.replace("+", "*")})(ROWS) != before


def test_only_prose_is_left_out_of_the_digest():
    def without_docstring(match):
        indent, found, _ = match[0].partition('"""')
        return f'{indent}""\n' if found else ""

    def code_of(source):
        tree = ast.parse(source)
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
                del node.body[0]
        return ast.dump(tree)

    for module in _jit._all_modules():
        source = _jit._source(module)
        assert code_of(_jit.PROSE.sub(without_docstring, source)) == code_of(source), module


def test_kernels_of_one_module_have_names_of_their_own():
    for module in _jit._all_modules():
        functions = [node for node in ast.walk(ast.parse(_jit._source(module))) if isinstance(node, ast.FunctionDef)]
        names = [function.name for function in functions if "kernel" in map(_name_of, function.decorator_list)]
        assert len(set(names)) == len(names), module


def _name_of(decorator):
    return ast.unparse(decorator).partition("(")[0]


def test_the_imports_of_every_kernel_module_are_found():
    for module in _jit._all_modules():
        read = ast.walk(ast.parse(_jit._source(module)))
        found = set()
        for node in read:
            assert not (isinstance(node, ast.Import) and "fastrec" in ast.dump(node)), module
            if isinstance(node, ast.ImportFrom) and node.module == _jit.PACKAGE:
                found |= {name.name for name in node.names}
            elif isinstance(node, ast.ImportFrom) and str(node.module).startswith("fastrec"):
                found.add(str(node.module).removeprefix(f"{_jit.PACKAGE}."))
            assert not (isinstance(node, ast.ImportFrom) and node.level), module
        assert _jit._digest_and_imports(module)[1] == found, module
        assert all(_jit._source(name) for name in found), module


def test_a_named_tuple_with_other_fields_is_another_type():
    kinds = [
        _jit.types.NamedTuple((_jit.types.int64, _jit.types.int64), collections.namedtuple("Place", fields))
        for fields in ("row column", "column row")
    ]
    one, other = (_jit._field_names([_jit.types.Tuple((kind, _jit.types.int32))]) for kind in kinds)
    assert one != other
    assert one == _jit._field_names([_jit.types.Tuple((kinds[0], _jit.types.int32))])


def test_functions_of_one_name_in_two_folders_have_files_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))

    def function():
        pass

    names = set()
    for module in ("fastrec.kernels.one.rows", "fastrec.kernels.other.rows"):
        function.__module__ = module
        names.add(_jit._Locator(function).get_disambiguator())
    assert len(names) == 2


def test_a_folder_that_may_not_be_looked_at_is_passed_over(tmp_path, monkeypatch):
    def refuse(path, **options):
        if "closed" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, **options)

    stat = os.stat
    monkeypatch.setattr(os, "stat", refuse)
    monkeypatch.setattr(Path, "stat", refuse)
    monkeypatch.setattr(_jit, "_writable", lambda folder: "closed" not in str(folder) and "x" * 300 not in str(folder))
    monkeypatch.setattr(_jit, "_bases", lambda: [tmp_path / "closed", tmp_path / ("x" * 300), tmp_path / "open"])
    assert _jit.cache_folder.__wrapped__(ROWS).parent == tmp_path / "open"


def test_a_folder_that_another_process_drops_first_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "fastrec-old").mkdir()
    monkeypatch.setattr(Path, "glob", lambda folder, pattern: [folder / "fastrec-gone", folder / "fastrec-old"])
    monkeypatch.setattr(_jit, "KEPT", -1.0)
    _jit._drop_old(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_users_cache_comes_before_what_lies_beside_the_package(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "given"))
    monkeypatch.setenv("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME", str(tmp_path / "user"))
    given, user, beside = _jit._bases()
    assert (given, user) == (tmp_path / "given", tmp_path / "user" / "fastrec" / "kernels")
    package = Path(fastrec.__file__).parent
    for base in (given, user, beside):
        assert package not in base.parents
        assert _jit.SOURCES not in base.parents, "what is uninstalled would leave a folder that can be imported"


@pytest.mark.parametrize("given", [None, "", "relative"])
def test_without_a_home_nothing_is_kept_in_the_folder_at_hand(given, monkeypatch):
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # neither HOME nor the system knows a home
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
        if given is not None:
            monkeypatch.setenv(name, given)
    assert user_cache() is None
    assert all(base.is_absolute() for base in _jit._bases())
    monkeypatch.delenv("FASTREC_CACHE", raising=False)
    with pytest.raises(FileNotFoundError, match="FASTREC_CACHE"):
        fastrec.datasets.cache_folder()


NOBODY = """
import pwd
def nobody(*_): raise KeyError("no entry")
pwd.getpwuid = pwd.getpwnam = nobody
"""


IN_NOBODYS_NAME = """
import runpy, sys, numpy as np, fastrec as fr, fastrec.serving.app, fastrec.serving.run, fastrec.plots
fr.ImplicitALS(4, iterations=1).fit(np.eye(6)).recommend([0], k=2)
sys.argv = ['fastrec', 'train', 'data.csv', '-o', 'x.fastrec']
runpy.run_module('fastrec.cli', run_name='__main__')
"""


@pytest.mark.skipif(os.name == "nt", reason="users are others there")
def test_a_user_without_home_and_entry_is_served(tmp_path):
    (tmp_path / "data.csv").write_text("user,item,value\n" + "".join(f"u{n % 7},i{n % 5},1\n" for n in range(30)))
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "NUMBA_CACHE_DIR", "PYTHONPATH")}
    path = os.pathsep.join([str(Path(fastrec.__file__).parents[1]), kept.get("PYTHONPATH", "")]).strip(os.pathsep)
    command = [sys.executable, "-W", "error::RuntimeWarning", "-c", NOBODY + IN_NOBODYS_NAME]
    compiled = str(_jit._bases()[0])  # the folder holds these kernels already: they are not compiled here again
    environment = {"NUMBA_CACHE_DIR": compiled, **kept, "PYTHONPATH": path}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "x.fastrec").exists()


@pytest.mark.parametrize("module", ["numba", "llvmlite"])
def test_every_version_of_the_compiler_has_a_folder_of_its_own(tmp_path, monkeypatch, module):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    find = _jit.cache_folder.__wrapped__
    now = find(ROWS)
    assert find(ROWS) == now
    monkeypatch.setattr(getattr(_jit, module), "__version__", "0.1")
    assert find(ROWS) != now
    monkeypatch.undo()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(sys.implementation, "cache_tag", "cpython-399")
    assert find(ROWS) != now


UNCOMPILED = """
import numpy as np, fastrec as fr
square = np.eye(6, dtype=np.float32)
for use in (
    lambda: fr.ImplicitALS(4, iterations=1).fit(square),
    lambda: fr.ExactIndex().fit(square).search(square, 1),
    lambda: fr.Popularity().fit(square).recommend([0]),
    fr.warmup,
):
    try:
        use()
    except RuntimeError as error:
        print(error)
"""


def test_without_the_compiler_a_sentence_says_so():
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, "-c", UNCOMPILED], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    sentences = done.stdout.strip().splitlines()
    assert len(sentences) == 4
    for sentence in sentences:
        assert sentence.startswith("fastrec's kernels")
        assert "need Numba's compiler, which NUMBA_DISABLE_JIT=1 turns off" in sentence


def test_a_static_integer_is_part_of_the_type():
    assert repr(_jit.Static(3).value) == "3"
