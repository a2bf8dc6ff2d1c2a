"""A worker imports what it needs, and not the optional modules of its libraries."""

import subprocess
import sys

CODE = """
import gc, sys
from fastrec.serving import worker
worker.import_sklearn()
import fastrec.serving.app
print(sorted({"pandas", "scipy.stats", "sklearn.impute"} & set(sys.modules)))
import scipy.stats, sklearn.impute
print(scipy.stats.mode([1, 1, 2]).mode, sklearn.impute.SimpleImputer().fit_transform([[1.0], [float("nan")]]).tolist())
"""


def test_a_worker_leaves_out_what_takes_longest_to_import_and_it_can_be_imported_later():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[]", "1 [[1.0], [1.0]]"]


def test_a_scikit_learn_that_needs_what_was_left_out_is_imported_as_usual():
    code = (
        "import sys, types\n"
        "from fastrec.serving import worker\n"
        "worker._stand_ins = lambda: {'scipy.sparse.linalg': types.ModuleType('scipy.sparse.linalg'), 'joblib': None}\n"
        "worker.import_sklearn()\n"
        "import sklearn.base, joblib, scipy.sparse.linalg\n"
        "print(scipy.sparse.linalg.norm.__name__, joblib.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "norm joblib"
