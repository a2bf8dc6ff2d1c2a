"""The short part of the hostile client of bench/red_team.py has no success."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="needs fastrec[serve]")
pytest.importorskip("uvicorn", reason="needs fastrec[serve]")

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_a_hostile_client_gets_nowhere():
    command = [sys.executable, ROOT / "bench" / "red_team.py", "--short"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAILED" not in done.stdout
