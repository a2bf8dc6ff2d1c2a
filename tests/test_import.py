"""The modules that an import loads, and compiled kernels that are found again."""

import subprocess
import sys

import pytest


def run(code, **options):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "module", ["fastrec", "fastrec.serving.run"]
)  # the latter starts workers, which import the rest
def test_import_brings_neither_numba_nor_scikit_learn(module):
    heavy = run(
        f"import sys, {module}; print(sorted({{'numba', 'sklearn', 'scipy', 'pandas', 'rich'}} & set(sys.modules)))"
    )
    assert heavy == "[]"


FIT = """
import sys, numpy as np, fastrec as fr
from numba.core.dispatcher import Dispatcher
rng = np.random.default_rng(0)
X = (rng.random((200, 50)) < 0.2).astype("f4")
if sys.argv[1] == "fit":
    model = fr.ImplicitALS(16, iterations=2, random_state=0).fit(X)
    model.save(sys.argv[2])
else:
    model = fr.load(sys.argv[2])
model.recommend([0, 1], k=3), model.recommend(0, k=3), model.recommend(X[:2], k=3, deny=[1])
model.recommend([0, 1], deny=[[1], []]), model.recommend([0, 1], allow=[1, 2, 3]), model.score(X[:12])
model.similar_items(0, k=3), model.similar_items([0]), model.similar_users([0]), model.predict_pairs([1], [2])
model.transform(X[:3]), model.explain(0, 1)
misses = {}
for name, module in list(sys.modules.items()):
    if name.startswith("fastrec.kernels"):
        for kernel in vars(module).values():
            if isinstance(kernel, Dispatcher) and sum(kernel.stats.cache_misses.values()):
                misses[kernel.__name__] = sum(kernel.stats.cache_misses.values())
print(misses)
"""


def run_fit(how, path):
    done = subprocess.run([sys.executable, "-c", FIT, how, path], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_a_second_process_compiles_nothing(tmp_path):
    path = str(tmp_path / "model.fastrec")
    run_fit("fit", path)
    assert [run_fit(how, path) for how in ("load", "fit")] == ["{}", "{}"], "a loaded model asks for nothing else"
