"""Provides tables to train on, and runs the command in a process of its own."""

import subprocess
import sys

import numpy as np

FASTREC = [sys.executable, "-m", "fastrec.cli"]


def write_table(path, seed=0, string_ids=False, times=True):
    rng = np.random.default_rng(seed)
    cells = np.argwhere(np.kron(np.eye(2), np.ones((20, 10))) * (rng.random((40, 20)) < 0.6))
    rows = ["userId,movieId,rating" + (",timestamp" if times else "")]
    for n, (u, i) in enumerate(cells):
        user, item = (f"u{u}", f"i{i}") if string_ids else (u + 1, 10 * i)
        rows.append(f"{user},{item},{rng.integers(1, 6)}" + (f",{1_000_000_000 + 997 * n % 5000}" if times else ""))
    path.write_text("\n".join(rows) + "\n")
    return path


def in_process_of_its_own(*arguments, cwd=None, **options):
    return subprocess.run(
        [*FASTREC, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, timeout=120, check=False, **options
    )
