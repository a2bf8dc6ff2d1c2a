"""The folder of compiled kernels."""

import os
import subprocess
import sys
import time

import pytest

from fastrec.kernels import _jit


def test_what_old_versions_compiled_is_dropped(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    old, recent, foreign = (tmp_path / name for name in ("fastrec-old", "fastrec-recent", "another-package"))
    for folder in (old, recent, foreign):
        folder.mkdir()
        (folder / "kernel.nbc").write_bytes(b"code")
    long_ago = time.time() - _jit.KEPT - 60
    os.utime(old, (long_ago, long_ago))
    os.utime(foreign, (long_ago, long_ago))
    find = _jit.cache_folder.__wrapped__
    assert find().parent == tmp_path
    assert not old.exists()
    assert (recent / "kernel.nbc").exists()
    assert (foreign / "kernel.nbc").exists()
    os.utime(recent, (long_ago, long_ago))
    find()  # a folder that is there already: nothing is looked for
    assert recent.exists()


@pytest.mark.parametrize(
    "code",
    [
        "fr.ImplicitALS(4, iterations=1).fit(np.eye(6))",
        "fr.ExactIndex().fit(np.eye(6, dtype=np.float32)).search(np.eye(6, dtype=np.float32), 1)",
        "fr.Popularity().fit(np.eye(6)).recommend([0])",
        "fr.warmup()",
    ],
)
def test_without_the_compiler_a_sentence_says_so(code):
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-c", f"import numpy as np, fastrec as fr; {code}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1
    assert last.startswith("RuntimeError: fastrec's kernels")
    assert "need Numba's compiler, which NUMBA_DISABLE_JIT=1 turns off" in last
