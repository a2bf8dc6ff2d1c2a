"""The folder of compiled kernels."""

import os
import time

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
