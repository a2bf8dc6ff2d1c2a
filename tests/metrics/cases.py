"""Provides rankings and truths to try, and the plain definitions."""

import importlib.util
from pathlib import Path

import numpy as np
from hypothesis import strategies as st


def _load_reference():
    spec = importlib.util.spec_from_file_location(
        "reference_metrics", Path(__file__).parents[1] / "reference" / "metrics.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reference = _load_reference()


NAMES = [function.__name__ for function in reference.PER_USER]


@st.composite
def cases(draw):
    """Draws rankings (short, empty or with many relevant items), truths with empty, negative and zero entries."""
    n_users, n_items = draw(st.integers(1, 5)), draw(st.integers(1, 9))
    width = draw(st.integers(1, 12))
    rows = []
    for _ in range(n_users):
        items = draw(st.permutations(range(n_items)))[: draw(st.integers(0, min(width, n_items)))]
        rows.append(list(items) + [-1] * (width - len(items)))
    grade = st.sampled_from([0, 0, 0, 1, 1, 2, 5, 0.25, -1])
    truth = [draw(st.lists(grade, min_size=n_items, max_size=n_items)) for _ in range(n_users)]
    return np.array(rows), np.array(truth, dtype=float), draw(st.integers(1, 14))
